package config

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// A real redis-server beside the package: Debian's, or the one that the
// environment variable REDIS_SERVER names. Tests that need it are skipped
// without one.

func redisBinary(t *testing.T) string {
	t.Helper()
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("no redis-server: ", err)
	}
	return path
}

// redisIs72 says that the real server is of the version that we follow; the
// expected differences are fewer then.
func redisIs72(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command(redisBinary(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), "v=7.2.")
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

type oracle struct {
	t    *testing.T
	port int
	dir  string
	conn net.Conn
	r    *bufio.Reader
}

// startRedis runs a real server in a directory of its own; args come last on
// its command line, but for a configuration file, which must come first.
func startRedis(t *testing.T, file string, args ...string) *oracle {
	t.Helper()
	o := &oracle{t: t, port: freePort(t), dir: t.TempDir()}
	var argv []string
	if file != "" {
		argv = append(argv, file)
	}
	argv = append(argv, "--port", strconv.Itoa(o.port), "--bind", "127.0.0.1", "--dir", o.dir)
	cmd := exec.Command(redisBinary(t), append(argv, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Dir = o.dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("redis-server ended (%v): %s", err, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
		if err != nil {
			continue
		}
		o.conn, o.r = conn, bufio.NewReader(conn)
		t.Cleanup(func() { conn.Close() })
		if reply := o.do("PING"); reply == "PONG" || strings.HasPrefix(reply, "NOAUTH") {
			return o
		}
		conn.Close()
	}
	t.Fatalf("redis-server does not answer: %s", out.String())
	return nil
}

// do sends a command; statuses, errors and bulk strings come back as a string,
// arrays as their elements joined by zero bytes.
func (o *oracle) do(args ...string) string {
	o.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	o.conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(o.conn, b.String()); err != nil {
		o.t.Fatal(err)
	}
	return o.reply()
}

func (o *oracle) reply() string {
	o.t.Helper()
	line, err := o.r.ReadString('\n')
	if err != nil {
		o.t.Fatal(err)
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		buf := make([]byte, n+2)
		if _, err := io.ReadFull(o.r, buf); err != nil {
			o.t.Fatal(err)
		}
		return string(buf[:n])
	case '*':
		parts := make([]string, n)
		for i := range parts {
			parts[i] = o.reply()
		}
		return strings.Join(parts, "\x00")
	}
	return line[1:]
}

func (o *oracle) configGet(patterns ...string) map[string]string {
	o.t.Helper()
	out := make(map[string]string)
	reply := o.do(append([]string{"CONFIG", "GET"}, patterns...)...)
	if reply == "" {
		return out
	}
	parts := strings.Split(reply, "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		out[parts[i]] = parts[i+1]
	}
	return out
}

// runRedis runs a real server that is expected to end, and returns its standard
// error.
func runRedis(t *testing.T, dir, stdin string, args ...string) (stderr string) {
	t.Helper()
	cmd := exec.Command(redisBinary(t), args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	cmd.Wait()
	if !kill.Stop() {
		t.Fatalf("redis-server %q did not end", args)
	}
	return errs.String()
}

func getMap(c *Config, patterns ...string) map[string]string {
	out := make(map[string]string)
	for _, p := range c.Get(patterns...) {
		out[p.Name] = p.Value
	}
	return out
}

// setReply is the reply that CONFIG SET gives here.
func setReply(c *Config, args ...string) string {
	if err := c.Set(args, SetContext{Local: true}); err != nil {
		return err.Error()
	}
	return "OK"
}
