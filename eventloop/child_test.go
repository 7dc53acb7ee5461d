package eventloop

// Tests that need a process of their own: limits, descriptor 0, a foreign peer,
// ten thousand clients. The test binary runs itself with childEnv set.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const childEnv = "FERROUS_EVENTLOOP_CHILD"

func TestMain(m *testing.M) {
	switch role, arg, _ := strings.Cut(os.Getenv(childEnv), " "); role {
	case "":
		os.Exit(m.Run())
	case "serve":
		childServe(arg)
	case "connect":
		childConnect(arg)
	case "clients":
		childClients(arg)
	}
	os.Exit(0)
}

type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, role string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &child{cmd, in, bufio.NewReader(out)}
}

// line reads one line that the child prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	type result struct {
		s   string
		err error
	}
	ch := make(chan result, 1)
	go func() {
		s, err := c.out.ReadString('\n')
		ch <- result{strings.TrimSpace(s), err}
	}()
	select {
	case r := <-ch:
		if r.err != nil {
			t.Fatalf("child: %v", r.err)
		}
		return r.s
	case <-time.After(patience):
		t.Fatal("the child says nothing")
	}
	return ""
}

// childServe serves with one-byte commands: n answers how many commands there
// were, e takes all descriptors that are left, r gives them back.
func childServe(arg string) {
	if limit, err := strconv.Atoi(arg); err == nil {
		if err := setNoFile(uint64(limit), uint64(limit)); err != nil {
			fmt.Println("error", err)
			return
		}
	} else if arg == "nofd0" {
		syscall.Close(0)
	}
	count := 0
	var taken []int
	h := &testHandler{data: func(c *Conn, in []byte) {
		count++
		switch in[0] {
		case 'e':
			for {
				fd, err := syscall.Dup(1)
				if err != nil {
					break
				}
				taken = append(taken, fd)
			}
		case 'r':
			for _, fd := range taken {
				syscall.Close(fd)
			}
			taken = nil
		}
		c.Send(fmt.Appendf(nil, "%d\n", count))
	}}
	l, err := New(Options{
		Addrs: []string{"tcp4://127.0.0.1:0"}, Handler: h, Refusal: []byte("full\n"),
		Serving: func(a []net.Addr, first bool) { fmt.Println(a[0], first) },
		Logf:    func(f string, a ...any) { fmt.Printf("log "+f+"\n", a...) },
	})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	if arg == "nofd0" {
		var st syscall.Stat_t
		if err := syscall.Fstat(0, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFCHR {
			fmt.Println("error: descriptor 0 is not /dev/null", err)
			return
		}
	}
	if err := l.Serve(); err != nil {
		fmt.Println("error", err)
	}
}

func ask(t *testing.T, c net.Conn, cmd string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, cmd); err != nil {
		t.Fatal(err)
	}
	s, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

// When descriptors run out, connections are refused with a text, the others go
// on, and all is well when descriptors are free again.
func TestOutOfDescriptors(t *testing.T) {
	ch := startChild(t, "serve 80")
	addr, _, _ := strings.Cut(ch.line(t), " ")
	dial := func() net.Conn {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	keep := dial()
	if got := ask(t, keep, "n"); got != "1" {
		t.Fatal(got)
	}
	var conns []net.Conn
	accepted, refused := 0, 0
	for range 200 {
		c := dial()
		switch got := ask(t, c, "n"); got {
		case "full":
			refused++
		default:
			accepted++
		}
		conns = append(conns, c)
	}
	if accepted < 30 || refused < 100 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
	if got, want := ask(t, keep, "n"), fmt.Sprint(accepted+2); got != want {
		t.Errorf("count %s, want %s", got, want)
	}
	for _, c := range conns {
		c.Close()
	}
	// The loop learns of the ends one after the other: a connection may still be refused, whose question is not counted.
	got := "full"
	for end := time.Now().Add(patience); got == "full" && time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = ask(t, dial(), "n")
	}
	if want := fmt.Sprint(accepted + 3); got != want {
		t.Errorf("count %s, want %s", got, want)
	}
	if l := ch.line(t); !strings.HasPrefix(l, "log connections are refused") {
		t.Errorf("child: %q", l)
	}
}

// When others have taken every descriptor, accept fails and evio ends: it is
// started again, with all state but the connections.
func TestAcceptFails(t *testing.T) {
	ch := startChild(t, "serve 80")
	addr, _, _ := strings.Cut(ch.line(t), " ")
	a, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := ask(t, a, "e"); got != "1" {
		t.Fatal(got)
	}
	// The accept that fails. The listener may be closed before this side has heard that it is connected.
	if b, err := net.Dial("tcp4", addr); err == nil {
		defer b.Close()
	}
	if _, err := io.ReadAll(a); err != nil {
		t.Logf("the first connection ended with %v", err)
	}
	for {
		l := ch.line(t)
		if l == addr+" false" {
			break
		}
		if !strings.HasPrefix(l, "log ") {
			t.Fatalf("child: %q", l)
		}
	}
	// A few descriptors are free now, those that the connections had: not
	// enough for a client, but serving goes on.
	for want := 2; ; {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "r")
		s, _ := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if strings.TrimSpace(s) == fmt.Sprint(want) {
			return
		}
		if s == "" {
			continue
		}
		if s != "full\n" {
			t.Fatalf("count %q, want %d", s, want)
		}
		// Only the operator's hand helps now: here, a higher limit.
		if err := raiseChildLimit(ch.cmd.Process.Pid, 200); err != nil {
			t.Skip("cannot raise the child's limit:", err)
		}
	}
}

