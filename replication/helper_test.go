package replication

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// bench is a node with what it asked for.
type bench struct {
	*Node
	t   *testing.T
	now int64
	did []Action
	ids int
}

func defaults() Settings {
	return Settings{BacklogSize: 1 << 20, BacklogTTL: 3600, Timeout: 60, PingPeriod: 10, DisklessDelay: 0, Port: 7000}
}

func newBench(t *testing.T, s Settings) *bench {
	b := &bench{t: t, now: 1_000_000}
	b.Node = New(Options{
		NewID: func() string { b.ids++; return fmt.Sprintf("%040x", b.ids) },
		Loadable: func(head []byte) string {
			if !bytes.HasPrefix(head, []byte("REDIS00")) {
				return "wrong signature"
			}
			return ""
		},
	}, s)
	return b
}

// take keeps what the node asks for.
func (b *bench) take() {
	for a := b.Take(); len(a) > 0; a = b.Take() {
		b.did = append(b.did, a...)
	}
}

// found returns the last action of a type, and forgets all up to it.
func found[A Action](b *bench) A {
	b.t.Helper()
	b.take()
	for i := len(b.did) - 1; i >= 0; i-- {
		if a, ok := b.did[i].(A); ok {
			b.did = b.did[i+1:]
			return a
		}
	}
	var none A
	b.t.Fatalf("no %T among %s", none, b.kinds())
	return none
}

// none holds that there is no action of a type.
func none[A Action](b *bench) {
	b.t.Helper()
	b.take()
	for _, a := range b.did {
		if a, ok := a.(A); ok {
			b.t.Fatalf("%T was asked for: %+v", a, a)
		}
	}
}

func (b *bench) kinds() string {
	var k []string
	for _, a := range b.did {
		if l, ok := a.(Log); ok {
			k = append(k, "log "+l.Text)
		} else {
			k = append(k, fmt.Sprintf("%T", a))
		}
	}
	return strings.Join(k, "\n")
}

// logged holds that a line of the log has a text.
func (b *bench) logged(text string) {
	b.t.Helper()
	b.take()
	for _, a := range b.did {
		if l, ok := a.(Log); ok && strings.Contains(l.Text, text) {
			return
		}
	}
	b.t.Fatalf("no line %q in\n%s", text, b.kinds())
}

// pass lets seconds pass in ticks.
func (b *bench) pass(seconds int) {
	for range seconds * 10 {
		b.now += 100
		b.Tick(b.now)
		b.take()
	}
}

func args(line string) [][]byte { return bytes.Fields([]byte(line)) }

// replica makes a connection that introduces itself as real ones do.
func (b *bench) replica(port int) *Replica {
	r := b.NewReplica(nil, "127.0.0.1")
	for _, line := range []string{fmt.Sprint("listening-port ", port), "capa eof capa psync2"} {
		if reply := b.Replconf(b.now, r, args(line)); reply != "+OK" {
			b.t.Fatalf("REPLCONF %s: %s", line, reply)
		}
	}
	return r
}

// output reads all that a replica gets.
func (b *bench) output(r *Replica) string {
	var got []byte
	for r.Pending() {
		n := 0
		most := 100 // and more when there is much
		if len(got) > 5000 {
			most = 1 << 20
		}
		for _, p := range r.Output(nil, most) {
			got = append(got, p...)
			n += len(p)
		}
		if n == 0 {
			b.t.Fatal("output is pending, and there is none")
		}
		r.Wrote(b.now, n)
	}
	b.take()
	return string(got)
}

// sync brings a replica online by a file.
func (b *bench) sync(port int) *Replica {
	b.t.Helper()
	r := b.replica(port)
	if reply := b.Psync(b.now, r, args("? -1"), false, ""); reply != "" {
		b.t.Fatal(reply)
	}
	j := found[StartJob](b).Job
	b.JobStarted(b.now, j)
	b.JobDone(b.now, j, 9, nil)
	f := found[SendFile](b)
	b.PayloadData(f.Payload, []byte("REDIS0010"))
	b.PayloadEnd(b.now, f.Payload, nil)
	want := fmt.Sprintf("+FULLRESYNC %s %d\r\n$9\r\nREDIS0010", b.History.ID, b.History.Offset)
	if got := b.output(r); got != want {
		b.t.Fatalf("full synchronisation: %q, want %q", got, want)
	}
	if r.State != Online {
		b.t.Fatalf("state %s", r.State)
	}
	return r
}

func (b *bench) feed(db int, line string) { b.Feed(db, args(line)) }

func encode(line string) string { return string(AppendCommand(nil, args(line))) }
