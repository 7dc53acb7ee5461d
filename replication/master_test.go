package replication

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestHistory(t *testing.T) {
	a, b := strings.Repeat("a", 40), strings.Repeat("B", 40)
	h := History{ID: a, ID2: NoID, SecondOffset: -1, Offset: 100}
	h.Shift(b)
	if h != (History{ID: b, ID2: a, Offset: 100, SecondOffset: 101}) {
		t.Fatalf("%+v", h)
	}
	for _, c := range []struct {
		id     string
		offset int64
		want   bool
	}{
		{b, 1, true}, {strings.ToLower(b), 500, true}, {a, 101, true}, {strings.ToUpper(a), 50, true}, {a, 102, false},
		{NoID, 1, false}, {"?", -1, false}, {"", 0, false}, {b[:39] + "\x62", 1, true}, {b[:39] + "\x02", 1, false},
	} {
		if got := h.Names(c.id, c.offset); got != c.want {
			t.Errorf("Names(%q, %d) = %v", c.id, c.offset, got)
		}
	}
	h.Restart(a)
	if h.Names(NoID, -1) || h.Names(b, 1) {
		t.Error("a history that was restarted has an old name")
	}
}

// TestStream compares the stream with what real servers send: every byte counts, and SELECT comes only where it must.
func TestStream(t *testing.T) {
	b := newBench(t, defaults())
	r := b.sync(1)
	start := b.History.Offset
	b.feed(0, "set a 1")
	b.feed(0, "set b 1")
	b.feed(-1, "MULTI")
	b.feed(3, "set c 1")
	b.feed(-1, "EXEC")
	b.Ping(b.now)
	b.feed(12, "del c")
	want := encode("SELECT 0") + encode("set a 1") + encode("set b 1") + encode("MULTI") + encode("SELECT 3") + encode("set c 1") +
		encode("EXEC") + encode("ping") + encode("SELECT 12") + encode("del c")
	if got := b.output(r); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if n := b.History.Offset - start; n != int64(len(want)) {
		t.Errorf("the offset moved by %d, the stream has %d bytes", n, len(want))
	}
	// The next snapshot makes the stream select again.
	b.sync(2)
	b.feed(12, "del c")
	if got := b.output(r); got != encode("SELECT 12")+encode("del c") {
		t.Errorf("after a snapshot: %q", got)
	}
}

// TestPartial asks for every offset around the ends of the backlog.
func TestPartial(t *testing.T) {
	b := newBench(t, defaults())
	b.sync(1)
	for range 10 {
		b.feed(0, "incr x")
	}
	first, end := b.Backlog.First(), b.History.Offset
	b.Shift(strings.Repeat("c", 40)) // History's: ID2 is the old one
	for _, id := range []string{b.History.ID, strings.ToUpper(b.History.ID), b.History.ID2, strings.Repeat("d", 40), "?"} {
		for offset := first - 2; offset <= end+3; offset++ {
			ok, errs, full := b.SyncPartialOK, b.SyncPartialErr, b.SyncFull
			r := b.replica(9)
			reply := b.Psync(b.now, r, args(fmt.Sprint(id, " ", offset)), false, "")
			want := b.History.Names(id, offset) && offset >= first && offset <= end+1
			if reply != "" || (b.SyncPartialOK == ok+1) != want || (b.SyncFull == full+1) == want {
				t.Fatalf("PSYNC %s %d: reply %q, partial %v, want %v", id, offset, reply, b.SyncPartialOK > ok, want)
			}
			if counted := b.SyncPartialErr > errs; counted != (!want && id != "?") {
				t.Fatalf("PSYNC %s %d: sync_partial_err counted %v", id, offset, counted)
			}
			if want {
				got := b.output(r)
				head := "+CONTINUE " + b.History.ID + "\r\n"
				if !strings.HasPrefix(got, head) || int64(len(got)-len(head)) != end+1-offset {
					t.Fatalf("PSYNC %s %d: %q", id, offset, got)
				}
			}
			b.ReplicaClosed(b.now, r)
		}
	}
	// Without psync2 +CONTINUE has no replid.
	r := b.NewReplica(nil, "1.2.3.4")
	b.Psync(b.now, r, args(fmt.Sprint(b.History.ID, " ", end+1)), false, "")
	if got := b.output(r); got != "+CONTINUE\r\n" {
		t.Errorf("%q", got)
	}
}

func (b *bench) Shift(id string) { b.History.Shift(id) }

