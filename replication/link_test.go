package replication

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// master is the script of a master at the other end of a link.
type master struct {
	*bench
	l *Link
}

// dialed makes b a replica whose link is connected, up to the answer to PING.
func dialed(b *bench) *master {
	b.t.Helper()
	if !b.IsReplica() {
		b.ReplicaOf(b.now, "10.0.0.1", 6379)
	}
	l := found[Dial](b).Link
	b.Dialed(b.now, l, nil)
	m := &master{b, l}
	m.got("*1\r\n$4\r\nPING\r\n")
	m.say("+PONG\r\n")
	return m
}

func (m *master) say(s string) string {
	stream := string(m.Received(m.now, m.l, []byte(s)))
	m.take()
	return stream
}

// got holds what was sent last.
func (m *master) got(want string) {
	m.t.Helper()
	if got := string(found[SendMaster](m.bench).Data); got != want {
		m.t.Fatalf("the replica sent %q, want %q", got, want)
	}
}

// psync answers up to PSYNC, which must be the wanted one.
func (m *master) psync(want string) {
	m.t.Helper()
	m.got(encode("REPLCONF listening-port 7000") + encode("REPLCONF capa eof capa psync2"))
	m.say("+OK\r\n")
	m.say("+OK\r\n")
	m.got(encode(want))
}

const id1 = "1234567890123456789012345678901234567890"

// linked makes b a replica that is in sync at offset 100 of id1.
func linked(t *testing.T) *master {
	t.Helper()
	b := newBench(t, defaults())
	m := dialed(b)
	m.psync("PSYNC " + b.History.ID + " 1")
	m.say("+FULLRESYNC " + id1 + " 100\r\n")
	m.say("$9\r\nREDIS0010")
	found[PayloadComplete](b)
	if stream := b.Loaded(b.now, m.l, 2, nil); stream != nil {
		t.Fatalf("%q", stream)
	}
	if up := found[LinkUp](b); up.DB != 2 || !up.Full || b.LinkInfo().State != LinkConnected {
		t.Fatalf("%+v", up)
	}
	m.got(encode("REPLCONF ACK 100"))
	return m
}

// TestHandshake checks what is sent and how answers are taken.
func TestHandshake(t *testing.T) {
	s := defaults()
	s.MasterUser, s.MasterAuth, s.AnnounceIP, s.AnnouncePort = "user", "secret", "10.1.2.3", 8402
	b := newBench(t, s)
	m := dialed(b)
	m.got(encode("AUTH user secret") + encode("REPLCONF listening-port 8402") + encode("REPLCONF ip-address 10.1.2.3") +
		encode("REPLCONF capa eof capa psync2"))
	for _, p := range []string{"+O", "K\r", "\n\r\n\n+OK\r\n-ERR Unrecognized REPLCONF option: ip-address\r\n", "+OK\r\n"} {
		m.say(p)
	}
	m.logged("(Non critical) Master does not understand REPLCONF ip-address: -ERR Unrecognized")
	m.got(encode("PSYNC " + b.History.ID + " 1"))
	if b.LinkInfo().State != LinkHandshake {
		t.Error(b.LinkInfo().State)
	}
	for answer, goesOn := range map[string]bool{
		"-NOAUTH Authentication required.": true, "-NOPERM this user": true, "-ERR operation not permitted": true,
		"-ERR something": false, "+whatever": true, ":1": false,
	} {
		b := newBench(t, defaults())
		b.ReplicaOf(b.now, "h", 1)
		l := found[Dial](b).Link
		b.Dialed(b.now, l, nil)
		b.Received(b.now, l, []byte(answer+"\r\n"))
		if got := b.Link() == l; got != goesOn {
			t.Errorf("PING answered by %s: link goes on: %v", answer, got)
		}
	}
	b = newBench(t, s)
	m = dialed(b)
	m.say("-WRONGPASS no\r\n")
	b.logged("Unable to AUTH to MASTER: -WRONGPASS no")
	if b.Link() != nil {
		t.Error("the link goes on without rights")
	}
	none[Dial](b)
	b.pass(2)
	found[Dial](b)
}

