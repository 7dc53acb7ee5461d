package lua

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// heap returns the bytes of living objects.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What Memory says of cached scripts is near what they occupy, for short and long ones.
func TestMemoryOfScripts(t *testing.T) {
	queue, err := os.ReadFile("../tests/bench/scripts/queue.lua")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"short": "return redis.call('get', KEYS[1])", "long": string(queue)} {
		const n = 300
		e := New(newServer())
		before, said := heap(), e.Memory()
		for i := range n {
			if _, err := e.Load(fmt.Appendf(nil, "%s -- %d", body, i), FromLoad); err != nil {
				t.Fatal(err)
			}
		}
		grown, said := heap()-before, e.Memory()-said
		t.Logf("%s: a script of %d bytes takes %d, Memory says %d", name, len(body), grown/n, said/n)
		if said*2 < grown || said > grown*2 {
			t.Errorf("%s: the heap has grown by %d, Memory by %d", name, grown, said)
		}
		e.Flush()
		if e.Memory() != 0 {
			t.Errorf("after Flush: %d", e.Memory())
		}
		runtime.KeepAlive(e)
	}
}

// What CodeSize says of libraries is near what their code occupies.
func TestMemoryOfLibraries(t *testing.T) {
	const n = 300
	var body strings.Builder
	body.WriteString("#!lua name=%s\nlocal function pick(keys, args) local t = {} for i, k in ipairs(keys) do t[i] = k .. args[1] end return t end\n")
	for i := range 10 {
		fmt.Fprintf(&body, "redis.register_function('f%d', function(keys, args)\n  local found = redis.call('hget', keys[1], 'field')\n"+
			"  if not found then return redis.error_reply('ERR none') end\n  return pick(keys, args)\nend)\n", i)
	}
	e := New(newServer())
	before, said := heap(), 0
	var all []*Library
	for i := range n {
		lib, err := e.LoadLibrary([]byte(strings.Replace(body.String(), "%s", fmt.Sprint("l", i), 1)))
		if err != nil {
			t.Fatal(err)
		}
		said += len(lib.Code) + lib.CodeSize
		all = append(all, lib)
	}
	grown := int(heap() - before)
	t.Logf("a library of %d bytes takes %d, CodeSize and the text are %d", body.Len(), grown/n, said/n)
	if said*2 < grown || said > grown*2 {
		t.Errorf("the heap has grown by %d, CodeSize and the texts are %d", grown, said)
	}
	runtime.KeepAlive(all)
}

// What StateMemory says is near what a new engine occupies, and more while its stack is large.
func TestMemoryOfState(t *testing.T) {
	before := heap()
	e := New(newServer())
	grown, said := heap()-before, e.StateMemory()
	t.Logf("a state takes %d, StateMemory says %d", grown, said)
	if said*3 < grown || said > grown*2 {
		t.Errorf("the heap has grown by %d, StateMemory says %d", grown, said)
	}
	eval(e, `local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end return f(200)`, false)
	if e.StateMemory() < said {
		t.Errorf("after a recursion StateMemory says %d, before %d", e.StateMemory(), said)
	}
	runtime.KeepAlive(e)
}
