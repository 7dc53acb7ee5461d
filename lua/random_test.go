package lua

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// generator writes random programs that end: of local variables, assignments, loops, closures, tables, varargs. Each
// writes down values on its way in the list o, and returns them.
type generator struct {
	r      *rand.Rand
	out    strings.Builder
	locals []string
	next   int
	depth  int
	vararg bool
	loops  int
	size   int
}

func program(r *rand.Rand) string {
	g := &generator{r: r, vararg: false}
	g.out.WriteString("local o={}\nlocal n,steps=0,0\nlocal function w(v) n=n+1 if n<300 then o[n]=type(v)=='table' and 'T' or type(v)=='function' and 'F' or tostring(v) end return v end\n")
	g.out.WriteString("local function lim() steps=steps+1 if steps>3000 then while true do local x=nil+nil end end end\nlocal v0\n")
	g.out.WriteString("local ok,err=pcall(function(...)\n")
	g.vararg = true
	g.block(3 + r.IntN(8))
	g.out.WriteString("end,1,'x',nil,{5})\nw(ok) w(err)\nlocal s={} for i=1,300 do s[#s+1]=o[i] and o[i] or nil end\nreturn table.concat(s,' ')\n")
	return g.out.String()
}

func (g *generator) p(format string, args ...any) { fmt.Fprintf(&g.out, format, args...) }

func (g *generator) name() string {
	if len(g.locals) == 0 {
		return "v0"
	}
	return g.locals[g.r.IntN(len(g.locals))]
}

func (g *generator) fresh() string {
	if g.r.IntN(4) == 0 && len(g.locals) > 0 {
		return g.name() // shadows
	}
	g.next++
	return fmt.Sprintf("v%d", g.next%9)
}

func (g *generator) block(n int) {
	saved := len(g.locals)
	g.depth++
	for range n {
		g.statement()
	}
	g.depth--
	g.locals = g.locals[:saved]
}

func (g *generator) scope(f func()) {
	saved := len(g.locals)
	f()
	g.locals = g.locals[:saved]
}

func (g *generator) target() string {
	switch g.r.IntN(4) {
	case 0:
		return fmt.Sprintf("(%s).x", g.expr(1))
	case 1:
		return fmt.Sprintf("%s[%s]", g.name(), g.expr(1))
	}
	return g.name()
}

func (g *generator) exprs(n int) string {
	var s []string
	for range n {
		s = append(s, g.expr(2))
	}
	return strings.Join(s, ",")
}

func (g *generator) statement() {
	g.size++
	k := g.r.IntN(20)
	if g.depth > 4 || g.size > 120 {
		k = g.r.IntN(7)
	}
	switch k {
	case 0, 1, 2:
		n, m := 1+g.r.IntN(3), g.r.IntN(4)
		var names []string
		for range n {
			names = append(names, g.fresh())
		}
		if m == 0 {
			g.p("local %s\n", strings.Join(names, ","))
		} else {
			g.p("local %s=%s\n", strings.Join(names, ","), g.exprs(m))
		}
		g.locals = append(g.locals, names...)
	case 3, 4:
		n, m := 1+g.r.IntN(3), 1+g.r.IntN(3)
		var targets []string
		for range n {
			targets = append(targets, g.target())
		}
		if strings.HasPrefix(targets[0], "(") {
			targets[0] = g.name()
		}
		g.p("%s=%s;\n", strings.Join(targets, ","), g.exprs(m))
	case 5, 6:
		g.p("w(%s)\n", g.expr(3))
	case 7:
		g.p("if %s then\n", g.expr(2))
		g.block(1 + g.r.IntN(3))
		for g.r.IntN(3) == 0 {
			g.p("elseif %s then\n", g.expr(2))
			g.block(1 + g.r.IntN(2))
		}
		if g.r.IntN(2) == 0 {
			g.p("else\n")
			g.block(1 + g.r.IntN(3))
		}
		g.p("end\n")
	case 8:
		g.p("while %s do lim()\n", g.expr(2))
		g.loop()
		g.p("end\n")
	case 9:
		g.scope(func() {
			g.p("repeat lim()\n")
			g.loops++
			for range 1 + g.r.IntN(3) {
				g.statement()
			}
			g.loops--
			g.p("until %s\n", g.expr(2))
		})
	case 10, 11:
		g.scope(func() {
			v := g.fresh()
			g.p("for %s=%s,%s,%s do lim()\n", v, g.number(), g.number(), []string{"1", "2", "-1", "0.5"}[g.r.IntN(4)])
			g.locals = append(g.locals, v)
			g.loop()
			g.p("end\n")
		})
	case 12:
		g.scope(func() {
			v, x := g.fresh(), g.fresh()
			g.p("for %s,%s in ipairs({%s}) do lim()\n", v, x, g.exprs(g.r.IntN(4)))
			g.locals = append(g.locals, v, x)
			g.loop()
			g.p("end\n")
		})
	case 13, 14:
		f := g.fresh()
		g.locals = append(g.locals, f)
		g.p("local function %s", f)
		g.function()
	case 15:
		g.p("do\n")
		g.block(1 + g.r.IntN(4))
		g.p("end\n")
	case 16:
		if g.loops > 0 {
			g.p("if %s then break end\n", g.expr(1))
		} else {
			g.p("do return w(%s) end\n", g.exprs(2))
		}
	case 17:
		g.p("if steps<2000 then w(pcall(%s,%s)) end\n", g.name(), g.exprs(2))
	case 18:
		g.p("w((function(...) return select('#',...) end)(%s))\n", g.exprs(1+g.r.IntN(3)))
	case 19:
		if g.r.IntN(3) == 0 {
			g.p("do return %s end\n", g.exprs(1+g.r.IntN(2)))
		} else {
			g.p("%s=function", g.name())
			g.function()
		}
	}
}

