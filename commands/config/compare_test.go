package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Comparison with a real server. Where the two must differ, the table beside
// the test says why.

// unknownTo70 lists what 7.2 has and 7.0 has not.
var unknownTo70 = map[string]string{
	"cluster-announce-human-nodename": "new in 7.2",
	"cluster-ping-interval":           "new in 7.2",
	"locale-collate":                  "new in 7.2",
	"set-max-listpack-entries":        "new in 7.2",
	"set-max-listpack-value":          "new in 7.2",
}

var unknownToRedis = map[string]string{
	"rdb-version":              "our own",
	"log-format":               "our own",
	"http":                     "our own",
	"metrics-port":             "our own",
	"metrics-bind":             "our own",
	"metrics-password":         "our own",
	"tls-auth-clients-user":    "of Redis 8.6",
	"tls-auto-reload-interval": "of Valkey 9.1",
}

// shownOnlyHere lists what 7.2 hides from patterns.
var shownOnlyHere = map[string]string{
	"aof-disable-auto-gc": "hidden since 7.2, shown by 7.0",
}

func unknown(t *testing.T, name string) bool {
	return unknownToRedis[name] != "" || unknownTo70[name] != "" && !redisIs72(t)
}

func TestDefaultsAsRedis(t *testing.T) {
	o := startRedis(t, "")
	theirs := o.configGet("*")
	ours := getMap(New(), "*")
	// What startRedis itself sets.
	for _, name := range []string{"port", "bind", "dir"} {
		delete(theirs, name)
		delete(ours, name)
	}
	if len(theirs) < 150 {
		t.Fatalf("the real server names %d parameters only", len(theirs))
	}
	for name, want := range theirs {
		if got, ok := ours[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if got != want {
			t.Errorf("%s = %q, Redis has %q", name, got, want)
		}
	}
	for name := range ours {
		if _, ok := theirs[name]; !ok && !unknown(t, name) && shownOnlyHere[name] == "" {
			t.Errorf("%s is unknown to Redis", name)
		}
	}
	for _, name := range []string{"key-load-delay", "rdb-key-save-delay", "use-exit-on-panic",
		"watchdog-period", "loading-process-events-interval-bytes", "cluster-ping-interval"} {
		if unknown(t, name) {
			continue
		}
		if want, got := o.configGet(name), getMap(New(), name); !maps.Equal(got, want) {
			t.Errorf("hidden %s: %v, Redis has %v", name, got, want)
		}
	}
}

func TestGetAsRedis(t *testing.T) {
	o := startRedis(t, "")
	c := New()
	for _, patterns := range [][]string{
		{"maxmemory"}, {"MaxMemory"}, {"MAXMEMORY", "maxmemory"}, {"slave-priority"},
		{"*max-ziplist*"}, {"hash-max-*"}, {"hash-max-*", "*-entries"}, {"nosuch"},
		{"key-load-delay*"}, {"key-load-delay"}, {"KEY-LOAD-DELAY"}, {"m[ai]*-lag"}, {"[^a-y]*"},
		{"save", "SAVE", "sav?"}, {""}, {"*", "maxmemory"}, {"lua-time-limit", "busy-reply-threshold"},
		{`\*`}, {"timeout\\"}, {"tcp-[j-l]eepalive"}, {"hz", "h?"}, {"slaveof", "replicaof"},
	} {
		want, got := o.configGet(patterns...), getMap(c, patterns...)
		for _, m := range []map[string]string{want, got} {
			for _, name := range []string{"port", "bind", "dir"} {
				delete(m, name)
			}
			maps.DeleteFunc(m, func(name, _ string) bool {
				return unknown(t, name) || shownOnlyHere[name] != ""
			})
		}
		if !maps.Equal(got, want) {
			t.Errorf("CONFIG GET %q: %v, Redis has %v", patterns, got, want)
		}
	}
}

// TestOwnValueBothWays gives every mutable parameter the value that it has,
// here and in the real server.
func TestOwnValueBothWays(t *testing.T) {
	o := startRedis(t, "", "--enable-protected-configs", "yes")
	c := New()
	if err := c.LoadString("enable-protected-configs yes"); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range c.rows {
		before := r.value.get()
		args := []string{r.name, before}
		got := setReply(c, args...)
		want := "OK"
		if r.flags&Immutable != 0 {
			want = "ERR CONFIG SET failed (possibly related to argument '" + r.name + "') - can't set immutable config"
		}
		if got != want {
			t.Errorf("SET %q: %s", args, got)
		}
		if after := r.value.get(); after != before {
			t.Errorf("%s became %q from %q", r.name, after, before)
		}
		if unknown(t, r.name) || r.name == "port" || r.name == "bind" || r.name == "dir" {
			continue
		}
		n++
		if got := o.do("CONFIG", "SET", r.name, before); got != want {
			t.Errorf("Redis: SET %q: %s", args, got)
		}
	}
	if n < 150 {
		t.Errorf("only %d parameters were compared", n)
	}
}

// setDifferences lists where CONFIG SET of the same value answers differently.
// A key is "name value", "name" or a value that any name may have.
var setDifferences = map[string]string{
	"activedefrag yes":                       "accepted as a no-op, so that files of other builds load; this build of Redis refuses it",
	"latency-tracking-info-percentiles 0x10": "hexadecimal percentiles are refused",
	"maxmemory 1%":                           "per cent of the machine or cgroup, which Redis does not have",
	"locale-collate x":                       "accepted here; package commands looks whether the host has it",
	"99999999999999gb":                       "refused as too large; Redis wraps around",
	"18446744073709551616":                   "refused as too large; Redis takes 2^64-1",
}

// TestSetAsRedis sends hostile values to every parameter that can be changed
// without harm, and compares the reply and what CONFIG GET says afterwards.
func TestSetAsRedis(t *testing.T) {
	o := startRedis(t, "", "--enable-protected-configs", "yes")
	c := New()
	if err := c.LoadString("enable-protected-configs yes"); err != nil {
		t.Fatal(err)
	}
	is72 := redisIs72(t)
	// Effects that the package leaves to the server, or that would end the test.
	skip := map[string]bool{"port": true, "bind": true, "dir": true, "appendonly": true,
		"requirepass": true, "maxclients": true, "oom-score-adj": true, "tls-port": true,
		"tls-replication": true, "tls-cluster": true, "watchdog-period": true,
		"maxmemory-clients": true, "timeout": true, "maxmemory": true, "locale-collate": true,
		"client-query-buffer-limit": true, "proto-max-bulk-len": true}
	// maxmemory and maxmemory-clients could stop or disconnect the server's only
	// client; they are sent the values that fail.
	harmless := map[string][]string{
		"maxmemory":                 {"x", "-1", "1x", "1%", "5 gb", "0", "0gb", "gb", "", "10gb", "4000000001", "16GB", "20g", "3000m", "9000000k", "5000000kB", "99999999999b"},
		"maxmemory-clients":         {"x", "-1", "1x", "-5%", "101%", "%", "1.5%", "05%", "0%", "0", "100%", "10gb", "1tb"},
		"client-query-buffer-limit": {"0", "1mb", "1048575", "1048576", "x", "2gb"},
		"proto-max-bulk-len":        {"0", "1mb", "1048575", "x", "2gb", "-1"},
		"timeout":                   {"-1", "x", "2147483648", "0", "1000000"},
		"requirepass":               {"x", ""},
		"maxclients":                {"0", "-1", "4294967296", "x"},
		"port":                      {"-1", "65536", "x", ""},
		"oom-score-adj":             {"x", "", "yes no"},
		"bind":                      {"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"},
		"dir":                       {"/nonexistent/dir", "/etc/passwd", ""},
		"locale-collate":            {"C", "POSIX", "no locale", "x"},
	}
	values := []string{"", "yes", "NO", "no", "0", "1", "-1", "01", "+1", " 1", "1 ", "7", "99", "100", "1000",
		"1001", "65535", "65536", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295",
		"4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"18446744073709551615", "18446744073709551616", "99999999999999gb", "1k", "1kb", "1KB", "1m", "1mb", "1g", "2gb", "1b", "3B", "b", "kb",
		"1tb", "5%", "-5%", "101%", "%", "1e3", "1.5", "0x10", "x", "always", "ALWAYS", "everysec", "local",
		"debug", "nothing", "allkeys-lru", "noeviction", "volatile-ttl", "save nosave", "now force", "force now",
		"default", "default save", "save", "nosave now force", "save  now", "ip", "hostname", "clients", "swapdb", "panic",
		"allchannels", "a/b", `a\b`, "ab.rdb", "a.b-c", "a_b", "a!b", "60 1", "60 1 300 10", "60", "0 1", "1 0", "60 -1",
		"+60 1", "60 1 ", "  60 1", "normal 0 0 0", "slave 1mb 2mb 3", "replica 1 2 3", "PUBSUB 1g 2k 4", "master 1 2 3",
		"normal 1 2", "normal 1 2 x", "normal -1 2 3", "normal 1 2 -3", "normal 1 2 3 replica 4 5 6", "0 200 800", "1 2 3", "3 2 1",
		"0 0 2001", "-2000 0 2000", "1 2 3 4", "A", "KEA", "KA", "g$lshzxetdn", "g$lshzxetd", "K", "n", "AmEKn", "m", "q", "Kq",
		"50 99 99.9", "50", "101", "-0.5", "0.1 1e1", "nan", "inf", "1.23456789", "99.99 x", "50  99", "1_0",
		"{title}", "{title} {port}", "x{", "x{y}", "{{title}}", "{title", "x {config-file} {tls-port} {unixsocket}z", " ", "{server-mode}",
		strings.Repeat("h", 255), strings.Repeat("h", 256), "with \"quotes\" and \\", "line\nbreak"}
	compared := 0
	for _, r := range c.rows {
		if r.flags&Immutable != 0 || unknown(t, r.name) {
			continue
		}
		// 7.0 has no level "nothing" and says so in every error.
		if r.name == "loglevel" && !is72 {
			continue
		}
		list := harmless[r.name]
		if list == nil && !skip[r.name] {
			list = values
		}
		for _, value := range list {
			if setDifferences[r.name+" "+value] != "" || setDifferences[value] != "" || setDifferences[r.name] != "" {
				continue
			}
			compared++
			want := o.do("CONFIG", "SET", r.name, value)
			got := setReply(c, r.name, value)
			if got != want {
				t.Errorf("SET %s %q: %s\nRedis: %s", r.name, value, got, want)
			}
			if r.name == "dir" {
				continue
			}
			wantNow, gotNow := o.configGet(r.name)[r.name], getMap(c, r.name)[r.name]
			if r.name != "port" && r.name != "bind" && gotNow != wantNow {
				t.Errorf("after SET %s %q: %q\nRedis: %q", r.name, value, gotNow, wantNow)
				c.Set([]string{r.name, wantNow}, SetContext{Local: true})
			}
		}
	}
	t.Logf("%d values compared", compared)
}

func TestSetSeveralAsRedis(t *testing.T) {
	o := startRedis(t, "")
	c := New()
	for _, args := range [][]string{
		{"maxmemory-samples", "7", "hz", "20"},
		{"hz", "30", "nosuch", "1"},
		{"NoSuch", "1", "hz", "30"},
		{"hz", "30", "HZ", "40"},
		{"Hz", "30", "hZ", "40"},
		{"hz", "30", "databases", "40"},
		{"hz", "30", "Databases", "40", "nosuch", "x"},
		{"nosuch", "x", "databases", "40"},
		{"hz", "30", "maxmemory-samples", "x"},
		{"maxmemory-samples", "0", "hz", "30"},
		{"dir", "/tmp", "hz", "30"},
		{"DBFILENAME", "x.rdb"},
		{"slave-priority", "5", "replica-priority", "6"},
		{"slave-priority", "x"},
		{"SLAVE-PRIORITY", "x"},
		{"hash-max-ziplist-entries", "12"},
		{"save", "100 1", "hash-max-listpack-value", "1kb"},
		{"save", "", "hz", "700"},
		{"hz", "1", "dynamic-hz", "maybe"},
		{"hz"},
		{"hz", "1", "dynamic-hz"},
		{"list-max-ziplist-size", "-9", "list-compress-depth", "-1"},
		{"slaveof", "a 1"},
	} {
		want := o.do(append([]string{"CONFIG", "SET"}, args...)...)
		if len(args)%2 == 1 {
			// The arity of the command is checked before the package is asked.
			if got := setReply(c, args...); len(args) > 1 && got != want {
				t.Errorf("SET %q: %s\nRedis: %s", args, got, want)
			}
			continue
		}
		if got := setReply(c, args...); got != want {
			t.Errorf("SET %q: %s\nRedis: %s", args, got, want)
		}
		names := []string{"hz", "maxmemory-samples", "save", "replica-priority", "slave-priority",
			"hash-max-listpack-entries", "hash-max-listpack-value", "dbfilename", "list-compress-depth", "list-max-listpack-size"}
		if got, want := getMap(c, names...), o.configGet(names...); !maps.Equal(got, want) {
			t.Errorf("after SET %q: %v\nRedis: %v", args, got, want)
		}
	}
}

var versionInError = regexp.MustCompile(`\(Redis [0-9.]+\)`)

// normalError hides what must differ in an error: the version, and the name of
// the temporary directory.
func normalError(s, dir string) string {
	s = versionInError.ReplaceAllString(s, "(Redis VERSION)")
	return strings.ReplaceAll(s, dir, "DIR")
}

// TestBadFilesAsRedis compares the message for files that must be refused.
func TestBadFilesAsRedis(t *testing.T) {
	redisBinary(t)
	for _, text := range []string{
		"nosuch 1", "port", "port 1 2", "port x", "port \"1", "port '1", "port '1'x", "port 65536", "\n\n  \t port   abc \r\n",
		"# ok\nhz 10\ninclude", "include a b", "appendonly maybe", "maxmemory 1x", "maxmemory-policy lru",
		"maxclients 0", "unixsocketperm 888", "unixsocketperm 7777", "unixsocketperm -1", "save 1", "save x y", "save 0 1",
		"save 60 -1", "client-output-buffer-limit normal 1", "client-output-buffer-limit x 1 2 3",
		"notify-keyspace-events Q", "bind 1 2 3 4 5 6 7 8 9 a b c d e f g h", "replicaof x", "replicaof a b c",
		"replicaof host 99999", "slaveof host port", "oom-score-adj-values 1 2", "oom-score-adj-values 1 2 9999",
		"dir /nonexistent", "dir", "dbfilename a/b", "appendfilename \"\"", "appendfilename a/b", "appenddirname a/b",
		"appenddirname ''", "loglevel loud", "supervised maybe", "syslog-facility local9",
		"rename-command nosuch x", "rename-command get", "rename-command get set", "sentinel monitor x", "loadmodule",
		"module.param", "latency-tracking-info-percentiles 101", "latency-tracking-info-percentiles x",
		"shutdown-on-sigint save nosave", "shutdown-on-sigterm x", "shutdown-on-sigterm", "databases 0",
		"proc-title-template {", "cluster-announce-hostname a_b", "list-max-ziplist-entries 1 2", "list-max-ziplist-value",
		"lua-replicate-commands", "cluster-enabled yes\nreplicaof a 1", "logfile /nonexistent/dir/x.log",
		"enable-debug-command maybe", "requirepass", "requirepass a b", "hash-max-ziplist-entries -1", "\"port\" \"abc\"",
		"port \"\\x41\\n\\t\"", "PORT ABC", "'unix socket' x", "user", "\x01", "port 1\\", "tcp-backlog -5", "rdb-key-save-delay x",
		"maxmemory-clients 101%", "maxmemory-clients x", "oom-score-adj maybe", "watchdog-period -1", "save '' ''", "save \"60 1 2\"",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "redis.conf")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if !redisIs72(t) && strings.HasPrefix(text, "loglevel") {
			continue // 7.0 does not list the level "nothing"
		}
		want := runRedis(t, dir, "", file, "--port", "0")
		_, err := ParseArgs([]string{"redis-server", file, "--port", "0"}, nil, Options{
			RenameCommand: func(from, to string) error {
				if from == "nosuch" {
					return errString("No such command in rename-command")
				}
				if to == "set" {
					return errString("Target command name already exists")
				}
				return nil
			},
		})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got, want := normalError(got, dir), normalError(want, dir); got != want {
			t.Errorf("%q:\n%s\nRedis:\n%s", text, got, want)
		}
	}
}

