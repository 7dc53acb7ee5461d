//go:build linux && (amd64 || arm64)

package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ferrous/tests/harness"
)

// A server is killed before the first, the second, the third … step of a rewrite of its append-only file, until one rewrite
// comes to its end. A step is a system call that changes what the folder holds. Package aof does the same over a disk in
// memory; this is the real binary on the real one.
//
// A tracer counts the calls: it is this test binary, started as a process of its own, since a process that traces its own
// child takes what the child's parent waits for. (strace counts for each thread, so that the n-th call of a process that
// moves its work between threads cannot be named to it.) A call before which the process is killed is not made.

const (
	traceEnv     = "FERROUS_TRACE" // "pid step folder": makes the test binary the tracer
	traceReady   = "ready"
	traceRefused = "refused"
)

func TestKillInRewrite(t *testing.T) {
	preambles := []string{"yes"}
	if *long {
		preambles = append(preambles, "no")
	}
	for _, preamble := range preambles {
		t.Run("BGREWRITEAOF, preamble "+preamble, func(t *testing.T) {
			t.Parallel()
			killEachStep(t, preamble, func(c *harness.Conn) { c.Must("BGREWRITEAOF") })
		})
		// While the file is off nothing is promised; what was there before must be.
		t.Run("CONFIG SET appendonly, preamble "+preamble, func(t *testing.T) {
			t.Parallel()
			killEachStep(t, preamble, func(c *harness.Conn) {
				c.Must("CONFIG", "SET", "appendonly", "no")
				c.Must("CONFIG", "SET", "appendonly", "yes")
			})
		})
	}
}

// killEachStep has one server after the other begin a rewrite in the same folder, each with all that the ones before have
// left.
func killEachStep(t *testing.T, preamble string, rewrite func(c *harness.Conn)) {
	off := strings.HasPrefix(filepath.Base(t.Name()), "CONFIG") // the file is switched off before the rewrite
	o := harness.Options{Binary: harness.NeedFerrous(t), Dir: t.TempDir(), Args: []string{"--appendonly", "yes",
		"--appendfsync", "always", "--aof-use-rdb-preamble", preamble, "--auto-aof-rewrite-percentage", "0"}}
	const most = 200
	least, sent := int64(0), int64(0) // numbers in the list that were answered and must be there, and that were sent
	for n := 1; n <= most; n++ {
		s := harness.StartWith(t, o)
		c := s.Dial(t)
		if n == 1 {
			ballast := []string{"MSET"}
			for i := range 1000 {
				ballast = append(ballast, fmt.Sprint("ballast:", i), strings.Repeat("ballast ", 20))
			}
			c.Must(ballast...)
		}
		if got := c.Must("DBSIZE").Int(); got < 1000 {
			t.Fatalf("step %d: %d keys", n, got)
		}
		list := c.Must("LRANGE", "list", "0", "-1").Elems
		for i, e := range list {
			if e.Int() != int64(i+1) {
				t.Fatalf("step %d: %d stands in the list's place %d", n, e.Int(), i+1)
			}
		}
		if got := int64(len(list)); got < least || got > sent {
			t.Fatalf("step %d: the list has %d numbers, %d must be there, %d were sent", n, got, least, sent)
		}
		if n > 1 && field(t, c, "persistence", "aof_enabled") != "1" {
			t.Fatal("the file is off")
		}

		tracer := startTracer(t, s, n)
		var answered, tried atomic.Int64
		answered.Store(int64(len(list)))
		w := s.Dial(t)
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := int64(len(list)) + 1; ; i++ {
				tried.Store(i)
				if v, err := w.Do("RPUSH", "list", strconv.FormatInt(i, 10)); err != nil || v.IsError() {
					return
				}
				answered.Store(i)
			}
		})
		least = answered.Load()
		func() {
			defer func() { _ = recover() }() // Must, when the server dies
			rewrite(c)
			for {
				info, err := c.Info("persistence")
				if err != nil {
					return
				}
				if info["aof_rewrite_in_progress"] == "0" && info["aof_rewrite_scheduled"] == "0" {
					off = false // all that is answered is in the new files
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		survived := !off && s.Alive() && strings.Contains(s.Logs(), "Background AOF rewrite finished successfully")
		time.Sleep(time.Millisecond) // for some more writes
		s.Kill()
		writer.Wait()
		step := tracer()
		sent = tried.Load()
		if !off {
			least = answered.Load()
		}
		t.Logf("%d: %s", n, step)
		if survived && step == "" {
			if n < 15 {
				t.Fatalf("a rewrite has no more than %d steps?", n-1)
			}
			return
		}
		if step == "" {
			t.Fatalf("step %d: not killed there, and the rewrite is not over:\n%s", n, s.Logs())
		}
	}
	t.Fatalf("a rewrite of more than %d steps", most)
}

// startTracer has a tracer kill the server before its n-th step from now on. The function that it returns waits for the
// server's end and returns the step, or "" if the server ended otherwise. The test is skipped where tracing is not permitted.
func startTracer(t *testing.T, s *harness.Server, n int) func() string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestTracer$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", traceEnv, s.PID(), n, s.Dir))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if what, ok := strings.CutPrefix(first, traceRefused); ok {
		_ = cmd.Wait()
		t.Skipf("a server cannot be traced here (ptrace: see kernel.yama.ptrace_scope, or the container's capabilities):%s", what)
	}
	if strings.TrimSpace(first) != traceReady {
		_ = cmd.Wait()
		t.Fatalf("the tracer said %q, %v", first, err)
	}
	return func() string {
		rest, _ := io.ReadAll(lines)
		_ = cmd.Wait()
		return strings.TrimSpace(string(rest))
	}
}

