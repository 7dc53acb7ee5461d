package commands

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ferrous/eventloop/resp"
	"ferrous/tests/harness"
)

// scriptedTarget is a server that answers the requests of each connection with the lines of a script, in order, and closes
// the connection when the script has ended; a line "-" is no answer to any request from there on.
type scriptedTarget struct {
	port string

	mu       sync.Mutex
	requests [][]string // of each connection, without payloads
}

func newScriptedTarget(t *testing.T, scripts ...[]string) *scriptedTarget {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := &scriptedTarget{port: port, requests: make([][]string, len(scripts))}
	done := make(chan struct{})
	var conns sync.WaitGroup
	go func() {
		defer close(done)
		for i, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer conns.Done()
				defer conn.Close()
				s.serve(i, conn, script)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done; conns.Wait() })
	return s
}

func (s *scriptedTarget) serve(i int, conn net.Conn, script []string) {
	in := resp.NewReader(conn)
	for _, line := range script {
		v, err := in.Read()
		if err != nil {
			return
		}
		var words []string
		for j, e := range v.Elems {
			if j == 3 && string(v.Elems[0].Str) == "RESTORE" {
				words = append(words, "*")
			} else {
				words = append(words, string(e.Str))
			}
		}
		s.mu.Lock()
		s.requests[i] = append(s.requests[i], strings.Join(words, " "))
		s.mu.Unlock()
		if line == "-" {
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		_, _ = io.WriteString(conn, line+"\r\n")
	}
}

// asked returns what connection i has asked so far.
func (s *scriptedTarget) asked(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.requests[i], "; ")
}

