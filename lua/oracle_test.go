package lua

import (
	"bufio"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oracle is a redis-server that scripts are compared with by hand: LUA_ORACLE=host:port go test -run Oracle, with the
// scripts of the file LUA_SCRIPTS, one a line (\N stands for a newline).
type oracle struct {
	c net.Conn
	r *bufio.Reader
}

func (o *oracle) do(argv ...string) (string, error) {
	fmt.Fprintf(o.c, "*%d\r\n", len(argv))
	for _, a := range argv {
		fmt.Fprintf(o.c, "$%d\r\n%s\r\n", len(a), a)
	}
	var out strings.Builder
	err := o.read(&out)
	return out.String(), err
}

func (o *oracle) read(out *strings.Builder) error {
	left := 1
	for ; left > 0; left-- {
		line, err := o.r.ReadString('\n')
		if err != nil {
			return err
		}
		out.WriteString(line)
		n := 0
		fmt.Sscanf(line[1:], "%d", &n)
		switch line[0] {
		case '$', '=':
			if n >= 0 {
				b := make([]byte, n+2)
				if _, err := io.ReadFull(o.r, b); err != nil {
					return err
				}
				out.Write(b)
			}
		case '*', '~':
			left += max(n, 0)
		case '%':
			left += 2 * n
		}
	}
	return nil
}

func sha1Of(script string) string {
	sum := sha1.Sum([]byte(script))
	return hex.EncodeToString(sum[:])
}

// bridge runs the commands of scripts on the oracle.
type oracleBridge struct {
	server
	o *oracle
}

func (b *oracleBridge) Call(argv [][]byte) []byte {
	var s []string
	for _, a := range argv {
		s = append(s, string(a))
	}
	reply, _ := b.o.do(s...)
	return []byte(reply)
}

func TestOracle(t *testing.T) {
	addr, file := os.Getenv("LUA_ORACLE"), os.Getenv("LUA_SCRIPTS")
	if addr == "" {
		t.Skip("LUA_ORACLE names no server")
	}
	connect := func() *oracle {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return &oracle{c, bufio.NewReader(c)}
	}
	o := connect()
	e := New(&oracleBridge{server: *newServer(), o: connect()})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	same, other := 0, 0
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" {
			continue
		}
		line = strings.ReplaceAll(line, `\N`, "\n")
		want, err := o.do("EVAL", line, "0")
		if err != nil {
			t.Fatal(err)
		}
		want = strings.ReplaceAll(want, sha1Of(line), "{sha}")
		began := time.Now()
		got := eval(e, line, false)
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Logf("%v: %s", d, line)
		}
		if got == want {
			same++
		} else {
			other++
			t.Errorf("%s\n got %.300q\nwant %.300q", line, got, want)
		}
	}
	t.Logf("%d the same, %d others", same, other)
}

// TestOracleCPU compares what the scripts of the benchmarks cost here and on the oracle, in CPU time.
func TestOracleCPU(t *testing.T) {
	addr := os.Getenv("LUA_ORACLE")
	if addr == "" {
		t.Skip("LUA_ORACLE names no server")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{c, bufio.NewReader(c)}
	theirs := func() float64 {
		info, _ := o.do("INFO", "cpu")
		sum := 0.0
		for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			_, rest, _ := strings.Cut(info, name)
			var f float64
			fmt.Sscanf(rest, "%f", &f)
			sum += f
		}
		return sum
	}
	ours := func() float64 {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	only := os.Getenv("LUA_ONLY")
	for _, b := range benchScripts {
		if only != "" && b.name != only {
			continue
		}
		e := New(&fixed{})
		s, err := e.Load([]byte(b.body), FromLoad)
		if err != nil {
			t.Fatal(err)
		}
		best, other := 1e9, 1e9
		for range 5 {
			began := ours()
			if err := e.Run(s, [][]byte{[]byte("k")}, nil, nothing{}); err != nil {
				t.Fatal(err)
			}
			best = min(best, ours()-began)
			began = theirs()
			o.do("EVAL", b.body, "1", "k")
			other = min(other, theirs()-began)
		}
		t.Logf("%-12s %8.1f ns, redis %8.1f ns: %5.2f", b.name, best*1e9/float64(b.n), other*1e9/float64(b.n), best/other)
	}
}
