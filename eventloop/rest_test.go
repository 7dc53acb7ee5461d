package eventloop

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// happened is what happened on a loop, in order.
type happened struct {
	mu   sync.Mutex
	list []string
}

func (h *happened) add(s string) {
	h.mu.Lock()
	h.list = append(h.list, s)
	h.mu.Unlock()
}

func (h *happened) wait(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		h.mu.Lock()
		got = slices.Clone(h.list)
		h.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
		if len(got) >= len(want) {
			break
		}
	}
	t.Fatalf("%q happened, want %q", got, want)
}

// rest has the loop rest, and returns when nothing that comes now can be handled before.
func (s *server) rest(h *happened) {
	begun := make(chan struct{})
	s.do(func() {
		s.AfterFunc(0, func() {
			s.Rest(func() { h.add("woken") })
			close(begun)
		})
	})
	<-begun
}

// restingLoop starts a loop that says what happens on it.
func restingLoop(t *testing.T) (*server, *happened) {
	if !abstractSockets {
		t.Skip("the loop does not know evio's poll here")
	}
	h := new(happened)
	s := start(t, &testHandler{
		opened: func(*Conn) bool { h.add("opened"); return true },
		data:   func(_ *Conn, in []byte) { h.add(string(in)) },
	}, nil)
	return s, h
}

func TestRestEndsWithData(t *testing.T) {
	s, h := restingLoop(t)
	c := s.dial()
	h.wait(t, "opened")
	s.rest(h)
	c.Write([]byte("ping"))
	h.wait(t, "opened", "woken", "ping")
	c.Write([]byte("pong")) // and is not called again
	h.wait(t, "opened", "woken", "ping", "pong")
}

func TestRestEndsWithConnection(t *testing.T) {
	s, h := restingLoop(t)
	s.rest(h)
	s.dial()
	h.wait(t, "woken", "opened")
}

func TestRestEndsWithPost(t *testing.T) {
	s, h := restingLoop(t)
	s.rest(h)
	s.Post(func() { h.add("posted") })
	h.wait(t, "woken", "posted")
}

// A flush phase that a timer requested before the rest does not wait for its end.
func TestRestAfterFlush(t *testing.T) {
	h := new(happened)
	s := start(t, &testHandler{flush: func() { h.add("flush") }}, nil)
	s.do(func() {
		s.AfterFunc(0, func() {
			s.Rest(func() { h.add("woken") })
			s.RequestFlush()
		})
	})
	h.wait(t, "flush")
}

// A timer ends the rest, and is no event.
func TestRestEndsWithTimer(t *testing.T) {
	s, h := restingLoop(t)
	s.do(func() {
		s.AfterFunc(0, func() {
			s.AfterFunc(30*time.Millisecond, func() { h.add("timer") })
			s.Rest(func() { h.add("woken") })
		})
	})
	h.wait(t, "timer")
}

// The cleanup of start waits for the end of Serve.
func TestShutdownEndsRest(t *testing.T) {
	s, h := restingLoop(t)
	s.rest(h)
}
