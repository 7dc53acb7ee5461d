package hyperloglog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/tests/random"
)

const sparseMax = 3000 // hll-sparse-max-bytes by default

// add adds an element, as PFADD does.
func add(t testing.TB, b []byte, element string) []byte {
	t.Helper()
	index, rank := Locate([]byte(element))
	b, changed, err := Set(b, index, rank, sparseMax)
	if err != nil {
		t.Fatal(err)
	}
	if changed {
		Invalidate(b)
	}
	return b
}

// Values and counts that a redis-server 7.2.6 made of the same elements.
func TestBytesOfRedis(t *testing.T) {
	b := AppendEmpty(nil)
	for _, e := range []string{"a", "b", "c"} {
		b = add(t, b, e)
	}
	if got, want := hex.EncodeToString(b), "48594c4c01000000000000000000008060f38050b1844bfb80425a"; got != want {
		t.Errorf("a b c: %s, want %s", got, want)
	}
	b = AppendEmpty(nil)
	n := 0
	for _, want := range []struct {
		elements int
		count    uint64
		encoding string
		size     int
		crc      uint32 // after the count was cached
	}{
		{1, 1, "sparse", 21, 0xa5624137},
		{10, 10, "sparse", 48, 0xf93a673d},
		{100, 99, "sparse", 285, 0x50aa00e1},
		{1000, 997, "sparse", 1897, 0x0c2a7f48},
		{1400, 1397, "sparse", 2558, 0x10e1ebcf},
		{1500, 1500, "sparse", 2722, 0xeeb8a297},
		{1600, 1604, "sparse", 2886, 0x9ee94c60},
		{2000, 2004, "dense", DenseSize, 0x02dde306},
		{20000, 19986, "dense", DenseSize, 0x387651d4},
		{200000, 198321, "dense", DenseSize, 0xef8371cb},
	} {
		for ; n < want.elements; n++ {
			b = add(t, b, fmt.Sprintf("element:%d", n))
		}
		count, err := Count(b)
		if err != nil {
			t.Fatal(err)
		}
		SetCached(b, count)
		if count != want.count || EncodingOf(b).String() != want.encoding || len(b) != want.size || crc32.ChecksumIEEE(b) != want.crc {
			t.Errorf("%d elements: count %d, %v, %d bytes, crc %08x; want %+v", n, count, EncodingOf(b), len(b), crc32.ChecksumIEEE(b), want)
		}
		if cached, ok := Cached(b); !ok || cached != count {
			t.Errorf("%d elements: cached %d, %t", n, cached, ok)
		}
		if !Valid(b) {
			t.Errorf("%d elements: not valid", n)
		}
	}
}

// Where a redis-server 7.2.6 puts the first bytes of an alphabet, by their number.
func TestLocate(t *testing.T) {
	for n, want := range []string{"Z:5938 v:2,1 Z:10445", "Z:12711 v:2,1 Z:3672", "Z:719 v:1,1 Z:15664", "Z:9474 v:1,1 Z:6909",
		"Z:11070 v:8,1 Z:5313", "Z:3726 v:4,1 Z:12657", "Z:13647 v:2,1 Z:2736", "Z:5634 v:2,1 Z:10749", "Z:1383 v:1,1 Z:15000",
		"Z:6903 v:1,1 Z:9480", "Z:12228 v:1,1 Z:4155", "Z:14121 v:1,1 Z:2262", "Z:9695 v:5,1 Z:6688", "Z:9157 v:1,1 Z:7226",
		"Z:5697 v:2,1 Z:10686", "Z:12377 v:4,1 Z:4006", "Z:9328 v:1,1 Z:7055", "Z:4271 v:1,1 Z:12112", "Z:14275 v:2,1 Z:2108",
		"Z:11774 v:1,1 Z:4609"} {
		element := "abcdefghijklmnopqrst"[:n]
		if got := string(AppendRuns(nil, add(t, AppendEmpty(nil), element))); got != want {
			t.Errorf("%q: %s, want %s", element, got, want)
		}
	}
}

