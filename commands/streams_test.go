package commands

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"ferrous/aof"
	"ferrous/rdb"
)

// What is propagated of streams, as Redis 7.2.6 propagates it but for XGROUP SETID behind what XREADGROUP delivers.
func TestStreamEffects(t *testing.T) {
	runEffects(t, newTestServer(t, "stream-node-max-entries", "2", "notify-keyspace-events", "KEA"), []effectStep{
		{"XADD s 1-* a 1", "$3\r\n1-0\r\n", "XADD s 1-0 a 1", "xadd s", 1},
		{"XADD s * a 2", "$15\r\n1700000000000-0\r\n", "XADD s 1700000000000-0 a 2", "xadd s", 1},
		{"XADD s MAXLEN ~ 1 1700000000000-* a 3", "$15\r\n1700000000000-1\r\n", "XADD s MAXLEN = 1 1700000000000-1 a 3", "xadd s; xtrim s", 1},
		{"XADD s NOMKSTREAM 1700000000001 a 4", "$15\r\n1700000000001-0\r\n", "XADD s NOMKSTREAM 1700000000001 a 4", "xadd s", 1},
		{"XTRIM s MINID ~ 1700000000001-1 LIMIT 5", ":2\r\n", "XTRIM s MINID = 18446744073709551615-18446744073709551615 LIMIT 5", "xtrim s", 2},
		{"XADD s 1700000000002-1 a 5", "$15\r\n1700000000002-1\r\n", "XADD s 1700000000002-1 a 5", "xadd s", 1},
		{"XGROUP CREATE s g 0", ok, "XGROUP CREATE s g 0", "xgroup-create s", 1},
		{"XREADGROUP GROUP g c STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$15\r\n1700000000002-1\r\n*2\r\n$1\r\na\r\n$1\r\n5\r\n",
			"MULTI; XCLAIM s g c 0 1700000000002-1 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1700000000002-1; " +
				"XGROUP SETID s g 1700000000002-1 ENTRIESREAD 5; EXEC", "xgroup-createconsumer s", 2},
		{"XREADGROUP GROUP g d NOACK STREAMS s >", "*-1\r\n", "XGROUP CREATECONSUMER s g d", "xgroup-createconsumer s", 1},
		{"XREADGROUP GROUP g c STREAMS s 1700000000002-1", "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n", "", "", 1},
		{"XCLAIM s g d 0 1700000000002-1 JUSTID", "*1\r\n$15\r\n1700000000002-1\r\n",
			"XCLAIM s g d 0 1700000000002-1 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1700000000002-1", "", 1},
		{"XACK s g 1700000000002-1", ":1\r\n", "XACK s g 1700000000002-1", "", 1},
		{"XACK s g 1700000000002-1", ":0\r\n", "", "", 0},
		{"XGROUP DELCONSUMER s g d", ":0\r\n", "XGROUP DELCONSUMER s g d", "xgroup-delconsumer s", 1},
		{"XDEL s 1700000000002-1 9-9", ":1\r\n", "XDEL s 1700000000002-1 9-9", "xdel s", 1},
		{"XSETID s 1700000000003-1", ok, "XSETID s 1700000000003-1", "xsetid s", 1},
		{"XGROUP DESTROY s g", ":1\r\n", "XGROUP DESTROY s g", "xgroup-destroy s", 1},
		{"XADD s NOMKSTREAM MINID ~ 1-1 ACKED 1700000000004-1 a 6", "$15\r\n1700000000004-1\r\n",
			"XADD s NOMKSTREAM MAXLEN = 1 ACKED 1700000000004-1 a 6", "xadd s", 1},
		{"XDELEX s DELREF IDS 1 1700000000004-1", "*1\r\n:1\r\n", "XDELEX s DELREF IDS 1 1700000000004-1", "xdel s", 1},
	})
}

