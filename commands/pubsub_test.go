package commands

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"ferrous/commands/config"
	"ferrous/commands/session"
)

// waiting returns, and takes, what waits for a client to be sent.
func (ts *testServer) waiting(c *Client) string {
	if c.pushes == nil || c.pushes.nparts == 0 {
		return ""
	}
	out := string(c.pushes.part.bytes())
	for _, p := range c.pushes.parts {
		out += string(p.bytes())
	}
	c.pushes.empty()
	return out
}

// endRound does what the loop does at the end of a round, and returns what then waited for the clients.
func (ts *testServer) endRound(clients ...*Client) []string {
	ts.outbox.flushing = true
	ts.broadcastModified()
	out := make([]string, len(clients))
	for i, c := range clients {
		out[i] = ts.waiting(c)
	}
	ts.flushOutbox()
	ts.outbox.flushing = false
	return out
}

func push(words ...string) string { return ">" + array(words...)[1:] }

func array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// A message is encoded once for each protocol, and all its receivers share the bytes.
func TestMessageIsEncodedOnce(t *testing.T) {
	ts := newTestServer(t)
	var two, three []*Client
	for i := range 20 {
		c := ts.client()
		if i%2 == 1 {
			c.proto = 3
			three = append(three, c)
		} else {
			two = append(two, c)
		}
		ts.doAs(c, "SUBSCRIBE", "x")
	}
	ts.do("PUBLISH", "x", "hello")
	ts.do("PUBLISH", "x", "again")
	for _, group := range [][]*Client{two, three} {
		first := group[0].pushes.part.bytes()
		for _, c := range group {
			if c.pushes.nparts != 1 {
				t.Fatalf("%d parts for two messages in a row", c.pushes.nparts)
			}
			if b := c.pushes.part.bytes(); unsafe.SliceData(b) != unsafe.SliceData(first) || len(b) != len(first) {
				t.Fatal("the bytes are not shared")
			}
		}
	}
	want := array("message", "x", "hello") + array("message", "x", "again")
	if got := ts.waiting(two[0]); got != want {
		t.Errorf("RESP2: %q", got)
	}
	if got, want := ts.waiting(three[0]), push("message", "x", "hello")+push("message", "x", "again"); got != want {
		t.Errorf("RESP3: %q", got)
	}
}

// Messages of different channels, lengths and kinds arrive whole and in order.
func TestMessagesInOrder(t *testing.T) {
	ts := newTestServer(t)
	a, b := ts.client(), ts.client()
	ts.doAs(a, "SUBSCRIBE", "x", "z")
	ts.doAs(b, "SUBSCRIBE", "y", "z")
	ts.doAs(b, "PSUBSCRIBE", "x")
	var wantA, wantB string
	for i := range 600 {
		text := strings.Repeat("m", i*i%1700)
		if i%50 == 0 {
			text = strings.Repeat("L", 20000+i)
		}
		switch i % 3 {
		case 0:
			ts.do("PUBLISH", "x", text)
			wantA += array("message", "x", text)
			wantB += array("pmessage", "x", "x", text)
		case 1:
			ts.do("PUBLISH", "y", text)
			wantB += array("message", "y", text)
		case 2:
			ts.do("PUBLISH", "z", text)
			wantA += array("message", "z", text)
			wantB += array("message", "z", text)
		}
	}
	out := ts.endRound(a, b)
	if out[0] != wantA || out[1] != wantB {
		t.Errorf("%d and %d bytes, want %d and %d", len(out[0]), len(out[1]), len(wantA), len(wantB))
	}
	if ts.outbox.bytes != 0 || len(ts.outbox.used) != 0 || len(ts.outbox.free) > keptChunks {
		t.Errorf("after the round: %d bytes, %d chunks in use, %d kept", ts.outbox.bytes, len(ts.outbox.used), len(ts.outbox.free))
	}
}

