package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// mangler is a connection under TLS that changes what is sent.
type mangler struct {
	net.Conn
	change func(record []byte) []byte // nil: nothing
}

func (m *mangler) Write(p []byte) (int, error) {
	if m.change == nil {
		return m.Conn.Write(p)
	}
	if _, err := m.Conn.Write(m.change(bytes.Clone(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mangled connects and shakes hands.
func (s *secured) mangled(t *testing.T, cfg *tls.Config) (*tls.Conn, *mangler) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", s.addr, harness.DefaultTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(harness.DefaultTimeout))
	m := &mangler{Conn: nc}
	c := tls.Client(m, cfg)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, m
}

// What peers do wrong ends their connection, and no other; the server answers all the while, and forgets them.
func TestTLSHostile(t *testing.T) {
	s := startSecured(t)
	good := s.mustDial(t, nil)
	cfg := s.ca.Client(s.cert, s.key)
	old := cfg.Clone()
	old.MaxVersion = tls.VersionTLS12
	ping := "*1\r\n$4\r\nPING\r\n"
	for version, cfg := range map[string]*tls.Config{"1.3": cfg, "1.2": old} {
		for name, change := range map[string]func(record []byte) []byte{
			"a flipped bit":     func(r []byte) []byte { r[len(r)-1] ^= 1; return r },
			"twice":             func(r []byte) []byte { return append(r, r...) },
			"a strange type":    func(r []byte) []byte { r[0] = 99; return r },
			"a strange version": func(r []byte) []byte { r[1] = 9; return r },
			"too long":          func(r []byte) []byte { r[3], r[4] = 0xff, 0xff; return r },
			"of no length":      func(r []byte) []byte { r[3], r[4] = 0, 0; return r[:5] },
			"plain":             func([]byte) []byte { return []byte(ping) },
			"an alert":          func([]byte) []byte { return []byte{21, 3, 3, 0, 2, 2, 40} },
			"a handshake":       func([]byte) []byte { return append([]byte{22, 3, 3, 0, 4}, 0, 0, 0, 0) },
			"many of nothing":   func([]byte) []byte { return bytes.Repeat([]byte{23, 3, 3, 0, 0}, 10_000) },
		} {
			c, m := s.mangled(t, cfg)
			if _, err := io.WriteString(c, ping); err != nil {
				t.Fatal(err)
			}
			pong := make([]byte, 7)
			if _, err := io.ReadFull(c, pong); err != nil || string(pong) != "+PONG\r\n" {
				t.Fatalf("%q, %v", pong, err)
			}
			m.change = change
			if _, err := io.WriteString(c, ping); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := io.ReadAll(m.Conn)
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("TLS %s, a record %s: %v", version, name, err)
			}
			if bytes.Contains(got, []byte("PONG")) {
				t.Errorf("TLS %s, a record %s is answered", version, name)
			}
			replies(t, good, "PING", "PONG")
		}
		// A record that comes byte by byte is one all the same.
		c, m := s.mangled(t, cfg)
		m.change = func(r []byte) []byte {
			for _, b := range r[:len(r)-1] {
				_, _ = m.Conn.Write([]byte{b})
			}
			return r[len(r)-1:]
		}
		for range 3 {
			if _, err := io.WriteString(c, ping); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 7)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "+PONG\r\n" {
				t.Fatalf("TLS %s, byte by byte: %q, %v", version, got, err)
			}
		}
		_ = c.Close()
		// A torn record, and then nothing.
		c, m = s.mangled(t, cfg)
		m.change = func(r []byte) []byte { return r[:len(r)/2] }
		if _, err := io.WriteString(c, ping); err != nil {
			t.Fatal(err)
		}
		_ = m.Conn.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(m.Conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("TLS %s, a torn record: %q, %v", version, got, err)
		}
		// A close_notify is answered after the replies, whether the peer continues or not.
		c, m = s.mangled(t, cfg)
		if _, err := io.WriteString(c, strings.Repeat(ping, 100)); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(m.Conn, "and what follows the end")
		if got, err := io.ReadAll(c); string(got) != strings.Repeat("+PONG\r\n", 100) && (err == nil || !strings.Contains(err.Error(), "reset")) {
			t.Errorf("TLS %s, after a notice of the end: %d bytes, %v", version, len(got), err)
		}
	}
	// TLS at the plain port is a request that never ends, or an error of the protocol.
	nc, err := net.DialTimeout("tcp", s.Addr, harness.DefaultTimeout)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if err := tls.Client(nc, cfg).Handshake(); err == nil {
		t.Error("the plain port speaks TLS")
	}
	_ = nc.Close()
	replies(t, good, "PING", "PONG")
	eventually(t, "they are forgotten", func() bool {
		return strings.Contains(info(t, s.plain, "clients"), "\nconnected_clients:2\r")
	})
}

// Thousands of connections that do not shake hands, some of which send garbage, take little memory, no place of a client, and nothing
// of the time of others. They are closed after a while, which the long form waits for.
func TestTLSHalfOpenMany(t *testing.T) {
	n := 2000
	if harness.Stress() {
		n = 10_000
	}
	if err := harness.RaiseOpenFiles(uint64(n) + 500); err != nil {
		t.Skip(err)
	}
	s := startSecured(t, "--maxclients", fmt.Sprint(n+100))
	good := s.mustDial(t, nil)
	before, err := s.RSS()
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var asked atomic.Int64
	var group sync.WaitGroup
	var slowest [2]time.Duration // with TLS and without
	for i, c := range []*harness.Conn{good, s.Dial(t)} {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				if v, err := c.Do("PING"); err != nil || v.Str != "PONG" {
					t.Errorf("%v, %v", v, err)
					return
				}
				slowest[i] = max(slowest[i], time.Since(began))
				asked.Add(1)
			}
		})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	open := make([]net.Conn, 0, n)
	for i := range n {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		open = append(open, c)
		switch i % 4 {
		case 1:
			_, _ = c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")) // the beginning of a greeting
		case 2:
			junk := make([]byte, 5)
			for j := range junk {
				junk[j] = byte(rnd.UintN(256))
			}
			_, _ = c.Write(junk)
		}
	}
	eventually(t, "requests are answered meanwhile", func() bool { return asked.Load() > 100 })
	after, err := s.RSS()
	if err != nil {
		t.Fatal(err)
	}
	each := (after - before) / int64(n)
	if t.Logf("%d bytes a connection", each); each > 20<<10 && !harness.RaceEnabled {
		t.Errorf("%d bytes a connection", each)
	}
	if got := number(t, info(t, s.plain, "clients"), "connected_clients"); got > 4 {
		t.Errorf("%v of them are clients", got)
	}
	if harness.Stress() { // it takes ten seconds
		end := time.Now().Add(time.Minute)
		for i, c := range open {
			_ = c.SetReadDeadline(end)
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("connection %d is still open", i)
			}
		}
		eventually(t, "all are counted", func() bool {
			return number(t, info(t, s.plain, "stats"), "tls_handshake_failures") == float64(n)
		})
	}
	close(stop)
	group.Wait()
	t.Logf("%d requests were answered, the slowest of each client after %v", asked.Load(), slowest)
	replies(t, s.mustDial(t, nil), "PING", "PONG")
	for _, c := range open {
		_ = c.Close()
	}
	if got := number(t, info(t, s.plain, "stats"), "tls_handshake_failures"); got < float64(n/4) {
		t.Errorf("%v failures are counted", got)
	}
}

