//go:build invariants || race

package record

import "testing"

// TestWriteAfterFree holds that builds for tests see it when a record is written that is free.
func TestWriteAfterFree(t *testing.T) {
	var s Spares
	r := s.NewString([]byte("key"), []byte("value"), NoExpiry, 0, 0)
	s.Remove(r)
	s.Free()
	r.SetClock(3)
	defer func() {
		if recover() == nil {
			t.Error("a record that was written while it was free is given out")
		}
	}()
	s.NewString([]byte("key"), []byte("value"), NoExpiry, 0, 0)
}