func TestMigrateReplies(t *testing.T) {
	const ok = "+OK\r\n"
	for _, tt := range []struct {
		name    string
		scripts [][]string // of the connections
		line    string     // behind MIGRATE host port
		reply   string
		asked   string // of the last connection that was used
		fed     string
		left    string // of a, b, c
	}{
		{"one key", [][]string{{"+OK", "+OK", "+x"}}, "a 2 0", ok, "SELECT 2; RESTORE a 0 *", "DEL a", "b c"},
		{"replace", [][]string{{"+OK", "+OK", "+x"}}, "a 0 0 REPLACE", ok, "SELECT 0; RESTORE a 0 * REPLACE", "DEL a", "b c"},
		{"copy", [][]string{{"+OK", "+OK", "+x"}}, "a 0 0 copy", ok, "SELECT 0; RESTORE a 0 *", "", "a b c"},
		{"deadline", [][]string{{"+OK", "+OK", "+x"}}, "c 0 0", ok, "SELECT 0; RESTORE c 5000 *", "DEL c", "a b"},
		{"some keys", [][]string{{"+OK", "+OK", "+OK", "+x"}}, "|| 0 0 KEYS a none c", ok,
			"SELECT 0; RESTORE a 0 *; RESTORE c 5000 *", "DEL a c", "b"},
		{"no key", nil, "none 0 0", "+NOKEY\r\n", "", "", "a b c"},
		{"no keys", nil, "|| 0 0 KEYS", "+NOKEY\r\n", "", "", "a b c"},
		{"the same key twice", [][]string{{"+OK", "+OK", "-BUSYKEY there", "+x"}}, "|| 0 0 KEYS a a",
			"-ERR Target instance replied with error: BUSYKEY there\r\n", "SELECT 0; RESTORE a 0 *; RESTORE a 0 *", "DEL a", "b c"},
		{"the second is refused", [][]string{{"+OK", "+OK", "-BUSYKEY there", "+OK", "+x"}}, "|| 0 0 KEYS a b c",
			"-ERR Target instance replied with error: BUSYKEY there\r\n",
			"SELECT 0; RESTORE a 0 *; RESTORE b 0 *; RESTORE c 5000 *", "DEL a c", "b"},
		{"the database is refused", [][]string{{"-ERR range", "+OK", "+x"}}, "a 99 0",
			"-ERR Target instance replied with error: ERR range\r\n", "SELECT 99; RESTORE a 0 *", "", "a b c"},
		{"password", [][]string{{"+OK", "+OK", "+OK", "+x"}}, "a 0 0 AUTH secret", ok,
			"AUTH secret; SELECT 0; RESTORE a 0 *", "DEL a", "b c"},
		{"user", [][]string{{"+OK", "+OK", "+OK", "+x"}}, "a 0 0 AUTH2 name secret", ok,
			"AUTH name secret; SELECT 0; RESTORE a 0 *", "DEL a", "b c"},
		{"wrong password", [][]string{{"-WRONGPASS no", "-NOAUTH a", "-NOAUTH b", "+x"}}, "a 0 0 AUTH secret",
			"-ERR Target instance replied with error: WRONGPASS no\r\n", "AUTH secret; SELECT 0; RESTORE a 0 *", "", "a b c"},
		{"closed before the first reply", [][]string{{"+OK"}, {"+OK", "+OK", "+x"}}, "a 0 0", ok,
			"SELECT 0; RESTORE a 0 *", "DEL a", "b c"},
		{"refused and closed", [][]string{{"-ERR max number of clients reached"}, {"-ERR max number of clients reached"}}, "a 0 0",
			"-IOERR error or timeout reading to target instance\r\n", "SELECT 0", "", "a b c"},
		{"the password is refused, and closed", [][]string{{"-WRONGPASS no", "-NOAUTH a"}, {"-WRONGPASS no", "-NOAUTH a"}},
			"a 0 0 AUTH x", "-IOERR error or timeout reading to target instance\r\n", "AUTH x; SELECT 0", "", "a b c"},
		{"closed twice", [][]string{{"+OK"}, {"+OK"}}, "a 0 0", "-IOERR error or timeout reading to target instance\r\n",
			"SELECT 0", "", "a b c"},
		{"closed after the first reply", [][]string{{"+OK", "+OK"}, {"+OK", "+OK", "+OK", "+x"}}, "|| 0 0 KEYS a b",
			"-IOERR error or timeout reading to target instance\r\n", "", "DEL a", "b c"},
		{"no answer", [][]string{{"+OK", "-"}, {"+x"}}, "a 0 1000", "-IOERR error or timeout reading to target instance\r\n",
			"", "", "a b c"},
		{"a long error", [][]string{{"+OK", "-" + strings.Repeat("e", 5000), "+x"}}, "a 0 0",
			"-ERR Target instance replied with error: " + strings.Repeat("e", migrateLine-1) + "\r\n",
			"SELECT 0; RESTORE a 0 *", "", "a b c"},
		{"word", nil, "a 0 0 what", "-ERR syntax error\r\n", "", "", "a b c"},
		{"no password", nil, "a 0 0 AUTH", "-ERR syntax error\r\n", "", "", "a b c"},
		{"no user", nil, "a 0 0 AUTH2 x", "-ERR syntax error\r\n", "", "", "a b c"},
		{"key and KEYS", nil, "a 0 0 KEYS b",
			"-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string\r\n", "", "", "a b c"},
		{"timeout", nil, "a 0 x", "-ERR value is not an integer or out of range\r\n", "", "", "a b c"},
		{"database", nil, "a x 0", "-ERR value is not an integer or out of range\r\n", "", "", "a b c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestServer(t)
			s.doLine("MSET a 1 b 2")
			s.doLine("SET c 3 PX 5000")
			s.recordFeed()
			target := newScriptedTarget(t, tt.scripts...)
			words := strings.Fields("MIGRATE 127.0.0.1 " + target.port + " " + tt.line)
			if words[3] == "||" {
				words[3] = ""
			}
			if reply := s.do(words...); reply != tt.reply {
				t.Errorf("replied %.200q, want %.200q", reply, tt.reply)
			}
			if tt.asked != "" {
				if asked := target.asked(len(tt.scripts) - 1); asked != tt.asked {
					t.Errorf("asked %q, want %q", asked, tt.asked)
				}
			}
			if fed := s.propagated(); fed != tt.fed {
				t.Errorf("propagated %q, want %q", fed, tt.fed)
			}
			var left []string
			for _, key := range []string{"a", "b", "c"} {
				if s.do("EXISTS", key) == ":1\r\n" {
					left = append(left, key)
				}
			}
			if got := strings.Join(left, " "); got != tt.left {
				t.Errorf("%q are left, want %q", got, tt.left)
			}
			s.migrations.closeAll()
		})
	}
}