// While certificates are replaced again and again, no connection ends and every new one gets a certificate.
func TestTLSRotationUnderLoad(t *testing.T) {
	s := startSecured(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	var done atomic.Int64
	for i := range 8 {
		c := s.mustDial(t, nil)
		group.Go(func() {
			value := strings.Repeat("v", 1+i*5000)
			for ctx.Err() == nil {
				for _, line := range [][]string{{"SET", fmt.Sprint(i), value}, {"GET", fmt.Sprint(i)}} {
					v, err := c.Do(line...)
					if err != nil || v.IsError() {
						t.Errorf("client %d: %v, %v", i, v, err)
						return
					}
					done.Add(1)
				}
			}
		})
	}
	cfg := s.ca.Client(s.cert, s.key)
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				c, err := tls.Dial("tcp", s.addr, cfg)
				if err != nil {
					t.Errorf("a new client: %v", err)
					return
				}
				_ = c.Close()
			}
		})
	}
	for i := range 20 {
		cert, key := s.ca.Issue(fmt.Sprint("server", i%2), fmt.Sprint("server", i))
		s.plain.Must("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key)
		c, err := tls.Dial("tcp", s.addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.ConnectionState().PeerCertificates[0].Subject.CommonName, fmt.Sprint("server", i); got != want {
			t.Errorf("a new connection gets the certificate of %s, want %s", got, want)
		}
		_ = c.Close()
		at := done.Load()
		eventually(t, "the load goes on", func() bool { return done.Load() > at+50 || t.Failed() })
	}
	cancel()
	group.Wait()
}

// A client that is slow to read, one that never reads, and one that resets its connection keep nobody from being served.
func TestTLSSlowReaders(t *testing.T) {
	s := startSecured(t, "--client-output-buffer-limit", "normal 0 0 0")
	value := strings.Repeat("v", 1<<20)
	s.plain.Must("SET", "k", value)
	var slow []*harness.Conn
	for range 5 {
		c := s.mustDial(t, nil)
		if _, err := c.Write([]byte(strings.Repeat("GET k\r\n", 30))); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	good := s.mustDial(t, nil)
	for range 100 {
		replies(t, good, "PING", "PONG")
	}
	_ = slow[0].Net().(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
	_ = slow[0].Close()
	for i := range 30 {
		if v, err := slow[1].Read(); err != nil || v.Str != value {
			t.Fatalf("reply %d: %d bytes, %v", i, len(v.Str), err)
		}
	}
	// The server closes one whose output is still waiting.
	id := slow[2]
	if _, err := id.Write([]byte("QUIT\r\n")); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if v, err := id.Read(); err != nil || v.Str != value {
			t.Fatalf("reply %d before the end: %d bytes, %v", i, len(v.Str), err)
		}
	}
	if v, err := id.Read(); err != nil || v.Str != "OK" {
		t.Errorf("QUIT: %v, %v", v, err)
	}
	if _, err := id.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after QUIT: %v", err)
	}
	s.plain.Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	eventually(t, "all are closed", func() bool {
		return strings.Contains(info(t, s.plain, "clients"), "\nconnected_clients:1\r")
	})
}
