package resp

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"ferrous/tests/random"
)

// outcome is what a stream was parsed to.
type outcome struct {
	reqs [][]string
	err  string
	used int64 // Consumed after each request, added up with weights: order matters
}

func (o outcome) String() string {
	s := fmt.Sprintf("%d requests, error %q, used %d", len(o.reqs), o.err, o.used)
	if len(o.reqs) <= 8 {
		s += fmt.Sprintf(" %.300q", o.reqs)
	}
	return s
}

func (o outcome) equal(x outcome) bool {
	return o.err == x.err && o.used == x.used &&
		slices.EqualFunc(o.reqs, x.reqs, func(a, b []string) bool { return slices.Equal(a, b) })
}

// feeder gives a stream to a Parser in pieces, as a server would.
type feeder struct {
	t     testing.TB
	p     Parser
	s     *Scratch
	lim   Limits
	out   outcome
	fed   int
	every bool // end the packet after each request, as if the client blocked
	room  int  // above 0: the rest of a large bulk is read into its buffer, so many bytes at a time
}

func newFeeder(t testing.TB, lim Limits) *feeder {
	return &feeder{t: t, s: new(Scratch), lim: lim}
}

// packet feeds one packet and destroys its bytes afterwards.
func (f *feeder) packet(data []byte) {
	for f.room > 0 && f.out.err == "" {
		room, whole := f.p.Room(f.s)
		if room == nil || len(data) == 0 {
			break
		}
		if want := f.p.part.size - f.p.part.got; len(room) > want || whole != (len(room) == want) {
			f.t.Fatalf("room for %d bytes of %d, whole: %v", len(room), want, whole)
		}
		n := copy(room[:min(len(room), f.room)], data)
		f.p.Fill(n)
		f.fed += n
		data = data[n:]
	}
	in := append([]byte("x"), data...)[1:] // a copy of its own
	f.fed += len(data)
	f.p.Begin(in)
	for {
		args, err := f.p.Next(f.s, &f.lim)
		if err != nil {
			f.out.err = err.Error()
			if _, again := f.p.Next(f.s, &f.lim); again != err {
				f.t.Fatalf("after the error %v came %v", err, again)
			}
			break
		}
		if args == nil {
			if f.p.pos != len(f.p.in) {
				f.t.Fatalf("Next gave up with %d bytes unread", len(f.p.in)-f.p.pos)
			}
			break
		}
		if len(args) == 0 {
			f.t.Fatal("empty request")
		}
		req := make([]string, len(args))
		for i, a := range args {
			if cap(a) != len(a) {
				f.t.Fatalf("argument %d: capacity %d, length %d", i, cap(a), len(a))
			}
			req[i] = string(a)
		}
		f.out.reqs = append(f.out.reqs, req)
		f.out.used = f.out.used*31 + f.p.Consumed()
		if f.every {
			f.p.End()
			for i := range in {
				in[i] = '#'
			}
			f.p.Begin(nil)
		}
	}
	f.p.End()
	for i := range in {
		in[i] = '#'
	}
	if got, most := f.p.Capacity(), 3*f.fed+2048; got > most {
		f.t.Fatalf("%d bytes held after %d came in", got, f.fed)
	}
	if f.out.err == "" && f.p.Consumed() != int64(f.fed) {
		f.t.Fatalf("consumed %d of %d", f.p.Consumed(), f.fed)
	}
}

// feed parses a stream that is cut at the given places, in order.
func feed(t testing.TB, lim Limits, every bool, stream []byte, cuts ...int) outcome {
	f := newFeeder(t, lim)
	f.every = every
	if every && len(cuts) > 0 {
		f.room = 500 + cuts[0]
	}
	from := 0
	for _, c := range append(cuts, len(stream)) {
		f.packet(stream[from:c])
		from = c
	}
	return f.out
}

