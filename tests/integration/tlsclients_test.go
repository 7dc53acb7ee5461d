package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferrous/tests/harness"
)

// redis-cli, redis-benchmark and go-redis are served over TLS as without: large values, pipelines, messages, a connection that is
// killed and made again.
func TestTLSClients(t *testing.T) {
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Authority: harness.NewAuthority(t)})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"PING"}, "PONG\n"},
		{[]string{"-3", "--no-raw", "CONFIG", "GET", "tls-auth-clients"}, "1# \"tls-auth-clients\" => \"yes\"\n"},
		{[]string{"-r", "3", "INCR", "n"}, "1\n2\n3\n"},
	} {
		if got := tool(t, s, nil, "redis-cli", c.args...); got != c.want {
			t.Errorf("redis-cli %q printed %q, want %q", c.args, got, c.want)
		}
	}
	large := strings.Repeat("v", 3<<20)
	if got := tool(t, s, []byte(large), "redis-cli", "-x", "SET", "large"); got != "OK\n" {
		t.Errorf("-x printed %q", got)
	}
	if got := tool(t, s, nil, "redis-cli", "GET", "large"); got != large+"\n" {
		t.Errorf("GET printed %d bytes", len(got))
	}
	if got := tool(t, s, []byte(strings.Repeat("SET k v\r\n", 5000)), "redis-cli", "--pipe"); !strings.Contains(got, "errors: 0, replies: 5000") {
		t.Errorf("--pipe printed %q", got)
	}
	for _, depth := range []string{"1", "16"} {
		got := tool(t, s, nil, "redis-benchmark", "-t", "set,get,lrange_100", "-n", "3000", "-P", depth, "-q")
		if n := strings.Count(got, "requests per second"); n != 4 {
			t.Errorf("redis-benchmark printed %q", got)
		}
	}
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("go-redis RESP%d", protocol), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := goRedis(t, s, protocol)
			expect(t, c.Set(ctx, "large", large, 0), "OK")
			expect(t, c.Get(ctx, "large"), large)
			replies, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i := range 10_000 {
					p.Set(ctx, fmt.Sprint("key:", i), i, 0)
				}
				return nil
			})
			if err != nil || len(replies) != 10_000 {
				t.Errorf("%d replies, %v", len(replies), err)
			}
			sub := c.Subscribe(ctx, "news")
			defer sub.Close()
			if _, err := sub.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				expect(t, c.Publish(ctx, "news", i), int64(1))
				if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != fmt.Sprint(i) {
					t.Fatalf("%v, %v", m, err)
				}
			}
			s.Dial(t).Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			expect(t, c.Get(ctx, "key:1"), "1")
		})
	}
}

// nodeEnv names the environment variable with a folder in which `npm install ioredis redis` was run.
const nodeEnv = "FERROUS_NODE"

// ioredis, node-redis and redis-py are served over TLS: large values, pipelines, messages, a connection that is killed and made
// again. A server whose authority they do not know is refused.
func TestTLSLibraries(t *testing.T) {
	modules := filepath.Join(os.Getenv(nodeEnv), "node_modules")
	for _, l := range []struct {
		script, program string
		known           []string // tells that the library is there
	}{
		{"ioredis.js", "node", []string{"-e", "require('ioredis')"}},
		{"node-redis.js", "node", []string{"-e", "require('redis')"}},
		{"redis-py.py", "/usr/bin/python3", []string{"-c", "import redis"}}, // Debian's, which has Debian's packages
	} {
		t.Run(l.script, func(t *testing.T) {
			run := func(args ...string) ([]byte, error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, l.program, args...)
				cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
				return cmd.CombinedOutput()
			}
			if _, err := run(l.known...); err != nil {
				t.Skipf("%s %q: %v", l.program, l.known, err)
			}
			ca := harness.NewAuthority(t)
			cert, key := ca.Issue("client", "client")
			s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Authority: ca})
			out, err := run(filepath.Join("testdata", l.script), strconv.Itoa(s.Port), ca.File, cert, key)
			if err != nil || string(out) != "done\n" {
				t.Errorf("%v: %.5000s", err, out)
			}
		})
	}
}

// Clients that know nothing of TLS reach the server through stunnel.
func TestTLSStunnel(t *testing.T) {
	program, err := exec.LookPath("stunnel")
	if err != nil {
		t.Skip(err)
	}
	ca := harness.NewAuthority(t)
	cert, key := ca.Issue("client", "client")
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Authority: ca})
	port := freePort(t)
	file := filepath.Join(t.TempDir(), "stunnel.conf")
	config := fmt.Sprintf("foreground = yes\npid =\nsyslog = no\ndebug = err\n[redis]\nclient = yes\naccept = 127.0.0.1:%d\n"+
		"connect = 127.0.0.1:%d\ncert = %s\nkey = %s\nCAfile = %s\nverifyChain = yes\n", port, s.Port, cert, key, ca.File)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd := exec.Command(program, file)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	dial := func() (*harness.Conn, error) { return harness.DialConn("tcp", addr, harness.DefaultTimeout) }
	eventually(t, "a client is served", func() bool {
		c, err := dial()
		if err != nil {
			return false
		}
		defer c.Close()
		v, err := c.Do("PING")
		return err == nil && v.Str == "PONG"
	})
	var group sync.WaitGroup
	for i := range 20 {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		group.Go(func() {
			name, value := fmt.Sprint("key", i), strings.Repeat("v", 1+i*50_000)
			var requests []byte
			for range 200 {
				requests = harness.AppendCommand(requests, "INCR", "n")
			}
			requests = harness.AppendCommand(requests, "SET", name, value)
			requests = harness.AppendCommand(requests, "GET", name)
			if _, err := c.Write(requests); err != nil {
				t.Error(err)
				return
			}
			var last harness.Value
			for range 202 {
				if last, err = c.Read(); err != nil || last.IsError() {
					t.Errorf("client %d: %v, %v", i, last, err)
					return
				}
			}
			if last.Str != value {
				t.Errorf("client %d: %d bytes, want %d", i, len(last.Str), len(value))
			}
		})
	}
	group.Wait()
	if got := s.Dial(t).Must("GET", "n").Str; got != "4000" {
		t.Errorf("n is %s", got)
	}
}
