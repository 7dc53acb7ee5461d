package replication

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A proxy stands between a replica and its master, and can cut, stall and split what the master sends.
type proxy struct {
	t    *testing.T
	ln   net.Listener
	to   string
	port int

	cutAfter atomic.Int64 // bytes from the master after which the connection ends, once; 0: never
	split    atomic.Bool  // what the master sends arrives in pieces of a few bytes
	stalled  atomic.Bool  // nothing goes through
	conns    atomic.Int64 // accepted
	cuts     atomic.Int64

	mu   sync.Mutex
	open []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln, to: to, port: ln.Addr().(*net.TCPAddr).Port}
	t.Cleanup(func() { ln.Close(); p.cut() })
	go p.accept()
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		m, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		p.conns.Add(1)
		p.mu.Lock()
		p.open = append(p.open, c, m)
		p.mu.Unlock()
		go p.carry(m, c, false)
		go p.carry(c, m, true)
	}
}

// carry copies from one side to the other.
func (p *proxy) carry(to, from net.Conn, fromMaster bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for n := 0; ; n++ {
		most := len(buf)
		if fromMaster && p.split.Load() {
			most = 1 + n*7%97
		}
		for p.stalled.Load() {
			time.Sleep(time.Millisecond)
		}
		k, err := from.Read(buf[:most])
		if err != nil {
			return
		}
		if fromMaster {
			if left := p.cutAfter.Load(); left > 0 {
				if int64(k) >= left {
					p.cutAfter.Store(0)
					p.cuts.Add(1)
					to.Write(buf[:left])
					return
				}
				p.cutAfter.Store(left - int64(k))
			}
		}
		if _, err := to.Write(buf[:k]); err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}
