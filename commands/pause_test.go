package commands

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/logging"
)

// liveServer is a Server that runs on its loop and listens on a unix socket.
type liveServer struct {
	*Server
	t    *testing.T
	path string
}

func startServer(t *testing.T, settings ...string) *liveServer {
	t.Helper()
	return startServerWith(t, func(*Server) {}, settings...)
}

// startServerWith is startServer of a server that is changed before it starts.
func startServerWith(t *testing.T, change func(*Server), settings ...string) *liveServer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	cfg := config.New()
	settings = append([]string{"save", `""`, "dir", filepath.Dir(path), "port", "0", "unixsocket", path}, settings...)
	for i := 0; i < len(settings); i += 2 {
		if err := cfg.LoadString(settings[i] + " " + settings[i+1] + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(cfg, logging.New(logging.Options{Out: io.Discard}))
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		s.Terminate("SIGTERM")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	live := &liveServer{Server: s, t: t, path: path}
	live.eventually("the server is ready", func() bool { return s.ready })
	return live
}

// on runs f on the loop.
func (s *liveServer) on(f func()) {
	done := make(chan struct{})
	s.loop.Post(func() { f(); close(done) })
	<-done
}

// eventually waits for a condition that is looked at on the loop.
func (s *liveServer) eventually(what string, cond func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		holds := false
		s.on(func() { holds = cond() })
		if holds {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// liveConn is a connection to it.
type liveConn struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (s *liveServer) dial() *liveConn {
	s.t.Helper()
	var c net.Conn
	var err error
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if c, err = net.Dial("unix", s.path); err == nil {
			break
		}
		if time.Now().After(end) {
			s.t.Fatal(err)
		}
	}
	s.t.Cleanup(func() { c.Close() })
	return &liveConn{c, s.t, bufio.NewReader(c)}
}

func (c *liveConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads as many bytes as want has and compares them.
func (c *liveConn) expect(want string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, len(want))
	n, err := io.ReadFull(c.r, b)
	if err != nil || string(b) != want {
		c.t.Fatalf("got %q (%v), want %q", b[:n], err, want)
	}
}

// silent checks that nothing comes for a while.
func (c *liveConn) silent() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if b, err := c.r.Peek(1); err == nil {
		rest, _ := c.r.Peek(c.r.Buffered())
		c.t.Fatalf("got %q%q where nothing was due", b, rest)
	}
}

// ended checks that the server has closed the connection.
func (c *liveConn) ended() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("got %q, %v, want the end", b, err)
	}
}

func (c *liveConn) do(request, reply string) {
	c.t.Helper()
	c.send(request + "\r\n")
	c.expect(reply)
}

func TestPauseWrite(t *testing.T) {
	s := startServer(t)
	admin, writer, reader := s.dial(), s.dial(), s.dial()
	admin.do("CLIENT PAUSE 100000 WRITE", ok)
	writer.send("PING\r\nGET k\r\nSET k 1\r\nGET k\r\nINCR k\r\n")
	writer.expect("+PONG\r\n$-1\r\n")
	writer.silent()
	reader.do("GET k", "$-1\r\n")
	// More input, the end of a request later than its begin, waits behind the request that is held back.
	writer.send("*2\r\n$3\r\nGET\r\n$1\r\n")
	writer.silent()
	writer.send("k\r\nPING\r\n")
	writer.silent()
	s.eventually("one client waits", func() bool { return len(s.pause.waiting) == 1 })
	if line := reader.line("CLIENT LIST ID 2"); field(line, "flags") != "bU" || field(line, "cmd") != "set" {
		t.Errorf("the client that waits: %s", line)
	}
	admin.do("CLIENT UNPAUSE", ok)
	writer.expect("+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n+PONG\r\n")
	writer.do("SET k 3", ok)
	s.eventually("nothing held is left", func() bool { return s.heldBytes == 0 })
}

func TestPauseAllEndsByItself(t *testing.T) {
	s := startServer(t)
	a, b, c := s.dial(), s.dial(), s.dial()
	b.do("PING", "+PONG\r\n")
	c.do("PING", "+PONG\r\n")
	begin := time.Now()
	a.send("CLIENT PAUSE 10 ALL\r\nCLIENT PAUSE 150 WRITE\r\nPING\r\n")
	a.expect(ok)
	b.send("PING\r\nGET x\r\n")
	c.send("SET x 1\r\n")
	// The second PAUSE itself waited for the end of the first; then it lets readers through.
	a.expect(ok + "+PONG\r\n")
	b.expect("+PONG\r\n")
	if d := time.Since(begin); d < 10*time.Millisecond {
		t.Errorf("the pause of 10 ms ended after %v", d)
	}
	c.expect(ok)
	if d := time.Since(begin); d < 10*time.Millisecond {
		t.Errorf("the write came after %v", d)
	}
}

func TestPauseKeepsTheLongerAndWider(t *testing.T) {
	ts := newTestServer(t)
	checkExchanges(t, ts, ts.c, []exchange{{"CLIENT PAUSE 0", ok}})
	if ts.pause.until != 0 {
		t.Error("PAUSE 0 pauses")
	}
	ts.pauseClients(5000, false)
	ts.pauseClients(1000, false)
	if ts.pause.until != ts.now+5000 || ts.pause.all {
		t.Errorf("%+v", ts.pause)
	}
	ts.pauseClients(1000, true)
	ts.pauseClients(6000, false)
	if ts.pause.until != ts.now+6000 || !ts.pause.all || !ts.Keyspace.KeepExpired {
		t.Errorf("%+v", ts.pause)
	}
	ts.unpauseClients()
	if ts.pause.until != 0 || ts.pause.all || ts.Keyspace.KeepExpired {
		t.Errorf("%+v", ts.pause)
	}
}

