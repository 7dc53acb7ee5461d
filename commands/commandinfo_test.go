package commands

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// Rows whose keys are found in every way that there is. What is expected of them is what Redis answers of the commands
// that they are named after.
var (
	rangeOf = func(first, last, step int) session.KeySpec {
		return session.KeySpec{Flags: session.KeyRO, Index: first, Last: last, Step: step}
	}
	numKeys = func(at int) session.KeySpec {
		return session.KeySpec{Flags: session.KeyRO, Index: at, KeyNum: 0, FirstKey: 1, NumStep: 1}
	}
	specRows = []struct {
		name              string
		keys              []session.KeySpec
		first, last, step int
		movable           bool
	}{
		{name: "ping"},
		{"get", []session.KeySpec{rangeOf(1, 0, 1)}, 1, 1, 1, false},
		{"del", []session.KeySpec{rangeOf(1, -1, 1)}, 1, -1, 1, false},
		{"mset", []session.KeySpec{rangeOf(1, -1, 2)}, 1, -1, 2, false},
		{"blpop", []session.KeySpec{rangeOf(1, -2, 1)}, 1, -2, 1, false},
		{"rename", []session.KeySpec{rangeOf(1, 0, 1), rangeOf(2, 0, 1)}, 1, 2, 1, false},
		{"bitop", []session.KeySpec{rangeOf(2, 0, 1), rangeOf(3, -1, 1)}, 2, -1, 1, false},
		{"object", []session.KeySpec{rangeOf(2, 0, 1)}, 2, 2, 1, false},
		{"eval", []session.KeySpec{numKeys(2)}, 0, 0, 0, true},
		{"zunionstore", []session.KeySpec{rangeOf(1, 0, 1), numKeys(2)}, 1, 1, 1, true},
		{"xread", []session.KeySpec{{Flags: session.KeyRO, Keyword: "STREAMS", StartFrom: 1, Last: -1, Step: 1, Limit: 2}}, 0, 0, 0, true},
		{"sort", []session.KeySpec{rangeOf(1, 0, 1), {Flags: session.KeyRO | session.KeyIncomplete, Unknown: true}}, 1, 1, 1, true},
		{"migrate", []session.KeySpec{rangeOf(3, 0, 1),
			{Flags: session.KeyRW | session.KeyIncomplete, Keyword: "KEYS", StartFrom: -2, Last: -1, Step: 1}}, 3, 3, 1, true},
		{"georadius", []session.KeySpec{rangeOf(1, 0, 1), {Flags: session.KeyOW, Keyword: "STORE", StartFrom: 6, Step: 1},
			{Flags: session.KeyOW, Keyword: "STOREDIST", StartFrom: 6, Step: 1}}, 1, 1, 1, true},
		{"gap", []session.KeySpec{rangeOf(1, 0, 1), rangeOf(3, 0, 1)}, 1, 1, 1, true},
		{"spublish", []session.KeySpec{{Flags: session.KeyNotKey, Index: 1, Step: 1}}, 1, 1, 1, false},
	}
)

func TestLegacyRange(t *testing.T) {
	for _, tt := range specRows {
		row := session.Command{Name: tt.name, Keys: tt.keys}
		first, last, step := row.LegacyRange()
		if first != tt.first || last != tt.last || step != tt.step {
			t.Errorf("%s: %d %d %d, want %d %d %d", tt.name, first, last, step, tt.first, tt.last, tt.step)
		}
		if got := row.Movable(); got != tt.movable {
			t.Errorf("%s: movable is %t", tt.name, got)
		}
	}
}

func TestKeys(t *testing.T) {
	rows := make(map[string]*session.Command)
	for _, r := range specRows {
		rows[r.name] = &session.Command{Name: r.name, Keys: r.keys}
	}
	second := func(args [][]byte) ([]session.KeyRef, bool) { return []session.KeyRef{{Pos: 2}}, len(args) > 2 }
	rows["sort"].GetKeys = second
	rows["variable"] = &session.Command{Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyVariable, Index: 1, Step: 1}}, GetKeys: second}
	for _, tt := range []struct{ line, want string }{
		{"ping a", ""},
		{"get a", "1"},
		{"get", ""},
		{"del a b c", "1 2 3"},
		{"mset a 1 b 2", "1 3"},
		{"mset a 1 b", "1 3"},
		{"mset", ""},
		{"blpop a b 0", "1 2"},
		{"blpop 0", ""},
		{"bitop and d a b", "2 3 4"},
		{"eval s 2 a b c", "3 4"},
		{"eval s 0 c", ""},
		{"eval s 3 a b", ""},
		{"eval s -1 a b", ""},
		{"eval s x a b", ""},
		{"eval s 9999999999999999999 a", ""},
		{"eval s 4294967297 a", ""},
		{"eval s", ""},
		{"zunionstore d 2 a b weights 1 2", "1 3 4"},
		{"xread count 1 streams a b 0 0", "4 5"},
		{"xread count 1 STREAMS a 0", "4"},
		{"xread count 1 streams a b 0", "4"},
		{"xread streams", ""},
		{"xread block 0", ""},
		{"sort a b", "2"},
		{"sort a", ""},
		{"migrate h p k 0 9", "3"},
		{"migrate h p k 0 9 keys a b", ""},
		{"georadius k 1 2 3 m store d", "1 7"},
		{"georadius k 1 2 3 m STOREDIST d", "1 7"},
		{"georadius k 1 2 3 m store", "1"},
		{"georadius k 1 2 3 m", "1"},
		{"spublish c", ""},
		{"variable a b", "2"},
	} {
		var args [][]byte
		for _, w := range strings.Fields(tt.line) {
			args = append(args, []byte(w))
		}
		var got []string
		for _, k := range rows[string(args[0])].FindKeys(nil, args) {
			got = append(got, fmt.Sprint(k.Pos))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: keys at %q, want %q", tt.line, got, tt.want)
		}
	}
	prefix := []session.KeyRef{{Pos: 9}}
	if got := rows["eval"].FindKeys(prefix, [][]byte{[]byte("eval"), []byte("s"), []byte("1")}); !slices.Equal(got, prefix) {
		t.Errorf("a failed search changed what was there: %v", got)
	}
}

