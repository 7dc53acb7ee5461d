package lua

import (
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzParse compiles any text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"return 1", "x = = 1", "for i=1,2 do end", "local a,b=b,a", "return [==[a]==]", "#!lua\nreturn 'a\\065'"} {
		f.Add([]byte(s))
	}
	for i := range uint64(20) {
		f.Add([]byte(program(rand.New(rand.NewPCG(7, i)))))
	}
	e := New(newServer())
	f.Fuzz(func(t *testing.T, src []byte) {
		e.Load(src, FromEval)
	})
}

// FuzzRun runs any text for a bounded number of steps: whatever it does, the engine stays whole.
func FuzzRun(f *testing.F) {
	for i := range uint64(40) {
		f.Add([]byte(program(rand.New(rand.NewPCG(8, i)))))
	}
	for _, b := range benchScripts {
		f.Add([]byte(b.body))
	}
	e := New(newServer())
	e.MemoryLimit = 256 << 20
	e.Pace = Pace{After: 50 * time.Millisecond, Every: time.Second, Slow: func() { e.Kill("enough") }}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := e.Load(src, FromEval)
		if err != nil {
			return
		}
		err = e.Run(s, nil, nil, &wire{})
		if err != nil && len(err.Error()) > 18 && err.Error()[:18] == "ERR internal error" {
			t.Fatal(err)
		}
		if got := eval(e, "return 1", false); got != ":1\r\n" {
			t.Fatal(got)
		}
	})
}

// Random programs run, and the engine stays whole. TestOracleRandom compares their results.
func TestRandomPrograms(t *testing.T) {
	e := New(newServer())
	for i := range uint64(500) {
		src := program(rand.New(rand.NewPCG(3, i)))
		if got := eval(e, src, false); got[0] != '$' {
			t.Fatalf("program %d: %q\n%s", i, got, src)
		}
	}
}
