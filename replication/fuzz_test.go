package replication

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// story is what a link does with bytes: everything that does not depend on how they were cut.
type story struct {
	log, sent, payload, stream strings.Builder
	begun, complete, loaded    int
	state                      LinkState
	history                    History
}

// tell passes the bytes of a master to a link, in pieces: cut returns true where a piece ends.
func tell(t *testing.T, cached bool, data []byte, cut func(i int) bool) *story {
	b := newBench(t, defaults())
	b.ReplicaOf(b.now, "h", 1)
	b.cached = cached
	l := found[Dial](b).Link
	b.Dialed(b.now, l, nil)
	s := new(story)
	from := 0
	for i := range len(data) + 1 {
		if i < len(data) && !cut(i) {
			continue
		}
		piece := bytes.Clone(data[from:i])
		from = i
		s.stream.Write(b.Received(b.now, l, piece))
		s.read(b)
		if b.LinkInfo().State == LinkLoading && s.loaded == 0 {
			s.loaded++
		}
		for j := range piece {
			piece[j] = 'Z' // the owner uses its buffer again
		}
	}
	if b.LinkInfo().State == LinkLoading {
		s.stream.Write(b.Loaded(b.now, l, 0, nil))
		s.read(b)
	}
	if b.LinkInfo().State == LinkConnected {
		// The stream is in the backlog, and nothing of it may be shown before it was executed.
		c := b.Backlog.reader(b.History.Offset)
		bufs, _ := c.slices(nil, b.Backlog.end, 1<<30)
		if got := bytes.Join(bufs, nil); string(got) != s.stream.String() {
			t.Fatalf("backlog %q, stream %q", got, s.stream.String())
		}
		c.close()
		b.LinkClosed(b.now, l, nil)
		if b.Backlog.end != b.History.Offset {
			t.Fatalf("the backlog ends at %d, the history at %d", b.Backlog.end, b.History.Offset)
		}
		s.read(b)
	}
	s.state, s.history = b.LinkInfo().State, b.History
	return s
}

func (s *story) read(b *bench) {
	for a := b.Take(); len(a) > 0; a = b.Take() {
		for _, a := range a {
			switch a := a.(type) {
			case Log:
				fmt.Fprintln(&s.log, a.Text)
			case SendMaster:
				s.sent.Write(a.Data)
			case PayloadBegin:
				s.begun++
				fmt.Fprintf(&s.payload, "%s %d %d:", a.ID, a.Offset, a.Size)
			case PayloadBytes:
				s.payload.Write(a.Data)
			case PayloadComplete:
				s.complete++
			}
		}
	}
}

// FuzzLink gives a link whatever a master may send: it must not panic, not depend on where packets end, and give out no
// payload that was not announced.
func FuzzLink(f *testing.F) {
	hello := "+PONG\r\n+OK\r\n+OK\r\n"
	full := hello + "+FULLRESYNC " + id1 + " 10\r\n"
	for _, seed := range []string{
		hello + "+CONTINUE\r\n*1\r\n$4\r\nping\r\n",
		hello + "\n\n+CONTINUE " + id1 + "\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n",
		full + "\n\n$12\r\nREDIS0010abc*1\r\n$4\r\nping\r\n",
		full + "$EOF:" + id1 + "\r\nREDIS0010abc" + id1 + "*1\r\n$4\r\nping\r\n",
		full + "$EOF:" + id1 + "\r\nREDIS0010abc" + id1[:20] + id1,
		hello + "-ERR unknown command\r\n$9\r\nREDIS0006*1\r\n",
		hello + "-NOMASTERLINK later\r\n", hello + "-LOADING\r\n",
		full + "-ERR no\r\n", full + "$x\r\n", full + "$9\r\nKEYDB0001", "-NOAUTH\r\n-ERR\r\n-ERR\r\n+CONTINUE\r\n",
		full + "$EOF:" + strings.Repeat("a", 40) + "\r\nREDIS0010" + strings.Repeat("a", 100),
	} {
		f.Add([]byte(seed), uint16(7), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, cuts uint16, cached bool) {
		if len(data) > 1<<16 {
			return
		}
		whole := tell(t, cached, data, func(int) bool { return false })
		for _, other := range []*story{
			tell(t, cached, data, func(int) bool { return true }),
			tell(t, cached, data, func(i int) bool { return cuts>>(i%16)&1 != 0 }),
		} {
			if whole.log.String() != other.log.String() || whole.sent.String() != other.sent.String() ||
				whole.payload.String() != other.payload.String() || whole.stream.String() != other.stream.String() ||
				whole.begun != other.begun || whole.complete != other.complete || whole.state != other.state ||
				whole.history != other.history {
				t.Fatalf("packets matter:\n%+v\n%+v", whole, other)
			}
		}
		if whole.complete > whole.begun || whole.begun > 1 {
			t.Fatalf("%d payloads begun, %d complete", whole.begun, whole.complete)
		}
	})
}

