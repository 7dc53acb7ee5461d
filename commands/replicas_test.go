package commands

import (
	"errors"
	"testing"

	"ferrous/replication"
)

// TestStreamedDumpRoom: the goroutine that encodes a payload hands over what there is room for, then waits until the loop makes
// more or does not want the payload any more.
func TestStreamedDumpRoom(t *testing.T) {
	var p replication.Payload // always empty: it has the whole room
	var d streamedDump
	d.begin(&p)
	pieces := make(chan []byte)
	go func() {
		defer close(pieces)
		for b := d.piece(outputOnce + 1); b != nil; b = d.piece(outputOnce + 1) {
			pieces <- b
		}
	}()
	handed := 0
	for handed < p.Room() {
		b := <-pieces
		if len(b) == 0 || len(b) > outputOnce {
			t.Fatalf("a piece of %d bytes", len(b))
		}
		handed += len(b)
	}
	if handed != p.Room() {
		t.Fatalf("%d bytes were handed over, there was room for %d", handed, p.Room())
	}
	used := make([]byte, 0, outputOnce)
	for i := range 1000 {
		select {
		case b := <-pieces:
			t.Fatalf("%d bytes without room", len(b))
		default:
		}
		d.free <- used
		n := i%outputOnce + 1
		d.makeRoom(&p, n)
		if b := <-pieces; len(b) != n || &b[0] != &used[:1][0] {
			t.Fatalf("%d bytes for room of %d, in the buffer that was read: %t", len(b), n, &b[0] == &used[:1][0])
		}
	}
	if err := d.stopped(); err != nil {
		t.Fatal(err)
	}
	d.end()
	if b, ok := <-pieces; ok {
		t.Fatalf("%d bytes of a payload that is not wanted", len(b))
	}
	if err := d.stopped(); !errors.Is(err, errDropped) {
		t.Errorf("stopped: %v", err)
	}
}