func TestPsyncRefused(t *testing.T) {
	b := newBench(t, defaults())
	for _, c := range []struct {
		line    string
		pending bool
		before  string
		want    Reply
	}{
		{"? x", false, "", errNoNumber},
		{"?", false, "", errSyntax},
		{"? -1", true, "", errPending},
		{"? -1", false, "rdb-filter-only functions", errNeedsEOF},
		{"abc 1 FAILOVER", false, "", errNotReplica},
	} {
		r := b.NewReplica(nil, "127.0.0.1")
		if c.before != "" {
			b.Replconf(b.now, r, args(c.before))
		}
		if got := b.Psync(b.now, r, args(c.line), c.pending, ""); got != c.want || r.Attached() || len(b.Replicas()) != 0 {
			t.Errorf("PSYNC %s: %q, want %q", c.line, got, c.want)
		}
	}
	r := b.sync(1)
	if got := b.Psync(b.now, r, args("? -1"), false, ""); got != "" || len(b.Replicas()) != 1 {
		t.Errorf("PSYNC of a replica: %q", got)
	}
	b.ReplicaOf(b.now, "h", 1)
	r = b.replica(3)
	if got := b.Psync(b.now, r, args("? -1"), false, ""); got != errNoLink {
		t.Errorf("PSYNC while the link is down: %q", got)
	}
	if got := b.Psync(b.now, r, args("abc 1 FAILOVER"), false, ""); got != errOtherID {
		t.Errorf("FAILOVER with another id: %q", got)
	}
}

func TestReplconf(t *testing.T) {
	b := newBench(t, defaults())
	for line, want := range map[string]Reply{
		"listening-port 1234":                    "+OK",
		"listening-port x":                       errNoNumber,
		"listening-port":                         errSyntax,
		"ip-address 10.0.0.1 capa eof":           "+OK",
		"ip-address " + strings.Repeat("a", 300): "-ERR REPLCONF ip-address provided by replica instance is too long: 300 bytes",
		"capa whatever":                          "+OK",
		"version 8.0.1":                          "+OK",
		"CAPA EOF":                               "+OK",
		"rdb-only 1":                             "+OK",
		"rdb-only 2":                             "-ERR value is out of range, value must between 0 and 1",
		"rdb-only x":                             errNoNumber,
		"rdb-filter-only functions":              "+OK",
		"rdb-filter-only keys":                   "-ERR Unsupported rdb-filter-only option: keys",
		"rdb-channel 1":                          "-ERR Unrecognized REPLCONF option: rdb-channel",
		"ack 5":                                  "",
		"ack x":                                  "",
		"getack *":                               "",
		"listening-port 5 nonsense 1 rdb-only nix": "-ERR Unrecognized REPLCONF option: nonsense",
	} {
		r := b.NewReplica(nil, "127.0.0.1")
		if got := b.Replconf(b.now, r, args(line)); got != want {
			t.Errorf("REPLCONF %s: %q, want %q", line, got, want)
		}
	}
	r := b.NewReplica(nil, "127.0.0.1")
	if got := b.Replconf(b.now, r, [][]byte{[]byte("rdb-filter-only"), nil}); got != "+OK" || !r.Filtered || r.WithFunctions {
		t.Errorf("an empty filter: %q %+v", got, r)
	}
	b.Replconf(b.now, r, args("rdb-filter-only Functions listening-port 77 ip-address h capa eof"))
	if !r.WithFunctions || r.Name() != "h:77" || !r.EOF || r.Psync2 {
		t.Errorf("%+v", r)
	}
}