func TestPauseErrors(t *testing.T) {
	ts := newTestServer(t)
	checkExchanges(t, ts, ts.c, []exchange{
		{"CLIENT PAUSE", "-ERR wrong number of arguments for 'client|pause' command\r\n"},
		{"CLIENT PAUSE x", "-ERR timeout is not an integer or out of range\r\n"},
		{"CLIENT PAUSE 1.5", "-ERR timeout is not an integer or out of range\r\n"},
		{"CLIENT PAUSE -1", "-ERR timeout is negative\r\n"},
		{"CLIENT PAUSE 9223372036854775807", "-ERR timeout is out of range\r\n"},
		{"CLIENT PAUSE x READ", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"},
		{"CLIENT PAUSE 1 WRITE x", "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.\r\n"},
		{"CLIENT UNPAUSE", ok},
	})
}

// A request that is held back keeps its arguments, counts once, and takes CLIENT REPLY SKIP with it.
func TestPauseHoldsARequest(t *testing.T) {
	ts := newTestServer(t)
	ts.pauseClients(5000, false)
	ts.do("CLIENT", "REPLY", "SKIP")
	if got := ts.do("SET", "key", "value"); got != "" || !ts.c.stopped || len(ts.c.deferred) != 3 {
		t.Fatalf("%q, stopped %v, %q", got, ts.c.stopped, ts.c.deferred)
	}
	set := ts.Registry.ByName["set"]
	if set.Calls != 0 || set.Rejected != 0 {
		t.Errorf("counted already: %d calls, %d rejected", set.Calls, set.Rejected)
	}
	if s := fmt.Sprintf("%s", ts.c.deferred); s != "[SET key value]" {
		t.Errorf("held: %s", s)
	}
	ts.pause = pause{}
	args := ts.c.deferred
	ts.c.deferred = nil
	if got := ts.run(ts.c, args); len(got) != 0 {
		t.Errorf("a reply that was to be skipped: %q", got)
	}
	if got := ts.do("GET", "key"); got != "$5\r\nvalue\r\n" {
		t.Errorf("GET: %q", got)
	}
	if set.Calls != 1 {
		t.Errorf("%d calls", set.Calls)
	}
}

func TestPauseClientsThatLeave(t *testing.T) {
	s := startServer(t)
	admin, gone, killed, stays := s.dial(), s.dial(), s.dial(), s.dial()
	admin.do("CLIENT PAUSE 100000 WRITE", ok)
	waiting := func(n int) {
		t.Helper()
		s.eventually(fmt.Sprint(n, " clients wait"), func() bool { return len(s.pause.waiting) == n })
	}
	for i, c := range []*liveConn{gone, killed, stays} {
		c.send("APPEND k x\r\n")
		waiting(i + 1)
	}
	gone.Close()
	waiting(2)
	admin.do("CLIENT KILL ID 3", ok[:0]+":1\r\n")
	killed.ended()
	waiting(1)
	admin.do("CLIENT UNPAUSE", ok)
	stays.expect(":1\r\n")
	s.eventually("two clients are left", func() bool { return len(s.clients) == 2 && s.heldBytes == 0 })
}

func TestPausedKeysDoNotExpire(t *testing.T) {
	s := startServer(t)
	c := s.dial()
	c.do("SET k v PX 40\r\nCLIENT PAUSE 100000 WRITE", ok+ok)
	time.Sleep(60 * time.Millisecond)
	c.do("GET k", "$-1\r\n")
	s.on(func() {
		if s.Keyspace.ExpiredKeys != 0 || s.Keyspace.DBs()[0].Len() != 1 {
			t.Errorf("%d keys expired during a pause, %d left", s.Keyspace.ExpiredKeys, s.Keyspace.DBs()[0].Len())
		}
	})
	c.do("CLIENT UNPAUSE", ok)
	s.eventually("the key expires", func() bool { return s.Keyspace.ExpiredKeys == 1 })
}

// A script with a shebang waits for a pause of writes only if it may write; one without waits always.
func TestPauseWriteAndScripts(t *testing.T) {
	s := startServer(t)
	admin, reader := s.dial(), s.dial()
	admin.do(`FUNCTION LOAD "#!lua name=l\nredis.register_function{function_name='r', callback=function() return 1 end, flags={'no-writes'}} `+
		`redis.register_function('w', function() return 2 end)"`, "$1\r\nl\r\n")
	admin.do("CLIENT PAUSE 100000 WRITE", ok)
	reader.do(`EVAL "#!lua flags=no-writes\nreturn 1" 0`, ":1\r\n")
	reader.do("FCALL r 0", ":1\r\n")
	reader.do("MULTI", ok)
	reader.do("FCALL r 0", "+QUEUED\r\n")
	reader.do("EXEC", "*1\r\n:1\r\n")
	waiting := []string{`EVAL "#!lua\nreturn 2" 0`, `EVAL "return 2" 0`, `EVAL_RO "#!lua\nreturn 2" 0`, "FCALL w 0"}
	writers := make([]*liveConn, len(waiting))
	for i, request := range waiting {
		writers[i] = s.dial()
		writers[i].send(request + "\r\n")
	}
	s.eventually("all of them wait", func() bool { return len(s.pause.waiting) == len(waiting) })
	admin.do("CLIENT UNPAUSE", ok)
	for i, c := range writers {
		if i != 2 {
			c.expect(":2\r\n")
		} else {
			c.expect("-" + errWriteScript + "\r\n")
		}
	}
}
