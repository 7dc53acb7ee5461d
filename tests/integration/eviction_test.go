package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// The server warns at its start of limits that cannot hold.
func TestWarningsOfMemory(t *testing.T) {
	for _, c := range []struct {
		maxmemory, gomemlimit string
		want                  string
	}{
		{"100mb", "", ""},
		{"900000gb", "", "the machine or cgroup has"},
		{"512kb", "", "less than 1MB"},
		{"96%", "", "Consider 'maxmemory 75%'"},
		{"0", "200MiB", "GOMEMLIMIT is set: memory is limited to 160.00M"},
		{"1gb", "200MiB", "maxmemory is 1.00G, but GOMEMLIMIT leaves room for 160.00M only"},
	} {
		o := harness.Options{Binary: harness.NeedFerrous(t), Args: []string{"--maxmemory", c.maxmemory}}
		if c.gomemlimit != "" {
			o.Env = []string{"GOMEMLIMIT=" + c.gomemlimit}
		}
		s := harness.StartWith(t, o)
		eventually(t, "the log says that the server is ready", func() bool {
			return strings.Contains(s.Logs(), "Ready to accept connections")
		})
		log := s.Logs()
		warned := strings.Contains(log, "maxmemory") || strings.Contains(log, "GOMEMLIMIT")
		if warned != (c.want != "") || !strings.Contains(log, c.want) {
			t.Errorf("maxmemory %s, GOMEMLIMIT %q: the log is without %q:\n%s", c.maxmemory, c.gomemlimit, c.want, log)
		}
	}
}

// Near GOMEMLIMIT writes are refused, or keys evicted, and the process stays below it.
func TestGoMemoryLimit(t *testing.T) {
	const limit = 96 << 20
	for _, policy := range []string{"noeviction", "allkeys-lru"} {
		s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Args: []string{"--maxmemory-policy", policy},
			Env: []string{"GOMEMLIMIT=" + strconv.Itoa(limit)}})
		c := s.Dial(t)
		value := strings.Repeat("v", 5000)
		refused := false
		for i := range 40_000 { // twice as much as there is room for
			v, err := c.Do("SET", fmt.Sprint("key", i), value)
			if err != nil {
				t.Fatal(err)
			}
			if v.IsError() {
				if refused = true; !strings.HasPrefix(v.Str, "OOM ") {
					t.Fatal(v)
				}
				break
			}
		}
		info, err := c.Info("")
		if err != nil {
			t.Fatal(err)
		}
		used, _ := strconv.Atoi(info["used_memory"])
		if used > limit*9/10 || used < limit/2 {
			t.Errorf("%s: %d bytes are in use, GOMEMLIMIT is %d", policy, used, limit)
		}
		evicted := info["evicted_keys"] != "0"
		if refused != (policy == "noeviction") || evicted != (policy != "noeviction") {
			t.Errorf("%s: refused %v, evicted %v", policy, refused, evicted)
		}
		if v, err := c.Do("GET", "key0"); err != nil || v.IsError() {
			t.Errorf("%s: GET: %v %v", policy, v, err)
		}
	}
}

// What waits for a replica that does not read is no reason to evict.
func TestReplicaBuffersDoNotCount(t *testing.T) {
	s := harness.StartFerrous(t, "--maxmemory-policy", "allkeys-lru", "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16kb",
		"--client-output-buffer-limit", "replica 0 0 0")
	c := s.Dial(t)
	for i := range 200 {
		c.Must("SET", fmt.Sprint("key", i), strings.Repeat("v", 1000))
	}
	replica := s.Dial(t)
	if err := replica.Send("PSYNC", "?", "-1"); err != nil {
		t.Fatal(err)
	}
	info := func(name string) int {
		fields, err := c.Info("")
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(fields[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	eventually(t, "a replica", func() bool {
		fields, err := c.Info("replication")
		return err == nil && strings.Contains(fields["slave0"], "state=online")
	})
	used := info("used_memory") - info("mem_not_counted_for_evict")
	c.Must("CONFIG", "SET", "maxmemory", strconv.Itoa(used+(4<<20)))
	for range 400 { // the same key, 40 MB of stream
		c.Must("SET", "same", strings.Repeat("x", 100_000))
	}
	if n := info("mem_not_counted_for_evict"); n < 10<<20 {
		t.Errorf("%d bytes are not counted", n)
	}
	if n := info("used_memory"); n < info("maxmemory")+(5<<20) {
		t.Errorf("used_memory is %d, without what waits for the replica", n)
	}
	if n := info("evicted_keys"); n != 0 {
		t.Errorf("%d keys were evicted", n)
	}
}

// Nor is what a replica has left behind, which is freed in pieces.
func TestBuffersOfLostReplicaDoNotCount(t *testing.T) {
	s := harness.StartFerrous(t, "--maxmemory-policy", "allkeys-lru", "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16kb",
		"--client-output-buffer-limit", "replica 0 0 0")
	c := s.Dial(t)
	c.Must("SET", "key", "v")
	replica := s.Dial(t)
	if err := replica.Send("PSYNC", "?", "-1"); err != nil {
		t.Fatal(err)
	}
	stats := func() map[string]string {
		info, err := c.Info("")
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	eventually(t, "a replica", func() bool { return strings.Contains(stats()["slave0"], "state=online") })
	used, _ := strconv.Atoi(stats()["used_memory"])
	c.Must("CONFIG", "SET", "maxmemory", strconv.Itoa(used+(4<<20)))
	const writes, batch = 200_000, 1000
	var packet []byte
	for range batch { // the same key, 30 MB of stream
		packet = harness.AppendCommand(packet, "SET", "same", strings.Repeat("x", 100))
	}
	for range writes / batch {
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		if text, err := c.Skip(batch); err != nil || text != "" {
			t.Fatal(err, text)
		}
	}
	if n, _ := strconv.Atoi(stats()["mem_not_counted_for_evict"]); n < 15<<20 {
		t.Fatalf("only %d bytes wait for the replica", n)
	}
	c.Must("CLIENT", "KILL", "TYPE", "replica")
	for range 20 {
		if info := stats(); info["evicted_keys"] != "0" || info["mem_clients_slaves"] != "0" && info["connected_slaves"] == "0" {
			t.Fatalf("%s keys were evicted; %s bytes of replicas", info["evicted_keys"], info["mem_clients_slaves"])
		}
	}
	eventually(t, "what the replica had waiting is freed", func() bool {
		n, _ := strconv.Atoi(stats()["mem_not_counted_for_evict"])
		return n < 1<<20
	})
}

// Of scripts that EVAL brought only some hundred stay.
func TestEvictedScripts(t *testing.T) {
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	for i := range 620 {
		c.Must("EVAL", fmt.Sprintf("return %d", i), "0")
	}
	info, err := c.Info("")
	if err != nil {
		t.Fatal(err)
	}
	if info["evicted_scripts"] != "120" || info["number_of_cached_scripts"] != "500" {
		t.Errorf("%s scripts were evicted, %s stay", info["evicted_scripts"], info["number_of_cached_scripts"])
	}
}
