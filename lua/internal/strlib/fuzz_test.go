package strlib

import (
	"strconv"
	"testing"

	"ferrous/lua/internal/vm"
)

// FuzzPattern matches any pattern on any subject. Errors are Lua's; nothing else may panic, and a match that takes too long
// is ended by its ticks.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"a*b", "^(%a+)=(.-)$", "%b()", "%f[%w]%w+", "[^%]a-z]+", "(.)%1", "((((", "[", "%", "()a()", ".-.-.-x"} {
		f.Add("key = (value) [x]", p)
	}
	f.Fuzz(func(t *testing.T, subject, pattern string) {
		if len(subject) > 64 || len(pattern) > 64 {
			return
		}
		h := bounded()
		s, p := strconv.Quote(subject), strconv.Quote(pattern)
		for _, src := range []string{"return string.find(" + s + "," + p + ")", "return string.gsub(" + s + "," + p + ",'<%0%1>')",
			"for a in string.gmatch(" + s + "," + p + ") do end"} {
			run(t, h, src)
		}
	})
}

// FuzzFormat formats values of every type by any format.
func FuzzFormat(f *testing.F) {
	for _, p := range []string{"%d", "%5.2f", "%-10s|", "%q", "%#x", "%+.3e", "%c", "%%", "%", "%123d", "% 05i", "%g%g"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, form string) {
		h := bounded()
		for _, args := range []string{"1,2,3", "'a',0.1,-1e308", "0/0,1/0,'x'", "{},nil,true"} {
			run(t, h, "return string.format("+strconv.Quote(form)+","+args+")")
		}
	})
}

// bounded makes a host whose scripts are ended after some time.
func bounded() *vm.Host {
	h := vm.NewHost()
	Open(h)
	turns := 0
	h.OnTick = func() {
		if turns++; turns > 100 {
			panic(&vm.Kill{Text: "too long"})
		}
	}
	return h
}

func run(t *testing.T, h *vm.Host, src string) {
	t.Helper()
	_, _ = h.Eval(src) // whatever it answers: a panic would end the test
}
