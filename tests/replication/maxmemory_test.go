package replication

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// A replica does not evict keys (replica-ignore-maxmemory yes), unless the directive is no.
func TestReplicaIgnoresMaxmemory(t *testing.T) {
	for _, pairing := range pairings {
		if pairing[1] != "ferrous" {
			continue
		}
		t.Run(pairing[0], func(t *testing.T) {
			master := start(t, pairing[0])
			replica := start(t, pairing[1], "--maxmemory-policy", "allkeys-lru", "--maxmemory-eviction-tenacity", "100")
			follow(t, replica, master.Port)
			linkUp(t, replica)
			c := master.Dial(t)
			for i := range 500 {
				c.Must("SET", fmt.Sprint("key", i), strings.Repeat("v", 1000))
			}
			converge(t, master, replica)
			r := replica.Dial(t)
			used := intField(t, replica, "memory", "used_memory") - intField(t, replica, "memory", "mem_not_counted_for_evict")
			r.Must("CONFIG", "SET", "maxmemory", strconv.FormatInt(used-200_000, 10))
			c.Must("SET", "more", "v")
			converge(t, master, replica)
			if n := intField(t, replica, "stats", "evicted_keys"); n != 0 {
				t.Errorf("the replica evicted %d keys by itself", n)
			}
			// What the master deletes is deleted, and what it writes is written.
			c.Must("DEL", "key1")
			converge(t, master, replica)

			r.Must("CONFIG", "SET", "replica-ignore-maxmemory", "no")
			until(t, "keys are evicted", func() bool { return intField(t, replica, "stats", "evicted_keys") > 50 })
			if a, b := c.Must("DBSIZE").Int(), r.Must("DBSIZE").Int(); a != 500 || b >= 450 {
				t.Errorf("%d keys on the master, %d on the replica", a, b)
			}
		})
	}
}

// What a master evicts its replicas delete.
func TestMasterEvicts(t *testing.T) {
	for _, pairing := range pairings {
		if pairing[0] != "ferrous" {
			continue
		}
		t.Run(pairing[1], func(t *testing.T) {
			master := start(t, pairing[0], "--maxmemory-policy", "allkeys-random", "--repl-backlog-size", "16384")
			replica := start(t, pairing[1])
			follow(t, replica, master.Port)
			linkUp(t, replica)
			c := master.Dial(t)
			used := intField(t, master, "memory", "used_memory") - intField(t, master, "memory", "mem_not_counted_for_evict")
			c.Must("CONFIG", "SET", "maxmemory", strconv.FormatInt(used+300_000, 10))
			for i := range 2000 {
				c.Must("SET", fmt.Sprint("key", i), strings.Repeat("v", 1000))
			}
			until(t, "eviction ends", func() bool { return field(t, master, "stats", "current_eviction_exceeded_time") == "0" })
			if n := intField(t, master, "stats", "evicted_keys"); n < 1000 {
				t.Errorf("%d keys were evicted", n)
			}
			converge(t, master, replica)
		})
	}
}