// reference parses a whole stream by the plainest reading of the rules.
func reference(in []byte, lim Limits) (o outcome) {
	pos := 0
	fail := func(format string, a ...any) outcome {
		o.err = fmt.Sprintf("Protocol error: "+format, a...)
		return o
	}
	// line finds the end of a line: found, or too long.
	line := func(end byte) (at int, found, tooLong bool) {
		for i := pos; i < len(in) && i-pos <= 65536; i++ {
			if in[i] == end {
				return i, true, false
			}
			if in[i] == 0 {
				break
			}
		}
		return 0, false, len(in)-pos > 65536
	}
	for pos < len(in) {
		if in[pos] != '*' {
			at, found, tooLong := line('\n')
			if tooLong {
				return fail("too big inline request")
			}
			if !found {
				return o
			}
			words, ok := referenceSplit(strings.TrimSuffix(string(in[pos:at]), "\r"))
			if !ok {
				return fail("unbalanced quotes in request")
			}
			pos = at + 1
			if len(words) > 0 {
				o.reqs = append(o.reqs, words)
				o.used = o.used*31 + int64(pos)
			}
			continue
		}
		at, found, tooLong := line('\r')
		if tooLong {
			return fail("too big mbulk count string")
		}
		if !found || at+2 > len(in) {
			return o
		}
		n, ok := ParseInt(in[pos+1 : at])
		if !ok || n > int64(lim.MaxArgs) {
			return fail("invalid multibulk length")
		}
		if n > 10 && lim.Unauthenticated {
			return fail("unauthenticated multibulk length")
		}
		pos = at + 2
		var req []string
		for ; n > 0; n-- {
			at, found, tooLong := line('\r')
			if tooLong {
				return fail("too big bulk count string")
			}
			if !found || at+2 > len(in) {
				return o
			}
			if c := in[pos]; c != '$' {
				if c == '\r' || c == '\n' {
					c = ' '
				}
				return fail("expected '$', got '%s'", string([]byte{c}))
			}
			size, ok := ParseInt(in[pos+1 : at])
			if !ok || size < 0 || size > lim.MaxBulk {
				return fail("invalid bulk length")
			}
			if size > 16384 && lim.Unauthenticated {
				return fail("unauthenticated bulk length")
			}
			pos = at + 2
			if int64(len(in)-pos) < size+2 {
				return o
			}
			req = append(req, string(in[pos:pos+int(size)]))
			pos += int(size) + 2
		}
		if req != nil {
			o.reqs = append(o.reqs, req)
			o.used = o.used*31 + int64(pos)
		}
	}
	return o
}

func bulks(words ...string) string {
	s := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		s += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	return s
}

