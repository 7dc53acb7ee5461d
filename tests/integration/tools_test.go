package integration

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// tool runs redis-cli or redis-benchmark against a server and returns its output.
func tool(t *testing.T, s *harness.Server, stdin []byte, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, slices.Concat([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port)}, s.ToolArgs(), args)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestRedisCli(t *testing.T) {
	s := harness.StartFerrous(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"PING"}, "PONG\n"},
		{[]string{"SET", "k", "v"}, "OK\n"},
		{[]string{"GET", "k"}, "v\n"},
		{[]string{"GET", "missing"}, "\n"},
		{[]string{"--no-raw", "GET", "missing"}, "(nil)\n"},
		{[]string{"--no-raw", "-3", "GET", "missing"}, "(nil)\n"},
		{[]string{"-3", "--no-raw", "MGET", "k", "missing"}, "1) \"v\"\n2) (nil)\n"},
		{[]string{"--no-raw", "INCR", "n"}, "(integer) 1\n"},
		{[]string{"-r", "5", "INCR", "n"}, "2\n3\n4\n5\n6\n"},
		{[]string{"-n", "3", "DBSIZE"}, "0\n"},
		{[]string{"--json", "MGET", "k", "missing"}, "[\"v\",null]\n"},
		{[]string{"--csv", "MGET", "k", "n"}, "\"v\",\"6\"\n"},
		{[]string{"--scan", "--pattern", "k*"}, "k\n"},
		{[]string{"CLIENT", "GETNAME"}, "\n"},
	} {
		if got := tool(t, s, nil, "redis-cli", c.args...); got != c.want {
			t.Errorf("redis-cli %q printed %q, want %q", c.args, got, c.want)
		}
	}
	if got := tool(t, s, []byte("value from stdin"), "redis-cli", "-x", "SET", "in"); got != "OK\n" {
		t.Errorf("-x: %q", got)
	}
	if got := tool(t, s, []byte("GET in\nSTRLEN in\n\"NOSUCH\" x\n"), "redis-cli"); got !=
		"value from stdin\n16\nERR unknown command 'NOSUCH', with args beginning with: 'x' \n\n" {
		t.Errorf("commands from stdin: %q", got)
	}
	for _, c := range [][]string{{"INFO"}, {"CONFIG", "GET", "*"}, {"COMMAND", "DOCS"}, {"-3", "COMMAND", "DOCS"}, {"CLIENT", "LIST"}} {
		if got := tool(t, s, nil, "redis-cli", c...); len(got) < 80 || strings.HasPrefix(got, "ERR") {
			t.Errorf("redis-cli %q printed %q", c, got)
		}
	}
}

func TestRedisBenchmark(t *testing.T) {
	s := harness.StartFerrous(t)
	want := []string{"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"}
	for _, pipeline := range []int{1, 16, 100} {
		for _, extra := range [][]string{nil, {"-3", "-d", "5000"}} {
			args := append([]string{"-t", "ping,set,get,incr,mset", "-n", "5000", "-r", "1000", "-P", strconv.Itoa(pipeline), "--csv"}, extra...)
			out := tool(t, s, nil, "redis-benchmark", args...)
			var got []string
			for line := range strings.Lines(out) {
				if name, _, ok := strings.Cut(strings.TrimPrefix(line, `"`), `"`); ok && name != "test" && strings.HasPrefix(line, `"`) {
					got = append(got, name)
				}
			}
			if !slices.Equal(got, want) || strings.Contains(out, "ERR") {
				t.Errorf("redis-benchmark %q: tests %q, printed %s", args, got, out)
			}
		}
	}
}

func TestMassInsertion(t *testing.T) {
	s := harness.StartFerrous(t)
	const n = 200_000
	var commands []byte
	for i := range n {
		commands = harness.AppendCommand(commands, "SET", fmt.Sprintf("key:%d", i), "value")
	}
	out := tool(t, s, commands, "redis-cli", "--pipe")
	if !strings.Contains(out, fmt.Sprintf("errors: 0, replies: %d", n)) {
		t.Errorf("redis-cli --pipe printed %q", out)
	}
	if got := s.Dial(t).Must("DBSIZE"); got.Int() != n {
		t.Errorf("DBSIZE is %s", got)
	}
	// redis-cli ends with status 1 when there were errors.
	cmd := exec.Command("redis-cli", "-p", strconv.Itoa(s.Port), "--pipe")
	cmd.Stdin = strings.NewReader("SET a 1\r\nINCR a\r\nINCR key:1\r\n")
	mixed, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(mixed), "errors: 1, replies: 3") {
		t.Errorf("redis-cli --pipe of inline commands printed %q, %v", mixed, err)
	}
}

func TestUnixSocketWithCli(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.sock")
	harness.StartFerrous(t, "--unixsocket", path, "--unixsocketperm", "700")
	out, err := exec.Command("redis-cli", "-s", path, "ECHO", "through the socket").CombinedOutput()
	if err != nil || string(out) != "through the socket\n" {
		t.Errorf("redis-cli -s: %q, %v", out, err)
	}
}