type errString string

func (e errString) Error() string { return string(e) }

// TestCommandLinesAsRedis compares command lines that are refused, word by word
// with the message.
func TestCommandLinesAsRedis(t *testing.T) {
	redisBinary(t)
	for _, args := range [][]string{
		{"--port", "--bla"}, {"--port"}, {"--port="}, {"--port=7000"}, {"--port x"}, {"-x"}, {"-port", "1"},
		{"--nosuch", "1"}, {"--port", "1", "2"}, {"--port", "0", "--nosuch"}, {"--save", "x"}, {"--save", "60"},
		{"--save", "--port", "x"}, {"--bind", "--port", "--x"}, {"--maxmemory", "10mb", "--port", "\"x"},
		{"--port", "a b"}, {"--port", "a\tb\n\"q\" \\ \x01\xff"}, {"--replicaof", "127.0.0.1"}, {"--replicaof 127.0.0.1 x"},
		{"--port 0\nhz x"}, {"--hz", "10", "-"}, {"--hz", "-", "10"}, {"-", "--hz", "y"}, {"--hz", "y", "-"},
		{"--client-output-buffer-limit", "normal 1 2"}, {"--shutdown-on-sigint", "save nosave"},
		{"--shutdown-on-sigint", "save", "nosave"}, {"--shutdown-on-sigint save nosave"},
		{"--user", "alice"}, {"--save", "", "--port", "x"}, {"--port \"1"}, {"--PORT", "x"},
		{"/nonexistent.conf"}, {"--include", "/nonexistent.conf"}, {"--logfile", "/nonexistent/x"},
		{"--sentinel-x"}, {"--appendonly", "YES", "--hz", ""}, {"--loglevel", "warning", "--hz", "q"},
	} {
		stdin := "maxmemory 1\ntimeout x\n"
		if !slices.Contains(args, "-") {
			stdin = ""
		}
		dir := t.TempDir()
		if slices.Contains(args, "--user") {
			args = append(args, "x=y") // refused by the user hook below
		}
		want := runRedis(t, dir, stdin, args...)
		_, err := ParseArgs(append([]string{"redis-server"}, args...), strings.NewReader(stdin), Options{
			User: func(words []string) error {
				return errString("Error in user declaration 'user': Syntax error")
			},
		})
		got := ""
		switch err := err.(type) {
		case *ParseError:
			got = err.Error()
		case *FileError: // goes to the log, which runRedis does not return
		case nil:
			t.Errorf("%q was accepted", args)
			continue
		}
		if got, want := normalError(got, dir), normalError(want, dir); got != want {
			t.Errorf("%q:\n%s\nRedis:\n%s", args, got, want)
		}
	}
}