// corpus are streams with what they must be parsed to. "…" stands for "Protocol error: ".
var corpus = []struct {
	in   string
	reqs string // fmt %q of the requests
	err  string
}{
	{"", `[]`, ""},
	{bulks("PING"), `[["PING"]]`, ""},
	{bulks("SET", "key", "value") + bulks("GET", "key"), `[["SET" "key" "value"] ["GET" "key"]]`, ""},
	{bulks("a", "", "0123456789", strings.Repeat("z", 12)), `[["a" "" "0123456789" "zzzzzzzzzzzz"]]`, ""},
	{bulks("a", "\r\n$3\r\n\x00*1\r\n"), `[["a" "\r\n$3\r\n\x00*1\r\n"]]`, ""},
	{bulks(strings.Split("a b c d e f g h i j k l m", " ")...), `[["a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m"]]`, ""},
	// Empty requests.
	{"\r\n\n\r\n" + bulks("PING"), `[["PING"]]`, ""},
	{"*0\r\n*-1\r\n*-10\r\n*0\r\n*-1\r\n \t \r\n" + bulks("PING") + "*0\r\n", `[["PING"]]`, ""},
	{"*-9223372036854775808\r\n" + bulks("PING"), `[["PING"]]`, ""},
	// What stands behind '\r' and behind a bulk is not looked at.
	{"*1\rx$4\rxPINGxx" + bulks("A"), `[["PING"] ["A"]]`, ""},
	{"*1\r\r$1\r\r\r\r\r" + bulks("A"), `[["\r"] ["A"]]`, ""},
	{"*12\r\x00" + strings.Repeat("$0\r\x00\x00\x00", 12), `[["" "" "" "" "" "" "" "" "" "" "" ""]]`, ""},
	// The count.
	{"*\r\n", `[]`, "…invalid multibulk length"},
	{"*a\r\n", `[]`, "…invalid multibulk length"},
	{"*1a\r\n$1\r\na\r\n", `[]`, "…invalid multibulk length"},
	{"* 1\r\n", `[]`, "…invalid multibulk length"},
	{"*+1\r\n", `[]`, "…invalid multibulk length"},
	{"*01\r\n", `[]`, "…invalid multibulk length"},
	{"*-0\r\n", `[]`, "…invalid multibulk length"},
	{"*1\n$1\r\na\r\n", `[]`, "…invalid multibulk length"},
	{"*2147483647\r\n", `[]`, ""},
	{"*2147483648\r\n", `[]`, "…invalid multibulk length"},
	{"*9223372036854775808\r\n", `[]`, "…invalid multibulk length"},
	{"*99999999999999999999\r\n", `[]`, "…invalid multibulk length"},
	{"*a\r", `[]`, ""}, // only a whole line is wrong
	{bulks("PING") + "*3x\r\n", `[["PING"]]`, "…invalid multibulk length"},
	{"*1" + strings.Repeat("1", 65534) + "\r\n", `[]`, "…invalid multibulk length"},
	{"*1" + strings.Repeat("1", 65535), `[]`, "…too big mbulk count string"},
	{"*1" + strings.Repeat("1", 65536) + "\r\n", `[]`, "…too big mbulk count string"},
	{"*1\x00\r\n" + strings.Repeat("a", 65531), `[]`, ""},
	{"*1\x00\r\n" + strings.Repeat("a", 65532), `[]`, "…too big mbulk count string"},
	// A length.
	{"*1\r\n$\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$a\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$-1\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$-0\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$00\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$04\r\nPING\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$ 4\r\nPING\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$4 \r\nPING\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$536870912\r\n", `[]`, ""},
	{"*1\r\n$536870913\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$1000000000\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$9999999999\r\n", `[]`, "…invalid bulk length"},
	{"*1\r\n$9223372036854775807\r\n", `[]`, "…invalid bulk length"},
	{"*2\r\n$1\r\na\r\n$4x\r\n", `[]`, "…invalid bulk length"},
	{"*2\r\n$1\r\na\r\n$1" + strings.Repeat("1", 65535), `[]`, "…too big bulk count string"},
	{"*2\r\n$1\r\na\r\n$\x001\r\n" + strings.Repeat("$1\r\n", 16384), `[]`, "…too big bulk count string"},
	{"*1\r\n" + strings.Repeat("x", 65537), `[]`, "…too big bulk count string"},
	// The dollar.
	{"*1\r\nPING\r\n", `[]`, "…expected '$', got 'P'"},
	{"*1\r\nPING", `[]`, ""},
	{"*1\r\n*1\r\n$1\r\na\r\n", `[]`, "…expected '$', got '*'"},
	{"*1\r\n\r\n", `[]`, "…expected '$', got ' '"},
	{"*1\r\n\n\r\n", `[]`, "…expected '$', got ' '"},
	{"*1\r\n\xff\r\n", `[]`, "…expected '$', got '\xff'"},
	{"*1\r\n4\r\nPING\r\n", `[]`, "…expected '$', got '4'"},
	{"*2\r\n$1\r\na\r\n:1\r\n", `[]`, "…expected '$', got ':'"},
	{"*1\r\n$4\r\nPINGPING\r\n", `[["PING"] ["NG"]]`, ""},
	// Inline.
	{"PING\r\n", `[["PING"]]`, ""},
	{"PING\n", `[["PING"]]`, ""},
	{"P\n", `[["P"]]`, ""},
	{"PING", `[]`, ""},
	{"  set\tk  v \r\nget k\n", `[["set" "k" "v"] ["get" "k"]]`, ""},
	{"PING\r\r\n", `[["PING"]]`, ""},
	{"set k \"a b\\n\\r\\t\\b\\a\\\\\\\"\\x41\\xfF\\xg1\\q'\"\r\n", `[["set" "k" "a b\n\r\t\b\a\\\"A\xffxg1q'"]]`, ""},
	{`set k 'a "b\' \n\' '` + "\r\n", `[["set" "k" "a \"b' \\n' "]]`, ""},
	{"a\"b c\" d'e f'\n", `[["ab c" "de f"]]`, ""},
	{"\"\" ''\n", `[["" ""]]`, ""},
	{"\"a\"\vb\f\n", `[["a" "b\f"]]`, ""},
	{"a\vb \v c\n", `[["a\vb" "c"]]`, ""},
	{"\"abc\r\n", `[]`, "…unbalanced quotes in request"},
	{"'abc\r\n", `[]`, "…unbalanced quotes in request"},
	{"\"abc\\\r\n", `[]`, "…unbalanced quotes in request"},
	{"\"abc\\\"\r\n", `[]`, "…unbalanced quotes in request"},
	{"\"abc\\x4\"\r\n", `[["abcx4"]]`, ""},
	{"\"abc\\x\r\n", `[]`, "…unbalanced quotes in request"},
	{"\"a\"b\r\n", `[]`, "…unbalanced quotes in request"},
	{"'a'b\r\n", `[]`, "…unbalanced quotes in request"},
	{"'a''b'\r\n", `[]`, "…unbalanced quotes in request"},
	{"$1\r\na\r\n", `[["$1"] ["a"]]`, ""},
	{"PI\x00NG\r\nPING\r\n", `[]`, ""}, // the zero byte hides the line's end
	{"PI\x00NG\r\n" + strings.Repeat("PING\r\n", 11000), `[]`, "…too big inline request"},
	{strings.Repeat("a", 65536) + "\n", "*", ""},
	{strings.Repeat("a", 65537) + "\n", `[]`, "…too big inline request"},
	{strings.Repeat("a", 65537), `[]`, "…too big inline request"},
	{strings.Repeat("a", 65536), `[]`, ""},
	{strings.Repeat("a ", 32768) + "\n" + bulks("b"), "*", ""},
	{"PING\r\n" + bulks("PING") + "PING\n\"\n", `[["PING"] ["PING"] ["PING"]]`, "…unbalanced quotes in request"},
	// Large.
	{bulks("set", "k", strings.Repeat("v", 32767)) + bulks("PING"), "*", ""},
	{bulks("set", "k", strings.Repeat("v", 32768)) + bulks("PING"), "*", ""},
	{bulks("set", strings.Repeat("k", 40000), strings.Repeat("v", 100000), "x") + "PING\r\n", "*", ""},
}