// A message that a client's own command causes is sent after the reply, and after the whole reply of EXEC.
func TestOwnMessagesBehindReply(t *testing.T) {
	ts := newTestServer(t)
	ts.c.proto = 3
	ts.do("SUBSCRIBE", "x")
	if got, want := ts.do("PUBLISH", "x", "me"), ":1\r\n"+push("message", "x", "me"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	ts.doLine("MULTI")
	ts.doLine("PUBLISH x 1")
	ts.doLine("PUBLISH x 2")
	want := "*2\r\n:1\r\n:1\r\n" + push("message", "x", "1") + push("message", "x", "2")
	if got := ts.doLine("EXEC"); got != want {
		t.Errorf("EXEC: %q, want %q", got, want)
	}
	ts.doLine("CLIENT REPLY OFF")
	if got := ts.doLine("PUBLISH x 3"); got != push("message", "x", "3") {
		t.Errorf("without replies: %q", got)
	}
}

// What waited when a client's turn begins precedes its replies.
func TestWaitingBeforeReplies(t *testing.T) {
	ts := newTestServer(t)
	a := ts.client()
	a.proto = 3
	ts.doAs(a, "SUBSCRIBE", "x")
	ts.do("PUBLISH", "x", "m")
	q := a.pushes
	if q.nparts != 1 {
		t.Fatal("nothing waits")
	}
	// takeWaiting is for connections: its parts are looked at here.
	ts.w.Reset()
	ts.w.Raw(q.part.bytes())
	if got := string(ts.w.Buf); got != push("message", "x", "m") {
		t.Errorf("%q", got)
	}
}

// A client that is gone leaves nothing behind.
func TestGoneSubscribers(t *testing.T) {
	ts := newTestServer(t)
	for i := range 100 {
		c := ts.client()
		c.proto = int8(2 + i%2)
		ts.doAs(c, "SUBSCRIBE", "x", fmt.Sprint("own", i))
		ts.doAs(c, "PSUBSCRIBE", fmt.Sprint("p", i%7, "*"))
		ts.doAs(c, "SSUBSCRIBE", "s")
		ts.doAs(c, "RESET")
		ts.doAs(c, "SUBSCRIBE", "x")
		ts.doAs(c, "PSUBSCRIBE", "*")
		ts.doAs(c, "CLIENT", "TRACKING", "ON")
		ts.doAs(c, "GET", "k")
		ts.do("PUBLISH", "x", "m")
		if i%3 == 0 {
			ts.doAs(c, "RESET")
			ts.doAs(c, "MONITOR")
		}
	}
	for _, c := range ts.byID() {
		if c != ts.c {
			ts.forget(c)
		}
	}
	ts.endRound()
	ch := &ts.channels
	for kind := range ch.registries {
		if r := &ch.registries[kind]; r.Len() != 0 || r.Bytes() != 0 {
			t.Errorf("kind %d: %d channels, %d bytes are left", kind, r.Len(), r.Bytes())
		}
	}
	if ch.clients != 0 || ts.tracking.clients != 0 || len(ts.tracking.keys) != 0 || len(ts.monitors) != 0 || ts.observed ||
		len(ts.Listeners) != 0 {
		t.Errorf("left: %d subscribers, %d trackers, %d keys, %d monitors, observed %v, %d listeners", ch.clients,
			ts.tracking.clients, len(ts.tracking.keys), len(ts.monitors), ts.observed, len(ts.Listeners))
	}
}

func TestPublishAllocations(t *testing.T) {
	ts := newTestServer(t)
	subs := make([]*Client, 50)
	for i := range subs {
		subs[i] = ts.client()
		ts.doAs(subs[i], "SUBSCRIBE", "x")
	}
	ts.do("CONFIG", "SET", "notify-keyspace-events", "KEA")
	for _, line := range []string{"PUBLISH x hello", "PUBLISH nobody hello", "SET k v"} {
		var args [][]byte
		for _, w := range strings.Fields(line) {
			args = append(args, []byte(w))
		}
		round := func() {
			ts.run(ts.c, args)
			for _, c := range subs {
				c.pushes.empty()
			}
			ts.flushOutbox()
		}
		round()
		if n := allocations(200, round); n > 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// messageSink records what is propagated; messages in brackets.
type messageSink struct {
	*testServer
}

func (m messageSink) FeedMessage(db int, argv [][]byte) {
	m.Feed(db, argv)
	m.fed[len(m.fed)-1] = "[" + m.fed[len(m.fed)-1] + "]"
}

// Messages are propagated to sinks that want them, and to no others.
func TestPublishPropagation(t *testing.T) {
	ts := newTestServer(t)
	ts.recordFeed()
	for _, line := range []string{"PUBLISH x m", "SPUBLISH x m", "MULTI", "PUBLISH x m", "SET k v", "EXEC"} {
		ts.doLine(line)
	}
	if got := ts.propagated(); got != "SET k v" {
		t.Errorf("a file gets %q", got)
	}
	ts.Sinks = []session.Sink{messageSink{ts}}
	for _, tt := range []struct{ lines, want string }{
		{"PUBLISH x m", "[PUBLISH x m]"},
		{"SPUBLISH x m", "[SPUBLISH x m]"},
		{"MULTI;PUBLISH x m;EXEC", "[PUBLISH x m]"},
		{"MULTI;PUBLISH x m;SET k v;EXEC", "MULTI; [PUBLISH x m]; SET k v; EXEC"},
		{"SUBSCRIBE x", ""},
	} {
		for _, line := range strings.Split(tt.lines, ";") {
			ts.doLine(line)
		}
		if got := ts.propagated(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.lines, got, tt.want)
		}
	}
}

// Subscribers are of the class pubsub, and not closed for being idle.
func TestSubscribersClass(t *testing.T) {
	ts := newTestServer(t)
	if ts.c.outputClass() != config.ClassNormal || !ts.c.idleMayClose() {
		t.Error("a client that is subscribed to nothing")
	}
	ts.doLine("SSUBSCRIBE x")
	if ts.c.outputClass() != config.ClassPubsub || ts.c.idleMayClose() {
		t.Error("a subscriber")
	}
	if info := ts.c.info(); !strings.Contains(info, " flags=P ") || !strings.Contains(info, " sub=0 psub=0 ssub=1 ") {
		t.Error(info)
	}
	ts.doLine("SUNSUBSCRIBE")
	if ts.c.outputClass() != config.ClassNormal {
		t.Error("a subscriber no more")
	}
	ts.doLine("MONITOR")
	if ts.c.outputClass() != config.ClassNormal || ts.c.idleMayClose() || !strings.Contains(ts.c.info(), " flags=O ") {
		t.Error("a monitor")
	}
}
