package integration

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// ping runs ferrous --ping and returns what it printed and its exit code.
func ping(t *testing.T, env string, args ...string) (string, int) {
	t.Helper()
	bin, err := harness.Ferrous()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, append([]string{"--ping"}, args...)...)
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func expectPing(t *testing.T, what, env string, code int, text string, args ...string) {
	t.Helper()
	if out, got := ping(t, env, args...); got != code || !strings.Contains(out, text) {
		t.Errorf("%s: exit code %d, %q; want %d and %q", what, got, out, code, text)
	}
}

// ferrous --ping finds the server by the configuration that the server was started with.
func TestPing(t *testing.T) {
	dir := t.TempDir()
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p := strconv.Itoa(port)
	expectPing(t, "no server", "", 1, "127.0.0.1:"+p+": connect: connection refused", "--port", p)
	expectPing(t, "no configuration", "", 1, "No such file", filepath.Join(dir, "missing.conf"))
	expectPing(t, "a wrong option", "", 1, "Bad directive", "--nonsense", "1")
	expectPing(t, "nowhere to connect to", "", 1, "neither a port nor a socket", "--port", "0")
	log := filepath.Join(dir, "log")
	expectPing(t, "a log file", "", 1, "connection refused", "--port", p, "--logfile", log)
	if _, err := os.Stat(log); err == nil {
		t.Error("the health check has made the server's log file")
	}

	socket := filepath.Join(dir, "ferrous.sock")
	conf := filepath.Join(dir, "ferrous.conf")
	text := "bind 127.0.0.1\nport " + p + "\nunixsocket " + socket + "\nrequirepass secret\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Port: port, Config: conf, Password: "secret"})
	expectPing(t, "a configuration file", "", 0, "127.0.0.1:"+p+": PONG", conf)
	expectPing(t, "the socket", "", 0, socket+": PONG", conf, "--port", "0")
	expectPing(t, "no password", "", 1, "wants a login", "--port", p)
	expectPing(t, "a wrong password", "", 1, "logging in: WRONGPASS", "--port", p, "--requirepass", "other")
	expectPing(t, "the environment", "FERROUS_PING_AUTH=default secret", 0, "PONG", conf, "--requirepass", "other")
	c := s.Dial(t)
	if v, err := c.Do("ACL", "SETUSER", "health", "on", ">two words", "-@all", "+ping"); err != nil || v.Str != "OK" {
		t.Fatal(v, err)
	}
	expectPing(t, "a user", "FERROUS_PING_AUTH=health two words", 0, "PONG", conf)
}

// With no plain port it speaks TLS, with the certificates of the configuration.
func TestPingTLS(t *testing.T) {
	a := harness.NewAuthority(t)
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	args := a.ServerArgs("server", port) // --tls-port port --tls-cert-file cert --tls-key-file key …
	cert, key := args[3], args[5]
	plain, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Port: plain, Args: args})
	args = append([]string{"--port", "0"}, args...)
	expectPing(t, "TLS", "", 0, "127.0.0.1:"+strconv.Itoa(port)+": PONG", args...)
	expectPing(t, "TLS at a plain port", "", 1, "TLS: ", append(args, "--tls-port", strconv.Itoa(plain))...)
	expectPing(t, "no authority", "", 0, "PONG", "--port", "0", "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert,
		"--tls-key-file", key, "--tls-auth-clients", "no")
	expectPing(t, "a file that is missing", "", 1, "TLS: ", append(args, "--tls-cert-file", "/missing")...)
}

// A server that loads, and one that does not answer, are not ready.
func TestPingNotReady(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	replies, requests := make(chan string, 4), make(chan string, 4)
	go func() {
		for reply := range replies {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 64)
			n, _ := conn.Read(request)
			requests <- string(request[:n])
			_, _ = conn.Write([]byte(reply))
			conn.Close()
		}
	}()
	defer close(replies)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, c := range []struct{ reply, want string }{
		{"-LOADING Redis is loading the dataset in memory\r\n", "LOADING Redis is loading"},
		{"HTTP/1.1 400 Bad Request\r\n", "no server of Redis's protocol"},
		{"", "no answer"},
	} {
		replies <- c.reply
		expectPing(t, c.reply, "", 1, c.want, "--port", port)
		<-requests
	}
	replies <- "+PONG\r\n"
	expectPing(t, "another name", "", 0, "PONG", "--port", port, "--rename-command", "ping", "P1NG")
	if got := <-requests; got != "*1\r\n$4\r\nP1NG\r\n" {
		t.Errorf("another name: sent %q", got)
	}
}