func TestCorpus(t *testing.T) {
	for _, c := range corpus {
		want := strings.Replace(c.err, "…", "Protocol error: ", 1)
		got := feed(t, DefaultLimits(), false, []byte(c.in))
		if got.err != want || c.reqs != "*" && fmt.Sprintf("%q", got.reqs) != c.reqs {
			t.Errorf("%.100q\n got %v\nwant %s %q", c.in, got, c.reqs, want)
		}
		if ref := reference([]byte(c.in), DefaultLimits()); !got.equal(ref) {
			t.Errorf("%.100q\n got %v\nreference %v", c.in, got, ref)
		}
	}
}

// TestCuts parses each stream of the corpus cut at every place, in single bytes, and at random places.
func TestCuts(t *testing.T) { random.Repeat(t, testCuts) }

func testCuts(t *testing.T) {
	rnd := random.New(t)
	for _, c := range corpus {
		in := []byte(c.in)
		lim := DefaultLimits()
		want := reference(in, lim)
		check := func(every bool, cuts ...int) {
			if got := feed(t, lim, every, in, cuts...); !got.equal(want) {
				t.Fatalf("%.100q cut at %.200v, ended after each request: %v\n got %v\nwant %v",
					in, cuts, every, got, want)
			}
		}
		step := 1 + len(in)/100
		if testing.Short() {
			step = 1 + len(in)/20
		}
		for at := 0; at <= len(in); at += step {
			check(false, at)
			check(true, at)
			if at > 0 {
				check(false, at-1, at)
			}
		}
		for _, every := range []bool{false, true} {
			if len(in) < 2000 {
				var all []int
				for at := range in {
					all = append(all, at)
				}
				check(every, all...)
			}
			for range 1 + 2000/(100+len(in)) {
				var cuts []int
				for range 1 + rnd.IntN(8) {
					cuts = append(cuts, rnd.IntN(len(in)+1))
				}
				slices.Sort(cuts)
				check(every, cuts...)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	eleven := bulks(strings.Split("a b c d e f g h i j k", " ")...)
	anon := Limits{MaxBulk: 1 << 20, MaxArgs: math.MaxInt32, Unauthenticated: true}
	small := Limits{MaxBulk: 5, MaxArgs: 4}
	for _, c := range []struct {
		in   string
		lim  Limits
		reqs int
		err  string
	}{
		{eleven, DefaultLimits(), 1, ""},
		{eleven, anon, 0, "unauthenticated multibulk length"},
		{"*10\r\n", anon, 0, ""},
		{"*11\r\n", anon, 0, "unauthenticated multibulk length"},
		{"*1000\r\n", anon, 0, "unauthenticated multibulk length"},
		{"*11", anon, 0, ""},
		{"*3000000000\r\n", anon, 0, "invalid multibulk length"},
		{bulks("a", strings.Repeat("x", 16384)), anon, 1, ""},
		{bulks("a", strings.Repeat("x", 16385)), anon, 0, "unauthenticated bulk length"},
		{"*1\r\n$16385\r\n", anon, 0, "unauthenticated bulk length"},
		{"*1\r\n$1048577\r\n", anon, 0, "invalid bulk length"},
		{strings.Repeat("a ", 20) + "\r\n", anon, 1, ""}, // inline requests are not limited
		{bulks("a", "12345"), small, 1, ""},
		{bulks("a", "123456"), small, 0, "invalid bulk length"},
		{bulks("a", "1234567890"), small, 0, "invalid bulk length"},
		{"*5\r\n", small, 0, "invalid multibulk length"},
		{"*10\r\n", small, 0, "invalid multibulk length"},
		{"*5", small, 0, ""},
	} {
		if c.err != "" {
			c.err = "Protocol error: " + c.err
		}
		for at := 0; at <= len(c.in); at += 1 + len(c.in)/200 {
			got := feed(t, c.lim, false, []byte(c.in), at)
			if got.err != c.err || len(got.reqs) != c.reqs {
				t.Errorf("%.60q cut at %d: got %v, want %d requests, %q", c.in, at, got, c.reqs, c.err)
			}
		}
	}
}

// TestLimitsChange lets a client authenticate between two requests of one packet.
func TestLimitsChange(t *testing.T) {
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	lim.Unauthenticated = true
	p.Begin([]byte(bulks("AUTH", "x") + bulks(make([]string, 11)...)))
	if args, err := p.Next(&s, &lim); len(args) != 2 || err != nil {
		t.Fatal(args, err)
	}
	lim.Unauthenticated = false
	if args, err := p.Next(&s, &lim); len(args) != 11 || err != nil {
		t.Fatal(args, err)
	}
}

func TestReason(t *testing.T) {
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	p.Begin([]byte("*1\r\nx\r\n"))
	_, err := p.Next(&s, &lim)
	pe, ok := err.(*ProtocolError)
	if !ok || pe.Reason() != "expected $ but got something else" {
		t.Fatalf("%v", err)
	}
	p.End()
	p.Begin([]byte(bulks("PING")))
	if args, err := p.Next(&s, &lim); args != nil || err != pe {
		t.Fatal("parsing went on after an error", args, err)
	}
	p.Reset()
	p.Begin([]byte(bulks("PING")))
	if args, err := p.Next(&s, &lim); len(args) != 1 || err != nil {
		t.Fatal("Reset", args, err)
	}
}

// TestInPlace checks that whole requests are slices of the packet.
func TestInPlace(t *testing.T) {
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	in := []byte(bulks("GET", "k1") + bulks("SET", "k2", strings.Repeat("v", 40000)))
	p.Begin(in)
	for {
		args, err := p.Next(&s, &lim)
		if err != nil {
			t.Fatal(err)
		}
		if args == nil {
			break
		}
		for _, a := range args {
			at := uintptr(unsafe.Pointer(&a[0])) - uintptr(unsafe.Pointer(&in[0]))
			if at >= uintptr(len(in)) {
				t.Errorf("%q was copied", a)
			}
		}
	}
	p.End()
	if p.in != nil || p.part != nil || p.Capacity() != 0 {
		t.Error("memory is held by an idle connection")
	}
}

func TestIdleSize(t *testing.T) {
	if n := unsafe.Sizeof(Parser{}); n > 80 {
		t.Errorf("a Parser takes %d bytes", n)
	}
}

// TestLargeBuffers has several connections send the pieces of large bulks in turn: buffers are used again, none of them while
// its bulk is still needed.
func TestLargeBuffers(t *testing.T) {
	const connections, pieces = 6, 7
	var parsers [connections]Parser
	var s Scratch
	lim := DefaultLimits()
	request := func(n, round int) (values [2]string, in string) {
		for i := range values {
			values[i] = strings.Repeat(string(rune('a'+n))+string(rune('A'+round)), bigBulk+1000*i+10*n)
		}
		return values, bulks("MSET", "k", values[0], "l", values[1])
	}
	buffers := map[*byte]bool{}
	for round := range 20 {
		for piece := range pieces {
			for n := range parsers {
				p := &parsers[n]
				values, in := request(n, round)
				p.Begin([]byte(in[len(in)*piece/pieces : len(in)*(piece+1)/pieces]))
				args, err := p.Next(&s, &lim)
				if err != nil || (args != nil) != (piece == pieces-1) {
					t.Fatalf("piece %d: %d arguments, %v", piece, len(args), err)
				}
				if args != nil {
					if string(args[2]) != values[0] || string(args[4]) != values[1] {
						t.Fatalf("round %d: a bulk of connection %d is wrong", round, n)
					}
					buffers[&args[2][0]], buffers[&args[4][0]] = true, true
				}
				p.End()
			}
		}
	}
	if n := len(buffers); n > 20*connections*2*3/4 {
		t.Errorf("%d buffers for %d bulks", n, 20*connections*2)
	}
	parsers[0].Next(&s, &lim) // the last request is over
	kept := func() (n, bytes int) {
		for _, b := range s.large {
			bytes += cap(b)
		}
		if bytes != s.largeBytes {
			t.Errorf("%d bytes are kept, %d counted", bytes, s.largeBytes)
		}
		return len(s.large), bytes
	}
	if n, _ := kept(); n == 0 || n > keepLarges {
		t.Errorf("%d buffers are kept", n)
	}
	if s.Trim(); s.large != nil {
		t.Error("Trim keeps buffers")
	}
	for i := range 100 {
		s.keepLarge(make([]byte, (i%9+1)<<20))
		if n, bytes := kept(); n > keepLarges || bytes > keepLargest {
			t.Fatalf("%d buffers of %d bytes are kept", n, bytes)
		}
	}
	if s.keepLarge(make([]byte, keepLargest+1)); cap(s.large[len(s.large)-1]) > keepLargest {
		t.Error("a buffer is kept that is too large")
	}
}

// TestTake takes large arguments away: they are not used for later ones.
func TestTake(t *testing.T) {
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	parse := func(values ...string) [][]byte {
		in := bulks(append([]string{"MSET"}, values...)...)
		for _, half := range []string{in[:len(in)/2], in[len(in)/2:]} {
			p.Begin([]byte(half))
			args, err := p.Next(&s, &lim)
			if err != nil {
				t.Fatal(err)
			}
			if args != nil {
				return args
			}
			p.End()
		}
		t.Fatal("not parsed")
		return nil
	}
	long := func(c string) string { return strings.Repeat(c, bigBulk) }
	args := parse("k", long("a"))
	if s.Take(args[1]) {
		t.Error("a short argument is taken")
	}
	if s.Take([]byte(long("a"))) {
		t.Error("bytes are taken that are no argument")
	}
	if !s.Take(args[2]) {
		t.Fatal("a large argument is not taken")
	}
	if s.Take(args[2]) {
		t.Error("an argument is taken twice")
	}
	p.End()
	mine := args[2]
	for range 3 {
		other := parse("k", long("b"))
		if string(mine) != long("a") || string(other[2]) != long("b") {
			t.Fatal("a taken buffer is used again")
		}
		p.End()
	}
	// Now one is kept that was not taken, twice as large as the next needs: that one is too large to be taken.
	p.Begin(nil)
	p.Next(&s, &lim)
	s.Trim()
	s.Keep(make([]byte, 0, 2*bigBulk))
	s.Keep(make([]byte, 0, bigBulk-1))
	if args = parse("k", long("c")); cap(s.spent.owned[0].data) != 2*bigBulk {
		t.Fatalf("a buffer of %d bytes", cap(s.spent.owned[0].data))
	}
	if s.Take(args[2]) {
		t.Error("a buffer twice as large as the argument is taken")
	}
}

// TestAnnounced sees to it that announced lengths cost nothing.
func TestAnnounced(t *testing.T) {
	for _, in := range []string{"*1\r\n$536870912\r\n" + strings.Repeat("x", 1000), "*2147483647\r\n$1\r\na\r\n"} {
		f := newFeeder(t, DefaultLimits())
		f.packet([]byte(in))
		if n := f.p.Capacity(); n > 4096 {
			t.Errorf("%.20q: %d bytes allocated", in, n)
		}
		if n := len(f.s.slots); n > 64 {
			t.Errorf("%.20q: %d slots", in, n)
		}
	}
}

// TestManyArguments feeds a request of many arguments in packets and checks that what is
// copied stays in proportion: allocations are counted in total.
func TestManyArguments(t *testing.T) {
	n := 300000
	if testing.Short() {
		n = 30000
	}
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprint("key:", i)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", n)
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	in := []byte(b.String())
	read := func(check bool) {
		var p Parser
		var s Scratch
		lim := DefaultLimits()
		var args [][]byte
		for from := 0; from < len(in); from += 65536 {
			p.Begin(in[from:min(from+65536, len(in))])
			a, err := p.Next(&s, &lim)
			if err != nil || a != nil && from+65536 < len(in) {
				t.Fatal(len(a), err)
			}
			if args = a; args != nil && check {
				for i, w := range words {
					if string(args[i]) != w {
						t.Fatalf("argument %d is %q", i, args[i])
					}
				}
			}
			if args == nil {
				p.End()
			}
		}
		if len(args) != n {
			t.Fatalf("%d arguments", len(args))
		}
		if args, _ := p.Next(&s, &lim); args != nil {
			t.Fatal("one request too much")
		}
		if len(s.slots) > keepSlots {
			t.Fatal("the slots were kept")
		}
	}
	read(true)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	allocs := testing.AllocsPerRun(1, func() { read(false) })
	runtime.ReadMemStats(&after)
	// The bytes of the arguments and their ends, grown by doubling or less, and the slots; read ran twice.
	bytes := (after.TotalAlloc - before.TotalAlloc) / 2
	if most := uint64(10*len(in) + 64*n + 1<<20); allocs > 200 || bytes > most {
		t.Errorf("%d arguments of %d bytes: %v allocations of %d bytes, at most %d expected", n, len(in), allocs, bytes, most)
	}
}

// TestHugeBulk feeds one bulk in packets: buffers at least double, so what is allocated in total is
// at most three times the bulk.
func TestHugeBulk(t *testing.T) {
	size := 64 << 20
	if testing.Short() {
		size = 4 << 20
	}
	packet := bytes.Repeat([]byte("x"), 64<<10)
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	p.Begin([]byte(fmt.Sprintf("*2\r\n$1\r\na\r\n$%d\r\n", size)))
	if args, err := p.Next(&s, &lim); args != nil || err != nil {
		t.Fatal(err)
	}
	p.End()
	if p.Announced() != size+2 || p.Capacity() > 1024 {
		t.Errorf("announced %d, allocated %d", p.Announced(), p.Capacity())
	}
	grown := 0
	for fed := 0; fed < size; fed += len(packet) {
		was := cap(p.part.own)
		p.Begin(packet)
		if args, err := p.Next(&s, &lim); args != nil || err != nil {
			t.Fatal(err)
		}
		p.End()
		if now := cap(p.part.own); now != was {
			grown += now
			if now > size || now > 2*(fed+len(packet)) && fed < 1<<20 {
				t.Fatalf("%d bytes allocated for %d of %d", now, fed+len(packet), size)
			}
		}
		if p.Buffered() != fed+len(packet)+1 || p.ArgBytes() != 1 {
			t.Fatal("Buffered", p.Buffered(), p.ArgBytes())
		}
	}
	p.Begin([]byte("\r\n"))
	args, err := p.Next(&s, &lim)
	if err != nil || len(args) != 2 || len(args[1]) != size {
		t.Fatal(len(args), err)
	}
	if p.Announced() != 0 {
		t.Error("still announced", p.Announced())
	}
	// The first MB came in buffers of twice the bytes each; all else is copied never.
	if grown > size+4<<20 {
		t.Errorf("%d bytes allocated for %d", grown, size)
	}
}

// A bulk that is announced with more bytes than any machine has gets memory as it comes.
func TestEndlessBulk(t *testing.T) {
	const size = 1 << 47
	for _, tt := range []struct{ n, want int }{{0, 2 << 10}, {1 << 20, 512 << 20}, {300 << 20, 600<<20 + 2<<10}, {1 << 40, 2<<40 + 2<<10}} {
		if got := grown(tt.n, 1<<10, size); got != tt.want {
			t.Errorf("%d bytes came: room for %d, want %d", tt.n, got, tt.want)
		}
	}
}

// TestBacklog lets a client pipeline while it is blocked.
func TestBacklog(t *testing.T) {
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	lim.MaxBuffered = 1 << 20
	one := bulks("BLPOP", "k", "0")
	p.Begin([]byte(one + one))
	if args, _ := p.Next(&s, &lim); len(args) != 3 {
		t.Fatal("first request")
	}
	if p.Inline() || p.Consumed() != int64(len(one)) {
		t.Error("Inline, Consumed", p.Inline(), p.Consumed())
	}
	p.End()
	n := 1
	for !p.Exceeds(&lim) { // it stays blocked
		p.Begin([]byte(one[:10]))
		p.End()
		p.Begin([]byte(one[10:]))
		p.End()
		n++
		if p.Buffered() != n*len(one) {
			t.Fatal("Buffered", p.Buffered(), n*len(one))
		}
	}
	if n != (1<<20)/len(one)+1 {
		t.Errorf("limit reached at %d", n)
	}
	p.Begin([]byte("PING\r\n")) // each request blocks again
	for i := range n {
		args, err := p.Next(&s, &lim)
		if len(args) != 3 || err != nil || string(args[0]) != "BLPOP" {
			t.Fatal(i, args, err)
		}
		p.End()
		p.Begin(nil)
	}
	args, err := p.Next(&s, &lim)
	if len(args) != 1 || err != nil || !p.Inline() {
		t.Fatal(args, err, p.Inline())
	}
	p.End()
	if p.Capacity() != 0 || p.Consumed() != int64((n+1)*len(one)+6) {
		t.Error("Capacity, Consumed", p.Capacity(), p.Consumed())
	}
}

// TestEmptyRequests: very many of them must not nest calls.
func TestEmptyRequests(t *testing.T) {
	in := bytes.Repeat([]byte("*0\r\n*-1\r\n\r\n*-22\r\n \n"), 200000)
	if got := feed(t, DefaultLimits(), false, append(in, "PING\r\n"...)); len(got.reqs) != 1 || got.err != "" {
		t.Error(got)
	}
}

func TestParserAllocs(t *testing.T) {
	var p, q Parser
	var s Scratch
	lim := DefaultLimits()
	in := []byte(bulks("SET", "key", "value") + "set k \"v w\"\r\n\r\n" + bulks(make([]string, 50)...) + bulks("SET", "key", strings.Repeat("v", 2000)))
	read := func(p *Parser, b []byte) {
		p.Begin(b)
		for {
			args, err := p.Next(&s, &lim)
			if err != nil {
				t.Fatal(err)
			}
			if args == nil {
				break
			}
		}
		p.End()
	}
	for name, f := range map[string]func(){
		"whole": func() { read(&p, in) },
		"cut": func() {
			for _, at := range []int{1, 9, 25, 40, 60, 400, 1500} {
				read(&p, in[:at])
				read(&q, in[:at+20])
				read(&p, in[at:])
				read(&q, in[at+20:])
			}
		},
	} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, c := range corpus {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in), []byte{3, 7}, byte(0))
			f.Add([]byte(c.in), []byte{1}, byte(3))
		}
	}
	f.Fuzz(func(t *testing.T, in, steps []byte, flags byte) {
		lim := DefaultLimits()
		lim.Unauthenticated = flags&1 != 0
		if flags&4 != 0 {
			lim.MaxBulk, lim.MaxArgs = 20, 12
		}
		want := reference(in, lim)
		if got := feed(t, lim, flags&2 != 0, in); !got.equal(want) {
			t.Fatalf("whole: got %v\nwant %v", got, want)
		}
		var cuts []int
		at := 0
		for i := 0; len(steps) > 0 && len(cuts) < 300; i++ {
			if at += int(steps[i%len(steps)]); at >= len(in) {
				break
			}
			cuts = append(cuts, at)
		}
		if got := feed(t, lim, flags&2 != 0, in, cuts...); !got.equal(want) {
			t.Fatalf("cut at %v: got %v\nwant %v", cuts, got, want)
		}
	})
}

// A large bulk whose first bytes come alone is not read in pieces that begin as small.
func TestRoomIsWorthARead(t *testing.T) {
	const size = 1 << 20
	for _, first := range []int{0, 1, 100, 5000, minRoom - 1, minRoom} {
		f := newFeeder(t, DefaultLimits())
		f.packet([]byte("*2\r\n$3\r\nSET\r\n$1048576\r\n" + strings.Repeat("v", first)))
		room, _ := f.p.Room(f.s)
		if want := first >= minRoom; (room != nil) != want || want && len(room) < minRoom {
			t.Errorf("after %d bytes there is room for %d", first, len(room))
		}
		f.packet(bytes.Repeat([]byte("v"), 64<<10))
		for n := 64<<10 + first; n < size; {
			room, whole := f.p.Room(f.s)
			if len(room) < min(minRoom, size-n) {
				t.Fatalf("after %d bytes there is room for %d", n, len(room))
			}
			if n += len(room); whole != (n == size) {
				t.Fatalf("after %d bytes: whole is %v", n, whole)
			}
			f.p.Fill(len(room))
		}
	}
}
