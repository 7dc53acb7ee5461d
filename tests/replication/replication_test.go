// Package replication runs Ferrous as master and as replica of Ferrous and of redis-server, and compares data and offsets.
package replication

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// start starts a server of a kind: ferrous or redis.
func start(t *testing.T, kind string, args ...string) *harness.Server {
	t.Helper()
	args = append([]string{"--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"}, args...)
	if kind == "redis" {
		return harness.StartRedis(t, args...)
	}
	// Debian's redis-server loads no higher version. Streams would ask for 11, for active times of consumers.
	return harness.StartFerrous(t, append([]string{"--rdb-version", "10"}, args...)...)
}

// pairings are master and replica.
var pairings = [][2]string{{"ferrous", "ferrous"}, {"ferrous", "redis"}, {"redis", "ferrous"}}

// follow makes a server a replica of the port.
func follow(t *testing.T, s *harness.Server, port int) {
	t.Helper()
	if v := s.Dial(t).Must("REPLICAOF", "127.0.0.1", strconv.Itoa(port)); v.Str != "OK" {
		t.Fatalf("REPLICAOF: %s", v.Str)
	}
}

// until polls for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
	}
}

// field returns a field of INFO, "" if there is none.
func field(t *testing.T, s *harness.Server, section, name string) string {
	t.Helper()
	info, err := s.Info(section)
	if err != nil {
		return ""
	}
	return info[name]
}

func intField(t *testing.T, s *harness.Server, section, name string) int64 {
	n, _ := strconv.ParseInt(field(t, s, section, name), 10, 64)
	return n
}

// linkUp waits until a replica's link is up.
func linkUp(t *testing.T, s *harness.Server) {
	t.Helper()
	until(t, "the link of "+s.Name+" is up", func() bool { return field(t, s, "replication", "master_link_status") == "up" })
}

// converge waits until all servers have the offset of the first, and compares their data. Nobody may write meanwhile.
func converge(t *testing.T, master *harness.Server, replicas ...*harness.Server) {
	t.Helper()
	stop := master.Dial(t)
	// Keys that expire would be deleted at any time.
	until(t, "no key expires any more", func() bool {
		for _, v := range mustInfo(t, stop, "keyspace") {
			if !strings.Contains(v, "expires=0") {
				return false
			}
		}
		return true
	})
	for _, r := range replicas {
		linkUp(t, r)
		until(t, "equal offsets", func() bool {
			return intField(t, master, "replication", "master_repl_offset") == intField(t, r, "replication", "slave_repl_offset")
		})
		want, got := digest(t, master), digest(t, r)
		// A ping may come in between, but no change.
		if want != got {
			t.Errorf("%s: digest %s, its master's %s\n%s", r.Name, got, want, differences(t, master, r))
		}
	}
}

