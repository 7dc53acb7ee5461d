package integration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ferrous/tests/harness"
)

// A single command cannot make a reply that is much larger than the hard limit, however many elements it asks for: its
// client is closed, nobody else is, and the memory stays free.
func TestOutputLimitWithinCommand(t *testing.T) {
	const count = "-999999999"
	for _, small := range []bool{true, false} {
		member := "m"
		if !small {
			member = strings.Repeat("m", 100_000) // not in a listpack
		}
		for _, cmd := range [][]string{
			{"HRANDFIELD", "h", count}, {"HRANDFIELD", "h", count, "WITHVALUES"},
			{"SRANDMEMBER", "s", count},
			{"ZRANDMEMBER", "z", count}, {"ZRANDMEMBER", "z", count, "WITHSCORES"},
		} {
			s := harness.StartFerrous(t, "--client-output-buffer-limit", "normal 10mb 0 0")
			ctl, c := s.Dial(t), s.Dial(t)
			ctl.Must("HSET", "h", member, "v")
			ctl.Must("SADD", "s", member)
			ctl.Must("ZADD", "z", "1", member)
			if v, err := c.Do(cmd...); err == nil {
				t.Fatalf("%q answered %.100s", cmd, v)
			}
			answers(t, s)
			stats, err := ctl.Info("stats")
			if err != nil {
				t.Fatal(err)
			}
			if n := stats["client_output_buffer_limit_disconnections"]; n != "1" {
				t.Errorf("%q: %s clients closed, 1 expected", cmd, n)
			}
			// The whole reply would take gigabytes. Garbage may take some, and the race detector several times the memory.
			if rss, err := s.RSS(); err == nil && rss > 400<<20 && !harness.RaceEnabled {
				t.Errorf("%q: %d bytes resident", cmd, rss)
			}
			// The limit is no hindrance to replies below it.
			if v := ctl.Must(cmd[0], cmd[1], "-50"); len(v.Elems) != 50 {
				t.Errorf("%q: %d elements, 50 expected", cmd[0], len(v.Elems))
			}
		}
	}
}

// The replies of one command, of one transaction and of one packet of commands do not grow beyond the hard limit. What
// has been asked for is executed to its end all the same.
func TestOutputLimitOfBigReplies(t *testing.T) {
	s := harness.StartFerrous(t, "--client-output-buffer-limit", "normal 1mb 0 0")
	ctl := s.Dial(t)
	const n = 60_000 // elements of 100 bytes
	for from := 0; from < n; from += 1000 {
		list, hash, zset := []string{"RPUSH", "l"}, []string{"HSET", "h"}, []string{"ZADD", "z"}
		set, keys := []string{"SADD", "s"}, []string{"MSET"}
		for i := from; i < from+1000; i++ {
			member := fmt.Sprintf("%0100d", i)
			list, set = append(list, member), append(set, member)
			hash, keys = append(hash, member, "v"), append(keys, "key:"+member, "v")
			zset = append(zset, "1", member)
		}
		for _, cmd := range [][]string{list, hash, zset, set, keys} {
			ctl.Must(cmd...)
		}
	}
	ctl.Must("SET", "big", strings.Repeat("x", 100_000))
	before, err := s.RSS()
	if err != nil {
		t.Skip(err)
	}
	const many = 3000
	pipeline, gets := make([][]string, many), make([][]string, many)
	for i := range many {
		pipeline[i], gets[i] = []string{"MGET", "big"}, []string{"GET", "big"}
	}
	closed := 0
	for name, cmds := range map[string][][]string{
		"KEYS":      {{"KEYS", "*"}},
		"LRANGE":    {{"LRANGE", "l", "0", "-1"}},
		"SMEMBERS":  {{"SMEMBERS", "s"}},
		"HGETALL":   {{"HGETALL", "h"}},
		"HGETALL 3": {{"HELLO", "3"}, {"HGETALL", "h"}},
		"ZRANGE":    {{"ZRANGE", "z", "0", "-1", "WITHSCORES"}},
		"ZRANGE 3":  {{"HELLO", "3"}, {"ZRANGE", "z", "0", "-1", "WITHSCORES"}},
		"SCAN":      {{"SCAN", "0", "COUNT", "1000000"}},
		"HSCAN":     {{"HSCAN", "h", "0", "COUNT", "1000000"}},
		"SORT":      {{"SORT", "l", "ALPHA"}},
		"SUNION":    {{"SUNION", "s", "other"}},
		"pipeline":  pipeline,
		"GETs":      gets,
		"EXEC":      {{"MULTI"}, {"LRANGE", "l", "0", "-1"}, {"HGETALL", "h"}, {"HVALS", "h"}, {"INCR", "done"}, {"EXEC"}},
	} {
		c := s.Dial(t)
		var packet []byte
		for _, cmd := range cmds {
			packet = harness.AppendCommand(packet, cmd...)
		}
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		most := 8 << 20
		if len(cmds) == many { // they are sent one by one: who reads at once may get them all
			eventually(t, "the client of "+name+" is closed", func() bool { return strings.Count(ctl.Must("CLIENT", "LIST").Str, "\n") == 1 })
			most = 32 << 20 // what the kernel holds
		}
		if all, err := c.ReadAll(); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(all) > most {
			t.Errorf("%s: %d bytes, %v", name, len(all), err)
		}
		closed++
		if got := ctl.Must("CLIENT", "LIST").Str; strings.Count(got, "\n") != 1 {
			t.Errorf("%s: clients:\n%s", name, got)
		}
	}
	if v := ctl.Must("GET", "done"); v.Str != "1" {
		t.Errorf("the transaction was not executed to its end: %v", v)
	}
	stats, err := ctl.Info("stats")
	if err != nil {
		t.Fatal(err)
	}
	if n := stats["client_output_buffer_limit_disconnections"]; n != strconv.Itoa(closed) {
		t.Errorf("%s clients closed, %d expected", n, closed)
	}
	if after, err := s.RSS(); err == nil && after > before+150<<20 {
		t.Errorf("%d bytes resident, %d before", after, before)
	}
	// Without replies there is nothing to close anybody for.
	c := s.Dial(t)
	for _, cmd := range [][]string{{"CLIENT", "REPLY", "OFF"}, {"LRANGE", "l", "0", "-1"}, {"CLIENT", "REPLY", "ON"}} {
		if err := c.Send(cmd...); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := c.Read(); err != nil || v.Str != "OK" {
		t.Errorf("with CLIENT REPLY OFF: %v, %v", v, err)
	}
	// The limit counts for who subscribes, and for who has it changed, at once.
	c.Must("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
	if v := c.Must("LRANGE", "l", "0", "-1"); len(v.Elems) != n {
		t.Errorf("%d elements without a limit", len(v.Elems))
	}
}
