// Package harness starts real servers (Ferrous, or a redis-server beside it) for the tests and benches that need one,
// and talks to them over raw connections.
//
// A Server is one process on a free port of 127.0.0.1 with a temporary directory of its own, its output captured. It
// answers PING when Start returns. It is ended by its process id only, at the latest when the test ends, or, on Linux,
// when the test process dies. A Conn is one connection that keeps the bytes of every reply, so that two servers can be
// compared to the byte; it decodes replies by itself, independently of the server's own protocol package.
package harness

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/random"
)

// startTimeout is how long a server may take until it answers PING: a race-built binary on a busy machine included.
const startTimeout = time.Minute

// Options are the settings of a server to start. The zero value of every field but Binary is useful.
type Options struct {
	Binary string   // path of the server binary
	Args   []string // appended to the harness's own arguments (--port, --bind, --dir, --save '', --appendonly no)
	Dir    string   // working data directory; a temporary one, removed at the end, when empty
	Port   int      // one that FreePort has returned; 0: a free one
	Config string   // path of a configuration file, named before the arguments, so that CONFIG REWRITE works
	Env    []string // added to the environment
	// Wrap is put before the command line (for example {"sh", "-c", `ulimit -n 64; exec "$@"`, "sh"}). The wrapper must
	// exec the server, so that the process id is the server's.
	Wrap []string
	// Seed is what a binary with the build tag seeded takes its hash function and its random draws from; 0 leaves it to
	// the server. StartWith sets it.
	Seed uint64
	// Password is sent with AUTH by Dial, for servers started with requirepass.
	Password string
	// Authority has the server speak TLS at its port, and nothing else. Dial does, too, with a certificate of the authority.
	Authority *Authority
}

// TLSEnv names the environment variable that gives all servers an Authority.
const TLSEnv = "FERROUS_TLS"

// everywhere is the authority of all servers, with TLSEnv.
var everywhere struct {
	sync.Once
	authority *Authority
}

// wanted returns the authority that the environment asks for, nil for none.
func wanted() *Authority {
	if os.Getenv(TLSEnv) == "" {
		return nil
	}
	everywhere.Do(func() {
		fatal := func(v ...any) { panic(fmt.Sprint(v...)) }
		dir, err := os.MkdirTemp("", "ferrous-tls-")
		if err != nil {
			fatal(err)
		}
		everywhere.authority = NewAuthorityIn(dir, fatal)
	})
	return everywhere.authority
}

// Server is one running server process.
type Server struct {
	Name string // "ferrous", "redis-server": the binary's base name
	Addr string // host:port of its TCP listener
	Port int
	Dir  string // its data directory

	password string
	tls      *tls.Config // nil: plain
	tools    []string
	ownDir   bool
	process  *os.Process
	logs     *lockedBuffer
	exited   chan struct{} // closed when the process has been reaped
	state    *os.ProcessState
}

// Start starts a server and waits until it answers. On failure the error carries the server's own output.
func Start(o Options) (*Server, error) {
	var err error
	if o.Authority == nil {
		o.Authority = wanted()
	}
	for attempt := 0; attempt < 5; attempt++ {
		var s *Server
		if s, err = startOnce(o); err == nil {
			return s, nil
		}
		// Another process may have taken the free port meanwhile.
		if !strings.Contains(err.Error(), "ddress already in use") {
			break
		}
	}
	return nil, err
}