func mustInfo(t *testing.T, c *harness.Conn, section string) map[string]string {
	t.Helper()
	info, err := c.Info(section)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func digest(t *testing.T, s *harness.Server) string { return s.Dial(t).Must("DEBUG", "DIGEST").Str }

// differences lists some keys that are not the same.
func differences(t *testing.T, a, b *harness.Server) string {
	var out strings.Builder
	for _, db := range []string{"0", "1", "9"} {
		ca, cb := a.Dial(t), b.Dial(t)
		ca.Must("SELECT", db)
		cb.Must("SELECT", db)
		keys := make(map[string]bool)
		for _, c := range []*harness.Conn{ca, cb} {
			for _, k := range c.Must("KEYS", "*").Elems {
				keys[k.Str] = true
			}
		}
		for k := range keys {
			x, y := ca.Must("DEBUG", "DIGEST-VALUE", k), cb.Must("DEBUG", "DIGEST-VALUE", k)
			if fmt.Sprint(x) != fmt.Sprint(y) {
				fmt.Fprintf(&out, "db %s key %q type %s / %s\n", db, k, ca.Must("TYPE", k).Str, cb.Must("TYPE", k).Str)
			}
		}
	}
	return out.String()
}

// TestPairs: after random writes of all types, with others that block for elements, the replica has the data and the offset of its
// master, in both roles of the servers, and whether the payload comes from disk or not.
func TestPairs(t *testing.T) {
	seed := random.Seed(t)
	for _, pair := range pairings {
		for _, diskless := range []string{"yes", "no"} {
			t.Run(pair[0]+"-"+pair[1]+"/diskless-"+diskless, func(t *testing.T) {
				t.Parallel()
				master := start(t, pair[0], "--repl-diskless-sync", diskless)
				replica := start(t, pair[1])
				w := newWriter(seed)
				c := master.Dial(t)
				if err := w.batch(c, 2000); err != nil {
					t.Fatal(err)
				}
				stop := make(chan struct{})
				done := make(chan struct{}, 2)
				for i := range uint64(2) {
					go func() { pop(master, seed+i, stop); done <- struct{}{} }()
				}
				follow(t, replica, master.Port)
				for i := 0; i < 40 || field(t, replica, "replication", "master_link_status") != "up" && i < 10_000; i++ {
					if err := w.batch(c, 100); err != nil {
						t.Fatal(err)
					}
				}
				for range 40 {
					if err := w.batch(c, 100); err != nil {
						t.Fatal(err)
					}
				}
				close(stop)
				<-done
				<-done
				converge(t, master, replica)
				if n := intField(t, master, "stats", "sync_full"); n != 1 {
					t.Errorf("%d full synchronisations", n)
				}
			})
		}
	}
}

// TestChain: a chain of three has the same data, ids and offsets, with a redis-server at any place of it.
func TestChain(t *testing.T) {
	seed := random.Seed(t)
	for _, kinds := range [][3]string{{"ferrous", "ferrous", "ferrous"}, {"redis", "ferrous", "redis"}, {"ferrous", "redis", "ferrous"}} {
		t.Run(strings.Join(kinds[:], "-"), func(t *testing.T) {
			t.Parallel()
			var s [3]*harness.Server
			for i, kind := range kinds {
				s[i] = start(t, kind)
			}
			w := newWriter(seed)
			c := s[0].Dial(t)
			if err := w.batch(c, 500); err != nil {
				t.Fatal(err)
			}
			follow(t, s[1], s[0].Port)
			linkUp(t, s[1])
			follow(t, s[2], s[1].Port)
			for range 30 {
				if err := w.batch(c, 100); err != nil {
					t.Fatal(err)
				}
			}
			linkUp(t, s[2])
			for range 30 {
				if err := w.batch(c, 100); err != nil {
					t.Fatal(err)
				}
			}
			converge(t, s[0], s[1], s[2])
			if a, b := field(t, s[0], "replication", "master_replid"), field(t, s[2], "replication", "master_replid"); a != b {
				t.Errorf("replid %s at the end of the chain, %s at its head", b, a)
			}
		})
	}
}

// TestCuts: the link is cut again and again, at bytes of every kind, and what the master sends arrives in small pieces. Each return
// is a partial synchronisation, but where the payload itself was cut.
func TestCuts(t *testing.T) {
	seed := random.Seed(t)
	for _, pair := range pairings {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			t.Parallel()
			master := start(t, pair[0], "--repl-backlog-size", "100mb")
			replica := start(t, pair[1])
			p := newProxy(t, master.Addr)
			p.split.Store(true)
			w := newWriter(seed)
			c := master.Dial(t)
			if err := w.batch(c, 300); err != nil {
				t.Fatal(err)
			}
			// In the handshake and the payload: PING's reply, the frame, the first bytes of the file, and on.
			for _, at := range []int64{3, 9, 20, 70, 110, 150, 160, 170, 400, 2000} {
				p.cutAfter.Store(at)
				if at == 3 {
					follow(t, replica, p.port)
				}
				until(t, "a cut in the synchronisation", func() bool {
					return p.cutAfter.Load() == 0 || field(t, replica, "replication", "master_link_status") == "up"
				})
			}
			p.cutAfter.Store(0)
			linkUp(t, replica)
			full := intField(t, master, "stats", "sync_full")
			for range 40 {
				cuts := p.cuts.Load()
				p.cutAfter.Store(1 + w.Int64N(3000))
				for i := 0; p.cuts.Load() == cuts && i < 1000; i++ {
					if err := w.batch(c, 20); err != nil {
						t.Fatal(err)
					}
				}
			}
			p.split.Store(false)
			linkUp(t, replica)
			converge(t, master, replica)
			if now := intField(t, master, "stats", "sync_full"); now != full {
				t.Errorf("%d full synchronisations for cuts of the stream", now-full)
			}
			if n := intField(t, master, "stats", "sync_partial_ok"); n < 20 {
				t.Errorf("%d partial synchronisations", n)
			}
		})
	}
}

// TestPromotion: a replica is promoted and takes writes, the old master comes back as its replica, then the roles change back: all by
// partial synchronisations.
func TestPromotion(t *testing.T) {
	seed := random.Seed(t)
	for _, pair := range append(pairings, [2]string{"redis", "ferrous"}) {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			t.Parallel()
			a, b := start(t, pair[0]), start(t, pair[1])
			w := newWriter(seed)
			follow(t, b, a.Port)
			linkUp(t, b)
			for range 4 {
				c := a.Dial(t)
				c.Must("SELECT", w.pick("0", "1", "9"))
				if err := w.batch(c, 300); err != nil {
					t.Fatal(err)
				}
				converge(t, a, b)
				full := intField(t, a, "stats", "sync_full") + intField(t, b, "stats", "sync_full")
				b.Dial(t).Must("REPLICAOF", "NO", "ONE")
				cb := b.Dial(t)
				if err := w.batch(cb, 100); err != nil {
					t.Fatal(err)
				}
				follow(t, a, b.Port)
				linkUp(t, a)
				converge(t, b, a)
				if now := intField(t, a, "stats", "sync_full") + intField(t, b, "stats", "sync_full"); now != full {
					t.Errorf("%d full synchronisations for a change of roles", now-full)
				}
				a, b = b, a
			}
		})
	}
}

