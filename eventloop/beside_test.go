package eventloop

import (
	"net"
	"syscall"
	"testing"
)

// slowStream is a Stream that calls back while it writes, and keeps what it is given.
type slowStream struct {
	writing func()
	out     []byte
}

func (s *slowStream) Ready()                   {}
func (s *slowStream) Read([]byte) (int, error) { return 0, syscall.EAGAIN }
func (s *slowStream) Flush() error             { return nil }
func (s *slowStream) Waiting() bool            { return false }
func (s *slowStream) CloseWrite() error        { return nil }
func (s *slowStream) Close() error             { return nil }
func (s *slowStream) FD() int                  { return -1 }
func (s *slowStream) RemoteAddr() net.Addr     { return nil }
func (s *slowStream) Write(p []byte) error {
	s.writing()
	s.out = append(s.out, p...)
	return nil
}

// Output is on its way still while the Stream enciphers it: a connection that ends must not be closed then.
func TestPendingWhileWriting(t *testing.T) {
	s := &slowStream{}
	th := &ioThread{loop: &Loop{}}
	sd := &side{s: s, thread: th}
	if sd.pending() {
		t.Error("pending before there is anything")
	}
	th.loop.serving = th // nobody is to be woken
	if n, errno := sd.send([]byte("reply")); n != 5 || errno != 0 {
		t.Fatal(n, errno)
	}
	calls := 0
	s.writing = func() {
		calls++
		if !sd.pending() {
			t.Error("not pending while it is written")
		}
	}
	th.write(sd)
	if calls != 1 || string(s.out) != "reply" {
		t.Errorf("%d calls, %q", calls, s.out)
	}
	if sd.pending() {
		t.Error("pending when all is written")
	}
}