func (g *generator) loop() {
	g.loops++
	g.block(1 + g.r.IntN(3))
	g.loops--
}

func (g *generator) function() {
	saved, vararg, loops := len(g.locals), g.vararg, g.loops
	g.loops = 0
	var params []string
	for range g.r.IntN(3) {
		params = append(params, g.fresh())
	}
	g.locals = append(g.locals, params...)
	g.vararg = g.r.IntN(3) == 0
	if g.vararg {
		params = append(params, "...")
	}
	g.p("(%s) lim()\n", strings.Join(params, ","))
	g.block(1 + g.r.IntN(3))
	g.p("return %s end\n", g.exprs(1+g.r.IntN(3)))
	g.locals, g.vararg, g.loops = g.locals[:saved], vararg, loops
}

func (g *generator) number() string {
	return []string{"0", "1", "2", "3", "-1", "2.5", "7", "10"}[g.r.IntN(8)]
}

func (g *generator) expr(depth int) string {
	if depth <= 0 || g.r.IntN(5) == 0 {
		switch g.r.IntN(12) {
		case 0:
			return "nil"
		case 1:
			return "true"
		case 2:
			return "false"
		case 3:
			return "'s'"
		case 4:
			return "'10'"
		case 5:
			if g.vararg {
				return "..."
			}
			return "{}"
		case 6, 7:
			return g.number()
		}
		return g.name()
	}
	d := depth - 1
	switch g.r.IntN(20) {
	case 0, 1:
		return fmt.Sprintf("(%s)%s(%s)", g.expr(d), []string{"+", "-", "*", "/", "%", "^"}[g.r.IntN(6)], g.expr(d))
	case 2:
		return fmt.Sprintf("%s %s %s", g.name(), []string{"+", "-", "*"}[g.r.IntN(3)], g.number())
	case 3, 4:
		return fmt.Sprintf("(%s)..(%s)..'c'", g.expr(d), g.expr(d))
	case 5, 6:
		return fmt.Sprintf("(%s) %s (%s)", g.expr(d), []string{"==", "~=", "==", "<", ">=", "<="}[g.r.IntN(6)], g.expr(d))
	case 7, 8:
		return fmt.Sprintf("%s and %s", g.expr(d), g.expr(d))
	case 9, 10:
		return fmt.Sprintf("%s or %s", g.expr(d), g.expr(d))
	case 11:
		return fmt.Sprintf("not (%s)", g.expr(d))
	case 12:
		return fmt.Sprintf("#{%s}", g.expr(d))
	case 13:
		return fmt.Sprintf("{%s,x=%s,%s}", g.expr(d), g.expr(d), g.expr(d))
	case 14:
		return fmt.Sprintf("({%s})[%s]", g.exprs(2), g.expr(d))
	case 15:
		return fmt.Sprintf("w(%s)", g.expr(d))
	case 16:
		return fmt.Sprintf("(function(a,b) %s=a return b,a end)(%s)", g.name(), g.exprs(2))
	case 17:
		return fmt.Sprintf("%s(%s)", g.name(), g.exprs(1))
	case 18:
		return fmt.Sprintf("(%s and %s or %s)", g.expr(d), g.expr(d), g.expr(d))
	}
	return fmt.Sprintf("select(2,%s,%s)", g.expr(d), g.exprs(2))
}

var (
	variableNames = regexp.MustCompile(`(local|upvalue|field|global|method) '[^']*' \(a (\w+) value\)`)
	bulkLength    = regexp.MustCompile(`^\$\d+`)
)

// plainNames leaves out what error texts call a variable: Lua looks through "nil or x", the parser does not.
func plainNames(reply string) string {
	return bulkLength.ReplaceAllString(variableNames.ReplaceAllString(reply, "a $2 value"), "$$")
}

// TestOracleRandom compares random programs: LUA_ORACLE=host:port LUA_SEED=1 LUA_COUNT=1000.
func TestOracleRandom(t *testing.T) {
	addr := os.Getenv("LUA_ORACLE")
	if addr == "" {
		t.Skip("LUA_ORACLE names no server")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{c, bufio.NewReader(c)}
	seed, count := uint64(1), 1000
	fmt.Sscan(os.Getenv("LUA_SEED"), &seed)
	fmt.Sscan(os.Getenv("LUA_COUNT"), &count)
	e := New(&fixed{})
	bad := 0
	for i := range count {
		src := program(rand.New(rand.NewPCG(seed, uint64(i))))
		c.SetDeadline(time.Now().Add(5 * time.Second))
		want, err := o.do("EVAL", src, "0")
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Load([]byte(src), FromEval)
		got := ""
		if err != nil {
			got = err.Error()
			if strings.HasPrefix(want, "-ERR Error compiling") {
				continue
			}
		} else {
			w := &wire{}
			if err := e.Run(s, nil, nil, w); err != nil {
				got = "-" + err.Error() + "\r\n"
			} else {
				got = string(w.buf)
			}
		}
		if plainNames(got) != plainNames(want) {
			bad++
			t.Errorf("seed %d, %d\n got %.600q\nwant %.600q\n%s", seed, i, got, want, src)
			if bad > 0 {
				t.FailNow()
			}
		}
	}
}
