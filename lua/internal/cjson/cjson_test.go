package cjson

import (
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// The answers of all functions are compared in package lua, whose tests hold redis-server's.

// What is decoded twice over is the same, and what is refused stays refused: objects and arrays are no exceptions.
func TestRoundTrip(t *testing.T) {
	h := vm.NewHost()
	Open(h)
	for _, s := range []string{
		`{"id":"7","name":"job","data":{"list":[1,2.5,"x",null,true,{}]},"opts":{"attempts":3}}`,
		`[[],[[]],{"a":{}},""]`, `"\u20ac\ud834\udd1e\u0000\/"`, `[1e15,-0,0.1,12345678901234]`,
	} {
		once, err := call(h, "encode", decoded(t, h, s))
		if err != nil {
			t.Fatal(err)
		}
		twice, err := call(h, "encode", decoded(t, h, string(once.(lua.LString))))
		if err != nil || once != twice {
			t.Errorf("%s: %v, then %v %v", s, once, twice, err)
		}
	}
}

func decoded(t *testing.T, h *vm.Host, s string) lua.LValue {
	v, err := call(h, "decode", lua.LString(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func call(h *vm.Host, name string, arg lua.LValue) (lua.LValue, error) {
	f := vm.GetString(h.Library("cjson"), name).(*lua.LFunction)
	results, err := h.Run(f, nil, arg)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

var allocated = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}

func heapAllocated() uint64 {
	metrics.Read(allocated)
	return allocated[0].Value.Uint64()
}

// FuzzDecode decodes any text: it ends with a value or an error, and takes no more memory than the text explains. A
// value that JSON can hold is encoded, and decoded again to the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e3,"x\n\u20ac\ud834\udd1e",null,true,false,{}]}`, `[[[[`, `{"a":{"a":{"a":`, `"\ud834`, `nan(12`, `0x1.8p3`,
		"[1,\x00", `[1e400,+1,inf,-nan]`, `{"a":1,"a":2,"":3}`, "\xff\xfe", ` [ ] `,
	} {
		f.Add(s)
	}
	h := vm.NewHost()
	Open(h)
	f.Fuzz(func(t *testing.T, s string) {
		before := heapAllocated()
		v, err := call(h, "decode", lua.LString(s))
		if took := heapAllocated() - before; took > uint64(512*len(s))+4<<20 {
			t.Fatalf("%d bytes of text took %d of memory", len(s), took)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "Expected ") && !strings.HasPrefix(err.Error(), "Found too many nested") && !strings.HasPrefix(err.Error(), "JSON parser does not") {
				t.Fatal(strconv.Quote(s), err)
			}
			return
		}
		once, err := call(h, "encode", v)
		if err != nil {
			return // inf and nan
		}
		again, err := call(h, "decode", once)
		if err != nil {
			t.Fatal(strconv.Quote(s), once, err)
		}
		if twice, err := call(h, "encode", again); err != nil || twice != once {
			t.Fatal(strconv.Quote(s), once, twice, err)
		}
	})
}