// Counts of registers that no elements lead to, from a redis-server 7.2.6.
func TestEstimate(t *testing.T) {
	repeat := func(rank uint8, from, to int) []byte {
		b, _ := ToDense(AppendEmpty(nil))
		for i := from; i < to; i++ {
			SetDenseRegister(b, i, rank)
		}
		return b
	}
	for _, tc := range []struct {
		b    []byte
		want uint64
	}{
		{AppendEmpty(nil), 0},
		{repeat(0, 0, Registers), 0},
		{repeat(63, 0, Registers), 1 << 63},
		{repeat(51, 0, Registers), 1 << 63},
		{repeat(1, 0, Registers), 23637},
		{repeat(2, 0, Registers), 47274},
		{repeat(63, Registers/2, Registers), 13268},
	} {
		got, err := Count(tc.b)
		if got != tc.want || err != nil {
			t.Errorf("%x...: %d, %v; want %d", tc.b[:20], got, err, tc.want)
		}
		var u Union
		if err := u.Add(tc.b); err != nil || u.Count() != got {
			t.Errorf("%x...: as a union %d, %v; want %d", tc.b[:20], u.Count(), err, got)
		}
		SetCached(tc.b, got)
		if n, ok := Cached(tc.b); n != got || ok != (got < 1<<63) {
			t.Errorf("%x...: cached %d, %t", tc.b[:20], n, ok)
		}
	}
}

// value is the header of a sparse value with these runs behind it.
func value(runs ...byte) []byte { return append(AppendEmpty(nil)[:HeaderSize], runs...) }

// Splitting and joining, one case of each kind. Runs as PFDEBUG DECODE shows them.
func TestSetSparse(t *testing.T) {
	all := func(words string) []byte {
		b := value()
		for _, w := range strings.Fields(words) {
			var n, r int
			switch {
			case w[0] == 'v':
				fmt.Sscanf(w, "v:%d,%d", &r, &n)
				b = append(b, valueRun(uint8(r), n))
			case w[0] == 'z':
				fmt.Sscanf(w, "z:%d", &n)
				b = append(b, byte(n-1))
			default:
				fmt.Sscanf(w, "Z:%d", &n)
				b = append(b, longZeroBit|byte((n-1)>>8), byte(n-1))
			}
		}
		return b
	}
	for _, tc := range []struct {
		runs  string
		index int
		rank  uint8
		want  string // "" = no change
	}{
		{"Z:16384", 0, 5, "v:5,1 Z:16383"},
		{"Z:16384", 16383, 5, "Z:16383 v:5,1"},
		{"Z:16384", 64, 1, "z:64 v:1,1 Z:16319"},
		{"Z:16384", 65, 32, "Z:65 v:32,1 Z:16318"},
		{"z:1 Z:16383", 0, 3, "v:3,1 Z:16383"},
		{"Z:1 Z:16383", 0, 3, "v:3,1 Z:16383"},
		{"v:1,4 Z:16380", 0, 2, "v:2,1 v:1,3 Z:16380"},
		{"v:1,4 Z:16380", 3, 2, "v:1,3 v:2,1 Z:16380"},
		{"v:1,4 Z:16380", 2, 2, "v:1,2 v:2,1 v:1,1 Z:16380"},
		{"v:1,4 Z:16380", 2, 1, ""},
		{"v:2,1 Z:16383", 0, 1, ""},
		{"v:2,1 Z:16383", 0, 3, "v:3,1 Z:16383"},
		{"v:2,1 Z:16383", 1, 2, "v:2,2 Z:16382"},
		{"v:2,1 z:1 v:2,2 Z:16380", 1, 2, "v:2,4 Z:16380"},
		{"v:2,2 z:1 v:2,2 Z:16379", 2, 2, "v:2,3 v:2,2 Z:16379"},
		{"v:2,4 z:1 v:2,2 Z:16377", 4, 2, "v:2,4 v:2,3 Z:16377"},
		{"v:1,1 v:1,1 z:5 v:3,1 Z:16376", 4, 3, "v:1,1 v:1,1 z:2 v:3,1 z:2 v:3,1 Z:16376"},
	} {
		b := all(tc.runs)
		SetCached(b, 7)
		got, changed, err := Set(b, tc.index, tc.rank, sparseMax)
		if err != nil || changed != (tc.want != "") {
			t.Errorf("%s, %d to %d: changed %t, %v", tc.runs, tc.index, tc.rank, changed, err)
			continue
		}
		if _, cached := Cached(got); cached == changed {
			t.Errorf("%s, %d to %d: cache holds is %t", tc.runs, tc.index, tc.rank, cached)
		}
		want := tc.want
		if want == "" {
			want = tc.runs
		}
		if s := string(AppendRuns(nil, got)); s != want {
			t.Errorf("%s, %d to %d:\n\t%s, want\n\t%s", tc.runs, tc.index, tc.rank, s, want)
		}
	}
}

