package eventloop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// TestDial: dialled connections are read, written and closed like accepted ones, while strangers connect to the inner listener.
func TestDial(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(map[*Conn]*bytes.Buffer)
	closed := 0
	s := start(t, &testHandler{
		opened: func(c *Conn) bool { t.Error("Opened is called for a dialled connection"); return true },
		data:   func(c *Conn, in []byte) { got[c].Write(in) },
		closed: func(c *Conn, err error) { closed++ },
	}, nil)
	const n = 20
	var conns []*Conn
	for range n {
		s.do(func() {
			s.Dial(Dialing{Addr: ln.Addr().String(), Timeout: patience}, func(c *Conn, err error) {
				if err != nil {
					t.Errorf("Dial: %v", err)
					return
				}
				c.Send([]byte("hello"))
				got[c] = new(bytes.Buffer)
				conns = append(conns, c)
			})
		})
		peer, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.SetDeadline(time.Now().Add(patience))
		roundHello := make([]byte, 5)
		if _, err := io.ReadFull(peer, roundHello); err != nil || string(roundHello) != "hello" {
			t.Fatalf("the peer got %q, %v", roundHello, err)
		}
		if _, err := peer.Write([]byte("and good bye")); err != nil {
			t.Fatal(err)
		}
		s.eventually("the peer's bytes", func() bool { return got[conns[len(conns)-1]].String() == "and good bye" })
		s.do(func() {
			c := conns[len(conns)-1]
			if c.RemoteAddr() != ln.Addr().String() || c.LocalAddr() != peer.RemoteAddr().String() || !c.IsTCP() || !c.Dialled() {
				t.Errorf("from %s to %s, TCP %v", c.LocalAddr(), c.RemoteAddr(), c.IsTCP())
			}
			if s.Conns() != len(conns) {
				t.Errorf("%d connections, %d dialled", s.Conns(), len(conns))
			}
		})
	}
	s.do(func() {
		for i, c := range conns {
			if i%2 == 0 {
				c.CloseNow()
			} else {
				c.CloseAfterSend()
			}
		}
	})
	s.eventually("the end of all", func() bool { return closed == n && s.Conns() == 0 })
}

// TestDialFails: the callback gets the reason, and is not called after cancel.
func TestDialFails(t *testing.T) {
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &testHandler{}, nil)
	canceled := false
	s.do(func() {
		cancel := s.Dial(Dialing{Addr: addr, Timeout: patience}, func(*Conn, error) { canceled = true })
		cancel()
	})
	var refused error
	told := false
	s.do(func() {
		ln.Close()
		s.Dial(Dialing{Addr: addr, Timeout: patience}, func(c *Conn, err error) { refused, told = err, true })
	})
	s.eventually("the refusal", func() bool { return told })
	if !errors.Is(refused, syscall.ECONNREFUSED) || canceled {
		t.Errorf("%v; told after cancel: %v", refused, canceled)
	}
}

// TestDialCanceledLate: the Handler never gets a connection that was canceled, at whatever moment of the dialing.
func TestDialCanceledLate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := start(t, &testHandler{closed: func(c *Conn, err error) {
		if c.Ctx == nil {
			t.Error("the end of a connection is told that was canceled")
		}
	}}, nil)
	for i := range 200 {
		var cancel func()
		s.do(func() {
			cancel = s.Dial(Dialing{Addr: ln.Addr().String(), Timeout: patience}, func(c *Conn, err error) {
				if err == nil {
					c.Ctx = s
					c.CloseNow()
				}
			})
		})
		for range i % 4 {
			s.do(func() {
				if len(s.adopting) > 0 {
					cancel()
				}
			})
		}
		s.do(cancel)
	}
	s.eventually("the end of all", func() bool { return s.Conns() == 0 && len(s.adopting) == 0 })
}

// numbers is a Source of so many bytes, in pieces of 1000.
type numbers struct {
	at, end  int
	maxTaken int
}

func (n *numbers) Next(bufs [][]byte) [][]byte {
	for at := n.at; at < n.end && len(bufs) < 8; {
		piece := make([]byte, min(1000-at%1000, n.end-at))
		for i := range piece {
			piece[i] = byte((at + i) * 7 >> 3)
		}
		bufs = append(bufs, piece)
		at += len(piece)
	}
	return bufs
}

func (n *numbers) Wrote(w int) {
	n.at += w
	n.maxTaken = max(n.maxTaken, w)
}

// TestSource: what a Source has comes whole and in order, behind what was queued, whatever the socket takes at once.
func TestSource(t *testing.T) {
	var conn *Conn
	s := start(t, &testHandler{opened: func(c *Conn) bool { conn = c; return true }}, nil)
	peer := s.dial()
	s.eventually("a connection", func() bool { return conn != nil })
	const size = 24 << 20
	src := &numbers{}
	head := bytes.Repeat([]byte("h"), 16<<20) // more than the kernel takes
	s.do(func() {
		conn.Send(head)
		conn.SetSource(src)
		src.end = size / 2
		conn.Pull()
		if src.at > 0 {
			t.Error("the Source was before the queue")
		}
	})
	go s.do(func() {
		src.end = size
		conn.Pull()
	})
	got := make([]byte, len(head)+size)
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:len(head)], head) {
		t.Fatal("the head is not what was sent")
	}
	for i, b := range got[len(head):] {
		if b != byte(i*7>>3) {
			t.Fatalf("byte %d of the Source is wrong", i)
		}
	}
	s.do(func() {
		if src.at != size || src.maxTaken == size {
			t.Errorf("%d bytes of %d written, %d at once", src.at, size, src.maxTaken)
		}
		conn.SetSource(nil)
		conn.Send([]byte("tail"))
	})
	tail := make([]byte, 4)
	if _, err := io.ReadFull(peer, tail); err != nil || string(tail) != "tail" {
		t.Fatalf("%q, %v", tail, err)
	}
}
