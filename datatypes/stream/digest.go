package stream

import (
	"strconv"

	"ferrous/datatypes/digest"
	"ferrous/datatypes/listpack"
)

// Digest takes the entries into a DEBUG DIGEST. As in Redis groups are left out.
func (s *Stream) Digest(d *digest.Digest) {
	s.Each(func(id ID, pairs []listpack.Value) bool {
		d.Mix(strconv.AppendUint(append(strconv.AppendUint(nil, id.Ms, 10), '.'), id.Seq, 10))
		for _, v := range pairs {
			d.MixValue(v)
		}
		return true
	})
}
