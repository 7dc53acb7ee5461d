package aof

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ferrous/datatypes/table"
	"ferrous/rdb/memfs"
	"ferrous/tests/random"
)

func init() { table.FixHash(random.Process()) }

// testLoop is a loop without sockets: functions that were posted run when the test says so.
type testLoop struct {
	mu    sync.Mutex
	queue []func()
	some  sync.Cond
}

func newTestLoop() *testLoop {
	l := new(testLoop)
	l.some.L = &l.mu
	return l
}

func (l *testLoop) post(fn func()) {
	l.mu.Lock()
	l.queue = append(l.queue, fn)
	l.some.Broadcast()
	l.mu.Unlock()
}

// runPosted runs what is there.
func (l *testLoop) runPosted() int {
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, fn := range queue {
		fn()
	}
	return len(queue)
}

// until runs what is posted until cond holds.
func (l *testLoop) until(t testing.TB, cond func() bool) {
	t.Helper()
	expired := time.AfterFunc(time.Minute, func() { l.post(func() { panic("condition not met: " + t.Name()) }) })
	defer expired.Stop()
	for !cond() {
		l.mu.Lock()
		for len(l.queue) == 0 {
			l.some.Wait()
		}
		l.mu.Unlock()
		l.runPosted()
	}
}

// store is what the tests keep in memory: one list of numbers. ADD n appends one, so that a command lost, doubled or out of
// place shows.
type store struct {
	list  []int
	db    int
	queue [][]string // within MULTI
	multi bool
	dbs   []int // of the commands
}

func (s *store) apply(argv [][]byte) error {
	verb := strings.ToUpper(string(argv[0]))
	if s.multi && verb != "EXEC" {
		args := make([]string, len(argv))
		for i := range argv {
			args[i] = string(argv[i])
		}
		s.queue = append(s.queue, args)
		return nil
	}
	switch verb {
	case "SELECT":
		s.db, _ = strconv.Atoi(string(argv[1]))
	case "ADD":
		n, err := strconv.Atoi(string(argv[1]))
		if err != nil {
			return err
		}
		s.list = append(s.list, n)
		s.dbs = append(s.dbs, s.db)
	case "SET":
	case "MULTI":
		s.multi = true
	case "EXEC":
		s.multi = false
		queue := s.queue
		s.queue = nil
		for _, q := range queue {
			args := make([][]byte, len(q))
			for i := range q {
				args[i] = []byte(q[i])
			}
			if err := s.apply(args); err != nil {
				return err
			}
		}
	default:
		return ErrUnknownCommand
	}
	return nil
}

// newClient drops what a file left open.
func (s *store) newClient(string) { s.multi, s.queue, s.db = false, nil, 0 }

const fakeMagic = "REDIS0011"

// encode writes a stand-in for an RDB: magic, number of elements, the elements.
func encode(list []int) []byte {
	b := binary.BigEndian.AppendUint32([]byte(fakeMagic), uint32(len(list)))
	for _, n := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return b
}

// decode reads more than it needs, as a decoder with a buffer does.
func (s *store) decode(r io.Reader, size int64) (int64, error) {
	br := bufio.NewReader(r)
	head := make([]byte, len(fakeMagic)+4)
	if _, err := io.ReadFull(br, head); err != nil {
		return 0, err
	}
	if string(head[:len(fakeMagic)]) != fakeMagic {
		return 0, errors.New("wrong magic")
	}
	n := int64(binary.BigEndian.Uint32(head[len(fakeMagic):]))
	if int64(len(head))+4*n > size {
		return 0, errors.New("short RDB")
	}
	var e [4]byte
	for range n {
		if _, err := io.ReadFull(br, e[:]); err != nil {
			return 0, err
		}
		s.list = append(s.list, int(binary.BigEndian.Uint32(e[:])))
	}
	return int64(len(head)) + 4*n, nil
}

// rig is an AOF with all that it needs.
type rig struct {
	*AOF
	t     testing.TB
	fs    *memfs.FS
	loop  *testLoop
	store store
	now   int64
	mark  int64 // number of commands fed

	mu   sync.Mutex
	logs []string
}