// TestPsyncReplies checks each kind of answer.
func TestPsyncReplies(t *testing.T) {
	for _, c := range []struct {
		answer string
		state  LinkState
		log    string
	}{
		{"+CONTINUE", LinkConnected, "Successful partial resynchronization with master."},
		{"\n\r\n+CONTINUE " + NoID[1:] + "7", LinkConnected, "Master replication ID changed to"},
		{"+CONTINUE short", LinkConnect, "wrong +CONTINUE"},
		{"+FULLRESYNC " + id1 + " 77", LinkTransfer, "Full resync from master: " + id1 + ":77"},
		{"+FULLRESYNC " + id1, LinkConnect, "wrong +FULLRESYNC syntax"},
		{"+FULLRESYNC " + id1 + " x", LinkConnect, "wrong +FULLRESYNC syntax"},
		{"+FULLRESYNC " + id1 + " -5", LinkConnect, "wrong +FULLRESYNC syntax"},
		{"-NOMASTERLINK Can't", LinkConnect, "Master is currently unable to PSYNC but should be in the future"},
		{"-LOADING", LinkConnect, "Master is currently unable to PSYNC but should be in the future"},
		{"-ERR unknown command", LinkTransfer, "Master does not support PSYNC or is in error state"},
		{"whatever", LinkTransfer, "Unexpected reply to PSYNC from master: whatever"},
	} {
		m := linked(t)
		m.say(encode("SET a 1"))
		m.Executed(m.now, m.l, 27, 2, false)
		m.LinkClosed(m.now, m.l, nil)
		m = dialed(m.bench)
		m.psync("PSYNC " + id1 + " 128")
		m.say(c.answer + "\r\n")
		if got := m.LinkInfo().State; got != c.state {
			t.Errorf("%q: %s, want %s", c.answer, got, c.state)
		}
		if c.state != LinkTransfer {
			m.logged(c.log)
		}
		if strings.HasPrefix(c.answer, "-ERR") {
			m.got("SYNC\r\n")
		}
		if c.state == LinkConnect {
			if !m.HistoryUsable() {
				t.Errorf("%q: the history is lost", c.answer)
			}
			m.pass(2)
			dialed(m.bench).psync("PSYNC " + id1 + " 128")
		}
	}
}

// TestNewID: the id changes, the history before it can still be asked for, and our own replicas have to come again.
func TestNewID(t *testing.T) {
	m := linked(t)
	r := m.replica(5)
	m.Psync(m.now, r, args(id1+" 101"), false, "")
	m.LinkClosed(m.now, m.l, errors.New("reset"))
	m = dialed(m.bench)
	m.psync("PSYNC " + id1 + " 101")
	id2 := strings.Repeat("f", 40)
	m.say("+CONTINUE " + id2 + "\r\n")
	if want := (History{ID: id2, ID2: id1, Offset: 100, SecondOffset: 101}); m.History != want {
		t.Errorf("%+v", m.History)
	}
	if found[CloseReplica](m.bench).Replica != r {
		t.Error("the replica stays")
	}
	// A fresh replica asks us by the old name.
	r = m.replica(6)
	m.Psync(m.now, r, args(id1+" 101"), false, "")
	if got := m.output(r); got != "+CONTINUE "+id2+"\r\n" {
		t.Errorf("%q", got)
	}
}

// TestOldMaster speaks SYNC: its payload is taken, its history has no name, nothing is acknowledged.
func TestOldMaster(t *testing.T) {
	b := newBench(t, defaults())
	m := dialed(b)
	m.psync("PSYNC " + b.History.ID + " 1")
	m.say("-ERR unknown command 'PSYNC'\r\n")
	m.got("SYNC\r\n")
	m.say("\n\n$9\r\nREDIS")
	m.say("0006")
	if p := found[PayloadBegin](b); p.Size != 9 || p.ID != NoID || p.SameHistory {
		t.Errorf("%+v", p)
	}
	found[PayloadComplete](b)
	b.Loaded(b.now, m.l, 0, nil)
	m.say(encode("SET a 1"))
	b.Executed(b.now, m.l, 27, 0, false)
	b.pass(3)
	none[SendMaster](b)
	b.LinkClosed(b.now, m.l, nil)
	dialed(b).psync("PSYNC ? -1")
}

