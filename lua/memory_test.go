package lua

import (
	"fmt"
	"os"
	"runtime"
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