// What the append-only file says of trimming may have a LIMIT beside an exact threshold.
func TestFileWithTrimmedStreams(t *testing.T) {
	ts := newTestServer(t)
	var b strings.Builder
	for _, line := range []string{"XADD s 1-1 a 1", "XADD s 1-2 a 2", "XADD s MAXLEN = 2 LIMIT 1 1-3 a 3", "XTRIM s MAXLEN = 1 LIMIT 10"} {
		var c bytes.Buffer
		words := strings.Fields(line)
		w := aof.NewCommands(&c, 0)
		w.Begin(len(words), words[0])
		for _, word := range words[1:] {
			w.WordString(word)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		b.Write(c.Bytes())
	}
	if err := loadCommands(t, ts, b.String()); err != nil {
		t.Fatal(err)
	}
	if got := ts.doLine("XRANGE s - +"); got != "*1\r\n*2\r\n$3\r\n1-3\r\n*2\r\n$1\r\na\r\n$1\r\n3\r\n" {
		t.Errorf("%q", got)
	}
}

// A base of commands makes streams again, also such as no commands can make.
func TestBaseOfStreams(t *testing.T) {
	ts := newTestServer(t)
	for _, line := range []string{
		"XADD s 1-1 a 1 b 2", "XADD s 1-2 a 1", "XADD s 2-1 x 007", "XADD s 2-2 x y", "XDEL s 1-2", "XGROUP CREATE s g 0", "XGROUP CREATE s h $ ENTRIESREAD 7",
		"XREADGROUP GROUP g c COUNT 2 STREAMS s >", "XREADGROUP GROUP g d COUNT 1 STREAMS s >", "XGROUP CREATECONSUMER s h idle",
		"XCLAIM s g d 0 1-1 TIME 1600000000000 RETRYCOUNT 9", "XNACK s g FAIL IDS 1 2-1 RETRYCOUNT 3",
		"XGROUP CREATE new g 0 MKSTREAM", "XADD drained 5-5 a b", "XDEL drained 5-5", "XSETID drained 9-9 ENTRIESADDED 44",
		"XADD dangling 1-1 a b", "XGROUP CREATE dangling g 0", "XREADGROUP GROUP g c STREAMS dangling >", "XDEL dangling 1-1",
	} {
		if got := ts.doLine(line); got[0] == '-' {
			t.Fatalf("%s: %s", line, got)
		}
	}
	var b bytes.Buffer
	if err := aof.WriteSnapshot(aof.NewCommands(&b, 0), ts.Keyspace.Live(), &rdb.Options{Version: 11}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "RESTORE"); n != 1 {
		t.Errorf("%d streams are restored, not made by commands; want the one with a pending entry that is gone", n)
	}
	other := newTestServer(t)
	other.Keyspace.Now = ts.Keyspace.Now
	if err := loadCommands(t, other, b.String()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"XINFO STREAM s FULL", "XINFO STREAM new FULL", "XINFO STREAM drained FULL", "XINFO STREAM dangling FULL", "DEBUG DIGEST"} {
		want, got := ts.doLine(line), other.doLine(line)
		// No command can make a consumer with the active-time -1.
		want = strings.ReplaceAll(want, ":-1\r\n", ":1700000000000\r\n")
		got = strings.ReplaceAll(got, ":-1\r\n", ":1700000000000\r\n")
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", line, got, want)
		}
	}
}

// Adding to a stream that exists, and delivering and acknowledging, allocate nothing but nodes.
func TestStreamsAllocateNothing(t *testing.T) {
	ts := newTestServer(t)
	const n = 2000
	for i := range n {
		ts.doLine("XADD s " + strconv.Itoa(i+1) + " field value" + strconv.Itoa(i))
	}
	ts.doLine("XGROUP CREATE s g 0")
	ts.doLine("XREADGROUP GROUP g c COUNT 1000 STREAMS s >")
	wantNoAllocations(t, ts, "XLEN s", "XACK s g 1-1", "XRANGE s - + COUNT 1", "XREVRANGE s + - COUNT 10", "XPENDING s g", "XINFO STREAM s",
		"XCLAIM s g c 0 100", "XREAD COUNT 10 STREAMS s 500", "XREAD STREAMS s $", "XREADGROUP GROUP g c COUNT 1 STREAMS s >; XADD s * field value",
		"XADD s MAXLEN ~ 2000 * field value", "XADD s MAXLEN 1900 * field value", "XACK s g 100")

	// With IDs of their own: acknowledging, and deleting.
	for _, command := range []string{"XACK s g", "XDEL s"} {
		argv := requests(command + " id")[0]
		id := make([]byte, 0, 20)
		next := 200
		if command == "XDEL s" {
			next = n - 1000 // the others were trimmed
		}
		if got := allocations(100, func() {
			next++
			id = strconv.AppendInt(id[:0], int64(next), 10)
			argv[len(argv)-1] = id
			if reply := ts.run(ts.c, argv); string(reply) != ":1\r\n" {
				t.Fatalf("%s: %q", argv, reply)
			}
		}); got != 0 {
			t.Errorf("%s allocates %v times", command, got)
		}
	}
}

// XREADGROUP learns of all that can become of its key while it waits.
func TestReadersOfStreamsThatGo(t *testing.T) {
	const noGroup = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option\r\n"
	const wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
	for end, reply := range map[string]string{
		"DEL s":                             noGroup,
		"PEXPIRE s 1":                       noGroup,
		"FLUSHALL":                          noGroup,
		"SWAPDB 0 1":                        noGroup,
		"RENAME s t":                        noGroup,
		"MOVE s 1":                          noGroup,
		"SET s x":                           wrongType,
		"XGROUP DESTROY s g":                noGroup,
		"COPY plain s REPLACE":              noGroup,
		"XADD s 1-1 a b":                    "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
		"COPY full s REPLACE":               "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-5\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
		"CLIENT UNBLOCK 2":                  "*-1\r\n",
		"CLIENT UNBLOCK 2 ERROR":            "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
		"XNACK s old FAIL IDS 1 0-0":        "",
		"XREADGROUP GROUP g x STREAMS s >":  "",
		"XREAD STREAMS s 0":                 "",
		"XGROUP CREATECONSUMER s g another": "",
	} {
		t.Run(end, func(t *testing.T) {
			s := startServer(t)
			control := s.dial()
			control.do("XGROUP CREATE s g $ MKSTREAM", ok)
			control.do("XADD plain 1-1 a b", "$3\r\n1-1\r\n")
			control.do("XADD full 5-5 a b", "$3\r\n5-5\r\n")
			control.do("XGROUP CREATE full g 0", ok)
			c := s.dial()
			c.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n")
			s.eventually("it waits", func() bool { return s.blocking.gone == 1 })
			control.first(end)
			if reply == "" {
				s.on(func() {
					if s.blocking.gone != 1 {
						t.Error("it waits no more")
					}
				})
				return
			}
			c.expect(reply)
			s.on(func() {
				if b := &s.blocking; b.clients != 0 || b.gone != 0 || b.goneKeys != 0 || b.keys != 0 || s.Keyspace.OnRemove != nil || s.Ready != nil {
					t.Errorf("left: %d clients, %d keys, %d for keys to go", b.clients, b.keys, b.gone)
				}
			})
		})
	}
}

