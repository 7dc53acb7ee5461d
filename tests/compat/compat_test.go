// Package compat compares Ferrous with a real redis-server: every command of the case files in testdata is sent to both,
// and the raw replies must be equal to the byte, in RESP2 and in RESP3; after each case the databases must be equal too.
// script_test.go describes the case files, masks_test.go lists the known differences between the oracle's version (7.0.15)
// and the one that Ferrous follows (7.2).
package compat

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

var (
	onlyCase = flag.String("case", "", "run only the cases whose file:title matches this expression")
	long     = flag.Bool("long", harness.Stress(), "run the long forms")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// TestCases runs the case files. A difference names file and line, the command and both replies.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	filter, err := regexp.Compile(*onlyCase)
	if err != nil {
		t.Fatal(err)
	}
	harness.NeedFerrous(t)
	pairs := map[string]*pair{}
	commands := 0
	for _, file := range files {
		scripts, err := readScripts(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts = slices.DeleteFunc(scripts, func(s script) bool {
			return s.long && !*long || !filter.MatchString(filepath.Base(file)+":"+s.title)
		})
		// Servers live as long as the whole test, so it is not a file's subtest that starts them.
		for _, s := range scripts {
			if key := strings.Join(s.server, "\x00"); pairs[key] == nil {
				pairs[key] = newPair(t, s.server...)
			}
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(sub *testing.T) {
			for _, s := range scripts {
				key := strings.Join(s.server, "\x00")
				for _, proto := range []int{2, 3} {
					if s.only != 0 && s.only != proto {
						continue
					}
					r := &runner{t: sub, pair: pairs[key], script: &s, proto: proto, links: map[string]*link{}, hello: map[string]bool{}}
					if err := r.run(); err != nil {
						sub.Errorf("%s:%d (%s, RESP%d): %v", s.file, r.line, s.title, proto, err)
						// A server that hangs or has died would only repeat itself.
						if !pairs[key].servers[subject].Alive() {
							sub.Fatalf("the server has ended")
						}
					}
					commands += r.commands
				}
			}
		})
	}
	t.Logf("%d commands compared", commands)
}

// runner runs one case in one protocol.
type runner struct {
	t        *testing.T
	pair     *pair
	script   *script
	proto    int
	links    map[string]*link
	hello    map[string]bool // whether a connection of that name begins with HELLO
	current  *link
	name     string // of the current link
	line     int
	commands int
	began    time.Time
}

func (r *runner) run() (err error) {
	r.line = r.script.line
	if err := r.pair.flush(); err != nil {
		return err
	}
	defer func() {
		for _, l := range r.links {
			l.close()
		}
	}()
	r.began = time.Now()
	hello := len(r.script.steps) == 0 || r.script.steps[0].verb != "connraw"
	if hello {
		if err := r.use("a", true); err != nil {
			return err
		}
	}
	for i := range r.script.steps {
		s := &r.script.steps[i]
		r.line = s.line
		if err := r.step(s); err != nil {
			return err
		}
	}
	return r.check()
}

// failf reports a difference and lets the case go on.
func (r *runner) failf(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%s:%d (%s, RESP%d): %s", r.script.file, r.line, r.script.title, r.proto, fmt.Sprintf(format, args...))
}

func (r *runner) use(name string, hello bool) error {
	l := r.links[name]
	if l == nil {
		var err error
		if l, err = r.pair.connect(r.proto, hello); err != nil {
			return err
		}
		r.links[name] = l
		r.hello[name] = hello
	}
	r.current, r.name = l, name
	return nil
}

func (r *runner) check() error {
	problems, err := r.pair.compareState(time.Since(r.began) + 50*time.Millisecond)
	for _, p := range problems {
		r.failf("afterwards, %s", p)
	}
	return err
}

func (r *runner) step(s *step) error {
	switch s.verb {
	case "":
		return r.command(s)
	case "conn":
		return r.use(s.text, true)
	case "connraw":
		return r.use(s.text, false)
	case "sleep":
		d, err := time.ParseDuration(s.text)
		if err == nil {
			time.Sleep(d)
		}
		return err
	case "fresh":
		return r.pair.flush()
	case "check":
		return r.check()
	case "raw", "half":
		return r.raw(s)
	case "reply":
		return r.reply(s)
	case "closed":
		for side, c := range r.current.conns {
			got, closed, err := readToEnd(c, "")
			if err != nil || !closed || got != "" {
				r.failf("%s: the connection should be closed: %q, %v", sideNames[side], got, err)
			}
		}
		return r.forget()
	}
	return fmt.Errorf("unknown step %q", s.verb)
}

// forget drops the current connection; the next use of its name opens a new one.
func (r *runner) forget() error {
	r.current.close()
	delete(r.links, r.name)
	return r.use(r.name, r.hello[r.name])
}

// arguments resolves a command line for one of the servers.
func (r *runner) arguments(text string, now time.Time, side int) ([]string, error) {
	args, err := splitArgs(text)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		args[i], err = expand(a, now, func(what string) (string, error) {
			kind, name, _ := strings.Cut(what, ":")
			l := r.links[name]
			if l == nil {
				return "", fmt.Errorf("%%{%s}: no such connection", what)
			}
			switch kind {
			case "id":
				return l.ids[side], nil
			case "addr":
				return l.addrs[side], nil
			}
			return "", fmt.Errorf("unknown %%{%s}", what)
		})
		if err != nil {
			return nil, err
		}
	}
	return args, nil
}

// untilLimit is how long a command is repeated (@until) before its reply is taken as it is.
const untilLimit = time.Minute

