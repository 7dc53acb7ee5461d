package commands

import "testing"

// saveMeanwhile has a BGSAVE begin and its goroutine end, while the loop has not heard of it yet.
func saveMeanwhile(t *testing.T, s *testServer) {
	t.Helper()
	if got := s.do("BGSAVE"); got != "+Background saving started\r\n" {
		t.Fatal(got)
	}
	<-s.persist.saving.done
}

// What a command has changed is propagated whatever its changes do to a save: one that has just ended, and one that the
// command makes itself.
func TestChangesDuringSaveArePropagated(t *testing.T) {
	for _, tt := range []struct {
		save  string
		lines []string
		fed   string
	}{
		{`""`, []string{"FLUSHALL"}, "FLUSHALL"},
		{`""`, []string{"MULTI", "FLUSHALL", "EXEC"}, "FLUSHALL"},
		{`""`, []string{"MULTI", "SET b 1", "FLUSHALL", "EXEC"}, "MULTI; SET b 1; FLUSHALL; EXEC"},
		{"3600 1", []string{"FLUSHALL"}, "FLUSHALL"},
		{"3600 1", []string{"MULTI", "FLUSHALL", "SET b 1", "EXEC"}, "MULTI; FLUSHALL; SET b 1; EXEC"},
		{"3600 1", []string{"FLUSHALL", "FLUSHALL"}, "FLUSHALL; FLUSHALL"},
		{"3600 1", []string{"DEBUG RELOAD", "SET b 1"}, "SET b 1"},
	} {
		s := newTestServer(t, "save", tt.save, "enable-debug-command", "yes")
		for range 20 {
			s.do("INCR", "a")
		}
		saveMeanwhile(t, s)
		s.recordFeed()
		for _, line := range tt.lines {
			s.doLine(line)
		}
		if got := s.propagated(); got != tt.fed {
			t.Errorf("save %s: %q propagates %q, want %q", tt.save, tt.lines, got, tt.fed)
		}
	}
}

// Changes are those since the last dump began, whatever has ended it.
func TestChangesSinceLastSave(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	check := func(after string, want int64) {
		t.Helper()
		if got := s.unsaved(); got != want {
			t.Errorf("after %s: %d changes since the last save, want %d", after, got, want)
		}
	}
	s.doLine("MSET a 1 b 2 c 3")
	check("MSET", 3)
	saveMeanwhile(t, s)
	s.doLine("SET d 4")
	check("a save that the loop has not heard of", 4)
	s.saved(s.persist.saving)
	check("its end", 1)
	s.doLine("SAVE")
	check("SAVE", 0)
	s.doLine("DEL a b")
	check("DEL", 2)
	saveMeanwhile(t, s)
	s.doLine("FLUSHALL")
	check("FLUSHALL, which ends a save of two changes", 2)

	s.doLine("SET a 1")
	saveMeanwhile(t, s)
	s.doLine("DEBUG LOADAOF")
	check("DEBUG LOADAOF", 0)
	s.saved(s.persist.saving)
	check("the end of a save that began before it", 0)
	s.doLine("CONFIG RESETSTAT")
	s.doLine("SET a 1")
	check("CONFIG RESETSTAT and SET", 1)
}

// CONFIG RESETSTAT makes no second of a busy server an idle one.
func TestResetStatKeepsPulse(t *testing.T) {
	s := newTestServer(t)
	s.pulse.beat(testEpoch, s.stats.commands, 0)
	s.pulse.beat(testEpoch+second, s.stats.commands, 0)
	for range idleCommands {
		s.do("PING")
	}
	s.do("CONFIG", "RESETSTAT")
	s.do("PING")
	if ended := s.pulse.beat(testEpoch+2*second, s.stats.commands, 0); !ended || s.pulse.idle {
		t.Errorf("the second is idle")
	}
}