func TestKeysAllocateNothing(t *testing.T) {
	s := newTestServer(t)
	e := s.Registry.ByName["mset"]
	args := [][]byte{[]byte("mset"), []byte("a"), []byte("1"), []byte("b"), []byte("2")}
	var buf [8]session.KeyRef
	if n := allocations(100, func() {
		if len(e.FindKeys(buf[:0], args)) != 2 {
			t.Fatal("wrong keys")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCommandShapes(t *testing.T) {
	s := newTestServer(t)
	for _, tt := range []struct{ line, want string }{
		{"COMMAND COUNT", fmt.Sprintf(":%d\r\n", len(s.Registry.List))},
		{"COMMAND INFO nosuch", "*1\r\n$-1\r\n"},
		{"COMMAND INFO config|nosuch", "*1\r\n$-1\r\n"},
		{"COMMAND INFO get|set", "*1\r\n$-1\r\n"},
		{"COMMAND DOCS nosuch", "*0\r\n"},
		{"COMMAND LIST FILTERBY MODULE json", "*0\r\n"},
		{"COMMAND LIST FILTERBY PATTERN TIM?", "*1\r\n$4\r\ntime\r\n"},
		{"COMMAND LIST FILTERBY ACLCAT nosuch", "*0\r\n"},
		{"COMMAND LIST FILTERBY", "-ERR syntax error\r\n"},
		{"COMMAND LIST FILTERBY FOO bar", "-ERR syntax error\r\n"},
		{"COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"COMMAND GETKEYS nosuch", "-ERR Invalid command specified\r\n"},
		{"COMMAND GETKEYS config nosuch", "-ERR Invalid command specified\r\n"},
		{"COMMAND GETKEYS ping", "-ERR The command has no key arguments\r\n"},
		{"COMMAND GETKEYS get", "-ERR Invalid number of arguments specified for command\r\n"},
		{"COMMAND GETKEYSANDFLAGS GET a", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"},
	} {
		if got := s.doLine(tt.line); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
}

// TestCommandReplies reads what is said of every command with the strict reader, in both protocols.
func TestCommandReplies(t *testing.T) {
	for _, proto := range []int{2, 3} {
		s := newTestServer(t)
		s.c.proto = int8(proto)
		for _, cmd := range []string{"COMMAND", "COMMAND INFO", "COMMAND DOCS", "COMMAND LIST"} {
			reply := s.doLine(cmd)
			r := resp.NewReader(strings.NewReader(reply))
			v, err := r.Read()
			if err != nil {
				t.Fatalf("%s, RESP%d: %v", cmd, proto, err)
			}
			if _, err := r.Read(); err == nil {
				t.Errorf("%s, RESP%d: more than one reply", cmd, proto)
			}
			want := len(s.Registry.List)
			switch {
			case cmd == "COMMAND LIST":
				want = len(s.Registry.Shown)
			case cmd == "COMMAND DOCS":
				want *= 2
			}
			if len(v.Elems) != want {
				t.Errorf("%s, RESP%d: %d elements, want %d", cmd, proto, len(v.Elems), want)
			}
		}
	}
}

func TestRenamedCommands(t *testing.T) {
	s := newTestServer(t, "rename-command", "GET FETCH", "rename-command", `CONFIG ""`)
	if got := s.doLine("fetch a"); got != "$-1\r\n" {
		t.Errorf("the new name: %q", got)
	}
	for _, line := range []string{"get a", "config get port"} {
		if got := s.doLine(line); !strings.HasPrefix(got, "-ERR unknown command") {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := s.doLine("COMMAND LIST FILTERBY PATTERN config*"); got != "*0\r\n" {
		t.Errorf("a command without a name is listed: %q", got)
	}
	if got := s.doLine("COMMAND GETKEYS fetch a"); got != "*1\r\n$1\r\na\r\n" {
		t.Errorf("keys of a renamed command: %q", got)
	}
}
