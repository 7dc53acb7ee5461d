package commands

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestClientNames(t *testing.T) {
	ts := newTestServer(t)
	checkExchanges(t, ts, ts.c, []exchange{
		{"CLIENT GETNAME", "$-1\r\n"},
		{`CLIENT SETNAME ""`, ok},
		{"CLIENT SETNAME one", ok},
		{"CLIENT GETNAME", "$3\r\none\r\n"},
		{"CLIENT SETNAME \x7f", "-" + errClientName + "\r\n"},
		{"CLIENT SETNAME é", "-" + errClientName + "\r\n"},
		{"CLIENT GETNAME", "$3\r\none\r\n"},
		{`CLIENT SETNAME ""`, ok},
		{"CLIENT GETNAME", "$-1\r\n"},
		{"CLIENT SETINFO lib-foo x", "-ERR Unrecognized option 'lib-foo'\r\n"},
		{"CLIENT SETINFO LIB-NAME go", ok},
		{"CLIENT SETINFO lib-ver 1.0(x)", ok},
	})
	if got := ts.do("CLIENT", "SETINFO", "Lib-Ver", "a b"); got != "-ERR Lib-Ver cannot contain spaces, newlines or special characters.\r\n" {
		t.Errorf("%q", got)
	}
	if s := ts.c.info(); !strings.HasSuffix(s, " lib-name=go lib-ver=1.0(x)") {
		t.Errorf("%s", s)
	}
}

