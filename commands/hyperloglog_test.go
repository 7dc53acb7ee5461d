package commands

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/datatypes/hyperloglog"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

func TestHyperLogLogEffects(t *testing.T) {
	const (
		corrupt = "-" + session.ErrCorruptHLL + "\r\n"
		not     = "-" + session.ErrNotHLL + "\r\n"
	)
	checkEffects(t, []setupEffect{
		{"", "pfadd k", ":1\r\n", "=", 1, "pfadd k"},
		{"", "pfadd k a b a", ":1\r\n", "=", 3, "pfadd k"},
		{"pfadd k a", "pfadd k", ":0\r\n", "", 0, ""},
		{"pfadd k a", "pfadd k a", ":0\r\n", "", 0, ""},
		{"pfadd k a", "pfadd k a b c", ":1\r\n", "=", 2, "pfadd k"},
		{"pfadd k a; pfdebug todense k", "pfadd k a", ":0\r\n", "", 0, ""},
		{"pfadd k a; pfdebug todense k", "pfadd k a b c", ":1\r\n", "=", 2, "pfadd k"},
		{"set k 12", "pfadd k a", not, "", 0, ""},
		{"pfadd k a; append k x", "pfadd k a", ":0\r\n", "", 0, ""},

		{"pfadd k a b", "pfcount k", ":2\r\n", "=", 1, ""},
		{"pfadd k a b; pfcount k", "pfcount k", ":2\r\n", "", 0, ""},
		{"pfadd k a b; pfcount k; pfadd k b", "pfcount k", ":2\r\n", "", 0, ""},
		{"pfadd k a b; pfadd j b c", "pfcount k j none", ":3\r\n", "", 0, "keymiss none"},
		{"", "pfcount k", ":0\r\n", "", 0, "keymiss k"},
		{"set k 12", "pfcount k", not, "", 0, ""},
		{"pfadd k a; append k x", "pfcount k", corrupt, "", 0, ""},
		{"pfadd k a; append k x", "pfcount k k", corrupt, "", 0, ""},

		{"pfadd a a b; pfadd b b c", "pfmerge d a b", "+OK\r\n", "=", 1, "keymiss d; pfadd d"},
		{"", "pfmerge d", "+OK\r\n", "=", 1, "keymiss d; pfadd d"},
		{"pfadd a a; set b x", "pfmerge d a b", not, "", 0, "keymiss d"},
		{"pfadd a a; append a x", "pfmerge d a", corrupt, "", 0, "keymiss d"},

		{"pfadd k a", "pfdebug encoding k", "+sparse\r\n", "", 0, ""},
		{"pfadd k a", "pfdebug todense k", ":1\r\n", "=", 1, ""},
		{"pfadd k a; pfdebug todense k", "pfdebug todense k", ":0\r\n", "", 0, ""},
		{"pfadd k a; pfdebug todense k", "pfdebug decode k", "-" + session.ErrDenseHLL + "\r\n", "", 0, ""},
		{"pfadd k a; append k x", "pfdebug todense k", corrupt, "", 0, ""},
		{"", "pfdebug encoding k", "-" + session.ErrNoHLLKey + "\r\n", "", 0, ""},
		{"pfadd k a", "pfdebug nonsense k", "-ERR Unknown PFDEBUG subcommand 'nonsense'\r\n", "", 0, ""},
	})
	// An element that was added before another met the corruption stays, and is not kept from replicas.
	ts := newTestServer(t)
	runs := "HYLL\x01" + strings.Repeat("\x00", 11) + "\x5f\xff" // the lower half of the registers
	ts.do("set", "k", runs)
	ts.recordFeed()
	dirty := ts.Dirty
	var low, high string // elements of either half
	for i := range 100 {
		e := fmt.Sprint(i)
		if index, _ := hyperloglog.Locate([]byte(e)); index < hyperloglog.Registers/2 {
			low = e
		} else {
			high = e
		}
	}
	line := "pfadd k " + low + " " + high
	if got := ts.doLine(line); got != corrupt {
		t.Errorf("%s: %q", line, got)
	}
	if got := ts.propagated(); got != line || ts.Dirty != dirty+1 {
		t.Errorf("%s: propagated %q, dirty %d", line, got, ts.Dirty-dirty)
	}
}

