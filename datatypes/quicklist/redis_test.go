package quicklist_test

// The byte formats of this package's neighbours and of its own nodes, compared with what a real redis-server stores: values
// are built with commands, read with DUMP, and must be ours byte for byte.

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"math"
	"math/rand/v2"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/intset"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/lzf"
	"ferrous/datatypes/quicklist"
	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// Types of RDB values.
const (
	typeIntset        = 11
	typeHashListpack  = 16
	typeZsetListpack  = 17
	typeListQuicklist = 18
)

// oracle is a redis-server to compare with; new says that it is 7.2 or later, which keeps short lists in listpacks.
type oracle struct {
	*harness.Conn
	new bool
}

func startOracle(t *testing.T, args ...string) oracle {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	args = append([]string{"--rdbcompression", "no", "--enable-debug-command", "yes"}, args...)
	c := harness.StartRedis(t, args...).Dial(t)
	info, err := c.Info("server")
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(info["redis_version"], "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return oracle{c, major > 7 || major == 7 && minor >= 2}
}

// dump returns the type and the rest of a value's payload, without the ten bytes of version and checksum.
func (o oracle) dump(t *testing.T, key string) (kind byte, r *payload) {
	t.Helper()
	s := o.Must("DUMP", key).Str
	if len(s) < 11 {
		t.Fatalf("DUMP %s: %q", key, s)
	}
	return s[0], &payload{t, []byte(s[1 : len(s)-10])}
}

// payload reads the RDB encoding of lengths and strings.
type payload struct {
	t *testing.T
	b []byte
}

func (p *payload) take(n int) []byte {
	if n > len(p.b) {
		p.t.Fatalf("the payload ends %d bytes early", n-len(p.b))
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

// length returns a length, or, for the special encodings, their number.
func (p *payload) length() (n int, special bool) {
	c := p.take(1)[0]
	switch c >> 6 {
	case 0:
		return int(c & 63), false
	case 1:
		return int(c&63)<<8 | int(p.take(1)[0]), false
	case 2:
		if c == 0x81 {
			return int(binary.BigEndian.Uint64(p.take(8))), false
		}
		return int(binary.BigEndian.Uint32(p.take(4))), false
	}
	return int(c & 63), true
}

// str returns a string, which may be stored as an integer or compressed.
func (p *payload) str() []byte {
	n, special := p.length()
	if !special {
		return bytes.Clone(p.take(n))
	}
	switch n { // integers of 8, 16 and 32 bits
	case 0:
		return strconv.AppendInt(nil, int64(int8(p.take(1)[0])), 10)
	case 1:
		return strconv.AppendInt(nil, int64(int16(binary.LittleEndian.Uint16(p.take(2)))), 10)
	case 2:
		return strconv.AppendInt(nil, int64(int32(binary.LittleEndian.Uint32(p.take(4)))), 10)
	}
	packed, _ := p.length()
	size, _ := p.length()
	b := make([]byte, size)
	if err := lzf.Decompress(b, p.take(packed)); err != nil {
		p.t.Fatal(err)
	}
	return b
}

func newRand(t *testing.T) *rand.Rand {
	return random.New(t)
}

func randomText(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0, 1:
		return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
	case 2:
		return []string{"", "0", "-0", "007", "+5", "1e3", "9223372036854775808", "-9223372036854775809", " 1"}[r.IntN(9)]
	case 3:
		return strings.Repeat("long text ", r.IntN(20))
	case 4:
		if r.IntN(5) == 0 {
			return strings.Repeat("xy", 2000+r.IntN(200)) // around 4096, where the encoding changes
		}
		if r.IntN(20) == 0 {
			return strings.Repeat("z", 16300+r.IntN(100)) // around the odd limit of back lengths
		}
	}
	return "text-" + strconv.Itoa(r.IntN(100000))
}

func TestListpackBytes(t *testing.T) { random.Repeat(t, testListpackBytes) }

func testListpackBytes(t *testing.T) {
	o := startOracle(t, "--hash-max-listpack-entries", "10000", "--hash-max-listpack-value", "100000",
		"--zset-max-listpack-entries", "10000", "--zset-max-listpack-value", "100000")
	r := newRand(t)
	for round := range 10 {
		// A hash: fields in the order in which they came; updated and deleted in place.
		key := "hash" + strconv.Itoa(round)
		lp := listpack.New(0)
		var fields []string
		for range 200 {
			f, v := randomText(r), randomText(r)
			if len(fields) > 0 && r.IntN(4) == 0 {
				f = fields[r.IntN(len(fields))]
			}
			p := lp.Find(lp.First(), []byte(f), 1)
			if p >= 0 && r.IntN(3) == 0 {
				o.Must("HDEL", key, f)
				lp = lp.DeleteFrom(p, 2)
				continue
			}
			o.Must("HSET", key, f, v)
			if p >= 0 {
				lp = lp.Replace(lp.Next(p), []byte(v))
			} else {
				lp = lp.AppendPair([]byte(f), []byte(v))
				fields = append(fields, f)
			}
		}
		kind, b := o.dump(t, key)
		compare(t, key, kind, typeHashListpack, b.str(), lp)

		// A sorted set: members in the order of scores, which are integers here; each is stored in front of its score.
		key = "zset" + strconv.Itoa(round)
		type pair struct {
			member string
			score  int64
		}
		var pairs []pair
		seen := map[string]bool{}
		for range 100 {
			m := randomText(r)
			if seen[m] {
				continue
			}
			seen[m] = true
			score := int64(r.Uint64()) >> (12 + r.IntN(52))
			o.Must("ZADD", key, strconv.FormatInt(score, 10), m)
			pairs = append(pairs, pair{m, score})
		}
		lp = listpack.New(0)
		sort.Slice(pairs, func(i, j int) bool {
			a, b := pairs[i], pairs[j]
			return a.score < b.score || a.score == b.score && a.member < b.member
		})
		for _, p := range r.Perm(len(pairs)) { // whatever the order of insertion
			at := lp.First()
			for ; at >= 0; at = lp.Next(lp.Next(at)) {
				v := lp.Get(lp.Next(at))
				m := string(lp.Get(at).AppendTo(nil))
				if v.Int > pairs[p].score || v.Int == pairs[p].score && m > pairs[p].member {
					break
				}
			}
			if at < 0 {
				at = lp.End()
			}
			lp = lp.InsertAll(at, []listpack.Entry{listpack.Of([]byte(pairs[p].member)), listpack.OfInt(pairs[p].score)})
		}
		kind, b = o.dump(t, key)
		compare(t, key, kind, typeZsetListpack, b.str(), lp)
	}
}

func compare(t *testing.T, what string, kind, wantKind byte, got, want []byte) {
	t.Helper()
	if kind != wantKind {
		t.Fatalf("%s: type %d, want %d", what, kind, wantKind)
	}
	if !bytes.Equal(got, want) {
		i := 0
		for i < len(got) && i < len(want) && got[i] == want[i] {
			i++
		}
		t.Fatalf("%s: Redis has %d bytes, we %d; from byte %d on they have %s, we %s", what, len(got), len(want), i,
			hex.EncodeToString(got[i:min(i+20, len(got))]), hex.EncodeToString(want[i:min(i+20, len(want))]))
	}
}

func TestIntsetBytes(t *testing.T) { random.Repeat(t, testIntsetBytes) }

func testIntsetBytes(t *testing.T) {
	o := startOracle(t, "--set-max-intset-entries", "10000")
	r := newRand(t)
	for round := range 10 {
		key := "set" + strconv.Itoa(round)
		s := intset.New()
		shift := 64 - 8<<r.IntN(4)
		for range 300 {
			v := int64(r.Uint64()) >> min(shift+r.IntN(40), 63)
			text := strconv.FormatInt(v, 10)
			var ok bool
			command := "SADD"
			if r.IntN(3) == 0 {
				command = "SREM"
				s, ok = s.Remove(v)
			} else {
				s, ok = s.Add(v)
			}
			if got := o.Must(command, key, text).Int(); (got == 1) != ok {
				t.Fatalf("%s %d: %d, we %v", command, v, got, ok)
			}
		}
		kind, b := o.dump(t, key)
		compare(t, key, kind, typeIntset, b.str(), s)
		if err := intset.Validate(s, true); err != nil {
			t.Fatal(err)
		}
	}
}

// list is the list type as Redis's commands treat it: a listpack that becomes a quicklist and back (7.2), or a quicklist
// always (7.0).
type list struct {
	set         *quicklist.Settings
	fill, depth int
	new         bool
	lp          listpack.Listpack // nil for a quicklist
	ql          *quicklist.List
}

func newTestList(set *quicklist.Settings, fill, depth int, new bool) *list {
	l := &list{set: set, fill: fill, depth: depth, new: new}
	if new {
		l.lp = listpack.New(0)
	} else {
		l.ql = quicklist.New(set, fill, depth)
	}
	return l
}

// growing is done before elements are added.
func (l *list) growing(elems ...string) {
	if l.lp == nil {
		return
	}
	size := len(l.lp)
	for _, e := range elems {
		size += len(e)
	}
	if quicklist.ExceedsLimit(l.fill, size, l.lp.Len()+len(elems)) {
		l.ql, l.lp = quicklist.FromListpack(l.set, l.fill, l.depth, l.lp), nil
	}
}

// shrinking is done after elements were removed.
func (l *list) shrinking() {
	if l.lp == nil && l.new {
		if lp, ok := l.ql.Listpack(l.fill, true); ok {
			l.lp, l.ql = lp, nil
		}
	}
}

func (l *list) len() int {
	if l.lp != nil {
		return l.lp.Len()
	}
	return l.ql.Len()
}

func (l *list) index(i int) string {
	if l.lp != nil {
		return string(l.lp.Get(l.lp.Seek(i)).AppendTo(nil))
	}
	v, _ := l.ql.Index(i)
	return string(v.AppendTo(nil))
}

// do does what a command does, and returns the command.
func (l *list) do(r *rand.Rand, key string, text func() string) []string {
	n := l.len()
	op := r.IntN(16)
	if n == 0 {
		op = 0
	}
	switch {
	case op < 4: // RPUSH, LPUSH
		command := []string{"RPUSH", key}
		for range 1 + r.IntN(4) {
			command = append(command, text())
		}
		if op%2 == 1 {
			command[0] = "LPUSH"
		}
		l.growing(command[2:]...)
		for _, e := range command[2:] {
			switch {
			case l.lp != nil && op%2 == 1:
				l.lp = l.lp.Prepend([]byte(e))
			case l.lp != nil:
				l.lp = l.lp.Append([]byte(e))
			case op%2 == 1:
				l.ql.PushHead([]byte(e))
			default:
				l.ql.PushTail([]byte(e))
			}
		}
		return command
	case op < 8: // LINSERT at the first element that equals a random one
		pivot, e, where := l.index(r.IntN(n)), text(), "BEFORE"
		after := r.IntN(2) == 0
		if after {
			where = "AFTER"
		}
		l.growing(e)
		if l.lp != nil {
			p := l.lp.Find(l.lp.First(), []byte(pivot), 0)
			if after {
				l.lp = l.lp.InsertAfter(p, []byte(e))
			} else {
				l.lp = l.lp.InsertBefore(p, []byte(e))
			}
		} else {
			l.ql.Insert([]byte(pivot), []byte(e), after)
		}
		return []string{"LINSERT", key, where, pivot, e}
	case op < 11: // LSET
		i, e := r.IntN(n), text()
		l.growing(e)
		if l.lp != nil {
			l.lp = l.lp.Replace(l.lp.Seek(i), []byte(e))
		} else {
			l.ql.Set(i, []byte(e))
			l.shrinking()
		}
		return []string{"LSET", key, strconv.Itoa(i), e}
	case op == 11: // LREM
		count, e := r.IntN(5)-2, l.index(r.IntN(n))
		if l.lp != nil {
			// Done by way of a quicklist, which is not looked at.
			ql := quicklist.FromListpack(l.set, 10000, 0, l.lp)
			ql.RemoveValue([]byte(e), count)
			l.lp = listpack.New(0)
			it := ql.From(0)
			for v, ok := it.Next(); ok; v, ok = it.Next() {
				l.lp = l.lp.Append(v.AppendTo(nil))
			}
		} else {
			l.ql.RemoveValue([]byte(e), count)
			l.shrinking()
		}
		return []string{"LREM", key, strconv.Itoa(count), e}
	case op == 12 && r.IntN(4) == 0: // LTRIM
		start := r.IntN(min(n, 10))
		stop := n - 1 - r.IntN(min(n-start, 10))
		if l.lp != nil {
			l.lp = l.lp.DeleteRange(stop+1, n).DeleteRange(0, start)
		} else {
			l.ql.Trim(start, stop)
			l.shrinking()
		}
		return []string{"LTRIM", key, strconv.Itoa(start), strconv.Itoa(stop)}
	case op%2 == 0:
		if l.lp != nil {
			l.lp = l.lp.Delete(l.lp.First())
		} else {
			l.ql.DropHead()
			l.shrinking()
		}
		return []string{"LPOP", key}
	default:
		if l.lp != nil {
			l.lp = l.lp.Delete(l.lp.Last())
		} else {
			l.ql.DropTail()
			l.shrinking()
		}
		return []string{"RPOP", key}
	}
}

// nodes returns what DUMP should show.
func (l *list) nodes() (out []quicklist.NodeData) {
	if l.lp != nil {
		return []quicklist.NodeData{{Raw: l.lp}}
	}
	l.ql.Nodes(func(d quicklist.NodeData) bool {
		if d.LZF != nil {
			d.Raw = make([]byte, d.Size)
			if err := lzf.Decompress(d.Raw, d.LZF); err != nil {
				panic(err)
			}
		}
		out = append(out, d)
		return true
	})
	return out
}

// The nodes of lists after random commands: the same boundaries, and the same bytes in each. (With a redis-server 7.2 on
// the PATH more is compared than with 7.0.)
func TestListNodes(t *testing.T) { random.Repeat(t, testListNodes) }

func testListNodes(t *testing.T) {
	o := startOracle(t)
	r := newRand(t)
	shapes := []struct{ fill, depth, threshold int }{
		{1, 0, 0}, {2, 1, 0}, {5, 0, 0}, {20, 2, 0}, {128, 0, 0},
	}
	if o.new {
		// Since 7.0, the estimate of an element's size and how elements around the packed threshold are replaced have
		// changed, and we do as 7.2 does.
		shapes = append(shapes, []struct{ fill, depth, threshold int }{
			{-1, 0, 0}, {-2, 0, 0}, {-1, 1, 0}, {5, 0, 60}, {-1, 1, 60}, {3, 1, 10}, {2, 0, 1},
		}...)
	}
	for i, s := range shapes {
		key := "list" + strconv.Itoa(i)
		o.Must("CONFIG", "SET", "list-max-listpack-size", strconv.Itoa(s.fill), "list-compress-depth", strconv.Itoa(s.depth))
		o.Must("DEBUG", "QUICKLIST-PACKED-THRESHOLD", strconv.Itoa(s.threshold)+"b")
		set := quicklist.NewSettings(new(cow.Generation))
		set.SetPackedThreshold(uint64(s.threshold))
		l := newTestList(set, s.fill, s.depth, o.new)
		text := func() string {
			if s.fill < 0 && r.IntN(3) > 0 {
				return strings.Repeat("some text to fill nodes ", r.IntN(30))
			}
			if r.IntN(10) == 0 {
				return randomText(r)
			}
			return "e" + strconv.Itoa(r.IntN(500))
		}
		for step := range 1500 {
			command := l.do(r, key, text)
			o.Must(command...)
			if l.len() == 0 {
				l = newTestList(set, s.fill, s.depth, o.new)
				continue
			}
			if step%10 > 0 && step < 1400 {
				continue
			}
			kind, b := o.dump(t, key)
			if kind != typeListQuicklist {
				t.Fatalf("type %d", kind)
			}
			nodes := l.nodes()
			if n, _ := b.length(); n != len(nodes) {
				t.Fatalf("%+v, step %d: Redis has %d nodes, we %d, after %.100q", s, step, n, len(nodes), command)
			}
			for j, d := range nodes {
				container, _ := b.length()
				if (container == 1) != d.Plain {
					t.Fatalf("%+v, step %d, node %d: container %d, we say plain: %v", s, step, j, container, d.Plain)
				}
				compare(t, fmt.Sprintf("%+v, step %d (%.40q), node %d of %d", s, step, command, j, len(nodes)), kind, kind, b.str(), d.Raw)
			}
		}
		if o.new {
			if encoding := o.Must("OBJECT", "ENCODING", key).Str; (encoding == "listpack") != (l.lp != nil) {
				t.Errorf("%+v: OBJECT ENCODING says %s", s, encoding)
			}
		}
	}
}

// What our compressor makes, Redis reads: a string is restored from a payload that holds it compressed.
func TestLZFWithRedis(t *testing.T) { random.Repeat(t, testLZFWithRedis) }

func testLZFWithRedis(t *testing.T) {
	o := startOracle(t)
	r := newRand(t)
	var e lzf.Encoder
	jones := crc64.MakeTable(0x95ac9329ac4bc9b5) // the checksum of DUMP, begun with 0 and not inverted
	for round := range 20 {
		text := []byte{}
		for len(text) < 200+round*1000 {
			text = append(text, randomText(r)...)
		}
		out := make([]byte, len(text)+len(text)/32+1)
		out = out[:e.Compress(out, text)]
		p := []byte{0, 0xc3} // a string, compressed
		p = append(p, 0x80)
		p = binary.BigEndian.AppendUint32(p, uint32(len(out)))
		p = append(p, 0x80)
		p = binary.BigEndian.AppendUint32(p, uint32(len(text)))
		p = append(p, out...)
		p = append(p, 10, 0) // RDB version
		p = binary.LittleEndian.AppendUint64(p, ^crc64.Update(math.MaxUint64, jones, p))
		o.Must("RESTORE", "s", "0", string(p), "REPLACE")
		if got := o.Must("GET", "s").Str; got != string(text) {
			t.Fatalf("Redis reads %d bytes that differ from the %d that were compressed", len(got), len(text))
		}
	}
	// And the other way round.
	o.Must("CONFIG", "SET", "rdbcompression", "yes")
	text := strings.Repeat("what Redis compresses ", 500)
	o.Must("SET", "s", text)
	kind, b := o.dump(t, "s")
	if n := len(b.b); n > 1000 {
		t.Fatalf("Redis did not compress: %d bytes", n)
	}
	compare(t, "string", kind, 0, b.str(), []byte(text))
}