// TestTransactionHoldsOffset: a link that ends within a command or a transaction asks again from its beginning, and own
// replicas never see half of it.
func TestTransactionHoldsOffset(t *testing.T) {
	commands := []string{"SET a 1", "MULTI", "SET b 1", "SET c 1", "EXEC", "SELECT 3", "SET d 1"}
	var stream string
	ends := []int{0}
	for _, c := range commands {
		stream += encode(c)
		ends = append(ends, len(stream))
	}
	for cut := range len(stream) + 1 {
		m := linked(t)
		r := m.replica(5)
		m.Psync(m.now, r, args(id1+" 101"), false, "")
		m.output(r)
		if got := m.say(stream[:cut]); got != stream[:cut] {
			t.Fatalf("%q", got)
		}
		applied, db := 0, 2
		for i, end := range ends[1:] {
			if end > cut {
				break
			}
			in := i >= 1 && i < 4 // MULTI to before EXEC
			if i == 5 {
				db = 3
			}
			m.Executed(m.now, m.l, int64(end), db, in)
			if !in {
				applied = end
			}
		}
		if got := m.output(r); got != stream[:applied] {
			t.Fatalf("cut at %d: own replica got %q, want %q", cut, got, stream[:applied])
		}
		if i := m.LinkInfo(); i.ReadOffset != 100+int64(cut) || m.History.Offset != 100+int64(applied) {
			t.Fatalf("cut at %d: read %d, applied %d", cut, i.ReadOffset, m.History.Offset)
		}
		m.LinkClosed(m.now, m.l, nil)
		m2 := dialed(m.bench)
		m2.psync(fmt.Sprint("PSYNC ", id1, " ", 101+applied))
		m2.say("+CONTINUE\r\n")
		if up := found[LinkUp](m.bench); up.DB != db {
			t.Fatalf("cut at %d: goes on in database %d, want %d", cut, up.DB, db)
		}
		m2.say(stream[applied:])
		m2.Executed(m.now, m2.l, int64(len(stream)-applied), 3, false)
		if got := m.output(r); got != stream[applied:] {
			t.Fatalf("cut at %d: own replica got %q after it", cut, got)
		}
	}
}

// TestGetack: the acknowledgement has the offset before the GETACK; a second one follows when the AOF has all of it on disk.
func TestGetack(t *testing.T) {
	m := linked(t)
	m.Settings.AOF = true
	getack := encode("REPLCONF GETACK *")
	m.say(getack)
	m.MasterReplconf(m.now, m.l, args("GETACK *"))
	m.Executed(m.now, m.l, int64(len(getack)), 2, false)
	m.got(encode("REPLCONF ACK 100 FACK 0"))
	m.Fsynced(m.now, 99)
	none[SendMaster](m.bench)
	m.Fsynced(m.now, 100)
	m.got(encode(fmt.Sprint("REPLCONF ACK ", 100+len(getack), " FACK 100")))
	m.Fsynced(m.now, 101)
	none[SendMaster](m.bench)
	m.pass(2)
	m.got(encode(fmt.Sprint("REPLCONF ACK ", 100+len(getack), " FACK 101")))
}

// TestTransferSplit cuts every payload at every byte, and in many pieces.
func TestTransferSplit(t *testing.T) {
	mark := "abababababababababababababababababababac" // with beginnings of itself in it
	data := "REDIS0010" + mark[:39] + "x" + mark[:20] + mark[:38] + "\n$EOF:" + mark[1:]
	stream := encode("SELECT 1")
	for _, whole := range []string{
		"\n\n" + fmt.Sprintf("$%d\r\n", len(data)) + data,
		"\n$EOF:" + mark + "\r\n" + data + mark,
		"$EOF:" + mark + "\r\nREDIS0010" + mark,
	} {
		want := data
		if !strings.Contains(whole, data) {
			want = "REDIS0010"
		}
		run := func(pieces []string) {
			b := newBench(t, defaults())
			m := dialed(b)
			m.psync("PSYNC " + b.History.ID + " 1")
			m.say("+FULLRESYNC " + id1 + " 100\r\n")
			b.did = nil
			rest := ""
			for _, p := range pieces {
				rest += m.say(p)
			}
			var got []byte
			complete := false
			for _, a := range b.did {
				switch a := a.(type) {
				case PayloadBytes:
					got = append(got, a.Data...)
				case PayloadComplete:
					complete = true
				}
			}
			if string(got) != want || !complete || rest != "" {
				t.Fatalf("pieces %q: payload %q, complete %v, rest %q", pieces, got, complete, rest)
			}
			if got := string(b.Loaded(b.now, m.l, 0, nil)); got != stream {
				t.Fatalf("pieces %q: stream %q", pieces, got)
			}
			if b.Backlog.end != 100+int64(len(stream)) {
				t.Fatal(b.Backlog.end)
			}
		}
		all := whole + stream
		for i := range len(all) + 1 {
			run([]string{all[:i], all[i:]})
		}
		bytewise := strings.Split(all, "")
		run(bytewise)
		for seed := range uint64(300) {
			rng := rand.New(rand.NewPCG(seed, 3))
			var pieces []string
			for rest := all; rest != ""; {
				k := 1 + rng.IntN(min(len(rest), 50))
				pieces = append(pieces, rest[:k])
				rest = rest[k:]
			}
			run(pieces)
		}
	}
}

