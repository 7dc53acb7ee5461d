package strings

import (
	"math"
	"math/bits"

	"ferrous/commands/session"
	"ferrous/datatypes/record"
)

// LCS: the longest common subsequence of two strings.
//
// The textbook algorithm fills a table L of (len(a)+1)*(len(b)+1) numbers, where L[i][j] is the length of the LCS of a[:i]
// and b[:j], and walks back from its end. Neighbours in a row differ by 0 or 1, and the walk needs only these differences: if
// a[i-1] and b[j-1] differ it goes up when L[i-1][j] > L[i][j-1], which is equivalent to L[i][j] = L[i][j-1] + 1. So a row is
// stored as one bit for each column, and computed 64 columns at a time: if v is the complement of the row above and m the
// columns whose byte in b is a[i-1], the complement of the row is
//
//	u := v & m
//	v' = (v + u) | (v &^ m)
//
// where carries go through the whole row (H. Hyyrö, "Bit-parallel LCS-length computation revisited", 2004). The length is the
// number of bits set in the last row; for LEN only this row is stored.
//
// This takes a 32nd of the memory and of the time of Redis's table. Redis refuses requests whose table is larger than
// proto-max-bulk-len. The same requests are refused here, so that a request that works here works with Redis, too.

// lcsTable is the table of differences, row by row, as complements.
type lcsTable struct {
	words int      // a row's
	rows  []uint64 // len(a)+1 rows; only one if just the length is wanted
}

// newLCSTable computes the table of a and b, or its last row only.
func newLCSTable(a, b []byte, lastOnly bool) lcsTable {
	t := lcsTable{words: (len(b) + 63) / 64}
	n := 1
	if !lastOnly {
		n += len(a)
	}
	t.rows = make([]uint64, n*t.words)
	row := t.rows[:t.words]
	for i := range row {
		row[i] = math.MaxUint64
	}
	if t.words == 0 {
		return t
	}
	var masks [256][]uint64 // of the bytes that a has
	for _, x := range a {
		if masks[x] == nil {
			masks[x] = make([]uint64, t.words)
		}
	}
	for j, x := range b {
		if m := masks[x]; m != nil {
			m[j/64] |= 1 << (j % 64)
		}
	}
	for i, x := range a {
		next := row
		if !lastOnly {
			next = t.row(i + 1)
		}
		carry := uint64(0)
		for k, m := range masks[x] {
			v := row[k]
			var sum uint64
			sum, carry = bits.Add64(v, v&m, carry)
			next[k] = sum | v&^m
		}
		row = next
	}
	return t
}

func (t *lcsTable) row(i int) []uint64 { return t.rows[i*t.words : (i+1)*t.words] }

// length is the length of the LCS; lenB that of b.
func (t *lcsTable) length(lenB int) int {
	n := 0
	for k, v := range t.rows[len(t.rows)-t.words:] {
		v = ^v
		if rest := lenB - 64*k; rest < 64 {
			v &= 1<<rest - 1 // columns beyond b
		}
		n += bits.OnesCount64(v)
	}
	return n
}

// up reports whether the walk back moves from row i, column j to the row above; the bytes there differ.
func (t *lcsTable) up(i, j int) bool {
	return t.rows[i*t.words+(j-1)/64]>>((j-1)%64)&1 == 0
}

// walk walks back through the table and calls match for each run of equal bytes, the last run first: n bytes, at i in a and
// at j in b.
func (t *lcsTable) walk(a, b []byte, match func(i, j, n int)) {
	i, j, n := len(a), len(b), 0
	for i > 0 && j > 0 {
		if a[i-1] == b[j-1] {
			n++
			i--
			j--
			continue
		}
		if n > 0 {
			match(i, j, n)
			n = 0
		}
		if t.up(i, j) {
			i--
		} else {
			j--
		}
	}
	if n > 0 {
		match(i, j, n)
	}
}

func lcs(c *session.Client) {
	ra, rb := c.Read(c.Args[1]), c.Read(c.Args[2])
	if ra != nil && ra.Type() != record.String || rb != nil && rb.Type() != record.String {
		c.Error(session.ErrLCSType)
		return
	}
	var length, ranges, matchLen bool
	minLen := int64(0)
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "idx"):
			ranges = true
		case c.Is(i, "len"):
			length = true
		case c.Is(i, "withmatchlen"):
			matchLen = true
		case c.Is(i, "minmatchlen") && i+1 < len(c.Args):
			i++
			var ok bool
			if minLen, ok = c.Int64Arg(i); !ok {
				return
			}
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	if length && ranges {
		c.Error(session.ErrLCSLenAndIdx)
		return
	}
	var bufA, bufB session.IntText
	var a, b []byte
	if ra != nil {
		a = ra.String(bufA[:])
	}
	if rb != nil {
		b = rb.String(bufB[:])
	}
	if len(a) >= math.MaxUint32-1 || len(b) >= math.MaxUint32-1 {
		c.Error(session.ErrLCSTooLong)
		return
	}
	// Four bytes for each cell of Redis's table.
	if cells := uint64(len(a)+1) * uint64(len(b)+1); cells > uint64(c.Core.Config.ProtoMaxBulkLen)/4 {
		c.Error(session.ErrLCSMemory)
		return
	}
	t := newLCSTable(a, b, length)
	total := t.length(len(b))
	switch {
	case ranges:
		c.W.Map(2)
		c.W.BulkString("matches")
		mark, found := c.W.BeginArray(), 0
		t.walk(a, b, func(i, j, n int) {
			if int64(n) < minLen {
				return
			}
			found++
			if matchLen {
				c.W.Array(3)
			} else {
				c.W.Array(2)
			}
			for _, at := range [2]int{i, j} {
				c.W.Array(2)
				c.W.Int(int64(at))
				c.W.Int(int64(at + n - 1))
			}
			if matchLen {
				c.W.Int(int64(n))
			}
		})
		c.W.EndArray(mark, found)
		c.W.BulkString("len")
		c.W.Int(int64(total))
	case length:
		c.W.Int(int64(total))
	default:
		s := make([]byte, total)
		end := total
		t.walk(a, b, func(i, _, n int) {
			end -= n
			copy(s[end:], a[i:i+n])
		})
		c.W.Bulk(s)
	}
}