// Nobody listens, or there is no such address.
func TestMigrateToNobody(t *testing.T) {
	s := newTestServer(t)
	s.doLine("SET a 1")
	number, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(number)
	for _, to := range []struct{ host, port, failure string }{
		{"127.0.0.1", port, "writing to target instance"},
		{"127.0.0.1\x00x", port, "writing to target instance"},
		{"127.0.0.1", " +" + port + "x", "writing to target instance"},
		{"127.0.0.1", strconv.Itoa(number + 1<<16), "writing to target instance"},
		{"127.0.0.1", "http", "writing to target instance"}, // port 0
		{"127.0.0.1", "", "writing to target instance"},
		{"127.0.0.1", "-1", "connecting to the client"},
		{"127.0.0.1", "99999999999999999999", "connecting to the client"},
		{"", port, "connecting to the client"},
		{"256.1.1.1", port, "connecting to the client"},
		{"127.0.0.1 ", port, "connecting to the client"},
	} {
		reply, want := s.do("MIGRATE", to.host, to.port, "a", "0", "10000"), "-IOERR error or timeout "+to.failure+"\r\n"
		if reply != want {
			t.Errorf("%q: got %q, want %q", to, reply, want)
		}
	}
	if n := len(s.migrations.links); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
}

func TestMigrateKeepsConnections(t *testing.T) {
	s := newTestServer(t)
	target := newScriptedTarget(t,
		[]string{"+OK", "+OK", "+OK", "+OK", "+OK", "-ERR no", "+OK", "+OK", "+x"},
		[]string{"+OK", "+OK", "+OK", "+x"},
		[]string{"+OK", "+OK", "+x"})
	move := func(db, more string) string {
		s.doLine("SET k v")
		return s.doLine("MIGRATE 127.0.0.1 " + target.port + " k " + db + " 1000 " + more)
	}
	kept := func(want string) {
		t.Helper()
		if info := s.do("INFO", "stats"); !strings.Contains(info, "migrate_cached_sockets:"+want+"\r\n") {
			t.Errorf("INFO does not tell that %s connections are kept", want)
		}
	}
	for _, step := range []struct{ db, more, reply string }{
		{"0", "", "+OK\r\n"}, {"0", "", "+OK\r\n"}, {"1", "", "+OK\r\n"},
		{"1", "", "-ERR Target instance replied with error: ERR no\r\n"},
		{"1", "", "+OK\r\n"}, // after an error the database is selected again
		{"1", "AUTH p", "+OK\r\n"},
	} {
		if reply := move(step.db, step.more); reply != step.reply {
			t.Fatalf("%+v: %q", step, reply)
		}
	}
	if got, want := target.asked(0), "SELECT 0; RESTORE k 0 *; RESTORE k 0 *; SELECT 1; RESTORE k 0 *; RESTORE k 0 *; "+
		"SELECT 1; RESTORE k 0 *"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	if got, want := target.asked(1), "AUTH p; SELECT 1; RESTORE k 0 *"; got != want {
		t.Errorf("with a password asked %q, want %q", got, want)
	}
	kept("2")
	s.migrations.closeIdle(s.now + migrateIdle)
	kept("2")
	s.migrations.closeIdle(s.now + migrateIdle + 1)
	kept("0")
	if reply := move("1", ""); reply != "+OK\r\n" {
		t.Errorf("after that: %q", reply)
	}
	s.migrations.closeAll()
}

// The connection that has not been used for the longest time makes room for a new one.
func TestMigrateKeepsFewConnections(t *testing.T) {
	s := newTestServer(t)
	scripts := make([][]string, migrateLinks+1)
	for i := range scripts {
		scripts[i] = []string{"+OK", "+OK", "+OK", "+x"}
	}
	target := newScriptedTarget(t, scripts...)
	for i := range scripts {
		s.now++
		s.doLine("SET k v")
		if reply := s.doLine(fmt.Sprintf("MIGRATE 127.0.0.1 %s k 0 1000 AUTH %d", target.port, i)); reply != "+OK\r\n" {
			t.Fatalf("%d: %q", i, reply)
		}
	}
	if n := len(s.migrations.links); n != migrateLinks {
		t.Errorf("%d connections are kept", n)
	}
	if s.migrations.links[migrationTarget{host: "127.0.0.1", port: target.port, login: true, password: "0"}] != nil {
		t.Error("the oldest is still kept")
	}
	s.migrations.closeAll()
}