// TestStrangers: a payload that cannot be loaded costs nothing.
func TestStrangers(t *testing.T) {
	for _, c := range []struct{ says, log string }{
		{"-ERR nope\r\n", "MASTER aborted replication with an error: ERR nope"},
		{"HTTP/1.1 400\r\n", "Bad protocol from MASTER, the first byte is not '$'"},
		{"$12x\r\n", "Bad protocol"}, {"$-1\r\n", "Bad protocol"}, {"$3\r\nabc", "Bad protocol"},
		{"$99999999999999999999\r\n", "Bad protocol"}, {"$EOF:short\r\n", "Bad protocol"},
		{"$100\r\nREDISKEYS", "cannot be loaded, the data are kept: wrong signature"},
		{"$EOF:" + id1 + "\r\nREDIS" + id1, "it is too short"},
		{strings.Repeat("x", 5000), "too long"},
	} {
		m := linked(t)
		m.LinkClosed(m.now, m.l, nil)
		m = dialed(m.bench)
		m.psync("PSYNC " + id1 + " 101")
		m.say("+FULLRESYNC " + strings.Repeat("9", 40) + " 5\r\n")
		m.say(c.says)
		m.logged(c.log)
		for _, a := range m.did {
			if _, ok := a.(PayloadBegin); ok {
				t.Errorf("%q: a payload begins", c.says)
			}
		}
		if m.History.ID != id1 || !m.HistoryUsable() || !m.Backlog.Active() {
			t.Errorf("%q: the history is lost", c.says)
		}
		m.pass(2)
		dialed(m.bench).psync("PSYNC " + id1 + " 101")
	}
}

// TestTaking: when the old data go, so do history and own replicas; if the new ones fail, nothing can be continued.
func TestTaking(t *testing.T) {
	for _, promoted := range []bool{false, true} {
		m := linked(t)
		r := m.replica(5)
		m.Psync(m.now, r, args(id1+" 101"), false, "")
		m.LinkClosed(m.now, m.l, nil)
		m = dialed(m.bench)
		m.psync("PSYNC " + id1 + " 101")
		m.say("+FULLRESYNC " + strings.Repeat("9", 40) + " 5\r\n")
		m.say("$20\r\nREDIS0010")
		m.Taking(m.now, m.l)
		if found[CloseReplica](m.bench).Replica != r || m.HistoryUsable() || m.Backlog.Active() {
			t.Error("something is left of the old history")
		}
		m.pass(2)
		m.got("\n")
		if !promoted {
			m.Loaded(m.now, m.l, 0, errors.New("torn"))
			m.logged("Failed trying to load the MASTER synchronization DB")
			m.pass(2)
			dialed(m.bench).psync("PSYNC ? -1")
			continue
		}
		m.ReplicaOfNoOne(m.now)
		r = m.replica(6)
		m.Psync(m.now, r, args(id1+" 101"), false, "")
		if m.SyncPartialOK != 1 {
			t.Error("a server without its data goes on with their history")
		}
	}
}