func TestPromotion(t *testing.T) {
	for _, tc := range []struct {
		rank  uint8
		most  int
		dense bool
	}{
		{32, 21, false}, {32, 20, true}, {33, 3000, true}, {1, 0, true}, {51, 1 << 40, true},
	} {
		b := AppendEmpty(nil)
		SetCached(b, 123)
		b, changed, err := Set(b, 777, tc.rank, tc.most)
		if err != nil || !changed || (EncodingOf(b) == Dense) != tc.dense {
			t.Fatalf("%+v: %t, %v, %v", tc, changed, EncodingOf(b), err)
		}
		if !tc.dense {
			continue
		}
		if !Valid(b) || DenseRegister(b, 777) != tc.rank || DenseRegister(b, 776) != 0 || DenseRegister(b, 778) != 0 {
			t.Errorf("%+v: wrong registers", tc)
		}
		if n, _ := Cached(b); n != 123 {
			t.Errorf("%+v: header not kept", tc)
		}
	}
	// What needs no more bytes stays sparse, however long it is.
	b, changed, err := Set(value(valueRun(1, 1), longZeroBit|0x3f, 0xfe), 0, 5, 1)
	if err != nil || !changed || EncodingOf(b) != Sparse {
		t.Errorf("in place: %t, %v, %v", changed, EncodingOf(b), err)
	}
}

func TestValid(t *testing.T) {
	dense, _ := ToDense(AppendEmpty(nil))
	edit := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	for i, tc := range []struct {
		b    []byte
		want bool
	}{
		{nil, false},
		{[]byte("HYLL"), false},
		{AppendEmpty(nil)[:15], false},
		{AppendEmpty(nil)[:16], true},
		{AppendEmpty(nil), true},
		{dense, true},
		{dense[:len(dense)-1], false},
		{append(bytes.Clone(dense), 0), false},
		{edit(dense, 4, 1), true},
		{edit(dense, 4, 2), false},
		{edit(dense, 4, 255), false},
		{edit(dense, 0, 'h'), false},
		{edit(dense, 3, 'M'), false},
		{edit(dense, 5, 1), true},
	} {
		if Valid(tc.b) != tc.want {
			t.Errorf("case %d: %t", i, !tc.want)
		}
	}
}

func TestCorrupt(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    []byte
		set  bool // Set of the last register works though
	}{
		{"no runs", value(), false},
		{"too few", value(longZeroBit|0x3f, 0xfe), false},
		{"too many", value(longZeroBit|0x3f, 0xff, 0), true},
		{"value run beyond the end", value(longZeroBit|0x3f, 0xfe, valueRun(3, 2)), true},
		{"long run beyond the end", value(longZeroBit|0x3f, 0xfe, longZeroBit, 9), true},
		{"half a run", value(longZeroBit|0x3e, 0xff, longZeroBit|1), false},
	} {
		if _, err := Count(tc.b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Count: %v", tc.name, err)
		}
		if _, err := ToDense(tc.b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: ToDense: %v", tc.name, err)
		}
		var u Union
		if err := u.Add(tc.b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Union: %v", tc.name, err)
		}
		if _, _, err := Set(bytes.Clone(tc.b), 5, 40, sparseMax); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Set that promotes: %v", tc.name, err)
		}
		if _, _, err := Set(bytes.Clone(tc.b), Registers-1, 9, sparseMax); (err == nil) != tc.set {
			t.Errorf("%s: Set: %v", tc.name, err)
		}
	}
}

