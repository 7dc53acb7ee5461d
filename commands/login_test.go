package commands

import (
	"strings"
	"testing"
	"time"
)

// A client that is not logged in and does not read is closed before much waits for it, whatever the limits say.
func TestOutputBeforeLogin(t *testing.T) {
	s := startServer(t, "requirepass", "secret", "client-output-buffer-limit", "normal 0 0 0")
	c := s.dial()
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	packet := []byte(strings.Repeat("PING\r\n", 10_000))
	most := 0
	closed := false
	for range 1000 {
		if _, err := c.Write(packet); err != nil {
			closed = true
			break
		}
		s.on(func() {
			if o := s.clients[1]; o != nil {
				most = max(most, o.conn.QueuedMem())
			}
		})
	}
	if !closed || most > 2*freeReply {
		t.Errorf("closed %v, at most %d bytes waited", closed, most)
	}
	s.eventually("it is gone", func() bool { return len(s.clients) == 0 && s.stats.outputBufDisconnections == 1 })
}

// One that reads gets all replies, and none of the limits is left after it has logged in, in the same packet too.
func TestPipelineBeforeLogin(t *testing.T) {
	s := startServer(t, "requirepass", "secret")
	c := s.dial()
	const n = 1000 // replies that the socket takes
	for range 50 {
		c.send(strings.Repeat("PING\r\n", n))
		c.expect(strings.Repeat(noAuth, n))
	}
	big := strings.Repeat("x", 100<<10)
	c.send("PING\r\n" + wire([]string{"AUTH", "secret"}, []string{"ECHO", big}, []string{"RESET"}, []string{"PING"}))
	c.expect(noAuth + ok + "$102400\r\n" + big + "\r\n+RESET\r\n" + noAuth)
	// HELLO logs in as well.
	c.send(wire([]string{"HELLO", "2", "AUTH", "default", "secret", "SETNAME", "me"}, []string{"ECHO", big}))
	s.eventually("it is logged in", func() bool { return s.clients[1].authed })
}

// What a client may send before it has logged in is bounded; RESET brings the bounds back within a packet.
func TestQueriesBeforeLogin(t *testing.T) {
	for name, c := range map[string]struct{ sent, reply string }{
		"arguments":         {"*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		"length":            {"*2\r\n$4\r\nPING\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
		"longest":           {"*2\r\n$4\r\nPING\r\n$16384\r\n" + strings.Repeat("x", 16384) + "\r\n", noAuth},
		"MULTI":             {"MULTI\r\nSET a b\r\n", noAuth + noAuth},
		"length, RESET":     {"AUTH secret\r\nRESET\r\n*2\r\n$4\r\nPING\r\n$16385\r\n", ok + "+RESET\r\n-ERR Protocol error: unauthenticated bulk length\r\n"},
		"arguments, RESET":  {"AUTH secret\r\nRESET\r\n*11\r\n", ok + "+RESET\r\n-ERR Protocol error: unauthenticated multibulk length\r\n"},
		"MULTI, RESET":      {"AUTH secret\r\nMULTI\r\nRESET\r\nSET a b\r\n", ok + ok + "+RESET\r\n" + noAuth},
		"logged in":         {"AUTH secret\r\n" + wire(make11()), ok + ":0\r\n"},
		"subscribed, RESET": {"AUTH secret\r\nSUBSCRIBE a\r\nRESET\r\nSUBSCRIBE a\r\n", ok + "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+RESET\r\n" + noAuth},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, "requirepass", "secret")
			conn := s.dial()
			conn.send(c.sent)
			conn.expect(c.reply)
			if strings.Contains(c.reply, "Protocol error") {
				conn.ended()
			}
		})
	}
}

// make11 is a request of eleven arguments.
func make11() []string { return append([]string{"EXISTS"}, strings.Fields("1 2 3 4 5 6 7 8 9 10")...) }

// A client that is held back before it has logged in cannot send on for ever.
func TestWaitingBeforeLogin(t *testing.T) {
	s := startServer(t, "requirepass", "secret")
	admin := s.dial()
	admin.do("AUTH secret", ok)
	admin.do("CLIENT PAUSE 100000 ALL", ok)
	c := s.dial()
	c.send("AUTH wrong\r\n")
	s.eventually("it is held back", func() bool { return s.clients[2] != nil && s.clients[2].deferred != nil })
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	for range 100 {
		if _, err := c.Write([]byte(strings.Repeat("PING\r\n", 20_000))); err != nil {
			break
		}
	}
	s.eventually("it is closed", func() bool { return s.clients[2] == nil && s.stats.queryBufDisconnections == 1 })
}
