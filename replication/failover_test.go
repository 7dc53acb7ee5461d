package replication

import (
	"fmt"
	"strings"
	"testing"
)

func TestFailoverRefused(t *testing.T) {
	b := newBench(t, defaults())
	refused := func(a FailoverArgs, want Reply) {
		t.Helper()
		if got := b.Failover(b.now, a); got != want {
			t.Errorf("FAILOVER %+v: %q, want %q", a, got, want)
		}
	}
	refused(FailoverArgs{}, "-ERR FAILOVER requires connected replicas.")
	b.Psync(b.now, b.replica(2), args("? -1"), false, "")
	refused(FailoverArgs{Host: "127.0.0.1", Port: 2}, "-ERR FAILOVER target replica is not online.")
	refused(FailoverArgs{Host: "127.0.0.1", Port: 9}, "-ERR FAILOVER target HOST and PORT is not a replica.")
	refused(FailoverArgs{Force: true, Timeout: 1}, "-ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
	if got := b.FailoverAbort(b.now); got != "-ERR No failover in progress." {
		t.Error(got)
	}
	b.Failover(b.now, FailoverArgs{})
	found[PauseWrites](b)
	refused(FailoverArgs{}, "-ERR FAILOVER already in progress.")
	r := b.replica(3)
	if got := b.Psync(b.now, r, args("? -1"), false, ""); got != errFailingOver {
		t.Error(got)
	}
	if got := b.FailoverAbort(b.now); got != "+OK" {
		t.Error(got)
	}
	b.logged("FAILOVER to any replica aborted: Failover manually aborted")
	found[ResumeWrites](b)
	b.ReplicaOf(b.now, "h", 1)
	refused(FailoverArgs{}, "-ERR FAILOVER is not valid when server is a replica.")
}

// handing brings a failover to the point where we have asked the target, and returns the end of our history.
func handing(t *testing.T, answersAll bool) (m *master, end int64) {
	t.Helper()
	b := newBench(t, defaults())
	r := b.sync(2)
	other := b.sync(3)
	b.feed(0, "SET a 1")
	end = b.History.Offset
	b.output(r)
	if got := b.Failover(b.now, FailoverArgs{Host: "127.0.0.1", Port: 2}); got != "+OK" {
		t.Fatal(got)
	}
	if b.FailoverState() != "waiting-for-sync" {
		t.Fatal(b.FailoverState())
	}
	getack := encode("REPLCONF GETACK *")
	if got := b.output(r); got != getack+getack {
		t.Fatalf("%q", got)
	}
	// Neither pings nor more GETACKs.
	b.AskAcks()
	b.EndRound(b.now)
	b.Replconf(b.now, other, args(fmt.Sprint("ack ", end+5000)))
	b.pass(30)
	if b.History.Offset != end+2*getackSize {
		t.Fatal(b.History.Offset)
	}
	b.Replconf(b.now, r, args(fmt.Sprint("ack ", end)))
	if b.IsReplica() {
		t.Fatal("it does not know yet that the target has all")
	}
	last := end + getackSize
	if answersAll {
		last += getackSize
	}
	b.Replconf(b.now, r, args(fmt.Sprint("ack ", last)))
	b.logged("Failover target 127.0.0.1:2 is synced, failing over.")
	if !found[RoleChanged](b).Replica || b.FailoverState() != "failover-in-progress" || len(b.Replicas()) != 0 {
		t.Fatal(b.FailoverState())
	}
	m = dialed(b)
	m.psync(fmt.Sprint("PSYNC ", b.History.ID, " ", last+1, " FAILOVER"))
	return m, end
}

func TestFailover(t *testing.T) {
	// The target sends the GETACK that it had not counted: both histories end there.
	m, end := handing(t, false)
	old := m.History.ID
	m.say("+CONTINUE " + id1 + "\r\n")
	found[ResumeWrites](m.bench)
	if m.FailoverState() != "no-failover" || m.History.ID2 != old || m.History.Offset != end+getackSize {
		t.Errorf("%s %+v", m.FailoverState(), m.History)
	}
	r := m.replica(9)
	if got := m.Psync(m.now, r, args(fmt.Sprint(old, " ", end+2*getackSize+1)), false, ""); got != errNoLink {
		t.Errorf("%q before it is clear what the target has", got)
	}
	m.say(encode("REPLCONF GETACK *")[:30])
	if m.History.SecondOffset != end+getackSize+1 {
		t.Errorf("%+v", m.History)
	}
	m.say(encode("REPLCONF GETACK *")[30:] + "x")
	if m.History.SecondOffset != end+2*getackSize+1 {
		t.Errorf("%+v", m.History)
	}
	// It sends something else: what we had is not its history.
	m, end = handing(t, false)
	m.say("+CONTINUE " + id1 + "\r\n")
	m.say("*2\r\n")
	if m.History.SecondOffset != end+getackSize+1 || m.l.forgotten != 0 {
		t.Errorf("%+v", m.History)
	}
	// The target is equal.
	m, end = handing(t, true)
	m.say("+CONTINUE " + id1 + "\r\n")
	if m.History.SecondOffset != end+2*getackSize+1 || m.l.forgotten != 0 {
		t.Errorf("%+v", m.History)
	}
}

func TestFailoverRejected(t *testing.T) {
	m, _ := handing(t, false)
	old, end := m.History.ID, m.History.Offset
	m.say("-ERR PSYNC FAILOVER replid must match my replid.\r\n")
	m.logged("aborted: Failover target rejected psync request")
	if m.IsReplica() || m.FailoverState() != "no-failover" {
		t.Fatal(m.FailoverState())
	}
	// Replicas go on, also those that have the last GETACK.
	r := m.replica(4)
	m.Psync(m.now, r, args(fmt.Sprint(old, " ", end+1)), false, "")
	if m.SyncPartialOK != 1 {
		t.Error("a replica must synchronise in full after a failover that was refused")
	}
	if out := m.output(r); !strings.HasPrefix(out, "+CONTINUE") {
		t.Errorf("%q", out)
	}
}

// TestFailoverAnswerLost: nobody knows whether the target was promoted, so it is asked without FAILOVER first.
func TestFailoverAnswerLost(t *testing.T) {
	m, end := handing(t, false)
	ask := fmt.Sprint("PSYNC ", m.History.ID, " ", end+getackSize+1)
	m.LinkClosed(m.now, m.l, nil)
	m.pass(2)
	m = dialed(m.bench)
	m.psync(ask)
	m.say("-NOMASTERLINK Can't SYNC while not connected with my master\r\n")
	m.pass(2)
	m = dialed(m.bench)
	m.psync(ask + " FAILOVER")
	// It came after all.
	m.say("-ERR PSYNC FAILOVER can't be sent to a master.\r\n")
	if !m.IsReplica() {
		t.Fatal("two masters")
	}
	m.pass(2)
	m = dialed(m.bench)
	m.psync(ask)
	m.say("+CONTINUE " + id1 + "\r\n")
	if m.FailoverState() != "no-failover" || m.LinkInfo().State != LinkConnected {
		t.Error(m.FailoverState())
	}
}

func TestFailoverTimeout(t *testing.T) {
	b := newBench(t, defaults())
	b.sync(2)
	b.Failover(b.now, FailoverArgs{Timeout: 500})
	b.pass(1)
	b.logged("FAILOVER to any replica aborted: Replica never caught up before timeout")
	found[ResumeWrites](b)
	b.Failover(b.now, FailoverArgs{Host: "127.0.0.1", Port: 2, Force: true, Timeout: 500})
	if b.Deadline() != b.now+500 {
		t.Error(b.Deadline())
	}
	b.pass(1)
	b.logged("FAILOVER to 127.0.0.1:2 time out exceeded, failing over.")
	m := dialed(b)
	m.psync(fmt.Sprint("PSYNC ", b.History.ID, " ", b.History.Offset+1, " FAILOVER"))
	m.say("+FULLRESYNC " + id1 + " 5\r\n")
	found[ResumeWrites](b)
	if b.FailoverState() != "no-failover" {
		t.Error(b.FailoverState())
	}
}

// TestFailoverTarget is the other side.
func TestFailoverTarget(t *testing.T) {
	m := linked(t)
	r := m.replica(8)
	if got := m.Psync(m.now, r, args(id1+" 101 failover"), false, "the client"); got != "" {
		t.Fatal(got)
	}
	m.logged("Failover request received for replid " + id1)
	m.logged("MASTER MODE enabled (failover request from 'the client')")
	if m.IsReplica() || r.State != Online {
		t.Error("not promoted")
	}
	if got := m.output(r); got != "+CONTINUE "+m.History.ID+"\r\n" {
		t.Errorf("%q", got)
	}
}
