package commands

import (
	"strings"
	"testing"

	"ferrous/commands/collector"
)

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
	s.backgroundSaveEnded(s.persist.saving)
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
	s.backgroundSaveEnded(s.persist.saving)
	check("the end of a save that began before it", 0)
	s.doLine("CONFIG RESETSTAT")
	s.doLine("SET a 1")
	check("CONFIG RESETSTAT and SET", 1)
}

// CONFIG RESETSTAT makes no second of a busy server an idle one.
func TestResetStatKeepsActivity(t *testing.T) {
	s := newTestServer(t)
	s.activity.Note(testEpoch, s.stats.commands, 0)
	s.activity.Note(testEpoch+1000, s.stats.commands, 0)
	for range collector.IdleCommands {
		s.do("PING")
	}
	s.do("CONFIG", "RESETSTAT")
	s.do("PING")
	if ended := s.activity.Note(testEpoch+2000, s.stats.commands, 0); !ended || s.activity.Idle() {
		t.Errorf("the second is idle")
	}
}

// CONFIG RESETSTAT sets the counters back that Redis 7.2.6 does, and leaves alone what says how the server is.
func TestResetStatAsRedis(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	fields := func() map[string]string {
		m := make(map[string]string)
		for _, line := range strings.Split(s.do("INFO", "everything"), "\r\n") {
			if name, value, ok := strings.Cut(line, ":"); ok {
				m[name] = value
			}
		}
		return m
	}
	for _, line := range []string{"SET a 1", "GET a", "GET none", "SET short 1 PX 1", "NOSUCH", "SAVE", "BGREWRITEAOF",
		"ACL SETUSER u on nopass", "BGSAVE SCHEDULE"} {
		s.doLine(line)
	}
	defer s.aof.file.StopRewrite() // its goroutine writes to a folder that the test removes
	s.now += 10
	s.doLine("GET short")
	u := s.client()
	s.doAs(u, "AUTH", "u", "x")
	s.doAs(u, "GET", "a")
	s.eviction.evicted = 3
	s.stats.connections, s.stats.rejectedConns, s.stats.netIn, s.stats.netOut, s.stats.reads, s.stats.writes = 1, 1, 1, 1, 1, 1
	s.stats.expireCapped, s.stats.expireNanos, s.stats.snapshots, s.stats.snapshotNanos, s.stats.cycles = 1, 1e9, 1, 1e9, 1

	reset := []string{"total_connections_received", "rejected_connections", "total_net_input_bytes", "total_net_output_bytes",
		"total_reads_processed", "total_writes_processed", "keyspace_hits", "keyspace_misses", "expired_keys",
		"expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds", "evicted_clients", "total_error_replies",
		"latest_fork_usec", "total_forks", "rdb_saves", "aof_rewrites", "eventloop_cycles"}
	kept := []string{"used_memory_peak", "acl_access_denied_cmd", "rdb_changes_since_last_save", "rdb_last_save_time",
		"aof_rewrite_in_progress", "maxclients"}
	before := fields()
	s.doLine("CONFIG RESETSTAT")
	after := fields()
	for _, name := range reset {
		if before[name] == "0" || before[name] == "" || after[name] != "0" {
			t.Errorf("%s: %q before, %q after", name, before[name], after[name])
		}
	}
	for _, name := range kept {
		if before[name] == "" || after[name] != before[name] {
			t.Errorf("%s: %q before, %q after", name, before[name], after[name])
		}
	}
	if before["acl_access_denied_cmd"] != "1" {
		t.Errorf("acl_access_denied_cmd:%s", before["acl_access_denied_cmd"])
	}
	for name := range after {
		if strings.HasPrefix(name, "errorstat_") || strings.HasPrefix(name, "cmdstat_") && name != "cmdstat_config|resetstat" && name != "cmdstat_info" {
			t.Errorf("%s is still there", name)
		}
	}
}

// The file's own transactions would end the one that DEBUG LOADAOF runs in.
func TestLoadAOFInTransaction(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	check(t, s, [][2]string{{"SET a 1", "+OK\r\n"}, {"MULTI", "+OK\r\n"}, {"DEBUG LOADAOF", "+QUEUED\r\n"}, {"SET b 1", "+QUEUED\r\n"},
		{"EXEC", "*2\r\n-ERR DEBUG LOADAOF is not allowed inside a transaction\r\n+OK\r\n"}, {"EXISTS a b", ":2\r\n"}})
}
