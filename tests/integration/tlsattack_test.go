package integration

import (
	"context"
	"crypto/tls"
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
	"ferrous/tests/random"
)

// attack is what the goroutines of TestTLSAttack share.
type attack struct {
	*secured
	hello []byte // the first record of a client
	done  atomic.Int64
}

// attackRequests leave a client in all the states that there are.
var attackRequests = []string{
	"BLPOP nothing 0\r\n", "XREAD BLOCK 0 STREAMS nothing $\r\n", "SUBSCRIBE a b\r\n", "PSUBSCRIBE *\r\n", "MONITOR\r\n",
	"CLIENT TRACKING ON BCAST\r\n", "HELLO 3\r\nCLIENT TRACKING ON\r\nGET k\r\nGET large\r\n", "WATCH k\r\nMULTI\r\nSET k v\r\n",
	"EXEC\r\n", "SET k v\r\n", "RPUSH list x\r\nBLMOVE list list LEFT LEFT 0\r\n", "PUBLISH a message\r\n", "CLIENT REPLY OFF\r\n",
	"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$1000000\r\nvvvv", "QUIT\r\n", "WAIT 1 0\r\n", "CLIENT NO-EVICT ON\r\n",
	strings.Repeat("GET large\r\n", 30), strings.Repeat("PING\r\n", 1000), "*1\r\n$-7\r\n", "CLIENT UNPAUSE\r\n",
}

// client is one connection that behaves badly.
func (a *attack) client(rnd *rand.Rand, cfg *tls.Config) {
	defer a.done.Add(1)
	nc, err := net.DialTimeout("tcp", a.addr, harness.DefaultTimeout)
	if err != nil {
		return // the port is closed at the moment
	}
	defer nc.Close()
	tcp := nc.(*net.TCPConn)
	_ = tcp.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if rnd.IntN(2) == 0 {
		_ = tcp.SetLinger(0) // it ends by a reset
	}
	if rnd.IntN(8) == 0 {
		_, _ = tcp.Write(a.hello[:rnd.IntN(len(a.hello))])
		return
	}
	m := &mangler{Conn: nc}
	half := func(r []byte) []byte { return r[:rnd.IntN(len(r))] }
	if rnd.IntN(8) == 0 {
		m.change = half
	}
	c := tls.Client(m, cfg)
	if c.Handshake() != nil {
		return
	}
	for range 1 + rnd.IntN(4) {
		if _, err := io.WriteString(c, attackRequests[rnd.IntN(len(attackRequests))]); err != nil {
			return
		}
	}
	switch rnd.IntN(5) {
	case 0:
		m.change = half
		_, _ = io.WriteString(c, "PING\r\n")
	case 1:
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	case 2:
		_, _ = io.ReadFull(c, make([]byte, rnd.IntN(100_000)))
	case 3:
		if k, err := a.Connect(); err == nil {
			_, _ = k.Do("CLIENT", "KILL", "ADDR", nc.LocalAddr().String())
			_ = k.Close()
			_, _ = io.Copy(io.Discard, c)
		}
	}
}

