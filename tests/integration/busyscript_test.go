package integration

import (
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// A script that never ends is killed from a new connection; meanwhile others get BUSY, and one that has written cannot be
// killed.
func TestBusyScript(t *testing.T) {
	s := harness.StartFerrous(t)
	dial := func() *harness.Conn {
		c, err := harness.DialConn("tcp", s.Addr, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	do := func(c *harness.Conn, words ...string) string {
		t.Helper()
		if err := c.Send(words...); err != nil {
			t.Fatal(err)
		}
		v, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	c, other := dial(), dial()
	do(other, "CONFIG", "SET", "busy-reply-threshold", "1")
	for _, script := range []string{
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"local co = coroutine.wrap(function() while true do end end) co()",
		"table.sort({3, 2, 1}, function() while true do end end)",
	} {
		if err := c.Send("EVAL", script, "0"); err != nil {
			t.Fatal(err)
		}
		for !strings.Contains(do(other, "PING"), "BUSY") {
		}
		if got := do(other, "SHUTDOWN"); !strings.Contains(got, "BUSY") {
			t.Errorf("SHUTDOWN while a script is busy: %s", got)
		}
		if got := do(other, "FUNCTION", "KILL"); !strings.Contains(got, "BUSY") {
			t.Errorf("FUNCTION KILL of a script: %s", got)
		}
		if got := do(dial(), "SCRIPT", "KILL"); !strings.Contains(got, "OK") {
			t.Errorf("%s: SCRIPT KILL: %s", script, got)
		}
		if v, err := c.Read(); err != nil || !strings.Contains(v.String(), "Script killed by user with SCRIPT KILL...") {
			t.Errorf("%s: reply %v, error %v", script, v, err)
		}
	}
	if err := c.Send("EVAL", "redis.call('set', 'k', 'v') while true do end", "0"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(do(other, "PING"), "BUSY") {
	}
	if got := do(other, "SCRIPT", "KILL"); !strings.Contains(got, "UNKILLABLE") {
		t.Errorf("SCRIPT KILL of a script that has written: %s", got)
	}
	if err := other.Send("SHUTDOWN", "NOSAVE"); err != nil {
		t.Fatal(err)
	}
	if v, err := other.Read(); err == nil {
		t.Errorf("SHUTDOWN NOSAVE while a script is busy: %v", v)
	}
}
