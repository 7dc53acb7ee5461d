package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goodFile is a configuration that both servers must read to the same values.
const goodFile = `# comment
   # indented comment
maxmemory 64MB
MAXMEMORY-policy AllKeys-LRU
	timeout	 7	
"hz" '20'
save 900 1
save 300 10 60 5
list-max-ziplist-size -3
slave-priority 42
hash-max-ziplist-entries 77
lua-time-limit 123
notify-keyspace-events "Ex$"
client-output-buffer-limit slave 1gb 512mb 90
client-output-buffer-limit normal 1mb 0 0 pubsub 2k 1k 5
oom-score-adj-values "1 2 3"
latency-tracking-info-percentiles 50.5 90 100
shutdown-on-sigterm nosave now
shutdown-on-sigint "force save"
proc-title-template "{title} \x7b{config-file}}"
masterauth "q\"uo\\te \x41\n\t\a\b\r\xff"
masteruser 'single \' quote \n'
tls-ciphers a"b c"
maxmemory-clients 5%
replica-announce-ip ""
list-max-ziplist-entries 5
appendfilename "x y.aof"
enable-protected-configs local
unixsocketperm 0750
user alice on nopass ~* +@all
include inc/*.conf
include inc/none-*.conf
include "inc/one.conf"
cluster-node-timeout 99
stream-node-max-bytes 0`

const includedFile = "maxmemory-samples 9\r\nlfu-log-factor 3\r\n"

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// compareAll compares CONFIG GET * but for what startRedis sets, and the names
// given.
func compareAll(t *testing.T, c *Config, o *oracle, but ...string) {
	t.Helper()
	ours, theirs := getMap(c, "*"), o.configGet("*")
	for name, got := range ours {
		if slices.Contains([]string{"port", "bind", "dir"}, name) || slices.Contains(but, name) || unknown(t, name) || shownOnlyHere[name] != "" {
			continue
		}
		if want := theirs[name]; got != want {
			t.Errorf("%s = %q, Redis has %q", name, got, want)
		}
	}
}

func parse(t *testing.T, stdin string, args ...string) *Config {
	t.Helper()
	inv, err := ParseArgs(append([]string{"redis-server"}, args...), strings.NewReader(stdin), Options{})
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return inv.Config
}

func TestGoodFileAsRedis(t *testing.T) {
	redisBinary(t)
	dir := t.TempDir()
	t.Chdir(dir)
	writeFile(t, filepath.Join(dir, "inc", "a.conf"), includedFile)
	writeFile(t, filepath.Join(dir, "inc", ".hidden.conf"), "maxmemory-samples 1\n")
	writeFile(t, filepath.Join(dir, "inc", "one.conf"), "active-expire-effort 2")
	// The real server runs in a directory of its own: name the files in full.
	text := strings.NewReplacer("include inc", "include "+dir+"/inc", `include "inc`, `include "`+dir+"/inc").Replace(goodFile)
	file := filepath.Join(dir, "redis.conf")
	writeFile(t, file, text)
	o := startRedis(t, file)
	c := parse(t, "", file)
	compareAll(t, c, o)
	if value(t, c, "maxmemory-samples") != "9" || value(t, c, "active-expire-effort") != "2" {
		t.Error("included files were not read")
	}
	// The same with names relative to the working directory.
	writeFile(t, file, goodFile)
	compareAll(t, parse(t, "", "redis.conf"), o)
}

// value is Value for a name that must exist.
func value(t *testing.T, c *Config, name string) string {
	t.Helper()
	v, ok := c.Value(name)
	if !ok {
		t.Fatalf("no directive %s", name)
	}
	return v
}

func TestGoodCommandLinesAsRedis(t *testing.T) {
	redisBinary(t)
	for _, args := range [][]string{
		{"--save", "--hz", "20"},
		{"--save", "", "--hz", "20"},
		{"--hz", "20", "--save"},
		{"--hz 20"},
		{"--hz 20 ", "--timeout", "3"},
		{"--save 60 1", "--save", "10", "5"},
		{"--save", "60 1 10 5"},
		{"--SAVE", "--timeout", "4"},
		{"--maxmemory", "10MB", "--maxmemory-policy", "allkeys-lfu"},
		{"--masterauth", "--x"},
		{"--masterauth", "a b \"c\" \\ \n\x01", "--hz", "3"},
		{"--shutdown-on-sigint", "save now", "--shutdown-on-sigterm", "nosave", "force"},
		{"--client-output-buffer-limit", "replica", "1", "2", "3"},
		{"--notify-keyspace-events", "KEA", "--proc-title-template", "--my--title--"},
		{"--"},
		{"--hz", "2", "--hz", "3"},
		{"--masteruser", "--save", "--hz", "7"},
	} {
		o := startRedis(t, "", args...)
		// startRedis puts options of its own before these.
		c := parse(t, "", append([]string{"--port", "1", "--bind", "127.0.0.1", "--dir", o.dir}, args...)...)
		compareAll(t, c, o)
		if t.Failed() {
			t.Fatalf("command line %q", args)
		}
	}
}

func sortedLines(s string) []string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	slices.Sort(lines)
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

