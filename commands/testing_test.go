package commands

import (
	"io"
	"strings"
	"testing"

	"ferrous/datatypes/table"
	"ferrous/tests/random"

	"ferrous/commands/config"
	"ferrous/commands/introspection"
	"ferrous/commands/logging"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// The hash function of tables is a part of what a test repeats.
func init() { table.FixHash(random.Process()) }

// testEpoch is when the clock of a testServer starts, in Unix milliseconds.
const testEpoch = int64(1_700_000_000_000)

// testServer runs commands in process: a Server that does not listen, with one client that is not a connection, a clock
// that only the test moves, and a record of what is propagated and which keyspace events happen.
type testServer struct {
	*Server
	c      *Client
	now    int64    // Unix ms that the next command sees
	fed    []string // what was propagated, words separated by blanks; see recordFeed
	events []string // "event key"; see recordEvents
}

// newTestServer makes one with the default configuration but for settings: names of directives and their values.
func newTestServer(t testing.TB, settings ...string) *testServer {
	t.Helper()
	cfg := config.New()
	settings = append([]string{"save", `""`, "dir", t.TempDir()}, settings...)
	for i := 0; i < len(settings); i += 2 {
		if err := cfg.LoadString(settings[i] + " " + settings[i+1] + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(cfg, logging.New(logging.Options{Out: io.Discard}))
	if err != nil {
		t.Fatal(err)
	}
	s.activeOff = true // there is no loop that timers could run on
	ts := &testServer{Server: s, now: testEpoch}
	ts.c = ts.client()
	return ts
}

// client makes another client.
func (ts *testServer) client() *Client {
	ts.nextID++
	c := ts.newClient(&ts.w, &ts.repl)
	c.id = ts.nextID
	c.startAs(ts.security.users.Default())
	ts.remember(c)
	return c
}

// do runs a command for the first client and returns the raw reply.
func (ts *testServer) do(words ...string) string { return ts.doAs(ts.c, words...) }

// doLine is do for words without blanks in them, written as one line.
func (ts *testServer) doLine(line string) string { return ts.do(strings.Fields(line)...) }

func (ts *testServer) doAs(c *Client, words ...string) string {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	reply := string(ts.run(c, args))
	for _, a := range args {
		for i := range a {
			a[i] = '#' // arguments are in a buffer that is reused: code that keeps one is found so
		}
	}
	return reply
}

// run is do without its allocations. The reply is valid until the next command.
func (ts *testServer) run(c *Client, args [][]byte) []byte {
	ts.Keyspace.Now = ts.now
	ts.Keyspace.Clock = keyspace.LRUClock(ts.now)
	ts.lfu.NowMs = ts.now
	ts.w.Reset()
	ts.w.Proto = int(c.proto)
	ts.current = c
	c.Args = args
	ts.execute(c, ts.nanos())
	c.Args = nil
	ts.current = nil
	ts.Keyspace.Now = ts.now
	return ts.w.Buf
}

// recordFeed starts recording what is propagated.
func (ts *testServer) recordFeed() { ts.Sinks = append(ts.Sinks, ts) }

// Feed implements Sink.
func (ts *testServer) Feed(_ int, argv [][]byte) {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = string(a)
	}
	ts.fed = append(ts.fed, strings.Join(words, " "))
}

// propagated returns what was propagated since the last call, commands separated by "; ".
func (ts *testServer) propagated() string {
	s := strings.Join(ts.fed, "; ")
	ts.fed = ts.fed[:0]
	return s
}

// recordEvents starts recording keyspace events of all classes.
func (ts *testServer) recordEvents() {
	ts.Config.NotifyKeyspaceEvents, _ = config.ParseNotifyFlags("KEAnm")
	ts.Observers = append(ts.Observers, func(_ config.NotifyFlags, event string, key []byte, _ *keyspace.DB) {
		ts.events = append(ts.events, event+" "+string(key))
	})
}

// happened returns the events since the last call, separated by "; ".
func (ts *testServer) happened() string {
	s := strings.Join(ts.events, "; ")
	ts.events = ts.events[:0]
	return s
}

// A step of a test of what a command changes besides its reply.
type effectStep struct {
	line, reply, fed, events string
	dirty                    int64
}

// runEffects runs steps and compares reply, propagated commands, keyspace events and the count of changes, and that the
// account of memory stays true.
func runEffects(t *testing.T, s *testServer, steps []effectStep) {
	t.Helper()
	s.recordFeed()
	s.recordEvents()
	for _, step := range steps {
		before := s.Dirty
		reply := s.doLine(step.line)
		if reply != step.reply {
			t.Errorf("%s: replied %q, want %q", step.line, reply, step.reply)
		}
		if fed := s.propagated(); fed != step.fed {
			t.Errorf("%s: propagated %q, want %q", step.line, fed, step.fed)
		}
		if events := s.happened(); events != step.events {
			t.Errorf("%s: events %q, want %q", step.line, events, step.events)
		}
		if d := s.Dirty - before; d != step.dirty {
			t.Errorf("%s: %d changes, want %d", step.line, d, step.dirty)
		}
		checkBytes(t, s, step.line)
	}
}

// checkBytes compares the account of the first database's memory with the sum over its records.
func checkBytes(t *testing.T, s *testServer, what string) {
	t.Helper()
	db, sum := s.Keyspace.DBs()[0], 0
	db.Each(func(r *record.Record) bool {
		sum += keyspace.Size(r)
		return true
	})
	if got := db.Bytes() - db.Overhead(); got != sum {
		t.Errorf("%s: %d bytes are accounted for, records hold %d", what, got, sum)
	}
}

// changeUnderSnapshot makes changes while a snapshot is held and read by another goroutine, and fails the test if that
// sees anything but the first database as it was.
func changeUnderSnapshot(t *testing.T, s *testServer, change func()) {
	t.Helper()
	digests := func(each func(func(*record.Record) bool)) map[string]string {
		m := map[string]string{}
		each(func(r *record.Record) bool {
			d := introspection.DigestValue(r)
			m[string(r.Key())] = d.String()
			return true
		})
		return m
	}
	want := digests(s.Keyspace.DBs()[0].Each)
	snap, err := s.Keyspace.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan map[string]string)
	go func() {
		seen <- digests(func(fn func(*record.Record) bool) {
			snap.Walk(func(_ int, r *record.Record) bool { return fn(r) })
		})
	}()
	change()
	got := <-seen
	snap.Release()
	for key, d := range want {
		if got[key] != d {
			t.Errorf("%s is not in the snapshot as it was", key)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the snapshot has %d keys, want %d", len(got), len(want))
	}
	checkBytes(t, s, "after a snapshot")
}

// allocations is testing.AllocsPerRun without what other goroutines of the process allocate meanwhile: the least of some
// tries.
func allocations(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for range 4 {
		if least == 0 {
			break
		}
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

// requests cuts a line of commands, separated by semicolons, into their words.
func requests(line string) (argvs [][][]byte) {
	for _, command := range strings.Split(line, ";") {
		var argv [][]byte
		for _, w := range strings.Fields(command) {
			argv = append(argv, []byte(w))
		}
		argvs = append(argvs, argv)
	}
	return argvs
}

// wantNoAllocations runs each line, one or several commands separated by semicolons, and fails the test if they allocate.
func wantNoAllocations(t *testing.T, s *testServer, lines ...string) {
	t.Helper()
	for _, line := range lines {
		argvs := requests(line)
		round := func() {
			for _, argv := range argvs {
				s.run(s.c, argv)
			}
		}
		round()
		if n := allocations(100, round); n != 0 {
			t.Errorf("%s allocates %v times", line, n)
		}
	}
}
