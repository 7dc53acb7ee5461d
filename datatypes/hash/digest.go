package hash

import (
	"ferrous/datatypes/digest"
	"ferrous/datatypes/record"
)

// Digest adds the fields to a DEBUG DIGEST: whether a field has a deadline counts, its time does not.
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