// setting changes something of TLS, or what clients may do.
func (a *attack) setting(rnd *rand.Rand, n int) []string {
	switch rnd.IntN(8) {
	case 0, 1:
		return []string{"CONFIG", "SET", "tls-port", "0"}
	case 2:
		return []string{"CONFIG", "SET", "tls-auth-clients", []string{"yes", "no", "optional"}[rnd.IntN(3)]}
	case 3:
		cert, key := a.ca.Issue(fmt.Sprint("rotated", n%2), "server")
		return []string{"CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key}
	case 4:
		return []string{"CLIENT", "PAUSE", fmt.Sprint(rnd.IntN(50)), []string{"WRITE", "ALL"}[rnd.IntN(2)]}
	case 5:
		return []string{"CLIENT", "KILL", "TYPE", "pubsub"}
	case 6:
		return []string{"CONFIG", "SET", "tls-session-caching", []string{"yes", "no"}[rnd.IntN(2)]}
	}
	return []string{"CONFIG", "SET", "tls-protocols", []string{"TLSv1.2", "TLSv1.3", "TLSv1.2 TLSv1.3"}[rnd.IntN(3)]}
}

// Clients come and go in every state while the port, the certificate, and what is asked of clients change: in the handshake, amid a record, waiting, with
// replies that nobody reads, by a reset, a notice or CLIENT KILL. Another client is served all the while. Afterwards nothing is left of them, and the
// counters hold. At last SHUTDOWN ends many clients at once.
func TestTLSAttack(t *testing.T) {
	seed := random.Seed(t)
	binary, err := harness.CheckedFerrous()
	if err != nil {
		t.Fatal(err)
	}
	duration, last := 3*time.Second, 200
	if harness.Stress() {
		duration, last = time.Minute, 1000
	}
	if err := harness.RaiseOpenFiles(3000); err != nil {
		t.Skip(err)
	}
	s := startSecuredWith(t, binary, "--client-output-buffer-limit", "normal 1mb 0 0 pubsub 1mb 0 0", "--maxclients", "2000")
	a := &attack{secured: s, hello: clientHello(t)}
	s.plain.Must("SET", "large", strings.Repeat("v", 300_000))
	good := s.mustDial(t, nil)
	replies(t, good, "PING", "PONG")
	files := openFiles(t, s.PID())

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var group sync.WaitGroup
	for i := range 8 {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		group.Go(func() {
			cfg := s.ca.Client(s.cert, s.key)
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			for ctx.Err() == nil {
				a.client(rnd, cfg)
			}
		})
	}
	group.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			value := strings.Repeat("v", i*7919%200_000)
			if v, err := good.Do("SET", "good", value); err != nil || v.Str != "OK" {
				t.Errorf("SET: %v, %v", v, err)
				return
			}
			if v, err := good.Do("GET", "good"); err != nil || v.Str != value {
				t.Errorf("GET: %d bytes of %d, %v", len(v.Str), len(value), err)
				return
			}
		}
	})
	port := s.addr[strings.LastIndexByte(s.addr, ':')+1:]
	open := func() { // another socket may have the number for a moment
		eventually(t, "the port is open", func() bool {
			v, err := s.plain.Do("CONFIG", "SET", "tls-port", port)
			return err == nil && v.Str == "OK"
		})
	}
	rnd := rand.New(rand.NewPCG(seed, 99))
	for i := 0; ctx.Err() == nil; i++ {
		line := a.setting(rnd, i)
		if v, err := s.plain.Do(line...); err != nil || v.IsError() {
			t.Fatalf("%q: %v, %v", line, v, err)
		}
		at := a.done.Load()
		eventually(t, "the attack goes on", func() bool { return a.done.Load() > at+10 || ctx.Err() != nil })
		open()
	}
	group.Wait()
	t.Logf("%d clients were there", a.done.Load())
	for _, line := range [][]string{{"CONFIG", "SET", "tls-auth-clients", "yes", "tls-protocols", ""}, {"CLIENT", "UNPAUSE"}} {
		s.plain.Must(line...)
	}
	eventually(t, "none is left", func() bool {
		return strings.Contains(info(t, s.plain, "clients"), "\nconnected_clients:2\r")
	})
	clients := info(t, s.plain, "clients")
	for _, name := range []string{"blocked_clients", "tracking_clients", "pubsub_clients", "watching_clients", "clients_in_timeout_table", "total_blocking_keys"} {
		if strings.Contains(clients, "\n"+name+":") && number(t, clients, name) != 0 {
			t.Errorf("%s is not 0 in\n%s", name, clients)
		}
	}
	eventually(t, "their descriptors are closed", func() bool { return openFiles(t, s.PID()) <= files })
	if v := s.plain.Must("DEBUG", "RECOUNT"); len(v.Elems) != 0 {
		t.Errorf("the counters: %v", v)
	}

	cfg := s.ca.Client(s.cert, s.key)
	var ended sync.WaitGroup
	for i := range last {
		c := s.mustDial(t, cfg)
		if _, err := io.WriteString(c, []string{"BLPOP nothing 0\r\n", "SUBSCRIBE a\r\n", "PING\r\n", "GET large\r\n", "MONITOR\r\n"}[i%5]); err != nil {
			t.Fatal(err)
		}
		ended.Go(func() {
			if _, err := c.ReadAll(); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	eventually(t, "all are clients", func() bool { return number(t, info(t, s.plain, "clients"), "connected_clients") == float64(last+2) })
	if err := s.plain.Send("SHUTDOWN", "NOSAVE"); err != nil {
		t.Fatal(err)
	}
	if code, err := s.Wait(harness.DefaultTimeout); code != 0 || err != nil {
		t.Errorf("SHUTDOWN: %d, %v", code, err)
	}
	ended.Wait()
	if report := crashReport(s.Logs()); report != "" {
		t.Error(report)
	}
}

// clientHello returns the first record that a client sends.
func clientHello(t *testing.T) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() { _ = tls.Client(there, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	buf := make([]byte, 16<<10)
	n, err := here.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// openFiles counts the descriptors of a process.
func openFiles(t *testing.T, pid int) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