// A value that the configured version cannot hold stays, and what was sent before it is still brought to its end.
func TestMigrateVersion(t *testing.T) {
	s := newTestServer(t, "rdb-version", "10")
	s.doLine("SET a 1")
	s.doLine("HSET h f v")
	s.doLine("HEXPIRE h 100 FIELDS 1 f")
	target := newScriptedTarget(t, []string{"+OK", "+OK", "+x"})
	reply := s.do("MIGRATE", "127.0.0.1", target.port, "", "0", "1000", "KEYS", "a", "h")
	if !strings.HasPrefix(reply, "-ERR ") || !strings.Contains(reply, "10") {
		t.Errorf("replied %q", reply)
	}
	if got := s.do("EXISTS", "a", "h"); got != ":1\r\n" {
		t.Errorf("%q keys are left", got)
	}
	s.migrations.closeAll()
}

func TestMigrateKeysAndSecrets(t *testing.T) {
	s := newTestServer(t)
	e := s.Registry.ByName["migrate"]
	for _, tt := range []struct{ line, keys, secrets string }{
		{"migrate h p k 0 9", "3", ""},
		{"migrate h p k 0 9 copy replace", "3", ""},
		{"migrate h p || 0 9 keys a b", "7 8", ""},
		{"migrate h p || 0 9 AUTH keys KEYS a auth b", "9 10 11", "7"},
		{"migrate h p k 0 9 auth2 u p", "3", "7 8"},
		{"migrate h p k 0 9 auth2 u", "3", "7"},
		{"migrate h p k 0 9 what auth p", "3", "8"},
		{"migrate h p k 0 9 keys a b", "3 7 8", ""},
		{"migrate h p || 0 9 keys", "", ""},
	} {
		var args [][]byte
		for _, w := range strings.Fields(tt.line) {
			args = append(args, []byte(strings.ReplaceAll(w, "||", "")))
		}
		var keys, secrets []string
		for _, k := range e.EveryKey(nil, args) {
			keys = append(keys, fmt.Sprint(k.Pos))
		}
		secret := migrateSecrets(args)
		for i := range args {
			if secret(i) {
				secrets = append(secrets, fmt.Sprint(i))
			}
		}
		if got := strings.Join(keys, " "); got != tt.keys {
			t.Errorf("%s: keys %q, want %q", tt.line, got, tt.keys)
		}
		if got := strings.Join(secrets, " "); got != tt.secrets {
			t.Errorf("%s: secrets %q, want %q", tt.line, got, tt.secrets)
		}
	}
	s.Config.SlowlogLogSlowerThanUs = 0
	if err := s.applyThresholds(); err != nil {
		t.Fatal(err)
	}
	s.doLine("MIGRATE h p none 0 9 AUTH2 user pass")
	if log := s.do("SLOWLOG", "GET", "1"); strings.Contains(log, "pass") || strings.Contains(log, "user") ||
		strings.Count(log, "(redacted)") != 2 {
		t.Errorf("the slow log shows %q", log)
	}
}

// Values of several chunks come whole, and no more than one payload is made at once.
func TestMigrateLarge(t *testing.T) {
	s := newTestServer(t, "rdbcompression", "no")
	value := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for i := range 4 {
		s.do("SET", fmt.Sprint("k", i), value)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan string)
	go func() {
		defer close(got)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := resp.NewReader(conn)
		for {
			v, err := in.Read()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "+OK\r\n")
			if string(v.Elems[0].Str) == "RESTORE" {
				got <- string(v.Elems[1].Str) + fmt.Sprint(strings.Contains(string(v.Elems[3].Str), value))
			}
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	replied := make(chan string, 1)
	go func() {
		replied <- s.do("MIGRATE", "127.0.0.1", port, "", "0", "10000", "REPLACE", "KEYS", "k0", "k1", "k2", "k3")
	}()
	for i := range 4 {
		if g := <-got; g != fmt.Sprintf("k%dtrue", i) {
			t.Errorf("key %d: %q", i, g)
		}
	}
	if reply := <-replied; reply != "+OK\r\n" {
		t.Errorf("replied %q", reply)
	}
	s.migrations.closeAll()
	for range got {
	}
}
