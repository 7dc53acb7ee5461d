package integration

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// A server to which nothing happens makes its rounds once a second instead of hz times, and what waits for a time still
// comes: deadlines, save points and the directive timeout.
func TestRest(t *testing.T) {
	t.Parallel()
	s := harness.StartFerrous(t, "--save", "4 1", "--hz", "100", "--notify-keyspace-events", "Ex", "--timeout", "4")
	c, sub, silent := s.Dial(t), s.Dial(t), s.Dial(t)
	must := func(c *harness.Conn, words ...string) string {
		t.Helper()
		v, err := c.Do(words...)
		if err != nil || v.IsError() {
			t.Fatal(words, v, err)
		}
		return v.Str
	}
	cycles := func() int64 {
		t.Helper()
		info, err := s.Info("stats")
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(info["eventloop_cycles"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	must(silent, "PING")
	must(sub, "SUBSCRIBE", "__keyevent@0__:expired")
	must(c, "SET", "k", "v", "PX", "3500")
	from, before := time.Now(), cycles()

	// Nothing is said until the key has expired: in the second half of that time the server rests.
	v, err := sub.Read()
	if err != nil || !strings.Contains(v.String(), "k") {
		t.Fatal(v, err)
	}
	// At rest the save point and the silent client have their time, too.
	if _, err := silent.Read(); err == nil {
		t.Fatal("the idle client was not closed")
	}
	harnessWait(t, func() bool { return strings.Contains(s.Logs(), "1 changes in 4 seconds. Saving...") })

	// 100 rounds a second make 2.5 times as many cycles as there are with two seconds of them after each thing that happened.
	time.Sleep(10*time.Second - time.Since(from))
	n, seconds := cycles()-before, int64(time.Since(from)/time.Second)
	if most := 100*seconds - 300; n > most {
		t.Errorf("%d cycles in %d seconds, at most %d", n, seconds, most)
	}
}
