package hash

import (
	"ferrous/datatypes/digest"
	"ferrous/datatypes/record"
)

// Digest takes the fields into a DEBUG DIGEST: that a field has a deadline, but not when it is.
func (h *Hash) Digest(d *digest.Digest) {
	h.EachField(func(field, value Value, when int64) bool {
		e := d.Part()
		e.MixValue(field)
		e.MixValue(value)
		if when != record.NoExpiry {
			e.Add([]byte("!!hexpire!!"))
		}
		d.AddPart(&e)
		return true
	})
}