func TestDescriptorZeroClosed(t *testing.T) {
	ch := startChild(t, "serve nofd0")
	addr, _, _ := strings.Cut(ch.line(t), " ")
	for i := 1; i < 4; i++ {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := ask(t, c, "n"); got != fmt.Sprint(i) {
			t.Fatal(got)
		}
	}
}

// childConnect connects to a unix address and prints what it reads.
func childConnect(addr string) {
	c, err := net.Dial("unix", addr)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "k")
	b, err := io.ReadAll(c)
	fmt.Printf("%d bytes, %v\n", len(b), err)
}

// Another process cannot become the inner connection, nor disturb it.
func TestForeignInnerPeer(t *testing.T) {
	if !abstractSockets {
		t.Skip("the socket lies in a private directory")
	}
	s := start(t, &testHandler{opened: func(c *Conn) bool { t.Error("Opened for the inner listener"); return true }}, nil)
	var name string
	s.do(func() { name = s.inner.name })
	for range 3 {
		got := startChild(t, "connect "+name).line(t)
		if got != "0 bytes, <nil>" && !strings.HasSuffix(got, "connection reset by peer") {
			t.Errorf("the foreign peer got: %s", got)
		}
	}
	s.do(func() {
		if s.Conns() != 0 {
			t.Error("a foreign peer is counted as a client")
		}
	})
	// Nor can this process become it a second time.
	c, err := net.Dial("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("a second inner connection: %d, %v", n, err)
	}
}

// childClients opens connections, says so, and plays ping-pong over all of them
// for each line that it reads.
func childClients(arg string) {
	var addr string
	var n int
	fmt.Sscan(arg, &n, &addr)
	if got, _, err := AdjustOpenFiles(n, 100, 100); got < n {
		fmt.Println("error", got, err)
		return
	}
	conns := make([]net.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp4", addr); err != nil {
			fmt.Println("error", i, err)
			return
		}
	}
	fmt.Println("connected")
	var buf [8]byte
	for in := bufio.NewReader(os.Stdin); ; {
		if _, err := in.ReadString('\n'); err != nil {
			return
		}
		for _, c := range conns {
			io.WriteString(c, "ping")
		}
		for i, c := range conns {
			if k, err := io.ReadFull(c, buf[:4]); err != nil || string(buf[:k]) != "ping" {
				fmt.Println("error", i, err)
				return
			}
		}
		fmt.Println("pong")
	}
}

func TestTenThousandConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	const n = 10_000
	if got, limit, err := AdjustOpenFiles(n, 200, 200); got < n {
		t.Skipf("open files limited to %d (%v)", limit, err)
	}
	s := start(t, &testHandler{}, nil)
	heap := func() (m runtime.MemStats) {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m
	}
	before := heap()
	ch := startChild(t, fmt.Sprintf("clients %d %s", n, s.addrs[0]))
	if l := ch.line(t); l != "connected" {
		t.Fatal("child:", l)
	}
	s.eventually("all connected", func() bool { return s.Conns() == n })
	for range 3 {
		io.WriteString(ch.in, "\n")
		if l := ch.line(t); l != "pong" {
			t.Fatal("child:", l)
		}
	}
	after := heap()
	per := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes of heap a connection, evio's part included", per)
	if per > 800 && !raceEnabled {
		t.Errorf("%d bytes of heap an idle connection", per)
	}
	ch.in.Close()
	s.eventually("all closed", func() bool { return s.Conns() == 0 })
}

func TestAdjustOpenFiles(t *testing.T) {
	cur, hard, err := noFile()
	if err != nil {
		t.Fatal(err)
	}
	if got, limit, err := AdjustOpenFiles(10, 64, 32); got != 10 || limit != cur || err != nil {
		t.Errorf("10 clients: %d, %d, %v", got, limit, err)
	}
	if os.Getenv(childEnv) == "" && hard < 1<<30 {
		// Asking for more than there is gives what there is, unless this
		// process may raise the hard limit.
		got, limit, err := AdjustOpenFiles(int(hard), 64, 32)
		if err != nil || got != int(hard) && (limit != hard || got != int(hard)-32) {
			t.Errorf("%d clients: %d, %d, %v", hard, got, limit, err)
		}
	}
	if _, _, err := AdjustOpenFiles(1, 1<<40, 1<<40); err == nil {
		t.Error("a reserve that cannot be had is granted")
	}
}