func TestClientListErrors(t *testing.T) {
	ts := newTestServer(t)
	checkExchanges(t, ts, ts.c, []exchange{
		{"CLIENT LIST x", "-ERR syntax error\r\n"},
		{"CLIENT LIST ID", "-ERR syntax error\r\n"},
		{"CLIENT LIST TYPE", "-ERR syntax error\r\n"},
		{"CLIENT LIST TYPE normal x", "-ERR syntax error\r\n"},
		{"CLIENT LIST TYPE what", "-ERR Unknown client type 'what'\r\n"},
		{"CLIENT LIST ID 1 x", "-ERR Invalid client ID\r\n"},
		{"CLIENT LIST ID 77", "$0\r\n\r\n"},
		{"CLIENT LIST TYPE master", "$0\r\n\r\n"},
		{"CLIENT LIST TYPE slave", "$0\r\n\r\n"},
		{"CLIENT LIST TYPE replica", "$0\r\n\r\n"},
		{"CLIENT LIST TYPE pubsub", "$0\r\n\r\n"},
		{"CLIENT KILL ID", "-ERR No such client\r\n"}, // the old form: an address
		{"CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL ID x", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL ID 1 ADDR", "-ERR syntax error\r\n"},
		{"CLIENT KILL what 1", "-ERR syntax error\r\n"},
		{"CLIENT KILL SKIPME maybe", "-ERR syntax error\r\n"},
		{"CLIENT KILL TYPE what", "-ERR Unknown client type 'what'\r\n"},
		{"CLIENT KILL USER who", "-ERR No such user 'who'\r\n"},
		{"CLIENT KILL MAXAGE x", "-ERR maxage is not an integer or out of range\r\n"},
		{"CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0\r\n"},
		{"CLIENT KILL ID 1 ID 77", ":0\r\n"}, // the last one counts
		{"CLIENT KILL USER default", ":0\r\n"},
	})
}

// infoLine has the fields of CLIENT LIST in the order of Redis 7.2.
var infoLine = regexp.MustCompile(`^id=\d+ addr=\S+ laddr=\S+ fd=-?\d+ name=\S* age=\d+ idle=\d+ flags=[a-zA-Z]+ db=\d+ ` +
	`sub=0 psub=0 ssub=0 multi=-1 qbuf=\d+ qbuf-free=\d+ argv-mem=\d+ multi-mem=0 rbs=\d+ rbp=\d+ obl=\d+ oll=\d+ omem=\d+ ` +
	`tot-mem=\d+ events=rw? cmd=\S+ user=default redir=-1 resp=[23] lib-name=\S* lib-ver=\S*$`)

func field(line, name string) string {
	_, rest, _ := strings.Cut(" "+line, " "+name+"=")
	v, _, _ := strings.Cut(rest, " ")
	return v
}

// line asks a live server for one client's line and returns it.
func (c *liveConn) line(request string) string {
	c.t.Helper()
	c.send(request + "\r\n")
	if _, err := c.r.ReadString('\n'); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	c.expect("\r\n")
	return strings.TrimSuffix(line, "\n")
}

func TestClientInfo(t *testing.T) {
	s := startServer(t)
	a, b := s.dial(), s.dial()
	a.do("CLIENT SETNAME me", ok)
	a.do("CLIENT NO-EVICT on", ok)
	a.do("CLIENT NO-TOUCH on", ok)
	line := a.line("*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO")
	if !infoLine.MatchString(line) {
		t.Errorf("form: %s", line)
	}
	for name, want := range map[string]string{
		"id": "1", "addr": s.path + ":0", "name": "me", "flags": "UeT", "qbuf": "26", "argv-mem": "10", "cmd": "client|info",
		"resp": "2", "tot-mem": fmt.Sprint(clientBytes + len("me")),
	} {
		if got := field(line, name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	// Another client's view of it, idle: the input window stays for a while, memory is not held.
	line = b.line("CLIENT LIST ID 1")
	for name, want := range map[string]string{"qbuf": "0", "qbuf-free": "16384", "argv-mem": "0", "obl": "0"} {
		if got := field(line, name); got != want {
			t.Errorf("idle: %s=%s, want %s", name, got, want)
		}
	}
	// A request that has begun: what came of it is held and counted.
	a.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nxyz")
	s.eventually("the cut request is held", func() bool { return s.clients[1].parser.Buffered() == 7 })
	line = b.line("CLIENT LIST ID 1")
	for name, want := range map[string]string{"qbuf": "7", "qbuf-free": fmt.Sprint(100002 - 7), "argv-mem": "4", "cmd": "client|info"} {
		if got := field(line, name); got != want {
			t.Errorf("cut: %s=%s, want %s", name, got, want)
		}
	}
	s.on(func() {
		if s.heldBytes <= len("me") || s.heldBytes > 4096 {
			t.Errorf("%d bytes held for 7 that came", s.heldBytes)
		}
	})
	a.Close()
	s.eventually("nothing is held", func() bool { return s.heldBytes == 0 && len(s.clients) == 1 })
	b.do("NOTHING", "-ERR unknown command 'NOTHING', with args beginning with: \r\n")
}

// An unread output queue shows in the sender's line and in the account of memory, and leaves both when it is read.
func TestClientOutputMemory(t *testing.T) {
	s := startServer(t)
	a, b := s.dial(), s.dial()
	value := strings.Repeat("v", 100_000)
	b.do("SET k "+value[:60_000], ok)
	a.send(strings.Repeat("GET k\r\n", 100))
	s.eventually("output is queued", func() bool { return s.clients[1].conn.Queued() > 1<<20 })
	line := b.line("CLIENT LIST ID 1")
	if field(line, "omem") == "0" || field(line, "oll") == "0" || field(line, "events") != "rw" {
		t.Errorf("%s", line)
	}
	s.on(func() {
		if q := s.clients[1].conn.QueuedMem(); s.heldBytes < q {
			t.Errorf("%d bytes held, %d queued", s.heldBytes, q)
		}
		s.peaks.advance(s.Keyspace.Now / 1000)
		s.clientTick(s.clients[1])
		if _, out := s.peaks.max(); out < 1<<20 {
			t.Errorf("largest output %d", out)
		}
	})
	for range 100 {
		a.expect("$60000\r\n" + value[:60_000] + "\r\n")
	}
	s.eventually("cron sees that all is read", func() bool { return s.heldBytes == 0 })
}

func TestClientKill(t *testing.T) {
	s := startServer(t)
	conns := make([]*liveConn, 6)
	for i := range conns {
		conns[i] = s.dial()
		conns[i].do("PING", "+PONG\r\n")
	}
	admin := conns[0]
	admin.do("CLIENT KILL ID 1", ":0\r\n") // SKIPME yes
	admin.do("CLIENT KILL ID 2", ":1\r\n")
	conns[1].ended()
	admin.do("CLIENT KILL ID 2", ":0\r\n")
	s.on(func() { s.clients[3].created -= 100_000 })
	admin.do("CLIENT KILL MAXAGE 100 LADDR x:0", ":0\r\n")
	admin.do("CLIENT KILL MAXAGE 101", ":0\r\n")
	admin.do("CLIENT KILL MAXAGE 100 TYPE normal USER default ADDR "+s.path+":0 LADDR "+s.path+":0", ":1\r\n")
	conns[2].ended()
	// A client that is killed is gone at once, for later requests of the same pipeline too.
	admin.send("CLIENT KILL ID 4\r\nCLIENT LIST ID 4\r\nCLIENT KILL ID 4\r\n")
	admin.expect(":1\r\n$0\r\n\r\n:0\r\n")
	admin.do("CLIENT KILL nobody:1", "-ERR No such client\r\n")
	// The others first, then the one that asks, once it has its reply; what it sent behind is ignored.
	admin.send("CLIENT KILL TYPE normal SKIPME no\r\nSET after 1\r\n")
	admin.expect(":3\r\n")
	admin.ended()
	conns[4].ended()
	conns[5].ended()
	last := s.dial()
	last.do("EXISTS after", ":0\r\n")
	last.do("CLIENT KILL "+s.path+":0", ok) // the old form kills its sender too
	last.ended()
	s.eventually("all are gone", func() bool { return len(s.clients) == 0 && s.clientsMemory() == 0 })
}

func TestWindow(t *testing.T) {
	var w window
	check := func(what string, want int) {
		t.Helper()
		if w.size != want {
			t.Errorf("%s: %d, want %d", what, w.size, want)
		}
	}
	w.note(30)
	check("a small request", windowMin)
	w.shrink(0, 0, windowIdleMs)
	check("two idle seconds", windowMin)
	w.shrink(0, 0, windowIdleMs+1)
	check("more than two", 0)
	w.note(400_000)
	check("a large request", 400_000)
	w.shrink(0, 0, 0)
	check("as large as the recent peak", 400_000)
	w.note(130)
	w.shrink(0, 0, 0)
	check("much larger than the recent peak", 130)
	w.note(130)
	check("the next read", windowMin)
	w.note(1_000_002)
	w.shrink(0, 1_000_002, 0)
	w.shrink(0, 1_000_002, 0)
	check("an argument under way", 1_000_002)
	w.shrink(5, 1_000_002, windowIdleMs+1)
	check("an argument that does not come", 5)
}

func TestClientPeaks(t *testing.T) {
	var p clientPeaks
	p.advance(1000)
	p.note(10, 1)
	p.advance(1003)
	p.note(5, 7)
	if in, out := p.max(); in != 10 || out != 7 {
		t.Errorf("%d, %d", in, out)
	}
	p.advance(1000 + peakSeconds - 1)
	if in, _ := p.max(); in != 10 {
		t.Errorf("after %d seconds: %d", peakSeconds-1, in)
	}
	p.advance(1000 + peakSeconds)
	if in, out := p.max(); in != 5 || out != 7 {
		t.Errorf("%d, %d", in, out)
	}
	p.advance(5000)
	if in, out := p.max(); in != 0 || out != 0 {
		t.Errorf("%d, %d", in, out)
	}
	p.advance(4000) // a clock set back
	p.note(3, 3)
	p.advance(4001)
	if in, _ := p.max(); in != 3 {
		t.Errorf("after the clock was set back: %d", in)
	}
}