func settings(p Policy) Settings {
	return Settings{Fsync: p, Preamble: true, LoadTruncated: true, RewritePercentage: 100, RewriteMinSize: 64 << 20}
}

// newRig makes an AOF over fs that has read its manifest.
func newRig(t testing.TB, fs *memfs.FS, s Settings) *rig {
	r := &rig{t: t, fs: fs, loop: newTestLoop(), now: 1_700_000_000_000}
	r.AOF = New(Options{
		FS: fs, Dir: ".", DirName: "appendonlydir", FileName: "appendonly.aof",
		Post:   r.loop.post,
		Now:    func() int64 { return r.now },
		Offset: func() int64 { return r.mark },
		Logf: func(level Level, format string, args ...any) {
			r.mu.Lock()
			r.logs = append(r.logs, fmt.Sprintf(format, args...))
			r.mu.Unlock()
		},
	}, s)
	return r
}

func (r *rig) logged(part string) bool { return r.count(part) > 0 }

func (r *rig) count(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.logs {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func (r *rig) loader() *Loader {
	return &Loader{LoadBase: r.store.decode, Apply: r.store.apply, File: r.store.newClient}
}

// load does what a start does up to Start.
func (r *rig) load() (LoadStatus, error) {
	if err := r.ReadManifest(); err != nil {
		return NoFiles, err
	}
	st, err := r.Load(r.loader())
	r.store.newClient("")
	r.mark = int64(len(r.store.list))
	return st, err
}

func (r *rig) start() error {
	if _, err := r.load(); err != nil {
		return err
	}
	return r.Start(func(b *BaseFile) error {
		_, err := b.Write(encode(r.store.list))
		return err
	})
}

func (r *rig) mustStart() {
	r.t.Helper()
	if err := r.start(); err != nil {
		r.t.Fatalf("start: %v\n%s", err, strings.Join(r.logs, "\n"))
	}
}

// add runs a command in memory and feeds it.
func (r *rig) add(db int) {
	n := len(r.store.list)
	r.store.list = append(r.store.list, n)
	r.mark++
	r.Feed(db, argv("ADD", strconv.Itoa(n)))
}

func argv(words ...string) [][]byte {
	out := make([][]byte, len(words))
	for i, w := range words {
		out[i] = []byte(w)
	}
	return out
}

// rewriteWith starts a rewrite of the store. gate, if not nil, must be closed before the base is written, unless the rewrite is stopped.
func (r *rig) rewriteWith(gate chan struct{}, done *error) error {
	*done = errRunning
	return r.StartRewrite(Rewrite{
		Snapshot: func() (func(*BaseFile) error, error) {
			data := encode(r.store.list)
			return func(b *BaseFile) error {
				if gate != nil {
					select {
					case <-gate:
					case <-b.Stop():
					}
				}
				_, err := b.Write(data)
				return err
			}, nil
		},
		Done: func(err error) { *done = err },
	})
}

var errRunning = errors.New("running")

// rewriteNow runs a whole rewrite.
func (r *rig) rewriteNow() error {
	var done error
	if err := r.rewriteWith(nil, &done); err != nil {
		return err
	}
	r.loop.until(r.t, func() bool { return done != errRunning })
	return done
}

// settle waits for the syncer and lets the loop see it.
func (r *rig) settle() {
	r.AOF.sync.wait()
	r.loop.runPosted()
}

// reload loads what a file system has into a new rig.
func reload(t testing.TB, fs *memfs.FS, truncated bool) (*rig, LoadStatus, error) {
	s := settings(FsyncAlways)
	s.LoadTruncated = truncated
	r := newRig(t, fs, s)
	st, err := r.load()
	return r, st, err
}

// inOrder checks that the list is 0, 1, 2 … and returns its length.
func inOrder(list []int) (int, error) {
	for i, n := range list {
		if n != i {
			return 0, fmt.Errorf("element %d is %d: %v", i, n, list)
		}
	}
	return len(list), nil
}

func (r *rig) file(name string) string {
	b, err := r.fs.ReadFile("appendonlydir/" + name)
	if err != nil {
		r.t.Helper()
		r.t.Fatal(err)
	}
	return string(b)
}

func (r *rig) manifestText() string { return r.file("appendonly.aof.manifest") }

func command(words ...string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}