// TestStreamed is a diskless synchronisation: one payload, frames, the first ACK after it.
func TestStreamed(t *testing.T) {
	s := defaults()
	s.Diskless = true
	s.DisklessDelay = 2
	b := newBench(t, s)
	b.feed(0, "set before 1")
	all := []*Replica{b.replica(1), b.replica(2)}
	for _, r := range all {
		b.Psync(b.now, r, args("? -1"), false, "")
	}
	b.logged("Delay next BGSAVE for diskless SYNC")
	none[StartJob](b)
	b.pass(3)
	j := found[StartJob](b).Job
	if !j.Streamed || j.Filtered || len(j.Members()) != 2 {
		t.Fatalf("%+v", j)
	}
	b.JobStarted(b.now, j)
	b.logged("Starting BGSAVE for SYNC with target: replicas sockets")
	b.feed(0, "set during 1")
	late := b.replica(3)
	b.Psync(b.now, late, args("? -1"), false, "")
	b.logged("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
	b.PayloadData(j.Payload, []byte("REDIS0010some"))
	b.Replconf(b.now, all[0], args("ack 1")) // comes too early to count
	b.PayloadData(j.Payload, []byte("data"))
	b.JobDone(b.now, j, 17, nil)
	for _, r := range all {
		got := b.output(r)
		mark := got[strings.Index(got, "$EOF:")+5:][:40]
		got = strings.TrimLeft(got, "\n")
		want := fmt.Sprintf("+FULLRESYNC %s %d\r\n$EOF:%s\r\nREDIS0010somedata%s", j.History.ID, j.History.Offset, mark, mark)
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if r.State != Online || r.Pending() {
			t.Fatalf("state %s, pending %v", r.State, r.Pending())
		}
		b.Replconf(b.now, r, args(fmt.Sprint("ack ", j.History.Offset)))
		if got, want := b.output(r), encode("SELECT 0")+encode("set during 1"); got != want {
			t.Fatalf("stream: %q, want %q", got, want)
		}
	}
	b.logged("Diskless rdb transfer, done reading from pipe, 2 replicas still up.")
	b.logged("Waiting for REPLCONF ACK from replica to enable streaming")
	b.pass(3)
	if j = found[StartJob](b).Job; len(j.Members()) != 1 || j.Members()[0] != late {
		t.Fatalf("the next job is not for the late one")
	}
	b.JobStarted(b.now, j)
	b.ReplicaClosed(b.now, late)
	if found[CancelJob](b).Job != j {
		t.Fatal("the job of nobody goes on")
	}
}

// TestDisklessMaxReplicas does not wait when enough have come.
func TestDisklessMaxReplicas(t *testing.T) {
	s := defaults()
	s.Diskless, s.DisklessDelay, s.DisklessMaxReplicas = true, 100, 2
	b := newBench(t, s)
	b.Psync(b.now, b.replica(1), args("? -1"), false, "")
	b.pass(1)
	none[StartJob](b)
	b.Psync(b.now, b.replica(2), args("? -1"), false, "")
	if j := found[StartJob](b).Job; len(j.Members()) != 2 {
		t.Fatal(len(j.Members()))
	}
}

// TestJoin lets replicas join what goes into a file, with the stream from its snapshot on.
func TestJoin(t *testing.T) {
	b := newBench(t, defaults())
	b.sync(1)
	b.feed(2, "set a 1")
	dump := b.NewDump()
	b.feed(2, "set b 1")
	r := b.replica(2)
	b.Psync(b.now, r, args("? -1"), false, "")
	b.logged("Waiting for end of BGSAVE for SYNC")
	old := b.NewReplica(nil, "127.0.0.1")
	b.Sync(b.now, old, false)
	none[StartJob](b)
	b.pass(2)
	b.JobDone(b.now, dump, 9, nil)
	b.take()
	files := 0
	for _, a := range b.did {
		f, ok := a.(SendFile)
		if !ok {
			continue
		}
		files++
		b.PayloadData(f.Payload, []byte("REDIS0010"))
		b.PayloadEnd(b.now, f.Payload, nil)
		want := "\n\n$9\r\nREDIS0010" + encode("SELECT 2") + encode("set b 1")
		if f.Replica == r {
			want = fmt.Sprintf("+FULLRESYNC %s %d\r\n", dump.History.ID, dump.History.Offset) + want
		}
		if got := b.output(f.Replica); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if files != 2 {
		t.Errorf("%d files are sent", files)
	}
	// The version that others asked for does not fit.
	v := b.NewReplica(nil, "127.0.0.1")
	b.Replconf(b.now, v, args("version 8.0"))
	b.Psync(b.now, v, args("? -1"), false, "")
	j := found[StartJob](b).Job
	if j.Version != "8.0" {
		t.Fatal(j.Version)
	}
	b.JobStarted(b.now, j)
	other := b.replica(4)
	b.Psync(b.now, other, args("? -1"), false, "")
	b.logged("Can't attach the replica to the current BGSAVE")
	if other.State != WaitStart {
		t.Fatal(other.State)
	}
}

// TestDumpOfNobody: the owner gets CancelJob when no replica waits for a dump any more, and may end it or let it be joined.
func TestDumpOfNobody(t *testing.T) {
	b := newBench(t, defaults())
	join := func(n int) *Replica {
		r := b.replica(n)
		b.Psync(b.now, r, args("? -1"), false, "")
		return r
	}
	first := join(1)
	j := found[StartJob](b).Job
	b.JobStarted(b.now, j)
	second := join(2)
	b.ReplicaClosed(b.now, first)
	none[CancelJob](b)
	b.ReplicaClosed(b.now, second)
	if found[CancelJob](b).Job != j || j.Wanted() {
		t.Fatal("a dump that nobody waits for goes on")
	}
	third := join(3)
	none[StartJob](b)
	if third.State != WaitEnd || !j.Wanted() {
		t.Fatal("a dump that goes on cannot be joined")
	}
	b.ReplicaClosed(b.now, third)
	found[CancelJob](b)
	b.JobDone(b.now, j, 0, errors.New("canceled"))
	join(4)
	if found[StartJob](b).Job == j {
		t.Fatal("a dump that was ended is begun again")
	}
}

func TestJobDelayedAndFailed(t *testing.T) {
	b := newBench(t, defaults())
	r := b.replica(1)
	b.Psync(b.now, r, args("? -1"), false, "")
	j := found[StartJob](b).Job
	b.JobDelayed(b.now, j)
	b.logged("another BG operation is active. BGSAVE for replication delayed")
	none[StartJob](b)
	b.pass(1)
	if got := b.output(r); got != "\n" {
		t.Errorf("while waiting: %q", got)
	}
	j = found[StartJob](b).Job
	b.JobDelayed(b.now, j)
	b.SnapshotFree(b.now)
	j = found[StartJob](b).Job
	b.JobStarted(b.now, j)
	b.JobDone(b.now, j, 0, errors.New("disk full"))
	if found[CloseReplica](b).Replica != r || len(b.Replicas()) != 0 {
		t.Error("the replica of a job that failed stays")
	}
}

func TestRDBOnly(t *testing.T) {
	b := newBench(t, defaults())
	r := b.NewReplica(nil, "127.0.0.1")
	b.Replconf(b.now, r, args("rdb-only 1"))
	b.Sync(b.now, r, false)
	j := found[StartJob](b).Job
	b.JobStarted(b.now, j)
	b.feed(0, "set a 1")
	b.JobDone(b.now, j, 9, nil)
	f := found[SendFile](b)
	b.PayloadData(f.Payload, []byte("REDIS0010"))
	b.PayloadEnd(b.now, f.Payload, nil)
	if got := b.output(r); got != "$9\r\nREDIS0010" {
		t.Errorf("%q", got)
	}
	if c := found[CloseReplica](b); c.Replica != r || !c.AfterOutput {
		t.Errorf("%+v", c)
	}
}

// TestFilteredNeverShare also holds that a filtered payload is streamed whatever the setting.
func TestFilteredNeverShare(t *testing.T) {
	b := newBench(t, defaults())
	r := b.NewReplica(nil, "127.0.0.1")
	b.Replconf(b.now, r, args("rdb-only 1 rdb-filter-only functions capa eof"))
	b.Psync(b.now, r, args("? -1"), false, "")
	j := found[StartJob](b).Job
	b.Psync(b.now, b.replica(2), args("? -1"), false, "")
	if !j.Streamed || !j.Filtered || !j.WithFunctions || len(j.Members()) != 1 {
		t.Errorf("%+v", j)
	}
	b.JobStarted(b.now, j)
	b.JobDone(b.now, j, 0, nil)
	b.output(r)
	if c := found[CloseReplica](b); c.Replica != r {
		t.Error("the wrong one is closed")
	}
}

// TestPayloadRoom holds that the producer waits for the slowest reader and is woken.
func TestPayloadRoom(t *testing.T) {
	s := defaults()
	s.Diskless = true
	b := newBench(t, s)
	r := []*Replica{b.replica(1), b.replica(2)}
	b.Psync(b.now, r[0], args("? -1"), false, "")
	j := found[StartJob](b).Job
	b.JobDelayed(b.now, j)
	b.Psync(b.now, r[1], args("? -1"), false, "")
	b.SnapshotFree(b.now)
	j = found[StartJob](b).Job
	b.JobStarted(b.now, j)
	total := 0
	for j.Payload.Room() > 0 {
		b.PayloadData(j.Payload, make([]byte, 60_000))
		total += 60_000
	}
	if total < payloadRoom || total > payloadRoom+60_000 {
		t.Fatal(total)
	}
	b.output(r[0])
	none[PayloadRoom](b)
	b.output(r[1])
	found[PayloadRoom](b)
	if j.Payload.Room() < payloadRoom-60_000 {
		t.Error(j.Payload.Room())
	}
}

// TestTimeouts: who is silent is dropped, who is slow is not.
func TestTimeouts(t *testing.T) {
	s := defaults()
	s.Timeout = 5
	b := newBench(t, s)
	r := b.sync(1)
	quiet := b.sync(2)
	old := b.NewReplica(nil, "127.0.0.1")
	b.Sync(b.now, old, false)
	j := found[StartJob](b).Job
	b.JobStarted(b.now, j)
	for range 8 {
		b.pass(1)
		b.ReplicaAlive(b.now, r)
	}
	b.logged("Disconnecting timedout replica (streaming sync): 127.0.0.1:2")
	if found[CloseReplica](b).Replica != quiet || len(b.Replicas()) != 2 {
		t.Error("the wrong ones are left")
	}
	if strings.Trim(b.output(old), "\n") != "" {
		t.Error("something but newlines")
	}
	// A diskless payload that a replica does not read.
	b = newBench(t, s)
	b.Settings.Diskless = true
	r = b.replica(1)
	b.Psync(b.now, r, args("? -1"), false, "")
	j = found[StartJob](b).Job
	b.JobStarted(b.now, j)
	b.output(r)
	b.pass(10)
	none[CloseReplica](b)
	b.PayloadData(j.Payload, []byte("REDIS0010"))
	b.pass(6)
	b.logged("Disconnecting timedout replica (full sync)")
	b.logged("Diskless rdb transfer, last replica dropped, killing fork child.")
}

func TestPings(t *testing.T) {
	s := defaults()
	s.PingPeriod = 2
	b := newBench(t, s)
	r := b.sync(1)
	b.output(r)
	for range 10 {
		b.pass(1)
		b.ReplicaAlive(b.now, r)
	}
	if n := strings.Count(b.output(r), encode("ping")); n < 4 || n > 6 {
		t.Errorf("%d pings in ten seconds", n)
	}
}

func TestBacklogTTL(t *testing.T) {
	s := defaults()
	s.BacklogTTL = 5
	b := newBench(t, s)
	r := b.sync(1)
	id := b.History.ID
	b.ReplicaClosed(b.now, r)
	b.pass(4)
	if !b.Backlog.Active() || b.History.ID != id {
		t.Fatal("dropped too early")
	}
	b.pass(4)
	if b.Backlog.Active() || b.History.ID == id || b.History.ID2 != NoID {
		t.Fatalf("%+v", b.History)
	}
	b.logged("Replication backlog freed after 5 seconds without connected replicas.")
}

func TestOutputLimit(t *testing.T) {
	s := defaults()
	s.BacklogSize, s.OutputHard, s.OutputSoft, s.OutputSoftSeconds = 10_000, 50_000, 20_000, 3
	b := newBench(t, s)
	b.sync(1)
	fill := func(n int) {
		b.Feed(0, [][]byte{[]byte("SET"), []byte("k"), make([]byte, n)})
		b.EndRound(b.now)
		b.take()
	}
	fill(15_000)
	none[CloseReplica](b)
	fill(10_000)
	b.pass(2)
	b.EndRound(b.now)
	none[CloseReplica](b)
	b.pass(2)
	b.EndRound(b.now)
	if !found[CloseReplica](b).OutputLimit {
		t.Error("not for the limit")
	}
	b.sync(1)
	fill(60_000)
	found[CloseReplica](b)
	// A limit below the backlog's size is not enforced.
	b.Settings.BacklogSize = 100_000
	b.sync(1)
	fill(90_000)
	none[CloseReplica](b)
}

func TestMinReplicas(t *testing.T) {
	s := defaults()
	s.MinReplicas, s.MinReplicasMaxLag = 1, 3
	b := newBench(t, s)
	b.SettingsChanged(b.now)
	if !b.WritesRefused {
		t.Error("writes without replicas")
	}
	r := b.sync(1)
	if b.WritesRefused {
		t.Error("no writes with a replica")
	}
	b.pass(5)
	if !b.WritesRefused {
		t.Error("writes with a replica that lags")
	}
	b.Replconf(b.now, r, args("ack 1"))
	if b.WritesRefused {
		t.Error("no writes after an ACK")
	}
	b.ReplicaClosed(b.now, r)
	if !b.WritesRefused {
		t.Error("writes after the replica has gone")
	}
}

func TestRestore(t *testing.T) {
	id := strings.Repeat("e", 40)
	b := newBench(t, defaults())
	b.Restore(b.now, Aux{id, 500, 3}, false)
	// A replica that stopped at that offset goes on; one that is ahead or behind does not.
	for offset, want := range map[int64]bool{501: true, 500: false, 502: false} {
		ok := b.SyncPartialOK
		r := b.replica(1)
		b.Psync(b.now, r, args(fmt.Sprint(id, " ", offset)), false, "")
		if got := b.SyncPartialOK > ok; got != want {
			t.Errorf("PSYNC %d: %v", offset, got)
		}
		if want {
			b.feed(3, "set a 1")
			if got, want := b.output(r), "+CONTINUE "+b.History.ID+"\r\n"+encode("SELECT 3")+encode("set a 1"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		b.ReplicaClosed(b.now, r)
		b = newBench(t, defaults())
		b.Restore(b.now, Aux{id, 500, 3}, false)
	}
	b = newBench(t, defaults())
	b.Restore(b.now, Aux{id, 500, 3}, true)
	b.Boot(b.now, "master", 1)
	if a, ok := b.Aux(); !ok || a != (Aux{id, 500, 3}) {
		t.Errorf("%+v %v", a, ok)
	}
	for _, bad := range []Aux{{"short", 1, 0}, {id, -1, 0}} {
		b = newBench(t, defaults())
		b.Restore(b.now, bad, true)
		if b.Backlog.Active() || b.cached {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestWait(t *testing.T) {
	b := newBench(t, defaults())
	a, c := b.sync(1), b.sync(2)
	b.feed(0, "set a 1")
	end := b.History.Offset
	if n, w := b.Wait(b.now, nil, 0, 2, 0); n != 2 || w != nil {
		t.Errorf("WAIT of a client that wrote nothing: %d %v", n, w)
	}
	n, w := b.Wait(b.now, "x", end, 2, 1000)
	if n != 0 || w == nil || b.Deadline() != b.now+1000 {
		t.Fatalf("%d %v %d", n, w, b.Deadline())
	}
	n2, w2 := b.Wait(b.now, "y", end, 1, 0)
	if n2 != 0 || w2 == nil {
		t.Fatal(n2, w2)
	}
	b.EndRound(b.now)
	b.EndRound(b.now)
	if got := b.output(a); strings.Count(got, encode("REPLCONF GETACK *")) != 1 {
		t.Errorf("%q", got)
	}
	b.output(c)
	b.Replconf(b.now, a, args(fmt.Sprint("ack ", end-1)))
	none[WaitDone](b)
	b.Replconf(b.now, a, args(fmt.Sprint("ack ", end)))
	if d := found[WaitDone](b); d.Waiter != w2 || d.Replicas != 1 {
		t.Errorf("%+v", d)
	}
	b.pass(2)
	if d := found[WaitDone](b); d.Waiter != w || d.Replicas != 1 {
		t.Errorf("%+v", d)
	}
	// WAITAOF counts what is on disks.
	b.Settings.AOF = true
	if local, n, w := b.WaitAOF(b.now, nil, end, 1, 1, 0); local != 0 || n != 0 || w == nil {
		t.Fatal(local, n, w)
	}
	b.Fsynced(b.now, end)
	none[WaitDone](b)
	b.Replconf(b.now, c, args(fmt.Sprint("ack ", end, " fack ", end)))
	if d := found[WaitDone](b); d.Local != 1 || d.Replicas != 1 {
		t.Errorf("%+v", d)
	}
	_, w = b.Wait(b.now, nil, end+1000, 1, 0)
	b.ReplicaOf(b.now, "h", 1)
	if d := found[WaitDone](b); d.Waiter != w || !d.Unblock {
		t.Errorf("%+v", d)
	}
}

func TestLagging(t *testing.T) {
	b := newBench(t, defaults())
	r := b.sync(1)
	b.feed(0, "set a 1")
	if l := b.Lagging(); len(l) != 1 || l[0] != r {
		t.Fatal(l)
	}
	b.AskAcks()
	end := b.History.Offset
	b.EndRound(b.now)
	// What answers a GETACK does not count it.
	b.Replconf(b.now, r, args(fmt.Sprint("ack ", end)))
	b.Replconf(b.now, r, args(fmt.Sprint("ack ", b.History.Offset)))
	if l := b.Lagging(); len(l) != 0 {
		t.Fatal(l)
	}
}