func TestDenseRegisters(t *testing.T) { random.Repeat(t, testDenseRegisters) }

func testDenseRegisters(t *testing.T) {
	if err := testRegisters(make([]byte, DenseSize), random.New(t).Uint64); err != nil {
		t.Error(err)
	}
}

func TestSelfTest(t *testing.T) {
	if testing.Short() {
		t.Skip("half a second")
	}
	if err := SelfTest(rand.New(rand.NewPCG(1, 2)).Uint64, sparseMax); err != nil {
		t.Error(err)
	}
	if err := SelfTest(rand.New(rand.NewPCG(1, 2)).Uint64, 24); err == nil {
		t.Error("a limit that makes values dense at once passed")
	}
}

// registers reads all registers of a value.
func registers(t *testing.T, b []byte) [Registers]uint8 {
	t.Helper()
	var u Union
	if err := u.Add(b); err != nil {
		t.Fatalf("%v: %s", err, AppendRuns(nil, b))
	}
	return u
}

// Random registers raised in several values against plain arrays; then the values are merged.
func TestModel(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	if random.Stress() {
		rounds = 2000
	}
	rnd := random.New(t)
	for range rounds {
		most := []int{0, 100, 3000, 20000}[rnd.IntN(4)]
		highest := []int{3, 10, 32, 51}[rnd.IntN(4)]
		spread := []int{20, 400, Registers}[rnd.IntN(3)] // registers that are near each other are joined more
		var values [3][]byte
		var models [3]Union
		for v := range values {
			b, want := AppendEmpty(nil), &models[v]
			for range rnd.IntN(2500) {
				index, rank := rnd.IntN(spread), uint8(1+rnd.IntN(highest))
				var changed bool
				var err error
				if b, changed, err = Set(b, index, rank, most); err != nil {
					t.Fatal(err)
				}
				if changed != (rank > want[index]) {
					t.Fatalf("register %d from %d to %d: changed %t", index, want[index], rank, changed)
				}
				want[index] = max(want[index], rank)
			}
			if registers(t, b) != *want {
				t.Fatalf("wrong registers: %s", AppendRuns(nil, b))
			}
			if EncodingOf(b) == Sparse && len(b) > max(most, 18) {
				t.Fatalf("%d sparse bytes, at most %d allowed", len(b), most)
			}
			dense, err := ToDense(b)
			if err != nil || !Valid(dense) {
				t.Fatal(err)
			}
			n, err := Count(b)
			if d, errD := Count(dense); err != nil || errD != nil || n != d || n != want.Count() {
				t.Fatalf("counts %d %d %d, %v %v", n, d, want.Count(), err, errD)
			}
			values[v] = b
		}
		// Merged by Union, and by raising one register after another, as Redis does, to the same bytes.
		var u Union
		for _, b := range values {
			if err := u.Add(b); err != nil {
				t.Fatal(err)
			}
		}
		want := bytes.Clone(values[0])
		for i, rank := range u {
			if rank > 0 {
				want, _, _ = Set(want, i, rank, most)
			}
		}
		Invalidate(want)
		got, err := u.MergeInto(bytes.Clone(values[0]), most)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v: merged into\n%s, want\n%s", err, AppendRuns(nil, got), AppendRuns(nil, want))
		}
		if registers(t, got) != u {
			t.Fatal("the merged value is not the union")
		}
	}
}

