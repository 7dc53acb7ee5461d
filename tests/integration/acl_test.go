package integration

import (
	"strconv"
	"testing"

	"ferrous/tests/harness"
)

// A client that waits has its rights checked once more when it is served: what it may not take any more stays for others.
func TestRightsOfThoseWhoWait(t *testing.T) {
	s := harness.StartFerrous(t)
	do := func(c *harness.Conn, want string, args ...string) {
		t.Helper()
		if got, err := c.Do(args...); err != nil || string(got.Raw) != want {
			t.Fatalf("%q: got %q, %v, want %q", args, got.Raw, err, want)
		}
	}
	dial := func(user string) *harness.Conn {
		c := s.Dial(t)
		if user != "" {
			do(c, "+OK\r\n", "AUTH", user, "x")
		}
		return c
	}
	admin := dial("")
	for _, user := range []string{"u", "v"} {
		do(admin, "+OK\r\n", "ACL", "SETUSER", user, "on", "nopass", "+@all", "~*")
	}
	u, v := dial("u"), dial("v")
	for i, c := range []*harness.Conn{u, v} {
		if err := c.Send("BLPOP", "l", "0"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the client waits", func() bool {
			return field(t, admin, "clients", "blocked_clients") == strconv.Itoa(i+1)
		})
	}
	do(admin, "+OK\r\n", "ACL", "SETUSER", "u", "resetkeys")
	do(admin, ":1\r\n", "RPUSH", "l", "x")
	if got, err := u.Read(); err != nil || got.Str != "NOPERM No permissions to access a key" {
		t.Errorf("u got %v, %v", got, err)
	}
	if got, err := v.Read(); err != nil || len(got.Elems) != 2 || got.Elems[1].Str != "x" {
		t.Errorf("v got %v, %v", got, err)
	}
	do(u, "+PONG\r\n", "PING")
	do(admin, "-ERR No such user 'w'\r\n", "CLIENT", "KILL", "USER", "w")
	do(admin, ":1\r\n", "CLIENT", "KILL", "USER", "u")
	if _, err := u.Read(); err == nil {
		t.Error("u is still connected")
	}
	do(v, "+PONG\r\n", "PING")
}