// TestLostWhileLoading: what has come is loaded, and goes on by a partial synchronisation.
func TestLostWhileLoading(t *testing.T) {
	b := newBench(t, defaults())
	m := dialed(b)
	m.psync("PSYNC " + b.History.ID + " 1")
	m.say("+FULLRESYNC " + id1 + " 100\r\n$9\r\nREDIS0010")
	b.LinkClosed(b.now, m.l, nil)
	b.pass(100)
	none[Dial](&bench{Node: b.Node, t: t, did: nil})
	b.Loaded(b.now, m.l, 4, nil)
	dialed(b).psync("PSYNC " + id1 + " 101")
}

// TestLinkTimeouts: silence ends a link in every state, life does not.
func TestLinkTimeouts(t *testing.T) {
	for _, state := range []LinkState{LinkConnecting, LinkHandshake, LinkTransfer, LinkConnected} {
		b := newBench(t, defaults())
		b.Settings.Timeout = 5
		b.ReplicaOf(b.now, "h", 1)
		l := found[Dial](b).Link
		m := &master{b, l}
		log := "Timeout connecting to the MASTER..."
		if state >= LinkHandshake {
			b.Dialed(b.now, l, nil)
		}
		if state >= LinkTransfer {
			m.say("+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + id1 + " 1\r\n")
			log = "Timeout receiving bulk data from MASTER"
			for range 10 {
				b.pass(1)
				m.say("\n")
			}
		}
		if state == LinkConnected {
			m.say("$9\r\nREDIS0010")
			b.pass(100)
			b.Loaded(b.now, l, 0, nil)
			log = "MASTER timeout: no data nor PING received..."
		}
		if got := b.LinkInfo().State; got != state {
			t.Fatalf("%s, want %s", got, state)
		}
		b.take()
		b.did = nil
		b.pass(4)
		if b.Link() != l {
			t.Fatalf("%s: gone too early", state)
		}
		b.pass(3)
		b.logged(log)
		if b.Link() == l {
			t.Errorf("%s: the link stays", state)
		}
	}
}

// TestStale: events of a link that is no more are ignored.
func TestStale(t *testing.T) {
	m := linked(t)
	m.ReplicaOf(m.now, "other", 1)
	if found[LinkDown](m.bench).Link != m.l {
		t.Error("another link is down")
	}
	before := m.History
	l := m.Link()
	if s := m.say("+FULLRESYNC"); s != "" {
		t.Errorf("%q", s)
	}
	m.Executed(m.now, m.l, 5, 0, false)
	m.LinkClosed(m.now, m.l, nil)
	m.LinkBroken(m.now, m.l, "x")
	m.Dialed(m.now, m.l, nil)
	m.Taking(m.now, m.l)
	m.Loaded(m.now, m.l, 0, nil)
	m.MasterReplconf(m.now, m.l, args("getack *"))
	if m.History != before || m.Link() != l || !m.cached {
		t.Errorf("%+v", m.History)
	}
	if m.ReplicaOf(m.now, "other", 1) {
		t.Error("REPLICAOF of the same master begins anew")
	}
}

// TestBrokenStream: its history cannot be trusted.
func TestBrokenStream(t *testing.T) {
	m := linked(t)
	m.say("nonsense")
	m.LinkBroken(m.now, m.l, "no array")
	m.logged("Protocol error from master: no array")
	dialed(m.bench).psync("PSYNC ? -1")
}

// TestPromotion: replicas go on by the old id, and the first change selects.
func TestPromotion(t *testing.T) {
	m := linked(t)
	m.say(encode("SELECT 2") + encode("SET a 1"))
	m.Executed(m.now, m.l, 50, 2, false)
	m.say("*3\r\n$3\r\nSE")
	m.ReplicaOfNoOne(m.now)
	if r := found[RoleChanged](m.bench); r.Replica || m.IsReplica() {
		t.Errorf("%+v", r)
	}
	if m.History.ID2 != id1 || m.History.Offset != 150 || m.History.SecondOffset != 151 {
		t.Errorf("%+v", m.History)
	}
	m.feed(2, "SET b 1")
	r := m.replica(5)
	m.Psync(m.now, r, args(id1+" 151"), false, "")
	if got, want := m.output(r), "+CONTINUE "+m.History.ID+"\r\n"+encode("SELECT 2")+encode("SET b 1"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if m.ReplicaOfNoOne(m.now) {
		t.Error("twice")
	}
}