func startOnce(o Options) (*Server, error) {
	port := o.Port
	var err error
	if port == 0 {
		if port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	s := &Server{
		Name:     filepath.Base(o.Binary),
		Addr:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Port:     port,
		Dir:      o.Dir,
		password: o.Password,
		logs:     &lockedBuffer{},
		exited:   make(chan struct{}),
	}
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "ferrous-test-"); err != nil {
			return nil, err
		}
		s.ownDir = true
	}
	argv := append([]string{}, o.Wrap...)
	argv = append(argv, o.Binary)
	if o.Config != "" {
		argv = append(argv, o.Config)
	}
	if a := o.Authority; a != nil {
		cert, key := a.pair()
		s.tls, s.tools = a.Client(cert, key), a.ToolArgs(cert, key)
		argv = append(argv, "--port", "0", "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key,
			"--tls-ca-cert-file", a.File, "--tls-replication", "yes", "--tls-cluster", "yes")
	} else {
		argv = append(argv, "--port", strconv.Itoa(port))
	}
	argv = append(argv, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--appendonly", "no")
	argv = append(argv, o.Args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = os.Environ()
	if o.Seed != 0 {
		cmd.Env = append(cmd.Env, "FERROUS_SEED="+strconv.FormatUint(o.Seed, 10))
	}
	cmd.Env = append(cmd.Env, o.Env...)
	cmd.Stdout = s.logs
	cmd.Stderr = s.logs
	cmd.SysProcAttr = childAttributes()

	started := make(chan error, 1)
	go func() {
		// "Kill the child when its parent dies" means the parent's thread: this one must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.process = cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		s.state = cmd.ProcessState
		close(s.exited)
	}()
	if err := <-started; err != nil {
		s.removeDir()
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	if err := s.waitReady(); err != nil {
		s.Kill()
		return nil, fmt.Errorf("%s: %w; its output:\n%s", o.Binary, err, s.Logs())
	}
	return s, nil
}

// waitReady waits for any reply to PING that shows a server at work: an authentication error will do.
func (s *Server) waitReady() error {
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			return fmt.Errorf("exited at start (%v)", s.state)
		default:
		}
		if c, err := s.Open(2 * time.Second); err == nil {
			v, err := c.Do("PING")
			_ = c.Close()
			if err == nil && (v.String() == "PONG" || strings.HasPrefix(v.Str, "NOAUTH")) {
				return nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("does not answer PING")
}

// StartFerrous starts a Ferrous for a test and ends it with the test.
func StartFerrous(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return StartWith(tb, Options{Binary: NeedFerrous(tb), Args: args})
}

// StartRedis starts the redis-server found on the PATH for a test and ends it with the test.
func StartRedis(tb testing.TB, args ...string) *Server {
	tb.Helper()
	bin, err := Redis()
	if err != nil {
		tb.Fatal(err)
	}
	return StartWith(tb, Options{Binary: bin, Args: args})
}

// StartWith starts a server for a test, with a seed of the test's own, and ends it with the test; the server's output is shown
// if the test failed.
func StartWith(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Seed == 0 {
		o.Seed = random.Seed(tb)
	}
	s, err := Start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Kill()
		logs := s.Logs()
		if strings.Contains(logs, "WARNING: DATA RACE") {
			tb.Errorf("%s reported a data race", s.Name)
		}
		if _, line, found := strings.Cut(logs, "Broken invariant"); found {
			line, _, _ = strings.Cut(line, "\n")
			tb.Errorf("%s reported a broken invariant%s", s.Name, line)
		}
		if tb.Failed() {
			tb.Logf("output of %s (pid %d):\n%s", s.Name, s.PID(), tail(logs, 20000))
		}
	})
	return s
}

// NeedFerrous returns the path of SeededFerrous or ends the test.
func NeedFerrous(tb testing.TB) string {
	tb.Helper()
	bin, err := SeededFerrous()
	if err != nil {
		tb.Fatal(err)
	}
	return bin
}

// PID returns the server's process id.
func (s *Server) PID() int { return s.process.Pid }

// Logs returns what the server has printed on its standard output and error so far.
func (s *Server) Logs() string { return s.logs.String() }

// Alive reports whether the process still runs.
func (s *Server) Alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Signal sends the process a signal.
func (s *Server) Signal(sig os.Signal) error { return s.process.Signal(sig) }

// Wait waits until the process has ended by itself or after a Signal, and returns its exit code (-1: by a signal).
func (s *Server) Wait(timeout time.Duration) (int, error) {
	select {
	case <-s.exited:
		return s.state.ExitCode(), nil
	case <-time.After(timeout):
		return 0, fmt.Errorf("%s (pid %d) still runs after %v", s.Name, s.PID(), timeout)
	}
}

// Stop asks the server to end with SIGTERM and returns its exit code.
func (s *Server) Stop(timeout time.Duration) (int, error) {
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	return s.Wait(timeout)
}

// Kill ends the process at once (SIGKILL), waits for its end and removes its temporary directory. It may be called
// again, and after the process has ended by itself.
func (s *Server) Kill() {
	if s.Alive() {
		_ = s.process.Kill()
		<-s.exited
	}
	s.removeDir()
}

func (s *Server) removeDir() {
	if s.ownDir {
		_ = os.RemoveAll(s.Dir)
	}
}

// Dial opens a raw connection for a test, authenticated where the server was started with a Password, and closes it with
// the test.
func (s *Server) Dial(tb testing.TB) *Conn {
	tb.Helper()
	c, err := s.Connect()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Connect is Dial outside of a test: the caller closes the connection.
func (s *Server) Connect() (*Conn, error) {
	c, err := s.Open(DefaultTimeout)
	if err != nil {
		return nil, err
	}
	if s.password != "" {
		v, err := c.Do("AUTH", s.password)
		if err == nil && v.Kind == '-' {
			err = errors.New(v.Str)
		}
		if err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("AUTH: %w", err)
		}
	}
	return c, nil
}

// Open connects without AUTH, with TLS where the server has it. The caller closes the connection.
func (s *Server) Open(timeout time.Duration) (*Conn, error) {
	if s.tls == nil {
		return DialConn("tcp", s.Addr, timeout)
	}
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: timeout}, "tcp", s.Addr, s.tls)
	if err != nil {
		return nil, err
	}
	return NewConn(nc, timeout), nil
}

// TLSConfig returns the settings of a client of a server with TLS, nil for another.
func (s *Server) TLSConfig() *tls.Config { return s.tls }

// ToolArgs are the arguments that redis-cli and redis-benchmark need for a server with TLS.
func (s *Server) ToolArgs() []string { return s.tools }

// Info returns the fields of an INFO section (or of all default sections when it is empty).
func (s *Server) Info(section string) (map[string]string, error) {
	c, err := s.Connect()
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.Info(section)
}

// Ports of tests lie below those that the system gives to outgoing connections.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// heldPorts are the files by which this process holds the ports that FreePort has returned.
var heldPorts struct {
	sync.Mutex
	files []*os.File
}

// FreePort returns a TCP port of 127.0.0.1 that nothing listens on. No other test that asks for one gets it while this process
// lives, so that a server may leave the port and come back to it.
func FreePort() (int, error) {
	dir := filepath.Join(os.TempDir(), "ferrous-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return 0, err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			f.Close()
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			f.Close()
			continue
		}
		l.Close()
		heldPorts.Lock()
		heldPorts.files = append(heldPorts.files, f)
		heldPorts.Unlock()
		return port, nil
	}
	return 0, errors.New("no free port was found")
}

// lockedBuffer collects what a process prints. It keeps the last megabytes of a server that prints without end.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	const keep = 8 << 20
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 2*keep {
		b.buf.Next(b.buf.Len() - keep)
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}
