package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// A client may send a million requests before it reads the first reply.
func TestMillionRequestsBeforeReading(t *testing.T) {
	s := harness.StartFerrous(t, "--client-output-buffer-limit", "normal 0 0 0")
	c := s.Dial(t)
	c.Timeout = 2 * time.Minute
	value := strings.Repeat("v", 100)
	c.Must("SET", "k", value)
	const n = 1_000_000
	batch := bytes.Repeat(harness.AppendCommand(nil, "GET", "k"), 1000)
	for range n / 1000 {
		if _, err := c.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Send("PING", "last"); err != nil {
		t.Fatal(err)
	}
	answers(t, s)
	want := "$100\r\n" + value + "\r\n"
	got := make([]byte, 1000*len(want))
	expected := bytes.Repeat([]byte(want), 1000)
	for i := range n / 1000 {
		if err := c.Net().SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.Net(), got); err != nil {
			t.Fatalf("after %d replies: %v", i*1000, err)
		}
		if !bytes.Equal(got, expected) {
			t.Fatalf("replies %d to %d are not what was asked for", i*1000, (i+1)*1000)
		}
	}
	if v, err := c.Read(); err != nil || v.Str != "last" {
		t.Errorf("the last reply is %q, %v", v, err)
	}
}

// A client that takes its replies, or sends its request, byte by byte gets everything and holds up nobody.
func TestSlowClients(t *testing.T) {
	s := harness.StartFerrous(t)
	fast := s.Dial(t)
	fast.Must("SET", "big", strings.Repeat("x", 1<<20))
	slowReader, slowWriter := s.Dial(t), s.Dial(t)
	if err := slowReader.Net().(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := slowReader.Send("GET", "big"); err != nil {
			t.Fatal(err)
		}
	}
	request := harness.AppendCommand(nil, "SET", "slow", "written byte by byte")
	one := make([]byte, 1)
	for i, b := range request {
		if _, err := slowWriter.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(slowReader.Net(), one); err != nil {
			t.Fatal(err)
		}
		for j := range 200 {
			if v := fast.Must("INCR", "n"); v.Int() != int64(200*i+j+1) {
				t.Fatalf("INCR answered %s", v)
			}
		}
		time.Sleep(time.Millisecond)
	}
	if v, err := slowWriter.Read(); err != nil || v.Str != "OK" {
		t.Errorf("the slow writer got %q, %v", v, err)
	}
	if v := fast.Must("GET", "slow"); v.Str != "written byte by byte" {
		t.Errorf("the slow writer wrote %q", v)
	}
	// The slow reader catches up and finds all of its twenty replies.
	reply := int64(len("$1048576\r\n") + 1<<20 + 2)
	if err := slowReader.Net().SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, slowReader.Net(), 20*reply-int64(len(request))); err != nil {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

func TestTenThousandConnections(t *testing.T) {
	const n = 10_000
	if err := harness.RaiseOpenFiles(n + 200); err != nil {
		t.Skip(err)
	}
	s := harness.StartFerrous(t, "--maxclients", strconv.Itoa(n+10))
	ctl := s.Dial(t)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range n {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatalf("connection %d: %v", len(conns)+1, err)
		}
		conns = append(conns, c)
	}
	ping := harness.AppendCommand(nil, "PING")
	buf := make([]byte, 7)
	for round := range 2 {
		for i, c := range conns {
			if _, err := c.Write(ping); err != nil {
				t.Fatalf("round %d, connection %d: %v", round, i, err)
			}
		}
		for i, c := range conns {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "+PONG\r\n" {
				t.Fatalf("round %d, connection %d: %q, %v", round, i, buf, err)
			}
		}
	}
	connected := func() string {
		info, err := ctl.Info("clients")
		if err != nil {
			t.Fatal(err)
		}
		return info["connected_clients"]
	}
	if got := connected(); got != strconv.Itoa(n+1) {
		t.Errorf("connected_clients is %s", got)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	eventually(t, "all of them gone", func() bool { return connected() == "1" })
}

func TestMaxClients(t *testing.T) {
	s := harness.StartFerrous(t, "--maxclients", "5")
	var open []*harness.Conn
	for len(open) < 5 {
		c := s.Dial(t)
		c.Must("PING")
		open = append(open, c)
	}
	for range 3 {
		surplus := s.Dial(t)
		got, err := surplus.ReadAll()
		if err != nil || string(got) != "-ERR max number of clients reached\r\n" {
			t.Errorf("a client too many got %q, %v", got, err)
		}
	}
	if info, err := open[0].Info("stats"); err != nil || info["rejected_connections"] != "3" {
		t.Errorf("rejected_connections is %q, %v", info["rejected_connections"], err)
	}
	if err := open[4].Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a place is free again", func() bool {
		c, err := s.Connect()
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		v, err := c.Do("PING")
		return err == nil && v.Str == "PONG"
	})
	if v := open[0].Must("CONFIG", "SET", "maxclients", "8"); v.Str != "OK" {
		t.Errorf("CONFIG SET: %q", v)
	}
	for range 3 {
		s.Dial(t).Must("PING")
	}
}

