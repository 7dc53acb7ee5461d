package interop

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

const appendOnlyDir = "appendonlydir"

// change puts every kind of change into an append-only file: each type, what is rewritten before it is propagated,
// transactions over several databases, expiry. What it does depends on round only.
func change(c *harness.Conn, round int) {
	n := strconv.Itoa(round)
	k := func(name string) string { return name + ".r" + n }
	far := strconv.FormatInt(4_000_000_000_000+int64(round), 10)
	for _, db := range []string{"9", "0"} {
		c.Must("SELECT", db)
		for _, argv := range [][]string{
			{"SET", k("s"), "text " + n}, {"APPEND", k("s"), " and more"}, {"SETRANGE", k("s"), "30", "far"},
			{"SET", k("ex"), "v", "EX", "100000000"}, {"PEXPIREAT", k("ex"), far}, {"SET", k("gone"), "v", "PX", "1"},
			{"SET", k("keepttl"), "v", "PXAT", far}, {"SET", k("keepttl"), "w", "KEEPTTL"},
			{"GETEX", k("s"), "PXAT", far}, {"SET", k("getdel"), "v"}, {"GETDEL", k("getdel")},
			{"INCRBYFLOAT", k("f"), "10.25"}, {"INCR", k("i")}, {"DECRBY", k("i"), "77"}, {"MSET", k("m1"), "1", k("m2"), "2"},
			{"SETBIT", k("bits"), "1000", "1"}, {"BITFIELD", k("bits"), "INCRBY", "u7", "#3", "99"}, {"PFADD", k("hll"), "a", "b", n},
			{"RPUSH", k("l"), "a", "b", "c", "d", "a", "\r\n", "\x00\xff"}, {"LREM", k("l"), "1", "a"}, {"LINSERT", k("l"), "BEFORE", "c", "x"},
			{"LMOVE", k("l"), k("l2"), "LEFT", "RIGHT"}, {"LMPOP", "1", k("l"), "LEFT", "COUNT", "2"}, {"LSET", k("l"), "0", "set"},
			{"BLPOP", k("l"), "1"}, {"SADD", k("set"), "1", "2", "3", "4", "five"}, {"SPOP", k("set"), "2"}, {"SPOP", k("set")},
			{"SADD", k("set2"), "x"}, {"SMOVE", k("set2"), k("set"), "x"}, {"SUNIONSTORE", k("set3"), k("set")},
			{"HSET", k("h"), "a", "1", "b", "2"}, {"HINCRBYFLOAT", k("h"), "a", "0.5"}, {"HDEL", k("h"), "b"}, {"HSETNX", k("h"), "c", far},
			{"ZADD", k("z"), "1.5", "a", "2", "b", "-inf", "low", "3", "c"}, {"ZINCRBY", k("z"), "0.25", "a"}, {"ZPOPMIN", k("z")},
			{"ZRANGESTORE", k("z2"), k("z"), "0", "-1"}, {"ZUNIONSTORE", k("z3"), "2", k("z"), k("set"), "WEIGHTS", "2", "3"},
			{"ZREMRANGEBYRANK", k("z2"), "0", "0"}, {"BZPOPMAX", k("z2"), "1"},
			{"GEOADD", k("geo"), "13.361389", "38.115556", "Palermo"}, {"SORT", k("l"), "ALPHA", "STORE", k("sorted")},
			{"COPY", k("z"), k("zcopy")}, {"RENAME", k("m1"), k("renamed")}, {"PEXPIRE", k("m2"), "-1"}, {"EXPIREAT", k("h"), "4000000000"},
			{"PERSIST", k("h")}, {"SET", k("moved"), "from " + db}, {"COPY", k("moved"), k("copied"), "DB", "5"},
			{"MULTI"}, {"SET", k("tx"), "in"}, {"SELECT", "5"}, {"RPUSH", k("tx"), "other database"}, {"SELECT", db}, {"INCR", k("i")}, {"EXEC"},
			{"SELECT", "5"}, {"DEL", k("copied")}, {"SELECT", db},
			{"DEL", k("stream"), k("stream:trimmed")}, {"XADD", k("stream"), "1-1", "a", "1"}, {"XADD", k("stream"), "5-*", "a", "2", "b", n}, {"XADD", k("stream"), "*", "a", "3"},
			{"XADD", k("stream"), "MAXLEN", "~", "100", "*", "a", "4"}, {"XADD", k("stream"), "*", "a", "5"}, {"XADD", k("stream"), "*", "a", "6"},
			{"XGROUP", "CREATE", k("stream"), "g", "0"}, {"XGROUP", "CREATE", k("stream"), "h", "$", "ENTRIESREAD", "3"},
			{"XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", k("stream"), ">"}, {"XREADGROUP", "GROUP", "g", "d", "COUNT", "2", "STREAMS", k("stream"), ">"},
			{"XREADGROUP", "GROUP", "g", "e", "COUNT", "1", "NOACK", "STREAMS", k("stream"), ">"}, {"XACK", k("stream"), "g", "1-1", "9-9"},
			{"XCLAIM", k("stream"), "g", "d", "0", "5-0", "RETRYCOUNT", "7"}, {"XAUTOCLAIM", k("stream"), "g", "e", "0", "0", "COUNT", "1", "JUSTID"},
			{"XADD", k("stream:trimmed"), "7-7", "a", "1"}, {"XADD", k("stream:trimmed"), "8-8", "a", "2"}, {"XADD", k("stream:trimmed"), "9-9", "a", "3"},
			{"XGROUP", "CREATE", k("stream:trimmed"), "g", "7-7"}, {"XGROUP", "CREATECONSUMER", k("stream:trimmed"), "g", "idle"},
			{"XTRIM", k("stream:trimmed"), "MAXLEN", "1"}, {"XDEL", k("stream:trimmed"), "9-9"}, {"XSETID", k("stream:trimmed"), "10-" + n},
			{"XGROUP", "SETID", k("stream:trimmed"), "g", "8-8"}, {"XGROUP", "DELCONSUMER", k("stream"), "g", "c"}, {"XGROUP", "DESTROY", k("stream"), "h"},
		} {
			c.Must(argv...)
		}
		for deadline := time.Now().Add(time.Minute); c.Must("EXISTS", k("gone")).Int() > 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

// rewriteAOF has a server rewrite its append-only file and waits for it.
func rewriteAOF(t *testing.T, c *harness.Conn) {
	t.Helper()
	c.Must("BGREWRITEAOF")
	awaitRewrite(t, c)
}

// awaitRewrite waits for the end of the rewrite that is under way.
func awaitRewrite(t *testing.T, c *harness.Conn) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		info, err := c.Info("persistence")
		if err != nil {
			t.Fatal(err)
		}
		if info["aof_rewrite_in_progress"] == "0" && info["aof_rewrite_scheduled"] == "0" {
			if info["aof_last_bgrewrite_status"] != "ok" {
				t.Fatal("the rewrite failed")
			}
			return
		}
	}
	t.Fatal("the rewrite does not end")
}

