package list

import "ferrous/datatypes/digest"

// Digest adds the elements to a DEBUG DIGEST.
func (l *List) Digest(d *digest.Digest) { l.Range(0, l.Len(), false, d.MixValue) }
