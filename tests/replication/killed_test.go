package replication

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// killState is a state of a link in which a server is killed.
type killState struct {
	name            string
	master, replica []string // arguments that make the state last
	stalled         bool     // nothing goes through the proxy
	reached         func(t *testing.T, master, replica *harness.Server, p *proxy) bool
}

var killStates = []killState{
	{name: "handshake", stalled: true, reached: func(t *testing.T, master, replica *harness.Server, p *proxy) bool {
		return p.conns.Load() > 0
	}},
	{name: "wait_bgsave", master: []string{"--repl-diskless-sync-delay", "1000"},
		reached: func(t *testing.T, master, replica *harness.Server, p *proxy) bool {
			return strings.Contains(field(t, master, "replication", "slave0"), "state=wait_bgsave")
		}},
	{name: "streamed payload", master: []string{"--rdb-key-save-delay", "10000", "--rdbcompression", "no"},
		reached: func(t *testing.T, master, replica *harness.Server, p *proxy) bool {
			return intField(t, replica, "replication", "master_sync_read_bytes") > 0
		}},
	{name: "dump", master: []string{"--repl-diskless-sync", "no", "--rdb-key-save-delay", "10000"},
		reached: func(t *testing.T, master, replica *harness.Server, p *proxy) bool {
			return field(t, master, "persistence", "rdb_bgsave_in_progress") == "1"
		}},
	{name: "loading", replica: []string{"--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"},
		reached: func(t *testing.T, master, replica *harness.Server, p *proxy) bool {
			return field(t, replica, "persistence", "loading") == "1"
		}},
	{name: "online", reached: func(t *testing.T, master, replica *harness.Server, p *proxy) bool {
		return strings.Contains(field(t, master, "replication", "slave0"), "state=online") &&
			intField(t, replica, "replication", "slave_repl_offset") > 20_000
	}},
}

// TestKilledInEachState: the master or the replica is killed in each state of the link, while a client writes. Started anew from what
// its disk holds, they have the same data and offsets again, and all that was acknowledged: the master has a file of every write.
func TestKilledInEachState(t *testing.T) {
	seed := random.Seed(t)
	for _, pair := range pairings {
		for _, state := range killStates {
			for _, victim := range []string{"master", "replica"} {
				t.Run(fmt.Sprintf("%s-%s/%s/%s", pair[0], pair[1], state.name, victim), func(t *testing.T) {
					t.Parallel()
					killedIn(t, seed, pair, &state, victim == "master")
				})
			}
		}
	}
}

func killedIn(t *testing.T, seed uint64, pair [2]string, state *killState, killMaster bool) {
	masterArgs := []string{"--appendonly", "yes", "--appendfsync", "always", "--dir", t.TempDir()}
	replicaArgs := []string{"--dir", t.TempDir()}
	master := start(t, pair[0], append(masterArgs, state.master...)...)
	replica := start(t, pair[1], append(replicaArgs, state.replica...)...)
	w := newWriter(seed)
	c := master.Dial(t)
	if err := w.batch(c, 1000); err != nil {
		t.Fatal(err)
	}
	for i := range 64 { // more than masters gather of a payload before they send it
		c.Must("SET", fmt.Sprint("pad", i), strings.Repeat("x", 16<<10))
	}
	p := newProxy(t, master.Addr)
	p.stalled.Store(state.stalled)
	follow(t, replica, p.port)
	counter, acked := master.Dial(t), 0 // the random writes have selected some database
	until(t, state.name, func() bool {
		if v, err := counter.Do("INCR", "acked"); err != nil || v.Int() != int64(acked+1) {
			t.Fatalf("INCR: %v %v", v, err)
		}
		acked++
		if err := w.batch(c, 20); err != nil {
			t.Fatal(err)
		}
		return state.reached(t, master, replica, p)
	})

	if killMaster {
		master.Kill()
	} else {
		replica.Kill()
	}
	p.cut()
	p.ln.Close()
	if killMaster {
		until(t, "the replica knows", func() bool { return field(t, replica, "replication", "master_link_status") == "down" })
		master = start(t, pair[0], masterArgs...)
		until(t, "the data are loaded", func() bool { return field(t, master, "persistence", "loading") == "0" })
		replica.Dial(t).Must("CONFIG", "SET", "key-load-delay", "0")
		until(t, "the replica takes REPLICAOF", func() bool {
			v, err := replica.Dial(t).Do("REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port))
			return err == nil && v.Str == "OK"
		})
	} else {
		d := master.Dial(t)
		d.Must("CONFIG", "SET", "rdb-key-save-delay", "0")
		d.Must("CONFIG", "SET", "repl-diskless-sync-delay", "0")
		replica = start(t, pair[1], append(replicaArgs, "--replicaof", "127.0.0.1", strconv.Itoa(master.Port))...)
	}
	c = master.Dial(t)
	if v := c.Must("GET", "acked"); v.Str != strconv.Itoa(acked) {
		t.Errorf("the master has %s of %d acknowledged writes", v.Str, acked)
	}
	if err := w.batch(c, 200); err != nil {
		t.Fatal(err)
	}
	converge(t, master, replica)
}
