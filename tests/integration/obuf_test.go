package integration

import (
	"strings"
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
			if rss, err := s.RSS(); err == nil && rss > 100<<20 {
				t.Errorf("%q: %d bytes resident", cmd, rss)
			}
			// The limit is no hindrance to replies below it.
			if v := ctl.Must(cmd[0], cmd[1], "-50"); len(v.Elems) != 50 {
				t.Errorf("%q: %d elements, 50 expected", cmd[0], len(v.Elems))
			}
		}
	}
}
