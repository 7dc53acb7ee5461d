package commands

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"ferrous/commands/acl"
	"ferrous/commands/config"
)

// exchange is a request and the reply that it must get.
type exchange struct{ request, reply string }

// checkExchanges runs requests, words separated by blanks and "" the empty word, and compares the raw replies.
func checkExchanges(t *testing.T, ts *testServer, c *Client, list []exchange) {
	t.Helper()
	for i, x := range list {
		words := strings.Fields(x.request)
		for j := range words {
			if words[j] == `""` {
				words[j] = ""
			}
		}
		if got := ts.doAs(c, words...); got != x.reply {
			t.Errorf("%d: %s\n got %q\nwant %q", i, x.request, got, x.reply)
		}
	}
}

const (
	ok        = "+OK\r\n"
	wrongPass = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	noAuth    = "-NOAUTH Authentication required.\r\n"
)

func TestAuth(t *testing.T) {
	ts := newTestServer(t)
	noPass := "-ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?\r\n"
	checkExchanges(t, ts, ts.c, []exchange{
		{"AUTH", "-ERR wrong number of arguments for 'auth' command\r\n"},
		{"AUTH x", noPass},
		{"AUTH default x", ok},
		{"AUTH somebody x", wrongPass},
		{"AUTH a b c", "-ERR syntax error\r\n"},
		{"AUTH default", noPass},
	})
	if n := ts.stats.denied[acl.DeniedAuth]; n != 1 {
		t.Errorf("%d failures counted, want 1", n)
	}

	ts = newTestServer(t, "requirepass", "secret")
	checkExchanges(t, ts, ts.c, []exchange{
		{"PING", noAuth},
		{"CLIENT ID", noAuth},
		{"FOO", "-ERR unknown command 'FOO', with args beginning with: \r\n"},
		{"HELLO", "-" + errHelloNoAuth + "\r\n"},
		{"HELLO 3 AUTH default secre", wrongPass},
		{"PING", noAuth},
		{"AUTH secre", wrongPass},
		{"AUTH secrets", wrongPass},
		{`AUTH ""`, wrongPass},
		{"AUTH Default secret", wrongPass},
		{"AUTH secret", ok},
		{"PING", "+PONG\r\n"},
		{"AUTH wrong", wrongPass},
		{"PING", "+PONG\r\n"}, // a failure does not log out
		{"RESET", "+RESET\r\n"},
		{"PING", noAuth},
		{"RESET", "+RESET\r\n"},
		{"AUTH default secret", ok},
		{"PING", "+PONG\r\n"},
		{"RESET", "+RESET\r\n"},
	})
	// Without a password there is nothing to ask of those who are connected.
	if err := ts.Config.Set([]string{"requirepass", ""}, config.SetContext{}); err != nil {
		t.Fatal(err)
	}
	checkExchanges(t, ts, ts.c, []exchange{{"PING", "+PONG\r\n"}})
}

func TestHello(t *testing.T) {
	ts := newTestServer(t)
	about := func(proto int) string {
		head := "*14\r\n"
		if proto == 3 {
			head = "%7\r\n"
		}
		return head + fmt.Sprintf("$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n%s\r\n$5\r\nproto\r\n:%d\r\n"+
			"$2\r\nid\r\n:%d\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n",
			RedisVersion, proto, ts.c.id)
	}
	badVersion := "-ERR Protocol version is not an integer or out of range\r\n"
	noProto := "-NOPROTO unsupported protocol version\r\n"
	checkExchanges(t, ts, ts.c, []exchange{
		{"HELLO", about(2)},
		{"HELLO 1", noProto},
		{"HELLO 4", noProto},
		{"HELLO -3", noProto},
		{"HELLO x", badVersion},
		{"HELLO 03", badVersion},
		{"HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
		{"HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n"},
		{"HELLO 3 x", "-ERR Syntax error in HELLO option 'x'\r\n"},
		{"HELLO 3 setname one x", "-ERR Syntax error in HELLO option 'x'\r\n"},
		{"CLIENT GETNAME", "$-1\r\n"}, // nothing of a HELLO that failed stays
		{"HELLO 3 AUTH who ever SETNAME one", wrongPass},
		{"CLIENT GETNAME", "$-1\r\n"},
		{"HELLO 3 setname one auth default x", about(3)},
		{"CLIENT GETNAME", "$3\r\none\r\n"},
		{"HELLO", about(3)},
		{`HELLO 2 SETNAME ""`, about(2)},
		{"CLIENT GETNAME", "$-1\r\n"},
	})
	if got := ts.do("HELLO", "3", "SETNAME", "a b"); got != "-"+errClientName+"\r\n" {
		t.Errorf("a name with a blank: %q", got)
	}
}

func TestReset(t *testing.T) {
	ts := newTestServer(t)
	c := ts.c
	c.DB = ts.Keyspace.DBs()[3]
	checkExchanges(t, ts, c, []exchange{
		{"CLIENT SETNAME me", ok},
		{"CLIENT SETINFO lib-name lib", ok},
		{"CLIENT NO-EVICT on", ok},
		{"CLIENT NO-TOUCH on", ok},
	})
	ts.do("HELLO", "3")
	ts.do("CLIENT", "REPLY", "OFF")
	if got := ts.do("RESET"); got != "+RESET\r\n" {
		t.Errorf("RESET: %q", got)
	}
	if c.DB.ID != 0 || c.proto != 2 || c.noEvict || c.NoTouch || c.replyOff {
		t.Errorf("not reset: %s", c.info())
	}
	if !strings.Contains(c.info(), " name= ") || !strings.Contains(c.info(), " lib-name=lib ") {
		t.Errorf("name or library: %s", c.info())
	}
}

func TestClientReply(t *testing.T) {
	ts := newTestServer(t)
	const pong = "+PONG\r\n"
	checkExchanges(t, ts, ts.c, []exchange{
		{"CLIENT REPLY x", "-ERR syntax error\r\n"},
		{"CLIENT REPLY ON", ok},
		{"CLIENT REPLY OFF", ""},
		{"PING", ""},
		{"NOTACOMMAND", ""},
		{"CLIENT REPLY SKIP", ""}, // without effect
		{"CLIENT REPLY ON", ok},
		{"PING", pong},
		{"CLIENT REPLY SKIP", ""},
		{"PING", ""},
		{"PING", pong},
		{"CLIENT REPLY SKIP", ""},
		{"NOTACOMMAND", ""},
		{"PING", pong},
		{"CLIENT REPLY SKIP", ""},
		{"CLIENT REPLY SKIP", ""},
		{"PING", ""},
		{"PING", pong},
		{"CLIENT REPLY SKIP", ""},
		{"CLIENT REPLY ON", ok},
		{"PING", pong},
		{"CLIENT REPLY SKIP", ""},
		{"RESET", ""},
		{"PING", pong},
		{"CLIENT REPLY SKIP", ""},
		{"QUIT", ""},
	})
}

func TestConnectionCommandsAllocateNothing(t *testing.T) {
	ts := newTestServer(t)
	for _, words := range [][]string{{"PING"}, {"PING", "x"}, {"ECHO", "x"}} {
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		if n := allocations(200, func() { ts.run(ts.c, args) }); n != 0 {
			t.Errorf("%q: %v allocations", words, n)
		}
	}
}

// A Client is most of what an idle connection costs here; the whole connection must stay within 2 KiB.
func TestClientSize(t *testing.T) {
	if n := reflect.TypeFor[Client]().Size(); n > 384 {
		t.Errorf("a Client has %d bytes; move what few clients use behind a pointer", n)
	}
}
