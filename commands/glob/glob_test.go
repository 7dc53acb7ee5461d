package glob

import (
	"bytes"
	"strings"
	"testing"

	"ferrous/tests/random"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
		nocase     bool // what is expected when case is ignored
	}{
		{"", "", true, true},
		{"", "a", false, false},
		{"*", "", false, false}, // as Redis; its callers know "*"
		{"**", "", false, false},
		{"?", "", false, false},
		{"*", "a", true, true},
		{"***", "abc", true, true},
		{"a", "a", true, true},
		{"a", "A", false, true},
		{"a", "ab", false, false},
		{"ab", "a", false, false},
		{"a*", "a", true, true},
		{"a***", "a", true, true},
		{"a*?", "a", false, false},
		{"*a", "a", true, true},
		{"*a", "aa", true, true},
		{"*a", "ab", false, false},
		{"*a*", "bab", true, true},
		{"h?llo", "hello", true, true},
		{"h?llo", "hllo", false, false},
		{"h*llo", "heeeello", true, true},
		{"a*b*c", "aXbXbXc", true, true},
		{"a*b*c", "aXcXb", false, false},
		{"*ab*ab", "abab", true, true},
		{"*ab*ab", "aba", false, false},
		{"*ab*ab", "abb", false, false},
		{"*?b", "b", false, false},
		{"*?b", "bb", true, true},
		{"*[ab]?", "xxax", true, true},
		{"h[ae]llo", "hallo", true, true},
		{"h[ae]llo", "hillo", false, false},
		{"h[ae]llo", "hAllo", false, true},
		{"h[^e]llo", "hallo", true, true},
		{"h[^e]llo", "hello", false, false},
		{"h[^e]llo", "hEllo", true, false},
		{"h[a-c]llo", "hbllo", true, true},
		{"h[a-c]llo", "hBllo", false, true},
		{"h[c-a]llo", "hbllo", true, true},
		{"[A-c]", "b", true, true},
		{"[a-]x", "a", true, true}, // a range from ']' to 'a', then 'x', and no ']'
		{"[a-]x", "x", true, true},
		{"[a-]x", "^", true, true},
		{"[a-", "-", true, true},
		{"[a-", "b", false, false},
		{"[-a]", "-", true, true},
		{"[]", "a", false, false},
		{"[^]", "a", true, true},
		{"[]a]", "a]", false, false},
		{"[", "[", false, false},
		{"[", "a", false, false},
		{"[^", "a", true, true},
		{"[abc", "b", true, true},
		{"[abc", "d", false, false},
		{"[^abc", "d", true, true},
		{"x[abc", "xc", true, true},
		{"[abc\\", "\\", true, true},
		{"[\\]]", "]", true, true},
		{"[\\a]", "a", true, true},
		{"[\\a]", "A", false, false}, // an escape in a class is exact
		{"[\\a-c]", "b", false, false},
		{"[\\a-c]", "-", true, true},
		{"[a^]", "^", true, true},
		{"[*]", "*", true, true},
		{"[*]", "a", false, false},
		{"\\*", "*", true, true},
		{"\\*", "a", false, false},
		{"\\a", "a", true, true},
		{"\\a", "A", false, true},
		{"\\\\", "\\", true, true},
		{"a\\", "a\\", true, true},
		{"a\\", "a", false, false},
		{"*\\", "x\\", true, true},
		{"*\\*", "x*", true, true},
		{"*\\**", "x*yy", true, true},
		{"a\x00*", "a\x00b", true, true},
		{"[\x80-\x90]", "\x85", true, true},
		{"[\x7f-\x81]", "\x80", false, false}, // signed: from \x81 to \x7f
		{"[\x7f-\x81]", "a", true, false},     // lowered, \x81 becomes 129
		{"[\x7f-\x81]", "\x82", true, false},
		{"\xc1", "\xe1", false, false},
	} {
		if got := Match([]byte(c.pattern), []byte(c.s), false); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.s, got)
		}
		if got := Match([]byte(c.pattern), []byte(c.s), true); got != c.nocase {
			t.Errorf("%q %q, ignoring case: %v", c.pattern, c.s, got)
		}
		if got := naive(c.pattern, c.s, false); got != c.want {
			t.Errorf("%q %q: the naive matcher says %v", c.pattern, c.s, got)
		}
		if got := naive(c.pattern, c.s, true); got != c.nocase {
			t.Errorf("%q %q, ignoring case: the naive matcher says %v", c.pattern, c.s, got)
		}
	}
}

// naive matches by trying everything.
func naive(p, s string, nocase bool) bool {
	if s == "" {
		return p == ""
	}
	if p == "" {
		return false
	}
	if p[0] == '*' {
		rest := strings.TrimLeft(p, "*")
		for i := 0; i < len(s); i++ {
			if rest == "" || naive(rest, s[i:], nocase) {
				return true
			}
		}
		return false
	}
	same := func(a, b byte) bool {
		return a == b || nocase && a < 0x80 && b < 0x80 && strings.EqualFold(string(rune(a)), string(rune(b)))
	}
	ok, size := false, 1
	switch {
	case p[0] == '?':
		ok = true
	case p[0] == '\\' && len(p) > 1:
		ok, size = same(p[1], s[0]), 2
	case p[0] == '[':
		body := p[1:]
		not := strings.HasPrefix(body, "^")
		body = strings.TrimPrefix(body, "^")
		for body != "" && body[0] != ']' {
			switch {
			case len(body) >= 2 && body[0] == '\\':
				ok = ok || body[1] == s[0]
				body = body[2:]
			case len(body) >= 3 && body[1] == '-':
				lo, hi, c := int(int8(body[0])), int(int8(body[2])), int(int8(s[0]))
				lo, hi = min(lo, hi), max(lo, hi)
				if nocase {
					lo, hi, c = cLower(lo), cLower(hi), cLower(c)
				}
				ok = ok || lo <= c && c <= hi
				body = body[3:]
			default:
				ok = ok || same(body[0], s[0])
				body = body[1:]
			}
		}
		ok = ok != not
		size = len(p) - len(body)
		if body != "" {
			size++
		}
	default:
		ok = same(p[0], s[0])
	}
	if !ok {
		return false
	}
	if s = s[1:]; s == "" {
		return strings.TrimLeft(p[size:], "*") == ""
	}
	return naive(p[size:], s, nocase)
}

