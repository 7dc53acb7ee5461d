package eventloop

import (
	"testing"
	"unsafe"
)

// The peer's IPv4 address lies in the Conn, which is no larger for it, and evio's copies are gone.
func TestPeerTaken(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 64 {
		t.Errorf("a Conn has %d bytes", n)
	}
	s := start(t, &testHandler{}, nil)
	c := s.dial()
	roundTrip(t, c, "hello")
	s.do(func() {
		s.Each(func(sc *Conn) bool {
			if !s.evioPeer.known || sc.ev.RemoteAddr() != nil {
				t.Errorf("evio keeps %v", sc.ev.RemoteAddr())
			}
			if got := sc.RemoteAddr(); got != c.LocalAddr().String() {
				t.Errorf("peer %q, want %q", got, c.LocalAddr())
			}
			return true
		})
	})
}