// TestRewriteAsRedis lets both servers rewrite the same file after the same
// changes. Redis appends in the order of a hash table, so what comes after the
// signature is compared as a set; all before it exactly. Both files must then
// start the real server with the same values.
func TestRewriteAsRedis(t *testing.T) {
	redisBinary(t)
	const old = `# my server
maxmemory 100mb


# saving
save 900 1
save 300 10
save 60 100

slave-priority 9
HASH-MAX-ZIPLIST-ENTRIES 10
include "INC"
# a note about limits
client-output-buffer-limit pubsub 1mb 1mb 1
rename-command DEBUG ""
masterauth old
timeout 5
timeout 6
loglevel debug
list-max-ziplist-entries 3
notify-keyspace-events KEA
unixsocketperm 700
bind-source-addr 127.0.0.1
dynamic-hz yes
maxmemory-clients 10%
# end
`
	changes := [][2]string{
		{"save", "100 2"}, {"maxmemory", "3221225472"}, {"masterauth", ""}, {"replica-priority", "11"},
		{"hash-max-listpack-value", "1000"}, {"client-output-buffer-limit", "normal 1gb 20mb 30"},
		{"requirepass", "p\"w\n"}, {"notify-keyspace-events", ""}, {"stream-node-max-bytes", "8kb"},
		{"shutdown-on-sigint", "now force"}, {"latency-tracking-info-percentiles", ""}, {"hz", "10"},
		{"appendfsync", "always"}, {"maxmemory-clients", "20%"}, {"bind-source-addr", ""},
		{"oom-score-adj-values", "1 2 3"},
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "inc.conf"), "lfu-decay-time 7\n")
	text := strings.Replace(old, "INC", dir+"/inc.conf", 1)
	theirFile, ourFile := filepath.Join(dir, "theirs.conf"), filepath.Join(dir, "ours.conf")
	writeFile(t, theirFile, text)
	writeFile(t, ourFile, text)

	o := startRedis(t, theirFile)
	c := parse(t, "", ourFile, "--port", o.configGet("port")["port"], "--bind", "127.0.0.1", "--dir", o.dir)
	c.RewriteUsers = func() []string {
		line := o.do("ACL", "LIST")
		return strings.Split(line, "\x00")
	}
	for _, ch := range changes {
		want := o.do("CONFIG", "SET", ch[0], ch[1])
		if got := setReply(c, ch[0], ch[1]); got != want || got != "OK" {
			t.Fatalf("SET %q: %s, Redis %s", ch, got, want)
		}
		if ch[0] == "requirepass" {
			o.do("AUTH", ch[1])
		}
	}
	for round := range 2 {
		if got := o.do("CONFIG", "REWRITE"); got != "OK" {
			t.Fatal("Redis: ", got)
		}
		if err := c.Rewrite(false); err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(theirFile)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := os.ReadFile(ourFile)
		if err != nil {
			t.Fatal(err)
		}
		theirHead, theirTail, _ := strings.Cut(string(theirs), signature)
		ourHead, ourTail, _ := strings.Cut(string(ours), signature)
		// Redis keeps the empty line that it sees after the last end of line.
		if strings.TrimRight(ourHead, "\n") != strings.TrimRight(theirHead, "\n") {
			t.Errorf("round %d: before the signature:\n%s\nRedis:\n%s", round, ourHead, theirHead)
		}
		if got, want := sortedLines(ourTail), sortedLines(theirTail); !slices.Equal(got, want) {
			t.Errorf("round %d: after the signature:\n%s\nRedis:\n%s", round, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}

	// Our file starts the real server, with the values of the first one.
	second := startRedis(t, ourFile)
	if got := second.do("AUTH", "p\"w\n"); got != "OK" {
		t.Fatal(got)
	}
	a, b := o.configGet("*"), second.configGet("*")
	for _, m := range []map[string]string{a, b} {
		delete(m, "port")
		delete(m, "dir")
	}
	if !maps.Equal(a, b) {
		for k := range a {
			if a[k] != b[k] {
				t.Errorf("after a restart %s = %q, was %q", k, b[k], a[k])
			}
		}
	}
	// And so does one with everything written out.
	if err := c.Rewrite(true); err != nil {
		t.Fatal(err)
	}
	again := parse(t, "", ourFile)
	for _, r := range c.rows {
		if got, want := value(t, again, r.name), r.value.get(); got != want {
			t.Errorf("forced rewrite: %s = %q, was %q", r.name, got, want)
		}
	}
}

// TestExampleFiles reads the configuration files that Debian and we ship.
func TestExampleFiles(t *testing.T) {
	ours := "../../ferrous.conf"
	c := New()
	if err := c.LoadFile(ours); err != nil {
		t.Fatal(err)
	}
	if got, want := getMap(c, "*"), getMap(New(), "*"); !maps.Equal(got, want) {
		for k := range want {
			if got[k] != want[k] {
				t.Errorf("%s: %s = %q, the default is %q", ours, k, got[k], want[k])
			}
		}
	}
	// The examples that are switched off must be right as well.
	text, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, line := range strings.Split(string(text), "\n") {
		if len(line) < 2 || line[0] != '#' || line[1] < 'a' || line[1] > 'z' {
			continue
		}
		examples++
		if err := NewWith(Options{FS: newMemFS(nil)}).LoadString(line[1:]); err != nil {
			t.Errorf("%s: example %q: %v", ours, line, err)
		}
	}
	if examples < 10 {
		t.Errorf("%d examples only", examples)
	}
	const debian = "/etc/redis/redis.conf"
	if _, err := os.ReadFile(debian); err == nil {
		c := New()
		// Debian's file logs and works where only its own user may write.
		c.fs = quietFS{}
		if err := c.LoadFile(debian); err != nil {
			t.Error(debian, err)
		}
		if c.PidFile == "" || c.Supervised == SupervisedNone && !c.Daemonize {
			t.Errorf("%s says how to run as a service, and was read as %v %v %q", debian, c.Daemonize, c.Supervised, c.PidFile)
		}
	}
	if redisBinary(t) != "" {
		abs, err := filepath.Abs(ours)
		if err != nil {
			t.Fatal(err)
		}
		o := startRedis(t, abs, "--appendonly", "no")
		compareAll(t, New(), o)
	}
}
