package commands

import (
	"strings"
	"testing"
)

// first sends a request and returns the first line of the reply.
func (c *liveConn) first(request string) string {
	c.t.Helper()
	c.send(request + "\r\n")
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// A command that waits is a command like others: once in the slow log, in the counts, in the histogram and to monitors,
// however its wait ends. What is compared is what Redis 7.2.6 gives.
func TestBlockedCommandsAreCounted(t *testing.T) {
	const nullArray = "*-1\r\n"
	for name, test := range map[string]struct {
		setup, request string
		end            string // what another client sends to end the wait
		reply          string
		failed         int
	}{
		"timeout":         {"", "BLPOP k 0.01", "", nullArray, 0},
		"served":          {"", "BLPOP k 0", "RPUSH k v", "*2\r\n$1\r\nk\r\n$1\r\nv\r\n", 0},
		"served, renamed": {"RPUSH other v", "BRPOP k 0", "RENAME other k", "*2\r\n$1\r\nk\r\n$1\r\nv\r\n", 0},
		"served, moved":   {"", "BLMOVE k to LEFT LEFT 0", "RPUSH k v", "$1\r\nv\r\n", 0},
		"sorted set":      {"", "BZPOPMIN k 0", "ZADD k 1 v", "*3\r\n$1\r\nk\r\n$1\r\nv\r\n$1\r\n1\r\n", 0},
		"wrong type":      {"SET to x", "BLMOVE k to LEFT LEFT 0", "RPUSH k v", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", 1},
		"unblocked":       {"", "BLMPOP 0 1 k LEFT", "CLIENT UNBLOCK 2", nullArray, 0},
		"unblocked, error": {"", "BZMPOP 0 1 k MIN", "CLIENT UNBLOCK 2 ERROR",
			"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n", 1},
		"WAITAOF, timeout":   {"", "WAITAOF 0 1 10", "", "*2\r\n:0\r\n:0\r\n", 0},
		"WAITAOF, unblocked": {"", "WAITAOF 0 1 0", "CLIENT UNBLOCK 2", "*2\r\n:0\r\n:0\r\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, "slowlog-log-slower-than", "0")
			control := s.dial()
			control.do("PING", "+PONG\r\n")
			c := s.dial()
			s.eventually("it is there", func() bool { return len(s.clients) == 2 })
			if test.setup != "" {
				control.first(test.setup)
			}
			monitor := s.dial()
			monitor.do("MONITOR", ok)
			c.send(test.request + "\r\n")
			if test.end != "" {
				s.eventually("it waits", func() bool { return s.clients[2].blocked != nil })
				control.first(test.end)
			}
			c.expect(test.reply)
			c.do("ECHO end", "$3\r\nend\r\n")
			shown := ""
			for !strings.Contains(shown, "end") {
				line, err := monitor.r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				shown += line
			}
			words := strings.Fields(test.request)
			if n := strings.Count(shown, `"`+words[0]+`"`); n != 1 {
				t.Errorf("%d lines of MONITOR:\n%s", n, shown)
			}
			s.on(func() {
				entries := 0
				for _, e := range s.SlowLog.Entries() {
					if strings.Join(e.Args, " ") == test.request {
						entries++
					}
				}
				e := s.Registry.Named([]byte(words[0]))
				if entries != 1 || e.Calls != 1 || e.Times.Total() != 1 || e.Failed != int64(test.failed) || e.Rejected != 0 {
					t.Errorf("%d entries in the slow log, %d calls, %d in the histogram, %d failed, %d rejected",
						entries, e.Calls, e.Times.Total(), e.Failed, e.Rejected)
				}
			})
		})
	}
}

// A client whose user loses the right to a command while it waits is refused when it would be served, and the ACL log
// says so.
func TestBlockedAndForbidden(t *testing.T) {
	s := startServer(t, "slowlog-log-slower-than", "0")
	control := s.dial()
	control.do("ACL SETUSER worker on nopass ~k* +@all", ok)
	c := s.dial()
	c.do("AUTH worker x", ok)
	c.send("BLPOP k1 0\r\n")
	s.eventually("it waits", func() bool { return s.blocking.clients == 1 })
	control.do("ACL SETUSER worker resetkeys ~other*", ok)
	control.do("RPUSH k1 v", ":1\r\n")
	c.expect("-NOPERM No permissions to access a key\r\n")
	control.do("LLEN k1", ":1\r\n")
	if log := control.first("ACL LOG"); log != "*1" {
		t.Errorf("the ACL log begins with %q", log)
	}
	s.on(func() {
		e := s.Registry.Named([]byte("blpop"))
		if e.Calls != 0 || e.Rejected != 1 {
			t.Errorf("%d calls, %d rejected", e.Calls, e.Rejected)
		}
		for _, x := range s.SlowLog.Entries() {
			if x.Args[0] == "BLPOP" {
				t.Errorf("in the slow log: %v", x.Args)
			}
		}
	})
}