// A client whose replies pile up is disconnected at the hard limit, and others are not.
func TestOutputBufferLimit(t *testing.T) {
	s := harness.StartFerrous(t, "--client-output-buffer-limit", "normal 4mb 0 0")
	other := s.Dial(t)
	defer func() {
		if t.Failed() {
			t.Logf("clients: %s", other.Must("CLIENT", "LIST"))
		}
	}()
	other.Must("SET", "big", strings.Repeat("x", 1<<20))
	greedy := s.Dial(t)
	greedy.Must("PING")
	request := harness.AppendCommand(nil, "GET", "big")
	for range 200 {
		if _, err := greedy.Write(request); err != nil {
			break // the server has closed already
		}
	}
	eventually(t, "the greedy client is disconnected", func() bool {
		info, err := other.Info("clients")
		return err == nil && info["connected_clients"] == "1"
	})
	n, err := io.Copy(io.Discard, greedy.Net())
	if n > 50<<20 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the greedy client got %d bytes, %v", n, err)
	}
}

// Above the soft limit a client is disconnected when its seconds are over; they begin anew when it has been below.
func TestOutputBufferSoftLimit(t *testing.T) {
	const soft = 2 << 20
	limit := func(seconds int) []string {
		return []string{"CONFIG", "SET", "client-output-buffer-limit", fmt.Sprintf("normal 0 %d %d", soft, seconds)}
	}
	s := harness.StartFerrous(t, "--hz", "1") // so that it is not cron that sees who has fallen below
	ctl := s.Dial(t)
	ctl.Must(limit(3600)...)
	big := 16 << 20 // more than sockets hold
	ctl.Must("SET", "big", strings.Repeat("x", big))
	get := harness.AppendCommand(nil, "GET", "big")
	queued := func(name string) int { // -1 if the client is gone
		for line := range strings.Lines(ctl.Must("CLIENT", "LIST").Str) {
			if strings.Contains(line, " name="+name+" ") {
				_, after, _ := strings.Cut(line, " omem=")
				word, _, _ := strings.Cut(after, " ")
				n, err := strconv.Atoi(word)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		return -1
	}
	clients := make(map[string]*harness.Conn)
	for _, name := range []string{"greedy", "reader", "again"} {
		c := s.Dial(t)
		// Else the kernel would give those who read more room, for all of the second reply in the end.
		if err := c.Net().(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		c.Must("CLIENT", "SETNAME", name)
		if _, err := c.Write(get); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+"'s output is above the limit", func() bool { return queued(name) > soft })
		clients[name] = c
	}
	time.Sleep(1100 * time.Millisecond) // longer than the limit that follows
	for _, name := range []string{"reader", "again"} {
		if v, err := clients[name].Read(); err != nil || len(v.Str) != big {
			t.Fatalf("%s: %d bytes, %v", name, len(v.Str), err)
		}
	}
	began := time.Now()
	if _, err := clients["again"].Write(append(harness.AppendCommand(nil, limit(1)...), get...)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "again is disconnected", func() bool { return queued("again") < 0 })
	if d := time.Since(began); d < 900*time.Millisecond {
		t.Errorf("who was above the limit once more is disconnected after %v", d)
	}
	eventually(t, "greedy is disconnected", func() bool { return queued("greedy") < 0 })
	if v := clients["reader"].Must("PING"); v.Str != "PONG" {
		t.Errorf("reader got %v", v)
	}
	stats, err := ctl.Info("stats")
	if n := stats["client_output_buffer_limit_disconnections"]; err != nil || n != "2" {
		t.Errorf("%s clients closed, 2 expected, %v", n, err)
	}
}

// A request that outgrows client-query-buffer-limit costs its client the connection.
func TestQueryBufferLimit(t *testing.T) {
	s := harness.StartFerrous(t, "--client-query-buffer-limit", "1mb")
	c := s.Dial(t)
	c.Must("SET", "fits", strings.Repeat("x", 900_000))
	if _, err := c.Write([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$50000000\r\n")); err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	var err error
	for sent := 0; sent < 40_000_000 && err == nil; sent += len(chunk) {
		_, err = c.Write(chunk)
	}
	if err == nil {
		if got, readErr := c.ReadAll(); readErr != nil && !errors.Is(readErr, syscall.ECONNRESET) || len(got) > 0 {
			t.Errorf("the connection is open: %q, %v", got, readErr)
		}
	}
	other := s.Dial(t)
	if v := other.Must("EXISTS", "k"); v.Int() != 0 {
		t.Error("the key was written")
	}
	if info, err := other.Info("clients"); err != nil || info["connected_clients"] != "1" {
		t.Errorf("connected_clients is %q, %v", info["connected_clients"], err)
	}
}

// Many small arguments and one large one: both arrive whole.
func TestLargeRequests(t *testing.T) {
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	c.Timeout = 2 * time.Minute
	args := []string{"MSET"}
	for i := range 200_000 {
		args = append(args, "key:"+strconv.Itoa(i), strconv.Itoa(i))
	}
	if v := c.Must(args...); v.Str != "OK" {
		t.Fatalf("MSET of 200,000 keys: %q", v)
	}
	if v := c.Must("DBSIZE"); v.Int() != 200_000 {
		t.Errorf("DBSIZE is %s", v)
	}
	size := 32 << 20
	if *long {
		size = 512 << 20
	}
	value := strings.Repeat("0123456789abcdef", size/16)
	if v := c.Must("SET", "large", value); v.Str != "OK" {
		t.Fatalf("SET of %d bytes: %q", size, v)
	}
	if v := c.Must("STRLEN", "large"); v.Int() != int64(size) {
		t.Errorf("STRLEN is %s", v)
	}
	if v := c.Must("GETRANGE", "large", strconv.Itoa(size-20), "-1"); v.Str != value[size-20:] {
		t.Errorf("the value ends in %q", v)
	}
	if v := c.Must("GET", "large"); v.Str != value {
		t.Errorf("GET answered %d bytes, or others", len(v.Str))
	}
}

// Clients that only announce large requests cost no memory.
func TestAnnouncedLengthsCostNothing(t *testing.T) {
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	before, err := s.RSS()
	if err != nil {
		t.Skip(err)
	}
	for range 50 {
		liar := s.Dial(t)
		if _, err := liar.Write([]byte("*1000000\r\n$3\r\nSET\r\n$500000000\r\nx")); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		c.Must("PING")
	}
	after, err := s.RSS()
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown > 100<<20 {
		t.Errorf("50 announcements of 500 MB took %d MB", grown>>20)
	}
}

func TestIdleTimeout(t *testing.T) {
	s := harness.StartFerrous(t, "--timeout", "1")
	c := s.Dial(t)
	c.Must("PING")
	if got, err := c.ReadAll(); err != nil || len(got) != 0 {
		t.Errorf("the idle client read %q, %v", got, err)
	}
	answers(t, s)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.sock")
	s := harness.StartFerrous(t, "--unixsocket", path, "--unixsocketperm", "750")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o750 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("the socket's mode is %v", info.Mode())
	}
	c, err := harness.DialConn("unix", path, harness.DefaultTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	c.Must("SET", "k", "v")
	if v := s.Dial(t).Must("GET", "k"); v.Str != "v" {
		t.Errorf("over TCP: %q", v)
	}
	if v := c.Must("CLIENT", "INFO"); !strings.Contains(v.Str, "addr="+path+":0") {
		t.Errorf("CLIENT INFO: %q", v)
	}
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Errorf("exit code %d, %v", code, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}