// copyAOF copies a server's folder of append-only files to a new working directory.
func copyAOF(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, appendOnlyDir), os.DirFS(filepath.Join(from, appendOnlyDir))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serverKind is one of the two.
type serverKind struct {
	name   string
	binary func(t *testing.T) string
}

var (
	theirs = serverKind{"redis", func(t *testing.T) string {
		binary, err := harness.Redis()
		if err != nil {
			t.Skip(err)
		}
		return binary
	}}
	ours = serverKind{"ferrous", func(t *testing.T) string { return harness.NeedFerrous(t) }}
)

func (k serverKind) start(t *testing.T, dir string, args ...string) (*harness.Server, *harness.Conn) {
	t.Helper()
	args = append([]string{"--enable-debug-command", "yes", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"}, args...)
	if k.name == ours.name {
		args = append(args, "--rdb-version", "10") // when consumers got entries takes 11, which Redis 7.0 does not load
	}
	s := harness.StartWith(t, harness.Options{Binary: k.binary(t), Dir: dir, Args: args})
	return s, s.Dial(t)
}

var (
	// Commands do not say when a consumer was seen: it is seen when they are loaded.
	seenTime = regexp.MustCompile(`(seen-time) \d+`)
	// Redis 7.0 does not say either how many entries a group has read with XREADGROUP.
	seenAndRead = regexp.MustCompile(`(seen-time|entries-read|lag) (\d+|\(nil\))`)
)

// facts is state in the terms that both servers share: Redis 7.0 has no lists and sets in one listpack. Without encodings
// for data that one has in memory and another has loaded, and without what is masked of groups.
func facts(m map[string]string, encodings bool, masked *regexp.Regexp) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if strings.HasSuffix(k, "/info") {
			if masked != nil {
				v = masked.ReplaceAllString(v, "$1")
			}
			out[k] = v
			continue
		}
		if word := strings.SplitN(v, " ", 3); len(word) == 3 {
			switch word[0] + " " + word[1] {
			case "set listpack":
				word[1] = "hashtable"
			case "list listpack":
				word[1] = "quicklist"
			}
			if !encodings {
				word[1] = ""
			}
			v = strings.Join(word, " ")
		}
		out[k] = v
	}
	return out
}