// FuzzValue does everything to foreign bytes behind a valid header: nothing may panic, and what is not refused must be
// right.
func FuzzValue(f *testing.F) {
	b := AppendEmpty(nil)
	f.Add(b[HeaderSize:], uint16(3), uint8(4), uint16(3000))
	for i := range 300 {
		b = add(f, b, fmt.Sprint(i))
	}
	f.Add(b[HeaderSize:], uint16(16383), uint8(32), uint16(0))
	f.Add([]byte{}, uint16(0), uint8(1), uint16(0))
	f.Add([]byte{0x7f}, uint16(0), uint8(1), uint16(3000))
	f.Add([]byte{0x7f, 0xff, 0x40}, uint16(16384), uint8(33), uint16(3000))
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f, 0xf3}, uint16(2), uint8(32), uint16(3000))
	f.Fuzz(func(t *testing.T, runs []byte, index uint16, rank uint8, most uint16) {
		at, rank := int(index)%Registers, rank%63+1
		b := value(runs...)
		if len(runs) == DenseSize-HeaderSize {
			b[encodingAt] = byte(Dense)
		}
		if !Valid(b) {
			t.Fatal("not valid")
		}
		_, errCount := Count(b)
		var before, after Union
		errBefore := before.Add(b)
		if (errCount == nil) != (errBefore == nil) {
			t.Fatalf("Count: %v, Union: %v", errCount, errBefore)
		}
		if EncodingOf(b) == Sparse {
			AppendRuns(nil, b)
		}
		if d, err := ToDense(b); (err == nil) != (errBefore == nil) {
			t.Fatalf("ToDense: %v, Union: %v", err, errBefore)
		} else if err == nil && registers(t, d) != before {
			t.Fatal("ToDense changed registers")
		}
		b, changed, err := Set(bytes.Clone(b), at, rank, int(most))
		if errBefore != nil {
			return
		}
		if err != nil {
			// A last run without its second byte can be read, as one of 64 times 256 and one more, but not written.
			if last := len(runs) - 1; last >= 0 && runs[last]&0xc0 == longZeroBit {
				return
			}
			t.Fatalf("Set: %v", err)
		}
		if after = registers(t, b); changed != (rank > before[at]) {
			t.Fatalf("register %d from %d to %d: changed %t", at, before[at], rank, changed)
		}
		before[at] = max(before[at], rank)
		if after != before {
			t.Fatal("Set changed other registers")
		}
	})
}

func BenchmarkCountDense(b *testing.B) {
	v, _ := ToDense(AppendEmpty(nil))
	for i := range 100_000 {
		v = add(b, v, fmt.Sprint(i))
	}
	for b.Loop() {
		if _, err := Count(v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddSparse(b *testing.B) {
	v := AppendEmpty(nil)
	for i := range 1500 {
		v = add(b, v, fmt.Sprint(i))
	}
	var e [8]byte
	var scratch [sparseMax + 8]byte
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		binary.LittleEndian.PutUint64(e[:], i%2000)
		index, rank := Locate(e[:])
		if _, _, err := Set(append(scratch[:0], v...), index, rank, sparseMax); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddDense(b *testing.B) {
	v, _ := ToDense(AppendEmpty(nil))
	var e [8]byte
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		binary.LittleEndian.PutUint64(e[:], i)
		index, rank := Locate(e[:])
		v, _, _ = Set(v, index, rank, sparseMax)
	}
}

func BenchmarkMerge(b *testing.B) {
	dense, _ := ToDense(AppendEmpty(nil))
	sparse := AppendEmpty(nil)
	for i := range 1000 {
		sparse = add(b, sparse, fmt.Sprint(i))
		dense = add(b, dense, fmt.Sprint(i))
	}
	for name, v := range map[string][]byte{"sparse": sparse, "dense": dense} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var u Union
				if err := u.Add(v); err != nil {
					b.Fatal(err)
				}
				if _, err := u.MergeInto(append([]byte(nil), v...), sparseMax); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