// FuzzReplica gives a master whatever a replica may ask: commands, one a line.
func FuzzReplica(f *testing.F) {
	for _, seed := range []string{
		"replconf listening-port 1\nreplconf capa eof capa psync2\npsync ? -1\nalive\nreplconf ack 5",
		"psync @ 100\nreplconf ack 100 fack 50", "psync @ 101", "psync @ 9223372036854775807", "psync @ -9223372036854775808",
		"psync # 50\nsync", "sync\npsync ? -1", "replconf rdb-only 1 rdb-filter-only functions capa eof\npsync ? -1",
		"replconf getack *", "replconf ack -1 fack -1", "psync @ 1 failover", "replconf version 8\npsync ? 0",
		"replconf ip-address \x00\r\n\npsync a b",
	} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, lines string, diskless bool) {
		s := defaults()
		s.Diskless = diskless
		b := newBench(t, s)
		b.Restore(b.now, Aux{id1, 70, 1}, false)
		for range 5 {
			b.feed(0, "SET a 1")
		}
		r := b.NewReplica(nil, "127.0.0.1")
		for _, line := range strings.Split(lines, "\n") {
			line = strings.ReplaceAll(strings.ReplaceAll(line, "@", b.History.ID), "#", b.History.ID2)
			words := args(line)
			if len(words) == 0 {
				continue
			}
			var reply Reply
			switch strings.ToLower(string(words[0])) {
			case "replconf":
				reply = b.Replconf(b.now, r, words[1:])
			case "psync":
				reply = b.Psync(b.now, r, words[1:], false, "")
			case "sync":
				reply = b.Sync(b.now, r, false)
			case "alive":
				b.ReplicaAlive(b.now, r)
			}
			if reply != "" && (reply[0] != '+' && reply[0] != '-' || strings.ContainsAny(string(reply), "\r\n")) {
				t.Fatalf("%q is answered by %q", line, reply)
			}
			for a := b.Take(); len(a) > 0; a = b.Take() {
				for _, a := range a {
					if a, ok := a.(StartJob); ok {
						b.JobStarted(b.now, a.Job)
						b.JobDone(b.now, a.Job, 9, nil)
					}
					if a, ok := a.(SendFile); ok {
						b.PayloadData(a.Payload, []byte("REDIS0010"))
						b.PayloadEnd(b.now, a.Payload, nil)
					}
				}
			}
			b.feed(0, "SET b 1")
			b.EndRound(b.now)
			b.output(r)
			b.now += 100
			b.Tick(b.now)
		}
		if r.stream.open() && r.streaming() && r.stream.pos != b.History.Offset {
			t.Fatalf("everything was read, and the replica is at %d of %d", r.stream.pos, b.History.Offset)
		}
		b.ReplicaClosed(b.now, r)
		for _, c := range b.Backlog.list {
			if c.refs != 0 {
				t.Fatal("a cursor is left")
			}
		}
	})
}