// cLower is tolower of C for a signed char.
func cLower(c int) int {
	if c < -1 {
		return c & 0xff
	}
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"h[^a-c]l*o", "hello"}, {"*a*b?[\\]x-", "aabx]"}, {"[^", "x"}, {"\\*a**", "*a"}} {
		f.Add(s[0], s[1], false)
		f.Add(s[0], s[1], true)
	}
	f.Fuzz(func(t *testing.T, p, s string, nocase bool) {
		if strings.Count(p, "*") > 5 || len(s) > 40 {
			return
		}
		if got, want := Match([]byte(p), []byte(s), nocase), naive(p, s, nocase); got != want {
			t.Errorf("%q %q ignoring case %v: %v, want %v", p, s, nocase, got, want)
		}
	})
}

// TestRandom draws from few bytes, so that about half of the patterns match.
func TestRandom(t *testing.T) { random.Repeat(t, testRandom) }

func testRandom(t *testing.T) {
	rnd := random.New(t)
	draw := func(from string, n int) []byte {
		b := make([]byte, rnd.IntN(n))
		for i := range b {
			b[i] = from[rnd.IntN(len(from))]
		}
		return b
	}
	matches := 0
	for range 300000 {
		p, s, nocase := draw("aabAB*?*[]^-\\\x80\xff", 10), draw("aabAB-]\x80\xff", 10), rnd.IntN(2) == 0
		got := Match(p, s, nocase)
		if want := naive(string(p), string(s), nocase); got != want {
			t.Fatalf("%q %q ignoring case %v: %v", p, s, nocase, got)
		}
		if got {
			matches++
		}
		if prefix, exact := Literal(p); got && !nocase && (!bytes.HasPrefix(s, prefix) || exact && !bytes.Equal(p, s)) {
			t.Fatalf("Literal(%q) is %q, %v, but %q matches", p, prefix, exact, s)
		}
	}
	if matches < 1000 {
		t.Errorf("only %d matches", matches)
	}
}

func TestLiteral(t *testing.T) {
	for _, c := range []struct {
		in, prefix string
		exact      bool
	}{{"", "", true}, {"user:1", "user:1", true}, {"user:*", "user:", false}, {"a?", "a", false}, {"a\\*", "a", false}, {"[a]", "", false}, {"a]", "a]", true}} {
		if p, exact := Literal([]byte(c.in)); string(p) != c.prefix || exact != c.exact {
			t.Errorf("%q: %q, %v", c.in, p, exact)
		}
	}
}

// TestAbusive: patterns that cost exponential time or deep stacks in a naive matcher, which would not end before the tests'
// timeout.
func TestAbusive(t *testing.T) {
	as := bytes.Repeat([]byte("a"), 100000)
	for _, c := range []struct {
		pattern []byte
		want    bool
	}{
		{[]byte(strings.Repeat("a*", 30) + "b"), false},
		{[]byte(strings.Repeat("*a", 100) + "b"), false},
		{[]byte(strings.Repeat("?*", 500) + "a"), true},
		{bytes.Repeat([]byte("*"), 1<<20), true},
		{append(bytes.Repeat([]byte("*"), 1<<20), 'b'), false},
		{append(bytes.Repeat([]byte("a"), 1<<20), '*'), false},
		{bytes.Repeat([]byte("["), 1<<20), false},
		{bytes.Repeat([]byte("[a]"), 100000), true},
		{append([]byte("*"), bytes.Repeat([]byte("[a]"), 100000)...), true},
		{append([]byte("*"), bytes.Repeat([]byte("?"), 100000)...), true},
		{append([]byte("*"), bytes.Repeat([]byte("?"), 100001)...), false},
		{bytes.Repeat([]byte("\\"), 200000), false},
	} {
		if got := Match(c.pattern, as, false); got != c.want {
			t.Errorf("%.40q…: %v", c.pattern, got)
		}
	}
}

// TestStars: Redis gives up behind the thousandth star that is followed by something.
func TestStars(t *testing.T) {
	s := bytes.Repeat([]byte("a"), 3000)
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{strings.Repeat("*a", 1000), true},
		{strings.Repeat("*a", 1001), false},
		{strings.Repeat("*a", 1000) + "*", true},
		{strings.Repeat("**a", 1000) + "*", true},
		{strings.Repeat("*a", 1001) + "*", false},
	} {
		if got := Match([]byte(c.pattern), s, false); got != c.want {
			t.Errorf("%d stars: %v", strings.Count(c.pattern, "*"), got)
		}
	}
}

func TestAllocs(t *testing.T) {
	p, s := []byte("*user:[0-9]*:?x*"), []byte("the user:12345:abx")
	if n := testing.AllocsPerRun(100, func() {
		Match(p, s, false)
		Match(p, s, true)
		Literal(p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	s := []byte("user:1000:profile")
	for _, p := range []string{"user:*", "*profile", "user:*:pro*e", "user:[0-9]???:profile", "nothing*"} {
		b.Run(p, func(b *testing.B) {
			p := []byte(p)
			for b.Loop() {
				Match(p, s, false)
			}
		})
	}
}