// Of many consumers that wait, those run again for whom there is something, whatever others wait between them.
func TestReadersOfGroupsInTurn(t *testing.T) {
	s := startServer(t)
	control := s.dial()
	control.do("XGROUP CREATE s g $ MKSTREAM", ok)
	control.do("XGROUP CREATE s h $", ok)
	readers := map[string]*liveConn{}
	for i, name := range []string{"g1", "h1", "g2", "x1", "g3", "h2", "x2", "h3"} {
		c := s.dial()
		if name[0] == 'x' {
			c.send("XREAD BLOCK 0 STREAMS other s $ $\r\n")
		} else {
			c.send("XREADGROUP GROUP " + name[:1] + " " + name + " BLOCK 0 COUNT 2 STREAMS s >\r\n")
		}
		readers[name] = c
		s.eventually("it waits", func() bool { return s.blocking.clients == i+1 })
	}
	entries := func(ids ...string) string {
		reply := "*1\r\n*2\r\n$1\r\ns\r\n*" + strconv.Itoa(len(ids)) + "\r\n"
		for _, id := range ids {
			reply += "*2\r\n$3\r\n" + id + "\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
		}
		return reply
	}
	waiting := func(n int) {
		t.Helper()
		s.on(func() {
			if s.blocking.clients != n {
				t.Errorf("%d wait, want %d", s.blocking.clients, n)
			}
		})
	}
	control.do("XADD s 1-1 a b", "$3\r\n1-1\r\n")
	for _, name := range []string{"g1", "h1", "x1", "x2"} {
		readers[name].expect(entries("1-1"))
	}
	waiting(4)
	// Three entries at once: two for the next of each group, one for the one after.
	control.first("MULTI")
	for i := range 3 {
		control.first("XADD s 2-" + strconv.Itoa(i) + " a b")
	}
	control.first("EXEC")
	readers["g2"].expect(entries("2-0", "2-1"))
	readers["g3"].expect(entries("2-2"))
	readers["h2"].expect(entries("2-0", "2-1"))
	readers["h3"].expect(entries("2-2"))
	waiting(0)
}

// With CLAIM, XREADGROUP is served when an entry that is pending with another has been idle for long enough.
func TestReaderThatClaimsLater(t *testing.T) {
	s := startServer(t)
	control := s.dial()
	control.do("XADD s 1-1 a b", "$3\r\n1-1\r\n")
	control.do("XGROUP CREATE s g 0", ok)
	control.first("XREADGROUP GROUP g other STREAMS s >")
	c := s.dial()
	c.send("XREADGROUP GROUP g c BLOCK 0 CLAIM 30 STREAMS s >\r\n")
	c.expect("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:")
}

// A snapshot sees streams, and what is pending, as they were.
func TestStreamsUnderSnapshot(t *testing.T) {
	ts := newTestServer(t, "stream-node-max-entries", "10")
	for i := range 500 {
		n := strconv.Itoa(i + 1)
		ts.doLine("XADD s " + n + " field " + n)
		ts.doLine("XADD small" + n + " " + n + " a b")
	}
	ts.doLine("XGROUP CREATE s g 0")
	ts.doLine("XREADGROUP GROUP g a COUNT 200 STREAMS s >")
	changeUnderSnapshot(t, ts, func() {
		for i := range 400 {
			n := strconv.Itoa(i + 1)
			ts.doLine("XADD s * new " + n)
			ts.doLine("XREADGROUP GROUP g b COUNT 2 STREAMS s >")
			ts.doLine("XACK s g " + n)
			ts.doLine("XDEL s " + strconv.Itoa(i*7%500))
			ts.doLine("XCLAIM s g c 0 " + strconv.Itoa(i*3%500))
			ts.doLine("XADD small" + n + " * c d")
			ts.doLine("XGROUP CREATE small" + n + " g 0")
			if i%50 == 0 {
				ts.doLine("XTRIM s MAXLEN ~ 300")
			}
			checkBytes(t, ts, n)
		}
	})
}
