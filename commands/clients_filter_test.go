package commands

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"ferrous/commands/session"
)

// listedIDs returns the ids in CLIENT LIST's reply, in their order.
func listedIDs(lines string) string {
	var ids []string
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		if line != "" {
			ids = append(ids, field(line, "id"))
		}
	}
	return strings.Join(ids, " ")
}

func TestClientFilters(t *testing.T) {
	s := startServer(t)
	ctl, worker, reader, sub := s.dial(), s.dial(), s.dial(), s.dial()
	ctl.do("ACL SETUSER u on nopass +@all ~* &*", ok)
	worker.do("CLIENT SETNAME worker", ok)
	worker.do("CLIENT SETINFO lib-name lib", ok)
	worker.do("CLIENT SETINFO lib-ver 1.2", ok)
	worker.do("SELECT 3", ok)
	reader.do("AUTH u x", ok)
	reader.do("CLIENT NO-TOUCH on", ok)
	reader.do("CLIENT CAPA nothing REDIRECT", ok)
	sub.send("SUBSCRIBE channel\r\n")
	sub.expect("*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n")
	path := s.path + ":0"
	s.on(func() {
		s.clients[2].created -= 100_000
		s.clients[3].lastActive -= 50_000
	})
	for filter, want := range map[string]string{
		"TYPE normal":                       "1 2 3",
		"TYPE PUBSUB":                       "4",
		"TYPE primary":                      "",
		"NOT-TYPE pubsub":                   "1 2 3",
		"ID 3 1 99 3":                       "3 1 3",
		"ID 3 1 SKIPME yes":                 "3",
		"ID 4 3 2 TYPE normal":              "2 3",
		"NOT-ID 3 1":                        "2 4",
		"USER u":                            "3",
		"NOT-USER u":                        "1 2 4",
		"ADDR " + path:                      "1 2 3 4",
		"ADDR 127.0.0.1:1":                  "",
		"NOT-ADDR " + path:                  "",
		"LADDR " + path:                     "1 2 3 4",
		"NOT-LADDR x":                       "1 2 3 4",
		"NAME worker":                       "2",
		"NOT-NAME worker":                   "1 3 4",
		"LIB-NAME lib":                      "2",
		"NOT-LIB-NAME lib NOT-ID 1":         "3 4",
		"LIB-VER 1.2":                       "2",
		"NOT-LIB-VER 1.2":                   "1 3 4",
		"DB 3":                              "2",
		"NOT-DB 3":                          "1 3 4",
		"IP 127.0.0.1":                      "",
		"NOT-IP 127.0.0.1":                  "1 2 3 4",
		"FLAGS U":                           "1 2 3 4",
		"FLAGS UT":                          "3",
		"NOT-FLAGS P":                       "1 2 3",
		"FLAGS N":                           "",
		"CAPA r":                            "3",
		"NOT-CAPA r":                        "1 2 4",
		"MAXAGE 90":                         "2",
		"IDLE 40":                           "3",
		"SKIPME yes":                        "2 3 4",
		"SKIPME no":                         "1 2 3 4",
		"TYPE normal DB 0 SKIPME yes":       "3",
		"NAME worker LIB-NAME lib FLAGS U":  "2",
		"NAME worker LIB-NAME lib FLAGS xU": "",
	} {
		if got := listedIDs(ctl.bulk("CLIENT LIST " + filter)); got != want {
			t.Errorf("CLIENT LIST %s: %q, want %q", filter, got, want)
		}
	}
	for _, c := range []struct{ options, reply string }{
		{"ID abc", errClientID},
		{"ID 1 abc", errClientID},
		{"ID", session.ErrSyntax},
		{"NAME", session.ErrSyntax},
		{"WHAT x", session.ErrSyntax},
		{"NOT-SKIPME yes", session.ErrSyntax},
		{"NOT-MAXAGE 1", session.ErrSyntax},
		{"SKIPME maybe", session.ErrSyntax},
		{"NAME worker WHAT", session.ErrSyntax},
		{"TYPE nosuch", "ERR Unknown client type 'nosuch'"},
		{"NOT-TYPE nosuch", "ERR Unknown client type 'nosuch'"},
		{"USER nosuch", "ERR No such user 'nosuch'"},
		{"MAXAGE x", "ERR maxage is not an integer or out of range"},
		{"MAXAGE 0", "ERR maxage should be greater than 0"},
		{"IDLE x", "ERR idle is not an integer or out of range"},
		{"IDLE -1", "ERR idle should be greater than 0"},
		{"FLAGS zz", "ERR Unknown flags found in the provided filter: zz"},
		{"NOT-FLAGS zz", "ERR Unknown flags found in the NOT-FLAGS filter: zz"},
		{"CAPA x", "ERR Unknown capa found in the provided filter: x"},
		{"DB x", "ERR DB is not an integer or out of range"},
		{"DB 16", "ERR DB number should be between 0 and 15"},
		{"DB -1", "ERR DB number should be between 0 and 15"},
	} {
		ctl.do("CLIENT LIST "+c.options, "-"+c.reply+"\r\n")
	}
	ctl.do("CLIENT KILL ID abc", "-"+errKillID+"\r\n")
	ctl.do("CLIENT KILL ID 1 0", "-"+errKillID+"\r\n")
	ctl.do("CLIENT KILL ID 2 99 3 NAME nobody", ":0\r\n")
	ctl.do("CLIENT KILL NOT-ID 1 2 NOT-TYPE normal", ":1\r\n")
	sub.ended()
	ctl.do("CLIENT KILL ID 1 2 3", ":2\r\n") // itself is spared
	worker.ended()
	reader.ended()
	ctl.do("CLIENT KILL NOT-NAME worker SKIPME no", ":1\r\n")
	ctl.ended()
}

// bulk sends a request and returns the bulk string that it is answered.
func (c *liveConn) bulk(request string) string {
	c.t.Helper()
	c.send(request + "\r\n")
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(line, "$%d\r\n", &n); err != nil {
		c.t.Fatalf("%s: %q", request, line)
	}
	buf := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, buf); err != nil {
		c.t.Fatal(err)
	}
	return string(buf[:n])
}