func TestHyperLogLogAllocs(t *testing.T) {
	ts := newTestServer(t)
	for i := range 3000 {
		ts.do("pfadd", "dense", fmt.Sprint(i))
		if i < 200 {
			ts.do("pfadd", "sparse", fmt.Sprint(i))
			ts.do("pfadd", "sparse2", fmt.Sprint(i*7))
		}
	}
	if a, b := ts.doLine("pfdebug encoding dense"), ts.doLine("pfdebug encoding sparse"); a != "+dense\r\n" || b != "+sparse\r\n" {
		t.Fatal(a, b)
	}
	n := 0
	for _, cmd := range []string{"pfadd sparse 1", "pfadd dense 1", "pfadd dense NEW", "pfcount dense",
		"pfcount dense sparse sparse2", "pfmerge sparse sparse2", "pfmerge dense sparse"} {
		words := strings.Fields(cmd)
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		got := allocations(1000, func() {
			if words[len(words)-1] == "NEW" {
				n++
				args[2] = fmt.Append(args[2][:0], n)
			}
			ts.run(ts.c, args)
		})
		limit := 0.0
		if words[len(words)-1] == "NEW" {
			limit = 1 // of the test itself
		} else if words[1] == "dense" && words[0] == "pfmerge" {
			limit = 1 // the copy that is merged into
		}
		if got > limit {
			t.Errorf("%s: %v allocations, want at most %v (reply %.40q)", cmd, got, limit, ts.w.Buf)
		}
	}
}

// While a snapshot is held values must not be written, not even by PFCOUNT; what the snapshot has stays as it was.
func TestHyperLogLogSnapshot(t *testing.T) {
	ts := newTestServer(t)
	for i := range 40 {
		key := fmt.Sprint("k", i)
		for e := range i * i * 3 {
			ts.do("pfadd", key, fmt.Sprint(e))
		}
	}
	frozen := map[string]string{}
	db := ts.Keyspace.DBs()[0]
	db.Each(func(r *record.Record) bool {
		frozen[string(r.Key())] = string(r.AppendTo(nil))
		return true
	})
	snap, err := ts.Keyspace.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	go func() {
		bad := ""
		snap.Walk(func(_ int, r *record.Record) bool {
			if string(r.AppendTo(nil)) != frozen[string(r.Key())] {
				bad = string(r.Key())
			}
			return true
		})
		done <- bad
	}()
	rnd := rand.New(rand.NewPCG(6, 2))
	for range 2000 {
		key := fmt.Sprint("k", rnd.IntN(40))
		switch rnd.IntN(5) {
		case 0:
			ts.do("pfadd", key, fmt.Sprint(rnd.IntN(10000)))
		case 1:
			ts.do("pfmerge", key, fmt.Sprint("k", rnd.IntN(10)))
		case 2:
			ts.do("pfdebug", "todense", key)
		default:
			ts.do("pfcount", key)
		}
	}
	if bad := <-done; bad != "" {
		t.Errorf("%s changed in the snapshot", bad)
	}
	snap.Release()
	sum := db.Overhead()
	db.Each(func(r *record.Record) bool {
		sum += keyspace.Size(r)
		return true
	})
	if got := db.Bytes(); got != sum {
		t.Errorf("%d bytes accounted, %d there", got, sum)
	}
}

// A sparse value has little room to spare, so that many of them cost what they hold.
func TestHyperLogLogMemory(t *testing.T) {
	ts := newTestServer(t)
	for i := range 1400 {
		ts.do("pfadd", "k", fmt.Sprint(i))
	}
	r := ts.Keyspace.DBs()[0].Peek([]byte("k"))
	if n := r.StringLen(); n < 2000 || n > 3000 || r.Size() > n+700 {
		t.Errorf("%d bytes of value take %d", n, r.Size())
	}
}

func TestPFSelfTest(t *testing.T) {
	if testing.Short() {
		t.Skip("half a second")
	}
	ts := newTestServer(t)
	if got := ts.doLine("pfselftest"); got != "+OK\r\n" {
		t.Error(got)
	}
	ts = newTestServer(t, "hll-sparse-max-bytes", "24")
	if got := ts.doLine("pfselftest"); got != "-ERR TESTFAILED sparse encoding not used\r\n" {
		t.Error(got)
	}
}

func BenchmarkHyperLogLog(b *testing.B) {
	ts := newTestServer(b)
	for i := range 3000 {
		ts.do("pfadd", "dense", fmt.Sprint(i))
		if i < 1000 {
			ts.do("pfadd", "sparse", fmt.Sprint(i))
		}
	}
	for _, cmd := range []string{"pfadd sparse 1", "pfadd dense 1", "pfcount dense", "pfcount dense sparse", "pfcount sparse sparse",
		"pfmerge d1 sparse", "pfmerge d2 dense sparse"} {
		b.Run(strings.ReplaceAll(cmd, " ", "_"), func(b *testing.B) {
			var args [][]byte
			for _, w := range strings.Fields(cmd) {
				args = append(args, []byte(w))
			}
			b.ReportAllocs()
			for b.Loop() {
				ts.run(ts.c, args)
			}
		})
	}
}
