package replication

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// propagated are commands, in groups that begin with an empty server, of which replicas get something else, or nothing.
var propagated = []string{
	"SET k v EX 100 | SET k w PX 100000 | SETEX k 100 v | PSETEX k 100000 v | set k x keepttl | SET k v EXAT 4000000000 | SET k v GET",
	"SET k v NX | SET k v NX | SET n v XX | DEL n | DEL k n | GETSET k v | GETDEL k | GETDEL k | SETNX k 1 | SETNX k 1",
	"SET k v | EXPIRE k 100 | PEXPIRE k 100000 | EXPIREAT k 4000000000 | GETEX k EX 100 | GETEX k PERSIST | GETEX k | PERSIST k",
	"SET k v | EXPIRE k -1 | SET k v | PEXPIREAT k 1 | SET k v EXAT 1 | SET k v | GETEX k EXAT 1",
	"INCRBYFLOAT f 0.5 | INCRBYFLOAT f -1e3 | HINCRBYFLOAT h a 0.25 | HSET h b 1 c 2 | HDEL h x | HDEL h b | INCR i | APPEND k a",
	"SADD s a | SPOP s | SADD s a b c | SPOP s 3 | SPOP s | SREM s a | SADD s b b | SADD s b | SMOVE s t b | SMOVE s t b",
	"RPUSH l a b c d e f | LMPOP 2 x l LEFT COUNT 2 | LMPOP 1 l RIGHT | LPOP l | LMOVE l m LEFT RIGHT | RPOPLPUSH l m | BLPOP l 1 | BLMPOP 1 1 m LEFT COUNT 5",
	"RPUSH l a b c | BLMOVE l m LEFT RIGHT 1 | BRPOPLPUSH l m 1 | BRPOP m 1 | LTRIM m 1 0 | LPUSHX l x | LPUSHX nosuch x",
	"ZADD z 1 a 2 b 3 c 4 d | ZADD z NX 5 a | ZADD z INCR 1 a | ZMPOP 1 z MIN COUNT 2 | ZPOPMAX z | BZPOPMIN z 1 | ZADD z 1 a | BZMPOP 1 1 z MAX | ZRANGESTORE y z 0 -1",
	"XADD x 1-1 a b | XADD x MAXLEN = 1 2-1 a b | XTRIM x MAXLEN 0 | XADD x 3-* a b | XGROUP CREATE x g 0 | XGROUP CREATECONSUMER x g c | XDEL x 3-0 | XDEL x 9-9",
	"XADD x 1-1 a b | XGROUP CREATE x g 0 | XREADGROUP GROUP g c COUNT 1 STREAMS x > | XREADGROUP GROUP g c STREAMS x > | XCLAIM x g d 0 1-1 | XAUTOCLAIM x g e 0 0 | XACK x g 1-1 | XACK x g 1-1",
	"XADD x 1-1 a b | XGROUP CREATE x g 0 | XREADGROUP GROUP g c NOACK STREAMS x > | XSETID x 5-1 | XGROUP SETID x g $ | XGROUP DELCONSUMER x g c | XGROUP DESTROY x g",
	"MULTI | SET a 1 | EXEC | MULTI | SET a 1 | INCR a | EXEC | MULTI | GET a | EXEC ",
	"EVAL `return redis.call('set','a',1)` 0 | EVAL `redis.call('set','a',1); redis.call('expire','a',100)` 0 | EVAL `return redis.call('get','a')` 0 | SCRIPT LOAD `return 1`",
	"EVAL `redis.set_repl(redis.REPL_AOF); redis.call('set','a',1); redis.set_repl(redis.REPL_REPLICA); redis.call('set','a',2)` 0",
	"EVAL `redis.set_repl(redis.REPL_NONE); redis.call('set','a',1); redis.set_repl(redis.REPL_ALL); redis.call('set','b',2)` 0",
	"PUBLISH ch hello | SPUBLISH ch hello | MULTI | PUBLISH ch 1 | SET a 1 | EXEC",
	"SELECT 3 | SET a 1 | SELECT 0 | SET a 1 | MOVE a 5 | SWAPDB 0 5 | SELECT 5 | FLUSHDB | SELECT 0 | FLUSHALL | FLUSHALL",
	"SET a 1 | RENAME a b | COPY b c | RENAMENX b c | RENAMENX b d | SORT nosuch STORE e | RPUSH l 2 1 | SORT l STORE e | SORT l",
	"BITFIELD b SET u8 0 5 | BITFIELD b GET u8 0 | SETBIT b 3 1 | SETBIT b 3 1 | BITOP NOT c b | PFADD h a b | PFADD h a | PFCOUNT h | PFCOUNT h | PFMERGE h2 h | GEOADD g 13 38 a | GEOSEARCHSTORE g2 g FROMLONLAT 13 38 BYRADIUS 9 km",
	"FUNCTION LOAD `#!lua name=l\nredis.register_function('f', function() return redis.call('set','a',1) end)` | FCALL f 0 | FUNCTION FLUSH",
	"SET a v PX 1 | @wait | GET a | SET a w | SADD s a | PEXPIRE s 1 | @wait | SADD s b | SET a v PX 1 | @wait | MULTI | GET a | SET b 1 | EXEC",
}