func (r *runner) command(s *step) error {
	r.commands++
	now := time.Now()
	var replies [2][]harness.Value
	var args []string
	expected := s.expect[r.proto-2]
	for side := range 2 {
		text := s.text
		if side == oracle {
			if s.as != "" {
				text = s.as
			} else if expected != nil {
				continue
			}
		}
		var err error
		if args, err = r.arguments(text, now, side); err != nil {
			return err
		}
		for end := time.Now().Add(untilLimit); ; time.Sleep(5 * time.Millisecond) {
			replies[side], err = exchange(r.current.conns[side], harness.AppendCommand(nil, args...), s.replies)
			if err != nil || s.until == "" || regexp.MustCompile(s.until).MatchString(rawOf(replies[side])) || time.Now().After(end) {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w (after %d of %d replies: %s)", strings.TrimSpace(sideNames[side]), text, err,
				len(replies[side]), s.replies, quote(rawOf(replies[side])))
		}
	}
	if expected != nil {
		if got := rawOf(replies[subject]); got != *expected {
			r.failf("%s\n\texpected %s\n\t%s  %s", s.text, quote(*expected), sideNames[subject], quote(got))
		}
		return nil
	}
	if d := differ(s, args, replies[oracle], replies[subject]); d != "" {
		r.failf("%s: %s", s.text, d)
	}
	if s.blocks {
		return r.blocked(s)
	}
	return r.encodings(s, args)
}

// encodings compares OBJECT ENCODING in database 0 of what the first arguments of a command may have named.
func (r *runner) encodings(s *step, args []string) error {
	if len(args) < 2 || len(s.masks) > 0 || s.compare == sameShape {
		return nil
	}
	var request []byte
	keys := args[1:min(len(args), 4)]
	for _, key := range keys {
		request = append(request, harness.AppendCommand(nil, "OBJECT", "ENCODING", key)...)
	}
	var replies [2][]harness.Value
	for side, c := range r.pair.admin {
		var err error
		if replies[side], err = exchange(c, request, len(keys)); err != nil {
			return fmt.Errorf("%s: OBJECT ENCODING after %s: %w", strings.TrimSpace(sideNames[side]), s.text, err)
		}
	}
	for i, key := range keys {
		a, b := replies[oracle][i].Str, replies[subject][i].Str
		if a == "" || b == "" {
			continue // whether the key is there is compared at the end; one with a short deadline goes between the questions
		}
		if a != b && !newEncoding(a, b) {
			r.failf("after %s: OBJECT ENCODING %q\n\t%s %q\n\t%s %q", s.text, key, sideNames[oracle], a, sideNames[subject], b)
		}
	}
	return nil
}

// blocked waits until both servers say that the current connection waits.
func (r *runner) blocked(s *step) error {
	for side, c := range r.pair.admin {
		for start := time.Now(); ; time.Sleep(time.Millisecond) {
			v, err := c.Do("CLIENT", "LIST", "ID", r.current.ids[side])
			if err != nil {
				return err
			}
			if _, flags, _ := strings.Cut(v.Str, " flags="); strings.Contains(strings.SplitN(flags, " ", 2)[0], "b") {
				break
			}
			if time.Since(start) > untilLimit {
				return fmt.Errorf("%s: %s does not wait: %s", strings.TrimSpace(sideNames[side]), s.text, v.Str)
			}
		}
	}
	return nil
}

// reply reads what the servers sent to the current connection in their own time.
func (r *runner) reply(s *step) error {
	var replies [2][]harness.Value
	for side, c := range r.current.conns {
		var err error
		if replies[side], err = exchange(c, nil, s.replies); err != nil {
			return fmt.Errorf("%s: @reply: %w", strings.TrimSpace(sideNames[side]), err)
		}
	}
	if d := differ(s, nil, replies[oracle], replies[subject]); d != "" {
		r.failf("@reply: %s", d)
	}
	return nil
}

// sentinel is the request that @raw appends, and its reply: what is not closed answers it.
const (
	sentinelRequest = "*2\r\n$4\r\nECHO\r\n$16\r\nend-of-raw-bytes\r\n"
	sentinelReply   = "$16\r\nend-of-raw-bytes\r\n"
)

func (r *runner) raw(s *step) error {
	r.commands++
	words, err := splitArgs(s.text)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return fmt.Errorf("@%s takes one quoted word", s.verb)
	}
	bytes, err := expand(words[0], time.Now(), func(what string) (string, error) { return "", fmt.Errorf("unknown %%{%s}", what) })
	if err != nil {
		return err
	}
	var got [2]string
	var closed [2]bool
	for side, c := range r.current.conns {
		end := ""
		request := bytes
		if s.verb == "raw" {
			request += sentinelRequest
			end = sentinelReply
		}
		if _, err := c.Write([]byte(request)); err != nil && !closedByPeer(err) {
			return err
		}
		if s.verb == "half" {
			if err := c.Net().(interface{ CloseWrite() error }).CloseWrite(); err != nil && !closedByPeer(err) && !errors.Is(err, syscall.ENOTCONN) {
				return err
			}
		}
		if got[side], closed[side], err = readToEnd(c, end); err != nil {
			return fmt.Errorf("%s: @%s %s: %w", strings.TrimSpace(sideNames[side]), s.verb, s.text, err)
		}
	}
	a := applyMasks(s.masks, []string{"@raw"}, got[oracle])
	if a != got[subject] || closed[oracle] != closed[subject] {
		r.failf("@%s %s\n\t%s %s (closed: %v)\n\t%s %s (closed: %v)", s.verb, s.text, sideNames[oracle], quote(a), closed[oracle],
			sideNames[subject], quote(got[subject]), closed[subject])
	}
	return r.forget()
}
