package lua

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestScriptLibraries compares what the libraries answer with the answers of redis-server 7.0.15, which 7.2.6 shares (bit,
// cjson, cmsgpack and struct in one file, string in the other). A file holds a script a line, and below it, indented, the reply as a Go string; {sha} stands for the
// script's SHA1. LUA_RECORD=host:port asks a server for all answers anew.
func TestScriptLibraries(t *testing.T) {
	for _, file := range []string{"testdata/libraries.txt", "testdata/string.txt"} {
		t.Run(filepath.Base(file), func(t *testing.T) { testAnswers(t, file) })
	}
}

func testAnswers(t *testing.T, libraryCases string) {
	text, err := os.ReadFile(libraryCases)
	if err != nil {
		t.Fatal(err)
	}
	var o *oracle
	if addr := os.Getenv("LUA_RECORD"); addr != "" {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		o = &oracle{c, bufio.NewReader(c)}
	}
	e := New(newServer())
	var recorded strings.Builder
	var script string
	cases := 0
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		answer, ok := strings.CutPrefix(line, "\t")
		switch {
		case line == "" || line[0] == '#':
			fmt.Fprintln(&recorded, line)
		case o != nil && !ok:
			want, err := o.do("EVAL", line, "0")
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&recorded, "%s\n\t%s\n", line, strconv.QuoteToASCII(strings.ReplaceAll(want, sha1Of(line), "{sha}")))
		case o == nil && !ok:
			script = line
		case o == nil:
			want, err := strconv.Unquote(answer)
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			if got := eval(e, script, false); got != want {
				t.Errorf("%s\n got %.300q\nwant %.300q", script, got, want)
			}
			cases++
		}
	}
	if o != nil {
		if err := os.WriteFile(libraryCases, []byte(recorded.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if t.Logf("%d cases", cases); cases < 1000 {
		t.Error("the file has lost some")
	}
}

// Everything long in the libraries can be killed.
func TestScriptLibrariesStop(t *testing.T) {
	for _, script := range []string{
		`local t = {} for i = 1, 24 do t = {t, t} end return cjson.encode(t)`,
		`local t = {} for i = 1, 15 do t = {t, t, t} end return #cmsgpack.pack(t)`,
		`local s = '[1,[2],"x\\n"]' for i = 1, 17 do s = '[' .. s .. ',' .. s .. ']' end for i = 1, 1e6 do cjson.decode(s) end`,
		`local s = '   ' for i = 1, 25 do s = s .. s end for i = 1, 1e6 do pcall(cjson.decode, s) end`,
		`local s = 'x' for i = 1, 25 do s = s .. s end s = '"' .. s .. '"' for i = 1, 1e6 do cjson.decode(s) end`,
		`local s = 'x' for i = 1, 25 do s = s .. s end for i = 1, 1e6 do cjson.encode(s) end`,
		`local s = '\145\1\147\1\2\161x' for i = 1, 10 do s = s .. s end for i = 1, 1e6 do cmsgpack.unpack(s) end`,
		`local f = 'bhxl' for i = 1, 20 do f = f .. f end for i = 1, 1e6 do struct.size(f) end`,
		`local f = 'x' for i = 1, 20 do f = f .. f end for i = 1, 1e6 do struct.pack(f) end`,
		`local f = 'x' for i = 1, 20 do f = f .. f end local d = f for i = 1, 1e6 do struct.unpack(f, d) end`,
		`while true do bit.band(1, 2, 3) end`,
	} {
		e := New(newServer())
		e.Pace = Pace{After: 20 * time.Millisecond, Every: time.Second, Slow: func() { e.Kill("stopped") }}
		got := eval(e, script, false)
		if !strings.HasPrefix(got, "-ERR stopped") {
			t.Errorf("%s\n got %.200q", script, got)
		}
	}
}

// Results that are too long are refused before memory is taken for them.
func TestScriptLibrariesRefuse(t *testing.T) {
	e := New(newServer())
	for _, script := range []string{
		`local c = cjson.new() c.encode_sparse_array(false, 0) return c.encode({[2147483647] = 1})`,
		`local c = cjson.new() c.encode_sparse_array(false, 0) return c.encode({{[600000000] = 1}})`,
	} {
		if got := eval(e, script, false); !strings.HasPrefix(got, "-ERR not enough memory") {
			t.Errorf("%s\n got %.200q", script, got)
		}
	}
}

// A text of JSON that grows from many pieces is refused before it is built.
func TestJSONIsMeasured(t *testing.T) {
	e := New(newServer())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := eval(e, `local s = string.rep('x', 1e6) local t = {} for i = 1, 600 do t[i] = s end return #cjson.encode(t)`, false)
	runtime.ReadMemStats(&after)
	if !strings.HasPrefix(got, "-ERR not enough memory") && !strings.HasPrefix(got, "-not enough memory") {
		t.Errorf("got %.200q", got)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MB were allocated", n>>20)
	}
	// What is measured is made, as what is short.
	got = eval(e, `local t = {} for i = 1, 300000 do t[i] = {k = 'a"b' .. i, n = i / 8, [i * 0x10000] = false} end
		local s = cjson.encode(t) local back = cjson.decode(s)
		return {#s, #back, back[300000].k, tostring(back[299999].n), tostring(back[2]['131072']), s:sub(1, 60), s:sub(-20)}`, false)
	want := eval(e, `local f = function(i) return cjson.encode({k = 'a"b' .. i, n = i / 8, [i * 0x10000] = false}) end
		local n = 1 for i = 1, 300000 do n = n + #f(i) + 1 end
		local s = '[' .. f(1) .. ',' .. f(2) .. ',' local e = f(299999) .. ',' .. f(300000) .. ']'
		return {n, 300000, 'a"b300000', '37499.875', 'false', s:sub(1, 60), e:sub(-20)}`, false)
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