// moment is a time in the stream, in milliseconds.
var moment = regexp.MustCompile(`^(1[0-9]{12})$`)

var entriesRead = regexp.MustCompile(`(?s)MULTI\n(XCLAIM [^\n]*\n)XGROUP SETID [^\n]* ENTRIESREAD \d+\nEXEC\n`)

// subscribe attaches a connection to the stream of a server.
func subscribe(t *testing.T, s *harness.Server) *harness.Conn {
	t.Helper()
	c := s.Dial(t)
	if _, err := c.Write([]byte("SYNC\r\n")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1)
	line := ""
	for {
		if _, err := c.Net().Read(buf); err != nil {
			t.Fatal(err)
		}
		if buf[0] != '\n' {
			line += string(buf)
			continue
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		break
	}
	size := 0
	if _, err := fmt.Sscanf(line, "$%d", &size); err != nil {
		t.Fatalf("%s answers SYNC with %q", s.Name, line)
	}
	for size > 0 {
		chunk := make([]byte, size)
		n, err := c.Net().Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		size -= n
	}
	return c
}

// words splits a command; what stands between backquotes is one word.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "`") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

// TestPropagatedForms: a replica of Ferrous gets the same commands, word for word, as one of redis-server.
func TestPropagatedForms(t *testing.T) {
	servers := []*harness.Server{start(t, "redis", "--repl-diskless-sync", "no"), start(t, "ferrous", "--repl-diskless-sync", "no")}
	var streams, clients []*harness.Conn
	for _, s := range servers {
		c := s.Dial(t)
		c.Must("DEBUG", "SET-ACTIVE-EXPIRE", "0")
		clients = append(clients, c)
		streams = append(streams, subscribe(t, s))
	}
	for n, group := range propagated {
		var got [2]string
		for i, c := range clients {
			c.Must("SELECT", "0")
			c.Must("FLUSHALL")
			c.Must("SET", "begin", fmt.Sprint(n))
			for _, line := range strings.Split(group, " | ") {
				if line == "@wait" {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				if _, err := c.Do(words(line)...); err != nil {
					t.Fatal(err)
				}
			}
			c.Must("SET", "end", fmt.Sprint(n))
			begun := false
			for {
				v, err := streams[i].Read()
				if err != nil {
					t.Fatalf("%s, group %d: %v", servers[i].Name, n, err)
				}
				argv := make([]string, len(v.Elems))
				for k, e := range v.Elems {
					argv[k] = moment.ReplaceAllString(e.Str, "<time>")
				}
				text := strings.Join(argv, " ")
				if text == fmt.Sprint("SET begin ", n) {
					begun = true
				} else if text == fmt.Sprint("SET end ", n) {
					break
				} else if begun && !strings.EqualFold(text, "ping") {
					got[i] += text + "\n"
				}
			}
		}
		// Ferrous propagates ENTRIESREAD with an XREADGROUP, so that the group's lag is the same on replicas.
		got[1] = entriesRead.ReplaceAllString(got[1], "$1")
		if got[0] != got[1] {
			t.Errorf("%s\nredis-server sends\n%sFerrous sends\n%s", group, got[0], got[1])
		}
	}
}

// TestReplicaAsks: a connection that gets the stream may not use the keyspace, because it could write during a failover's
// pause. The log names the refused command, with the same words on both servers.
func TestReplicaAsks(t *testing.T) {
	for _, kind := range []string{"ferrous", "redis"} {
		for _, command := range [][]string{{"SET", "k", "v"}, {"GET", "k"}, {"PUBLISH", "c", "m"}, {"EVAL", "return redis.call('SET', 'k', 'v')", "0"}} {
			s := start(t, kind)
			c := s.Dial(t)
			if v := c.Must("PSYNC", "replicationid", "-1"); !strings.HasPrefix(v.Str, "FULLRESYNC ") {
				t.Fatalf("PSYNC: %s", v.Str)
			}
			if err := c.Send(command...); err != nil {
				t.Fatal(err)
			}
			for err := error(nil); err == nil; {
				_, err = c.Net().Read(make([]byte, 4096)) // until it is closed
				if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("%s, %v: %v", kind, command, err)
				}
			}
			name := strings.ToLower(command[0])
			for _, line := range []string{
				"== CRITICAL == This master is sending an error to its replica: 'Replica can't interact with the keyspace' after processing the command '" + name + "'",
				"Replica generated a reply to command '" + name + "', disconnecting it: ",
			} {
				until(t, kind+" logs "+line, func() bool { return strings.Contains(strings.ReplaceAll(s.Logs(), "'ERR ", "'"), line) })
			}
			if n := s.Dial(t).Must("EXISTS", "k").Int(); n != 0 {
				t.Errorf("%s: %v of a replica was executed", kind, command)
			}
			if n := intField(t, s, "stats", "unexpected_error_replies"); n != 1 {
				t.Errorf("%s: %v: %d unexpected error replies", kind, command, n)
			}
		}
	}
}