// TestTracer is the tracer's process.
func TestTracer(t *testing.T) {
	spec := os.Getenv(traceEnv)
	if spec == "" {
		t.Skip("is run by TestKillInRewrite")
	}
	tr := &tracer{}
	if _, err := fmt.Sscan(spec, &tr.pid, &tr.n, &tr.dir); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // one thread is the tracer of another
	if err := tr.attach(); err != nil {
		fmt.Printf("%s %v\n", traceRefused, err)
		os.Exit(0)
	}
	fmt.Println(traceReady)
	if step := tr.watch(); step != "" {
		fmt.Println(step)
	}
	os.Exit(0)
}

// tracer follows all threads of a process.
type tracer struct {
	pid int
	n   int
	dir string // what does not lie there is no step
}

// attach begins to trace. The threads run on until watch stops them at their next call.
func (tr *tracer) attach() error {
	seen := map[int]bool{}
	for more := true; more; {
		more = false
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", tr.pid))
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			if seen[tid] {
				continue
			}
			seen[tid], more = true, true
			const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE
			err := ptrace(unix.PTRACE_SEIZE, tid, 0, options)
			if err == syscall.EPERM && tr.traced(tid) {
				continue // begun by a thread that is traced already
			}
			if err == nil {
				err = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
			}
			if err != nil && err != syscall.ESRCH {
				return err
			}
			// From its first stop on a thread stops at its calls.
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(tid, &status, unix.WALL, nil); err == nil && status.Stopped() {
				_ = ptrace(unix.PTRACE_SYSCALL, tid, 0, 0)
			}
		}
	}
	return nil
}

func (tr *tracer) traced(tid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", tr.pid, tid))
	return strings.Contains(string(status), fmt.Sprintf("TracerPid:\t%d\n", os.Getpid()))
}

// watch counts steps until the process has ended, which it has at the n-th, and returns that.
func (tr *tracer) watch() (killed string) {
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || tid == tr.pid && !status.Stopped() {
			return killed
		}
		if !status.Stopped() {
			continue
		}
		deliver := 0
		switch sig := status.StopSignal(); {
		case sig == syscall.SIGTRAP|0x80:
			if step := tr.step(tid); step != "" {
				if tr.n--; tr.n == 0 {
					_ = syscall.Kill(tr.pid, syscall.SIGKILL)
					killed = step
				}
			}
		case int(status)>>16 == 0:
			deliver = int(sig)
		}
		_ = ptrace(unix.PTRACE_SYSCALL, tid, 0, uintptr(deliver))
	}
}

// step returns the system call that a thread is about to make, "" if that is no step or if the thread returns from one.
func (tr *tracer) step(tid int) string {
	var info struct { // of PTRACE_GET_SYSCALL_INFO, ptrace(2)
		op     uint8
		_      [3]uint8
		arch   uint32
		ip, sp uint64
		nr     uint64
		args   [6]uint64
	}
	if ptrace(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info))) != nil || info.op != unix.PTRACE_SYSCALL_INFO_ENTRY {
		return ""
	}
	var name, path string
	switch info.nr {
	case unix.SYS_OPENAT:
		name, path = "openat", tr.text(info.args[1])
	case unix.SYS_UNLINKAT:
		name, path = "unlinkat", tr.text(info.args[1])
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		name, path = "renameat", tr.text(info.args[3])
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE:
		name = map[uint64]string{unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_WRITE: "write",
			unix.SYS_PWRITE64: "pwrite64", unix.SYS_FTRUNCATE: "ftruncate"}[info.nr]
		path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tr.pid, info.args[0]))
		if strings.HasSuffix(path, ".incr.aof") || strings.HasSuffix(path, ".incr") {
			return "" // what clients write
		}
	}
	if !strings.HasPrefix(path, tr.dir) {
		return ""
	}
	return name + " " + strings.TrimPrefix(path, tr.dir)
}

// text reads a string that ends with a zero byte from the process's memory.
func (tr *tracer) text(at uint64) string {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", tr.pid))
	if err != nil {
		return ""
	}
	defer mem.Close()
	buf := make([]byte, 512) // longer than the names here; pages may end before
	n, _ := mem.ReadAt(buf, int64(at))
	text, _, _ := strings.Cut(string(buf[:n]), "\x00")
	return text
}

func ptrace(request, pid int, addr, data uintptr) error {
	if _, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(pid), addr, data, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