// TestAppendOnly carries an append-only file from a redis-server to Ferrous, back, and to Ferrous once more. Each changes
// and rewrites it on the way, in all combinations of RDB or commands in the base, and annotations.
func TestAppendOnly(t *testing.T) {
	first, c := theirs.start(t, "")
	fillServer(c)
	for _, preamble := range []string{"yes", "no"} {
		for _, stamps := range []string{"yes", "no"} {
			if preamble != stamps && !harness.Stress() {
				continue
			}
			for setting, value := range map[string]string{"aof-use-rdb-preamble": preamble, "aof-timestamp-enabled": stamps} {
				c.Must("CONFIG", "SET", setting, value)
			}
			change(c, 0)
			rewriteAOF(t, c)
			change(c, 1)
			live := state(c)
			dir := copyAOF(t, first.Dir)
			t.Run(fmt.Sprintf("preamble %s, timestamps %s", preamble, stamps), func(t *testing.T) {
				for leg, kind := range []serverKind{ours, theirs, ours} {
					where := fmt.Sprintf("leg %d, %s", leg, kind.name)
					s, c := kind.start(t, dir, "--appendfsync", "always", "--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", stamps)
					other := theirs
					if kind.name == theirs.name {
						other = ours
					}
					loaded := state(c)
					lost := seenTime
					if kind.name == ours.name { // the file is theirs
						lost = seenAndRead
					}
					sameFacts(t, where+", loaded", facts(loaded, false, lost), facts(live, false, lost))
					// The other kind makes the same of the same files, down to the encodings.
					_, twin := other.start(t, copyAOF(t, dir))
					sameFacts(t, where+", the other kind's view", facts(state(twin), true, seenTime), facts(loaded, true, seenTime))
					change(c, 2+2*leg)
					live = state(c)
					rewriteAOF(t, c)
					sameFacts(t, where+", rewritten", facts(state(c), true, nil), facts(live, true, nil))
					change(c, 3+2*leg)
					live = state(c)
					if code, err := s.Stop(time.Minute); err != nil || code != 0 {
						t.Fatalf("%s: exit code %d, %v", where, code, err)
					}
					dir = copyAOF(t, dir)
				}
			})
		}
	}
}

func sameFacts(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Error(what)
		same(t, got, want)
	}
}

// TestAppendOnlyLayouts has both servers load the layouts that no single server writes at will: several incremental files,
// and the single file of servers before 7.0, of commands and with RDB before them.
func TestAppendOnlyLayouts(t *testing.T) {
	for _, preamble := range []string{"yes", "no"} {
		first, c := ours.start(t, "", "--appendfsync", "always", "--aof-use-rdb-preamble", preamble)
		change(c, 0)
		rewriteAOF(t, c)
		for round := range 3 {
			change(c, 1+round)
		}
		want := state(c)
		manifest := readFile(t, filepath.Join(first.Dir, appendOnlyDir, "appendonly.aof.manifest"))
		var base, baseLine, incr string
		for line := range strings.Lines(string(manifest)) {
			switch f := strings.Fields(line); f[5] {
			case "b":
				base, baseLine = f[1], line
			case "i":
				incr = f[1]
			}
		}
		baseBytes := readFile(t, filepath.Join(first.Dir, appendOnlyDir, base))
		incrBytes := readFile(t, filepath.Join(first.Dir, appendOnlyDir, incr))
		// A file begins in database 0, so it may be cut where a SELECT follows, outside of transactions.
		selects := harness.AppendCommand(nil, "SELECT", "9")
		cut := func(b []byte) int {
			for at := bytes.LastIndex(b, selects); at > 0; at = bytes.LastIndex(b[:at], selects) {
				if bytes.Count(b[:at], []byte("\nMULTI\r")) == bytes.Count(b[:at], []byte("\nEXEC\r")) {
					return at
				}
			}
			return 0
		}
		at := cut(incrBytes)
		mid := cut(incrBytes[:at])
		if mid < 100 {
			t.Fatalf("the incremental file cannot be cut: %.1000q", incrBytes)
		}
		layouts := map[string]map[string][]byte{
			"three incremental files": {
				appendOnlyDir + "/appendonly.aof.manifest": []byte(baseLine + "file appendonly.aof.1.incr.aof seq 1 type i\n" +
					"file appendonly.aof.2.incr.aof seq 2 type i\nfile appendonly.aof.5.incr.aof seq 5 type i\n"),
				appendOnlyDir + "/" + base:                      baseBytes,
				appendOnlyDir + "/appendonly.aof.1.incr.aof":    incrBytes[:mid],
				appendOnlyDir + "/appendonly.aof.2.incr.aof":    incrBytes[mid:at],
				appendOnlyDir + "/appendonly.aof.5.incr.aof":    incrBytes[at:],
				appendOnlyDir + "/appendonly.aof.9.incr.aof":    []byte("not in the manifest"),
				appendOnlyDir + "/temp-appendonly.aof.manifest": []byte("left over"),
			},
			"single file": {"appendonly.aof": append(bytes.Clone(baseBytes), incrBytes...)},
		}
		for name, files := range layouts {
			for _, kind := range []serverKind{theirs, ours} {
				t.Run(fmt.Sprintf("preamble %s, %s, %s", preamble, name, kind.name), func(t *testing.T) {
					dir := t.TempDir()
					for path, content := range files {
						path = filepath.Join(dir, path)
						if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
							t.Fatal(err)
						}
						if err := os.WriteFile(path, content, 0o644); err != nil {
							t.Fatal(err)
						}
					}
					s, c := kind.start(t, dir)
					sameFacts(t, "loaded", facts(state(c), false, seenTime), facts(want, false, seenTime))
					change(c, 4)
					rewriteAOF(t, c)
					change(c, 5)
					live := state(c)
					if _, err := s.Stop(time.Minute); err != nil {
						t.Fatal(err)
					}
					for _, next := range []serverKind{theirs, ours} {
						_, c := next.start(t, copyAOF(t, dir))
						sameFacts(t, "loaded by "+next.name, facts(state(c), false, seenTime), facts(live, false, seenTime))
					}
				})
			}
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