// TestKilled: a replica that is killed comes back and has everything; so has one whose master is killed and started anew.
func TestKilled(t *testing.T) {
	seed := random.Seed(t)
	w := newWriter(seed)
	dir := t.TempDir()
	master := start(t, "ferrous", "--appendonly", "yes", "--appendfsync", "always", "--dir", dir)
	c := master.Dial(t)
	for i := range 4 {
		replica := start(t, "ferrous")
		follow(t, replica, master.Port)
		for range i * 3 {
			if err := w.batch(c, 100); err != nil {
				t.Fatal(err)
			}
		}
		replica.Kill() // in the handshake, the payload or the stream
	}
	replica := start(t, "ferrous", "--appendonly", "yes")
	follow(t, replica, master.Port)
	if err := w.batch(c, 500); err != nil {
		t.Fatal(err)
	}
	converge(t, master, replica)
	master.Kill()
	until(t, "the replica knows", func() bool { return field(t, replica, "replication", "master_link_status") == "down" })
	again := start(t, "ferrous", "--appendonly", "yes", "--appendfsync", "always", "--dir", dir)
	follow(t, replica, again.Port)
	if err := w.batch(again.Dial(t), 200); err != nil {
		t.Fatal(err)
	}
	converge(t, again, replica)
}

// TestDumpOfNobody: a dump that is made for replicas only ends when they have gone, unless save points want one.
func TestDumpOfNobody(t *testing.T) {
	for _, points := range []string{"", "900 1"} {
		master := start(t, "ferrous", "--repl-diskless-sync", "no", "--rdb-key-save-delay", "60000000", "--save", points)
		c := master.Dial(t)
		c.Must("MSET", "a", "1", "b", "2")
		replicas := []*harness.Server{start(t, "ferrous"), start(t, "ferrous")}
		for _, r := range replicas {
			follow(t, r, master.Port)
		}
		saving := func() string { return mustInfo(t, c, "persistence")["rdb_bgsave_in_progress"] }
		until(t, "both wait for the dump", func() bool {
			info := mustInfo(t, c, "replication")
			return saving() == "1" && strings.Contains(info["slave0"], "wait_bgsave") && strings.Contains(info["slave1"], "wait_bgsave")
		})
		for i, r := range replicas {
			r.Dial(t).Must("REPLICAOF", "NO", "ONE")
			until(t, "a replica has gone", func() bool { return mustInfo(t, c, "replication")["connected_slaves"] == strconv.Itoa(1-i) })
			if i == 0 && saving() != "1" {
				t.Error("the dump ends while a replica waits for it")
			}
		}
		if points == "" {
			until(t, "the dump ends", func() bool { return saving() == "0" })
		} else if saving() != "1" {
			t.Error("the dump ends, and save points want it")
		}
		c.Must("CONFIG", "SET", "rdb-key-save-delay", "0")
		follow(t, replicas[0], master.Port)
		linkUp(t, replicas[0])
	}
}

// TestFlushedDuringSync: FLUSHALL ends a full synchronisation in progress, of keys that are gone. The replica synchronizes again.
func TestFlushedDuringSync(t *testing.T) {
	for _, pair := range pairings {
		for _, diskless := range []string{"yes", "no"} {
			t.Run(pair[0]+"-"+pair[1]+"/diskless-"+diskless, func(t *testing.T) {
				t.Parallel()
				master := start(t, pair[0], "--repl-diskless-sync", diskless, "--rdbcompression", "no", "--dir", t.TempDir())
				replica := start(t, pair[1], "--dir", t.TempDir())
				c := master.Dial(t)
				c.Must("DEBUG", "POPULATE", "1000", "key", "20000")
				c.Must("CONFIG", "SET", "rdb-key-save-delay", "100000") // 100 seconds in all
				follow(t, replica, master.Port)
				until(t, "the synchronisation is in progress", func() bool {
					return diskless == "yes" && intField(t, replica, "replication", "master_sync_read_bytes") > 0 ||
						diskless == "no" && field(t, master, "persistence", "rdb_bgsave_in_progress") == "1"
				})
				c.Must("FLUSHALL")
				c.Must("SET", "after", "1")
				converge(t, master, replica)
				if n := intField(t, master, "stats", "sync_full"); n != 2 {
					t.Errorf("%d full synchronisations", n)
				}
				if v := replica.Dial(t).Must("DBSIZE"); v.Int() != 1 {
					t.Errorf("the replica has %d keys", v.Int())
				}
			})
		}
	}
}
