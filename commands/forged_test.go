package commands

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/commands/config"
	"ferrous/commands/logging"
)

// forged is a text that would be a line of its own where somebody prints it behind a zero byte.
const forged = "1:M 01 Jan 2030 00:00:00.000 # FORGED"

// A client's name ends, for all who show it, where the check of it ended. Only CLIENT GETNAME returns it whole, as in
// Redis 7.2.6.
func TestNamesForgeNoLines(t *testing.T) {
	evil := "a\x00\n" + forged + "\nid=7 addr=1.2.3.4:5 name=x"
	for name, request := range map[string][]string{
		"SETNAME": {"CLIENT", "SETNAME", evil},
		"HELLO":   {"HELLO", "2", "SETNAME", evil},
		"library": {"CLIENT", "SETINFO", "lib-name", evil},
		"version": {"CLIENT", "SETINFO", "LIB-VER", evil},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, "slowlog-log-slower-than", "0")
			var log bytes.Buffer
			control := s.dial()
			control.do("ACL SETUSER nobody on nopass", ok)
			s.on(func() { s.Log = logging.New(logging.Options{Out: &log}) })
			c := s.dial()
			c.send(wire(request, []string{"AUTH", "nobody", "x"}, []string{"GET", "k"}))
			s.eventually("it was denied", func() bool { return len(s.security.log.entries) == 1 })
			s.on(func() {
				victim := s.clients[2]
				if lines := strings.Split(string(s.clientLines(&clientFilter{})), "\n"); len(lines) != 3 {
					t.Errorf("CLIENT LIST has the lines %q", lines)
				}
				shown := victim.info() + s.security.log.entries[0].client
				for _, e := range s.SlowLog.Entries() {
					shown += e.Name
				}
				s.closeOverLimit(victim)
				s.settle()
				shown += log.String()
				if strings.Contains(shown, "FORGED") || !strings.Contains(shown, "=a ") {
					t.Errorf("shown: %q", shown)
				}
			})
		})
	}
	ts := newTestServer(t)
	ts.do("CLIENT", "SETNAME", "a\x00\nb")
	if got := ts.do("CLIENT", "GETNAME"); got != "$4\r\na\x00\nb\r\n" {
		t.Errorf("GETNAME: %q", got)
	}
	for _, bad := range []string{"a\nb", "a b", "a\n\x00b", "\x7f", "é"} {
		if got := ts.do("CLIENT", "SETNAME", bad); got != "-"+errClientName+"\r\n" {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

// Nothing that a client says begins a line of the log, of INFO, of an error or of a file.
func TestTextsForgeNoLines(t *testing.T) {
	ts := newTestServer(t, "enable-debug-command", "yes")
	var log bytes.Buffer
	ts.Log = logging.New(logging.Options{Out: &log})
	evil := "x\r\n" + forged + "\r\nevil:1"
	for _, words := range [][]string{
		{"DEBUG", "LOG", evil},
		{"MODULE", "LOAD", evil},
		{"ACL", "SETUSER", "u", "+get|" + evil},
		{"ACL", "SETUSER", evil, "on"},
		{"ACL", "SETUSER", "u", "~" + evil},
		{"ACL", "SETUSER", "u", "&" + evil},
		{"AUTH", evil, evil},
		{evil},
		{"CLIENT", evil},
		{"CLIENT", "SETINFO", evil, "x"},
		{"HELLO", "3", evil},
		{"LATENCY", "GRAPH", evil},
		{"CONFIG", "SET", evil, "1"},
		{"CONFIG", "SET", "maxmemory", evil},
		{"RESTORE", "k", "0", evil},
		{"CONFIG", "SET", "proc-title-template", evil},
	} {
		reply := ts.do(words...)
		if n := strings.Count(reply, "\n"); n != 1 {
			t.Errorf("%q: %d lines: %q", words, n, reply)
		}
	}
	for _, line := range strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n") {
		if strings.HasPrefix(line, "1:M 01") {
			t.Errorf("in the log: %q", line)
		}
	}
	ts.c.Error("EVIL\r\nevil:1 text") // as a script may
	for _, line := range strings.Split(ts.do("INFO", "everything"), "\r\n") {
		if strings.HasPrefix(line, "evil:") {
			t.Errorf("in INFO: %q", line)
		}
	}
}

// What CONFIG SET takes comes back from the file that CONFIG REWRITE writes, and nothing else.
func TestSettingsForgeNoLines(t *testing.T) {
	evil := "x\nmaxclients 77\r\x00\""
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte("# empty\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t)
	for _, name := range []string{"masteruser", "masterauth", "replica-announce-ip", "requirepass"} {
		if got := ts.do("CONFIG", "SET", name, evil); got != ok {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := ts.Config.RewriteTo(path, false); err != nil {
		t.Fatal(err)
	}
	back := config.New()
	if err := back.LoadFile(path); err != nil {
		t.Fatal(err)
	}
	if back.MaxClients == 77 || back.RequirePass != evil {
		t.Errorf("maxclients %d, requirepass %q", back.MaxClients, back.RequirePass)
	}
}

// The line about a client that is evicted shows its name up to the zero byte, and its user, who may be named almost anything,
// without control characters.
func TestEvictionForgesNoLines(t *testing.T) {
	s := startServer(t)
	var log bytes.Buffer
	control := s.dial()
	control.send(wire([]string{"ACL", "SETUSER", "u\x1b[2J\x7f", "on", "nopass", "+@all"}, []string{"CLIENT", "NO-EVICT", "ON"},
		[]string{"CONFIG", "SET", "maxmemory-clients", "1mb"}))
	control.expect(ok + ok + ok)
	s.on(func() { s.Log = logging.New(logging.Options{Out: &log}) })
	c := s.dial()
	c.send(wire([]string{"AUTH", "u\x1b[2J\x7f", "x"}, []string{"CLIENT", "SETNAME", "a\x00\n" + forged}))
	c.expect(ok + ok)
	go c.Write([]byte(unfinished(3 << 20)))
	s.eventually("it is evicted", func() bool { return s.eviction.evicted == 1 })
	s.on(func() {
		lines := strings.SplitAfter(log.String(), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "Evicting client: ") || !strings.Contains(lines[0], " name=a ") ||
			!strings.Contains(lines[0], ` user=u\x1b[2J\x7f `) || strings.Contains(lines[0], "FORGED") {
			t.Errorf("the log has %q", lines)
		}
	})
}
