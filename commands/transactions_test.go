package commands

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ferrous/commands/session"
)

// lines runs several commands, one a line, and returns the last reply.
func (ts *testServer) lines(t *testing.T, text string) string {
	t.Helper()
	reply := ""
	for _, l := range strings.Split(text, ";") {
		reply = ts.doLine(l)
	}
	return reply
}

func TestTransactionErrors(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"EXEC", "-ERR EXEC without MULTI\r\n"},
		{"DISCARD", "-ERR DISCARD without MULTI\r\n"},
		{"MULTI;MULTI", "-ERR MULTI calls can not be nested\r\n"},
		{"MULTI;MULTI;EXEC", "*0\r\n"},
		{"MULTI;WATCH a", "-ERR WATCH inside MULTI is not allowed\r\n"},
		{"MULTI;WATCH a;PING;EXEC", "*1\r\n+PONG\r\n"},
		{"MULTI;nosuch;PING", "+QUEUED\r\n"},
		{"MULTI;nosuch;PING;EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
		{"MULTI;GET;EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
		{"MULTI;GET;DISCARD;MULTI;PING;EXEC", "*1\r\n+PONG\r\n"},
		{"MULTI;CONFIG nosuch;EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
		{"MULTI;SHUTDOWN", "-ERR Command not allowed inside a transaction\r\n"},
		{"MULTI;SHUTDOWN;EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
		{"MULTI;EXEC a", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"},
		{"MULTI;EXEC a;EXEC", "-ERR EXEC without MULTI\r\n"},
		{"MULTI;SET a x;INCR a;APPEND a y;EXEC", "*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n:2\r\n"},
		{"MULTI;UNWATCH;EXEC", "*1\r\n+OK\r\n"},
		{"MULTI;RESET;EXEC", "-ERR EXEC without MULTI\r\n"},
		{"WATCH a;RESET;MULTI;EXEC", "*0\r\n"},
	} {
		s := newTestServer(t)
		if got := s.lines(t, tt.lines); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.lines, got, tt.want)
		}
	}
}

// TestWatch runs a line of one client between WATCH and EXEC of another.
func TestWatch(t *testing.T) {
	const same, changed = "*1\r\n+PONG\r\n", "*-1\r\n"
	for _, tt := range []struct{ before, watch, between, want string }{
		{"SET a 1", "a", "GET a", same},
		{"SET a 1", "a", "SET a 1", changed},
		{"SET a 1", "b", "SET a 1", same},
		{"SET a 1", "b a", "SET a 1", changed},
		{"SET a 1", "a", "SELECT 1;SET a 1", same},
		{"SET a 1", "a", "DEL a", changed},
		{"", "a", "DEL a", same},
		{"", "a", "SET a 1", changed},
		{"", "a", "SET a 1;DEL a", changed},
		{"SET a 1", "a", "EXPIRE a 100", changed},
		{"SET a 1", "a", "PERSIST a", same},
		{"SET a 1", "a", "TOUCH a", same},
		{"SET a 1", "a", "INCR a", changed},
		{"SET a 1", "b", "RENAME a b", changed},
		{"SET a 1", "a", "RENAME a b", changed},
		{"SET a 1", "b", "COPY a b", changed},
		{"SET a 1", "a", "COPY a b", same},
		{"SET a 1", "a", "MOVE a 1", changed},
		{"SET a 1", "a", "FLUSHDB", changed},
		{"SET a 1", "a", "FLUSHALL", changed},
		{"SET a 1", "b", "FLUSHALL", same},
		{"SET a 1", "a", "SELECT 1;FLUSHDB", same},
		{"SET a 1", "a", "SWAPDB 0 1", changed},
		{"SET a 1", "b", "SWAPDB 0 1", same},
		{"SELECT 1;SET b 1;SELECT 0", "b", "SWAPDB 0 1", changed},
		{"SELECT 1;SET b 1;SELECT 0", "b", "SWAPDB 2 3", same},
		// Keys that have expired, or do so now: PAST deletes nothing, it lets 10 ms go by.
		{"SET a 1 PX 5", "a", "PAST", changed},
		{"SET a 1 PX 5", "a", "PAST;GET a", changed},
		{"SET a 1 PX 5;PAST", "a", "PAST", same},
		{"SET a 1 PX 5;PAST", "a", "GET a", same},
		{"SET a 1 PX 5;PAST", "a", "DEL a", same},
		{"SET a 1 PX 5;PAST", "a", "FLUSHALL", same},
		{"SET a 1 PX 5;PAST", "a", "SWAPDB 0 1", same},
		{"SET a 1 PX 5;PAST", "a", "SET a 1", changed},
		{"SET a 1 PX 5;PAST", "a", "GET a;SET a 1", changed},
		{"SELECT 1;SET a 1 PX 5;SELECT 0;PAST", "a", "SWAPDB 0 1", same},
		{"SELECT 1;SET a 1 PX 5;SELECT 0;SET a 1 PX 5;PAST", "a", "SWAPDB 0 1", same},
		{"SELECT 1;SET a 1;SELECT 0;SET a 1 PX 5;PAST", "a", "SWAPDB 0 1", changed},
		{"SELECT 1;SET a 1 PX 5;SELECT 0;PAST;SET a 1", "a", "SWAPDB 0 1", changed},
	} {
		s := newTestServer(t)
		other := s.client()
		run := func(c *Client, lines string) {
			for _, l := range strings.Split(lines, ";") {
				switch l {
				case "":
				case "PAST":
					s.now += 10
				default:
					if got := s.doAs(c, strings.Fields(l)...); got[0] == '-' {
						t.Fatalf("%s: %q", l, got)
					}
				}
			}
		}
		run(s.c, tt.before)
		run(s.c, "WATCH "+tt.watch)
		run(other, tt.between)
		run(s.c, "MULTI;PING")
		if got := s.doLine("EXEC"); got != tt.want {
			t.Errorf("%s; WATCH %s; %s: %q", tt.before, tt.watch, tt.between, got)
		}
		if len(s.watched) != 0 || s.Listeners != nil {
			t.Errorf("%s: after EXEC watches are left: %v", tt.between, s.watched)
		}
	}
}

// TestWatchBooks: whatever ends a watch, the books agree.
func TestWatchBooks(t *testing.T) {
	s := newTestServer(t)
	a, b := s.c, s.client()
	s.doAs(a, "WATCH", "x", "y", "x")
	s.doAs(a, "WATCH", "x")
	s.doAs(b, "WATCH", "x", "z")
	db := s.Keyspace.DBs()[0]
	if n := len(s.watched[db]["x"]); n != 2 || len(s.watched[db]) != 3 || s.Listeners == nil {
		t.Fatalf("x is watched %d times, %d keys", n, len(s.watched[db]))
	}
	s.doAs(a, "UNWATCH")
	if a.tx != nil || len(s.watched[db]) != 2 || s.watched[db]["x"][0].c != b {
		t.Errorf("after UNWATCH: %v", s.watched[db])
	}
	s.doAs(a, "SET", "z", "1")
	s.doAs(b, "WATCH", "more") // in vain: it is touched already
	if !b.tx.touched || len(s.watched[db]) != 2 {
		t.Errorf("after a change: %v, %v", b.tx, s.watched[db])
	}
	if got := b.info(); !strings.Contains(got, " flags=d ") || !strings.Contains(got, " multi=-1 ") {
		t.Error(got)
	}
	s.forget(b)
	if len(s.watched) != 0 || s.Listeners != nil {
		t.Errorf("a client that is gone watches %v", s.watched)
	}
}

func TestTransactionPropagation(t *testing.T) {
	s := newTestServer(t)
	s.recordFeed()
	for _, tt := range []struct{ lines, want string }{
		{"MULTI;EXEC", ""},
		{"MULTI;GET a;EXEC", ""},
		{"MULTI;SET a 1;EXEC", "SET a 1"},
		{"MULTI;SET a 1;GET a;DEL nosuch;EXEC", "SET a 1"},
		{"MULTI;SET a 1;INCR b;EXEC", "MULTI; SET a 1; INCR b; EXEC"},
		{"MULTI;SET a 1;DISCARD", ""},
		{"WATCH a;SET a 2;MULTI;SET a 3;EXEC", "SET a 2"},
		{"MULTI;SET a 1;INCR a x;EXEC", ""},
		{"MULTI;SET a 1 EX 10;INCRBYFLOAT f 1.5;EXEC",
			"MULTI; SET a 1 PXAT 1700000010000; SET f 1.5 KEEPTTL; EXEC"},
		{"SET a 1", "SET a 1"}, // nothing is left over
	} {
		s.lines(t, tt.lines)
		if got := s.propagated(); got != tt.want {
			t.Errorf("%s: propagated %q, want %q", tt.lines, got, tt.want)
		}
	}
	// A key that is found expired within the transaction belongs to it.
	s.doLine("SET old 1 PX 5")
	s.now += 10
	s.propagated()
	s.lines(t, "MULTI;GET old;SET new 1;EXEC")
	if got, want := s.propagated(), "MULTI; del old; SET new 1; EXEC"; !strings.EqualFold(got, want) {
		t.Errorf("propagated %q, want %q", got, want)
	}
}

// TestTransactionDatabases: each command is handed over with the database that was selected when it ran.
func TestTransactionDatabases(t *testing.T) {
	s := newTestServer(t)
	var got []string
	s.Sinks = append(s.Sinks, sinkFunc(func(db int, argv [][]byte) { got = append(got, fmt.Sprintf("%d:%s", db, argv[0])) }))
	s.lines(t, "MULTI;SET a 1;SELECT 3;INCR a;EXEC;DECR a")
	if want := "[-1:MULTI 0:SET 3:INCR -1:EXEC 3:DECR]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

type sinkFunc func(db int, argv [][]byte)

func (f sinkFunc) Feed(db int, argv [][]byte) { f(db, argv) }

// TestPropagateSeveral: what a single command stands for reaches the sinks as a transaction.
func TestPropagateSeveral(t *testing.T) {
	s := newTestServer(t)
	s.recordFeed()
	one, two := [][]byte{[]byte("A")}, [][]byte{[]byte("B")}
	for _, tt := range []struct {
		run  func(c *session.Client)
		want string
	}{
		{func(c *session.Client) { c.Core.Dirty++ }, "CMD"},
		{func(c *session.Client) { c.PropagateAlso(one...) }, "A"},
		{func(c *session.Client) { c.PropagateAlso(one...); c.Core.Dirty++ }, "MULTI; A; CMD; EXEC"},
		{func(c *session.Client) { c.PropagateAlso(one...); c.PropagateAlso(two...) }, "MULTI; A; B; EXEC"},
		{func(c *session.Client) { c.PropagateAlso(one...); c.Core.Dirty++; c.PropagateNothing() }, "A"},
		{func(c *session.Client) { c.Core.Dirty++; c.Rewrite(two...) }, "B"},
	} {
		s.c.Args = [][]byte{[]byte("CMD")}
		s.call(s.c, &session.Entry{Command: &session.Command{Handler: tt.run}}, s.nanos())
		if got := s.propagated(); got != tt.want {
			t.Errorf("propagated %q, want %q", got, tt.want)
		}
	}
}

// TestTransactionTime: keys do not expire between the commands of a transaction.
func TestTransactionTime(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	if got, want := s.lines(t, "MULTI;SET a 1 PX 2;DEBUG SLEEP 0.01;GET a;PTTL a;EXEC"),
		"*4\r\n+OK\r\n+OK\r\n$1\r\n1\r\n:2\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTransactionStatistics(t *testing.T) {
	s := newTestServer(t, "slowlog-log-slower-than", "0")
	s.lines(t, "MULTI;SET a 1;GET a;AUTH secret;EXEC")
	for name, want := range map[string]int64{"multi": 1, "set": 1, "get": 1, "exec": 1} {
		if e := s.Registry.ByName[name]; e.Calls != want {
			t.Errorf("%s was counted %d times", name, e.Calls)
		}
	}
	var log []string
	for _, e := range s.SlowLog.Entries() {
		log = append(log, strings.Join(e.Args, " "))
	}
	if got, want := strings.Join(log, "; "), "MULTI; SET a 1; GET a; AUTH (redacted)"; got != want {
		t.Errorf("the slow log has %q, want %q", got, want)
	}
	if s.c.last == nil || s.c.last.Full != "exec" {
		t.Error("the last command is not EXEC")
	}
}

// TestTransactionAllocations: queueing and executing use what earlier transactions left.
func TestTransactionAllocations(t *testing.T) {
	s := newTestServer(t)
	var cmds [][][]byte
	for _, l := range []string{"MULTI", "SET a 1", "INCR a", "GET a", "SET b 1", "INCR b", "GET b", "EXEC"} {
		var args [][]byte
		for _, w := range strings.Fields(l) {
			args = append(args, []byte(w))
		}
		cmds = append(cmds, args)
	}
	run := func() {
		for _, args := range cmds {
			s.run(s.c, args)
		}
	}
	run()
	if n := allocations(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := string(s.w.Buf); got != "*6\r\n+OK\r\n:2\r\n$1\r\n2\r\n+OK\r\n:2\r\n$1\r\n2\r\n" {
		t.Errorf("%q", got)
	}
}

// TestTransactionsShareNothing: a used transaction that another client gets is as new.
func TestTransactionsShareNothing(t *testing.T) {
	s := newTestServer(t)
	other := s.client()
	s.lines(t, "WATCH a;MULTI;SET a 1;nosuch;SET b 2;EXEC")
	if len(s.freeTx) != 1 {
		t.Fatalf("%d transactions are kept", len(s.freeTx))
	}
	s.doAs(other, "MULTI")
	s.doAs(other, "PING", "x")
	if got := s.doAs(other, "EXEC"); got != "*1\r\n$1\r\nx\r\n" {
		t.Errorf("%q", got)
	}
	for range 3 * keptTransactions {
		s.doAs(s.client(), "MULTI")
	}
	for _, c := range s.clients {
		s.endTransaction(c)
	}
	if len(s.freeTx) != keptTransactions {
		t.Errorf("%d transactions are kept", len(s.freeTx))
	}
	s.freeTx = nil
	s.doLine("MULTI")
	s.do("SET", "a", strings.Repeat("x", keptData+1))
	if mem := s.c.tx.mem(); mem <= keptData || !strings.Contains(s.c.info(), " multi=1 ") ||
		!strings.Contains(s.c.info(), fmt.Sprintf(" multi-mem=%d ", mem)) {
		t.Errorf("%d bytes: %s", mem, s.c.info())
	}
	s.doLine("EXEC")
	if len(s.freeTx) != 0 {
		t.Error("a large queue is kept")
	}
}

func dial(t *testing.T, s *liveServer) (net.Conn, *bufio.Reader) {
	t.Helper()
	s.on(func() {})
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn, bufio.NewReader(conn)
}

// TestQueueLimit: a queue that outgrows client-query-buffer-limit ends its client.
func TestQueueLimit(t *testing.T) {
	s := startServer(t, "client-query-buffer-limit", "1048576")
	conn, r := dial(t, s)
	io.WriteString(conn, "MULTI\r\n")
	r.ReadString('\n')
	value := strings.Repeat("x", 100_000)
	queued := 0
	for range 20 {
		if _, err := fmt.Fprintf(conn, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n%s\r\n", len(value), value); err != nil {
			break
		}
		if l, err := r.ReadString('\n'); err != nil || l != "+QUEUED\r\n" {
			break
		}
		queued++
	}
	if queued != 10 {
		t.Errorf("%d commands of 100,000 bytes were queued", queued)
	}
	s.eventually("the client is gone", func() bool { return len(s.clients) == 0 })
	s.on(func() {
		if s.stats.queryBufDisconnections != 1 || s.heldBytes != 0 {
			t.Errorf("%d disconnections, %d bytes held", s.stats.queryBufDisconnections, s.heldBytes)
		}
	})
}

// TestKillInTransaction: a client that ends itself within its transaction leaves nothing behind, and EXEC comes to its
// end.
func TestKillInTransaction(t *testing.T) {
	s := startServer(t)
	conn, r := dial(t, s)
	io.WriteString(conn, "CLIENT ID\r\n")
	id, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "WATCH a\r\nMULTI\r\nCLIENT KILL ID %s SKIPME no\r\nSET a 1\r\nSET b 2\r\nEXEC\r\n", strings.TrimSpace(id[1:]))
	io.Copy(io.Discard, r)
	s.eventually("the client is gone", func() bool { return len(s.clients) == 0 })
	s.on(func() {
		if len(s.watched) != 0 || s.pendingOps.open || s.heldBytes != 0 {
			t.Errorf("left: %v %v, %d bytes", s.watched, s.pendingOps, s.heldBytes)
		}
		if s.Keyspace.DBs()[0].Peek([]byte("b")) == nil {
			t.Error("EXEC stopped half-way")
		}
	})
}

// TestPausedTransaction: while writing is paused EXEC waits if something in its queue writes.
func TestPausedTransaction(t *testing.T) {
	s := startServer(t)
	conn, r := dial(t, s)
	admin, ar := dial(t, s)
	say := func(c net.Conn, r *bufio.Reader, line string, want ...string) {
		t.Helper()
		io.WriteString(c, line+"\r\n")
		for _, w := range want {
			if got, err := r.ReadString('\n'); got != w+"\r\n" {
				t.Fatalf("%s: %q, %v", line, got, err)
			}
		}
	}
	say(conn, r, "MULTI", "+OK")
	say(conn, r, "SET a 1", "+QUEUED")
	say(admin, ar, "CLIENT PAUSE 100000 WRITE", "+OK")
	say(conn, r, "EXEC")
	s.eventually("EXEC waits", func() bool { return len(s.pause.waiting) == 1 })
	say(admin, ar, "GET a", "$-1")
	say(admin, ar, "MULTI", "+OK")
	say(admin, ar, "GET a", "+QUEUED")
	say(admin, ar, "EXEC", "*1", "$-1")
	say(admin, ar, "CLIENT UNPAUSE", "+OK")
	say(conn, r, "", "*1", "+OK")
}

// TestTransactionInUseIsNotShared: what EXEC is reading is not given to another client.
func TestTransactionInUseIsNotShared(t *testing.T) {
	s := newTestServer(t)
	s.doLine("MULTI")
	s.c.tx.running = true
	s.endTransaction(s.c)
	if len(s.freeTx) != 0 {
		t.Error("it can be had")
	}
}

// A file that is switched on inside a transaction is begun after it: its base must not have what EXEC hands over at its end.
func TestAppendOnlyInTransaction(t *testing.T) {
	s := newTestServer(t, "appenddirname", "aof")
	s.ready = true
	s.recordFeed()
	for _, line := range []string{"MULTI", "INCR n", "CONFIG SET appendonly yes", "INCR n"} {
		s.doLine(line)
	}
	if got := s.do("EXEC"); got != "*3\r\n:1\r\n+OK\r\n:2\r\n" {
		t.Fatalf("EXEC: %q", got)
	}
	if s.stats.snapshots != 0 || s.aof.file.Rewriting() {
		t.Error("the rewrite was begun inside the transaction")
	}
	if !s.aof.file.RewriteDue() {
		t.Error("no rewrite is due")
	}
}
