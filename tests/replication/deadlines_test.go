package replication

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// deadline returns a number of milliseconds until a key or field expires: soon, or within an hour.
func (w *writer) deadline() int {
	if w.IntN(4) == 0 {
		return 1 + w.IntN(500)
	}
	return 600_000 + w.IntN(3_000_000)
}

// timed returns a write that gives a deadline or takes one, in one of the forms that there are. fields allows deadlines of hash fields.
func (w *writer) timed(fields bool) []string {
	ms := w.deadline()
	now := time.Now().UnixMilli()
	px, ex := strconv.Itoa(ms), strconv.Itoa(ms/1000+1)
	pxat, exat := strconv.FormatInt(now+int64(ms), 10), strconv.FormatInt((now+int64(ms))/1000+1, 10)
	s, h := w.key("s"), w.key("h")
	n := 13
	if fields {
		n = 20
	}
	switch w.IntN(n) {
	case 0:
		return []string{"SET", s, w.word(), "PX", px}
	case 1:
		return []string{"SET", s, w.word(), "EX", ex, w.pick("NX", "XX", "GET")}
	case 2:
		return []string{"SET", s, w.word(), "PXAT", pxat}
	case 3:
		return []string{"SET", s, w.word(), "EXAT", exat}
	case 4:
		return []string{"SETEX", s, ex, w.word()}
	case 5:
		return []string{"PSETEX", s, px, w.word()}
	case 6:
		return []string{"EXPIRE", w.any(), ex, w.pick("NX", "XX", "GT", "LT")}
	case 7:
		return []string{"PEXPIRE", w.any(), px}
	case 8:
		return []string{"EXPIREAT", w.any(), exat}
	case 9:
		return []string{"PEXPIREAT", w.any(), pxat, w.pick("NX", "XX", "GT", "LT")}
	case 10:
		return []string{"GETEX", s, w.pick("PX", "PXAT"), pxat} // as milliseconds from now, centuries
	case 11:
		return []string{"EVAL", "redis.call('RPUSH', KEYS[1], 'x'); redis.call('PEXPIRE', KEYS[1], ARGV[1]); return redis.call('SET', KEYS[2], 'y', 'EX', ARGV[2])",
			"2", w.key("l"), s, px, ex}
	case 12:
		return []string{"RESTORE", "restored" + w.num(9), px, "\x00\x05hello\n\x00cr\xdfve4 \n", "REPLACE"}
	case 13:
		return []string{"HPEXPIRE", h, px, w.pick("NX", "XX", "GT", "LT"), "FIELDS", "2", w.num(99), "count"}
	case 14:
		return []string{"HEXPIRE", h, ex, "FIELDS", "2", w.num(99), w.num(99)}
	case 15:
		return []string{"HPEXPIREAT", h, pxat, "FIELDS", "1", "count"}
	case 16:
		return []string{"HEXPIREAT", h, exat, "FIELDS", "1", w.num(99)}
	case 17:
		return []string{"HSETEX", h, "PX", px, "FIELDS", "2", w.num(99), w.word(), w.num(99), w.word()}
	case 18:
		return []string{"HGETEX", h, "EX", ex, "FIELDS", "2", w.num(99), "count"}
	default:
		return []string{"HPERSIST", h, "FIELDS", "1", w.num(99)}
	}
}

// deadlines returns when each key and each field of a hash expires, of those that expire after the moment.
func deadlines(t *testing.T, s *harness.Server, after int64, fields bool) []string {
	t.Helper()
	c := s.Dial(t)
	var all []string
	for _, db := range []string{"0", "1", "9"} {
		c.Must("SELECT", db)
		for _, k := range c.Must("KEYS", "*").Elems {
			if at := c.Must("PEXPIRETIME", k.Str).Int(); at > after {
				all = append(all, fmt.Sprintf("db %s key %q at %d", db, k.Str, at))
			}
			if !fields || c.Must("TYPE", k.Str).Str != "hash" {
				continue
			}
			names := c.Must("HKEYS", k.Str).Elems
			if len(names) == 0 {
				continue
			}
			args := []string{"HPEXPIRETIME", k.Str, "FIELDS", strconv.Itoa(len(names))}
			for _, f := range names {
				args = append(args, f.Str)
			}
			for i, at := range c.Must(args...).Elems {
				if at.Int() > after {
					all = append(all, fmt.Sprintf("db %s key %q field %q at %d", db, k.Str, names[i].Str, at.Int()))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestDeadlines: a replica that has got as many random writes as come in an hour, at a hundred a second, has its master's data and
// each deadline of it to the millisecond, those of keys that have expired by then among them.
func TestDeadlines(t *testing.T) {
	writes := 20_000
	if harness.Stress() {
		writes = 360_000
	}
	seed := random.Seed(t)
	for _, pair := range pairings {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			t.Parallel()
			fields := pair == [2]string{"ferrous", "ferrous"}
			master, replica := start(t, pair[0]), start(t, pair[1])
			if fields {
				// Deadlines of fields need a version that redis-server 7.0 does not load.
				for _, s := range []*harness.Server{master, replica} {
					s.Dial(t).Must("CONFIG", "SET", "rdb-version", "0")
				}
			}
			w := newWriter(seed)
			c := master.Dial(t)
			for done := 0; done < writes; done += 200 {
				if done == writes/4 {
					follow(t, replica, master.Port) // some of it comes as a payload
				}
				if err := w.batch(c, 140); err != nil {
					t.Fatal(err)
				}
				var buf []byte
				for range 60 {
					buf = harness.AppendCommand(buf, w.timed(fields)...)
				}
				if _, err := c.Write(buf); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Skip(60); err != nil {
					t.Fatal(err)
				}
			}
			linkUp(t, replica)
			// Nothing that is left expires within the next minutes once this has passed.
			moment := time.Now().UnixMilli() + 5_000
			until(t, "what expires soon has expired", func() bool { return time.Now().UnixMilli() > moment })
			until(t, "equal offsets", func() bool {
				return intField(t, master, "replication", "master_repl_offset") == intField(t, replica, "replication", "slave_repl_offset")
			})
			if want, got := digest(t, master), digest(t, replica); want != got {
				t.Errorf("digest %s, the master's %s\n%s", got, want, differences(t, master, replica))
			}
			want, got := deadlines(t, master, moment, fields), deadlines(t, replica, moment, fields)
			if len(want) < 10 || !slices.Equal(want, got) {
				t.Errorf("%d deadlines, the master has %d", len(got), len(want))
				for _, d := range want {
					if !slices.Contains(got, d) {
						t.Error("only the master has", d)
					}
				}
				for _, d := range got {
					if !slices.Contains(want, d) {
						t.Error("only the replica has", d)
					}
				}
			}
			t.Logf("%d writes, %d deadlines, %s expired keys", writes, len(want), field(t, master, "stats", "expired_keys"))
		})
	}
}
