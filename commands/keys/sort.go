package keys

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"ferrous/commands/config"
	"ferrous/commands/partialsort"
	"ferrous/commands/session"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// SORT and SORT_RO.
//
// The elements are loaded into a slice, each with its sort key: a number, or with ALPHA a string; the element itself, or with
// BY the value of the key that the pattern names for it. A BY pattern without '*' means no sorting: the elements have the
// order of the value, and of a list or sorted set only those within LIMIT are loaded. Otherwise only the part within LIMIT is
// sorted.
//
// The order of elements that compare as equal is Redis's. Equal numbers are ordered by the bytes of their elements. Strings
// that are equal (with BY, or because a zero byte ends them) keep the order in which they were loaded; with BY and LIMIT they
// get the order of package partialsort. Redis compares strings by the locale of its environment, unless the result is stored;
// here they are always compared byte by byte, as in the locale C.
//
// One fault of Redis 7.2 is not copied: after it has read a number out of range, it refuses all numbers that are stored as
// text until a failing call changes errno.

const sortCost = "O(N+M*log(M)) with N the number of elements of the value and M the number of those returned; O(N) if they are not sorted."

const (
	sortByGetNotes = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"
	sortStoreNotes = "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"
)

var sortArgs = []session.Arg{session.KeyArg("key"),
	{Name: "by-pattern", Display: "pattern", Type: session.ArgPattern, Key: 1, Token: "BY", Optional: true},
	{Name: "limit", Type: session.ArgBlock, Token: "LIMIT", Optional: true, Args: []session.Arg{session.IntArg("offset"), session.IntArg("count")}},
	{Name: "get-pattern", Display: "pattern", Type: session.ArgPattern, Key: 1, Token: "GET", Optional: true, Multiple: true,
		MultipleToken: true},
	session.OneOf("order", session.TokenWord("asc", "ASC", ""), session.TokenWord("desc", "DESC", "")).Opt(),
	session.TokenWord("sorting", "ALPHA", "").Opt()}

var sortCommands = []session.Command{
	{Name: "sort", Arity: -2, Flags: session.Write | session.DenyOOM | session.MovableKeys, ACL: session.CatSet | session.CatSortedSet | session.CatList | session.CatDangerous,
		Handler: sortCommand, GetKeys: sortKeys,
		Group: session.GroupGeneric, Since: "1.0.0", Complexity: sortCost,
		Summary: "Returns or stores the elements of a list, set or sorted set in another order.",
		Keys: []session.KeySpec{{Flags: session.KeyRO | session.KeyAccess, Index: 1, Step: 1},
			{Flags: session.KeyRO | session.KeyAccess, Unknown: true, Notes: sortByGetNotes},
			{Flags: session.KeyOW | session.KeyUpdate, Unknown: true, Notes: sortStoreNotes}},
		Args: append(slices.Clone(sortArgs),
			session.Arg{Name: "destination", Type: session.ArgKey, Key: 2, Token: "STORE", Optional: true})},
	{Name: "sort_ro", Arity: -2, Flags: session.ReadOnly | session.MovableKeys, ACL: session.CatSet | session.CatSortedSet | session.CatList | session.CatDangerous,
		Handler: sortRO, GetKeys: sortROKeys,
		Group: session.GroupGeneric, Since: "7.0.0", Complexity: sortCost,
		Summary: "Returns the elements of a list, set or sorted set in another order.",
		Keys: []session.KeySpec{{Flags: session.KeyRO | session.KeyAccess, Index: 1, Step: 1},
			{Flags: session.KeyRO | session.KeyAccess, Unknown: true, Notes: sortByGetNotes}},
		Args: sortArgs},
}

const (
	errNotDouble = "ERR One or more scores can't be converted into double"
	errSortBy    = "ERR BY option of SORT denied due to insufficient ACL permissions."
	errSortGet   = "ERR GET option of SORT denied due to insufficient ACL permissions."
)

// sortOptions calls fn for each option, with its position and the number of its arguments, until fn returns false. n is -1
// for a word that is no option, or an option that lacks arguments. The handler and sortKeys both use it, so that they read
// the options in the same way.
func sortOptions(args [][]byte, mayStore bool, fn func(i, n int) bool) {
	for i := 2; i < len(args); i++ {
		n := -1
		switch {
		case session.EqualFold(args[i], "asc"), session.EqualFold(args[i], "desc"), session.EqualFold(args[i], "alpha"):
			n = 0
		case session.EqualFold(args[i], "limit"):
			n = 2
		case session.EqualFold(args[i], "by"), session.EqualFold(args[i], "get"), mayStore && session.EqualFold(args[i], "store"):
			n = 1
		}
		if i+n >= len(args) {
			n = -1
		}
		if !fn(i, n) {
			return
		}
		i += max(n, 0)
	}
}

// sortKeys finds the keys of SORT: the first argument and the destination of the last STORE.
func sortKeys(args [][]byte) ([]session.KeyRef, bool) {
	keys := []session.KeyRef{{Pos: 1, Flags: session.KeyRO | session.KeyAccess}}
	sortOptions(args, true, func(i, n int) bool {
		if n == 1 && session.EqualFold(args[i], "store") {
			keys = append(keys[:1], session.KeyRef{Pos: i + 1, Flags: session.KeyOW | session.KeyUpdate})
		}
		return true
	})
	return keys, true
}

func sortROKeys([][]byte) ([]session.KeyRef, bool) {
	return []session.KeyRef{{Pos: 1, Flags: session.KeyRO | session.KeyAccess}}, true
}

func sortCommand(c *session.Client) { sort(c, true) }
func sortRO(c *session.Client)      { sort(c, false) }

// ordering is the state of a running SORT: its options, and the elements.
type ordering struct {
	alpha, desc   bool
	by            []byte   // nil: by the element itself
	unsorted      bool     // by is a constant
	get           [][]byte // patterns
	store         []byte
	offset, count int64

	elements []listpack.Value
	ranks    []sortRank // unless unsorted: the elements in order
	keys     [][]byte   // with ALPHA: the sort key of each element, nil if there is none
	texts    arena
}

// sortRank is the index of an element, with a number that begins its sort key: most comparisons need only this number, and
// only if it is equal the rest is compared.
type sortRank struct {
	key uint64
	at  int
}

// numberKey returns an integer with the same order as the number, which is not NaN.
func numberKey(f float64) uint64 {
	bits := math.Float64bits(f + 0) // makes -0 a 0
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

// textKey returns an integer with the same order as the first bytes of the string.
func textKey(b []byte) uint64 {
	var head [8]byte
	copy(head[:], b)
	return binary.BigEndian.Uint64(head[:])
}

// arena allocates copies of strings that live as long as the arena.
type arena struct{ chunk []byte }

// keep returns a copy of s, which is never nil.
func (a *arena) keep(s []byte) []byte {
	if a.chunk == nil || len(s) > cap(a.chunk)-len(a.chunk) {
		a.chunk = make([]byte, 0, max(len(s), 32<<10))
	}
	n := len(a.chunk)
	a.chunk = append(a.chunk, s...)
	return a.chunk[n:len(a.chunk):len(a.chunk)]
}

// text returns the bytes of an element; they do not change.
func (a *arena) text(v listpack.Value) []byte {
	if v.Str != nil {
		return v.Str
	}
	var buf session.IntText
	return a.keep(resp.AppendInt(buf[:0], v.Int))
}

func sort(c *session.Client, mayStore bool) {
	o := ordering{count: -1}
	if !parseSort(c, &o, mayStore) {
		return
	}
	r := c.Read(c.Args[1])
	if r != nil && r.Type() != record.Set && r.Type() != record.List && r.Type() != record.ZSet {
		c.Error(session.ErrWrongType)
		return
	}
	// The order of a set differs between servers. So for STORE and in scripts its elements are sorted anyway.
	if o.unsorted && (o.store != nil || c.Host.InScript()) && r != nil && r.Type() == record.Set {
		o.unsorted, o.alpha, o.by = false, true, nil
	}
	length := 0
	if r != nil {
		r, length = sortable(c, r)
	}
	first, end := o.limit(length)
	if r != nil {
		first, end = o.load(c, r, first, end)
	}
	if !o.unsorted {
		if !loadKeys(c, &o) {
			c.Error(errNotDouble)
			return
		}
		o.sort(first, end)
	}
	if o.store != nil {
		storeSorted(c, &o, first, end)
		return
	}
	c.W.Array((end - first) * max(len(o.get), 1))
	for i := first; i < end; i++ {
		e := o.element(i)
		if len(o.get) == 0 {
			c.BulkValue(e)
		}
		for _, pattern := range o.get {
			if v, ok := byPattern(c, pattern, e); ok {
				c.BulkValue(v)
			} else {
				c.W.Null()
			}
		}
	}
}

// element returns the i-th element in order.
func (o *ordering) element(i int) listpack.Value {
	if o.unsorted {
		return o.elements[i]
	}
	return o.elements[o.ranks[i].at]
}

// parseSort parses the options. On failure it has replied.
func parseSort(c *session.Client, o *ordering, mayStore bool) (ok bool) {
	ok = true
	fail := func(text string) bool {
		c.Error(text)
		ok = false
		return false
	}
	sortOptions(c.Args, mayStore, func(i, n int) bool {
		switch {
		case n < 0:
			return fail(session.ErrSyntax)
		case c.Is(i, "asc"):
			o.desc = false
		case c.Is(i, "desc"):
			o.desc = true
		case c.Is(i, "alpha"):
			o.alpha = true
		case c.Is(i, "limit"):
			if o.offset, ok = c.Int64Arg(i + 1); ok {
				o.count, ok = c.Int64Arg(i + 2)
			}
		case c.Is(i, "store"):
			o.store = c.Args[i+1]
		case c.Is(i, "by"):
			o.by = c.Args[i+1]
			// The keys of a pattern are not known beforehand, so the user must be allowed to read all keys.
			if named := bytes.IndexByte(untilZero(o.by), '*') >= 0; !named {
				// After a constant, a further BY pattern does not switch sorting on again.
				o.unsorted = true
			} else if !c.Host.ReadsAll() {
				return fail(errSortBy)
			}
		default: // GET
			if !c.Host.ReadsAll() {
				return fail(errSortGet)
			}
			o.get = append(o.get, c.Args[i+1])
		}
		return ok
	})
	return ok
}

// untilZero returns the part of b before a zero byte: the string of C.
func untilZero(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// limit returns the part of n elements within LIMIT.
func (o *ordering) limit(n int) (first, end int) {
	first = int(min(max(o.offset, 0), int64(n)))
	end = n
	if o.count >= 0 {
		end = first + int(min(o.count, int64(n-first)))
	}
	return first, end
}

// load loads elements from the value behind r and returns the range within LIMIT as indexes of them; first and end are this
// range in the whole value.
func (o *ordering) load(c *session.Client, r *record.Record, first, end int) (int, int) {
	add := func(v listpack.Value) { o.elements = append(o.elements, v) }
	switch r.Type() {
	case record.Set:
		s := session.ValueOf[dset.Set](c, r)
		o.elements = make([]listpack.Value, 0, s.Len())
		s.Each(func(v dset.Value) bool {
			add(v)
			return true
		})
	case record.List:
		l := session.ValueOf[list.List](c, r)
		if l.Quicklist() != nil {
			// Bytes of a compressed node are valid until the next node is read.
			add = func(v listpack.Value) {
				if v.Str != nil {
					v.Str = o.texts.keep(v.Str)
				}
				o.elements = append(o.elements, v)
			}
		}
		start, n, back := 0, l.Len(), false
		if o.unsorted {
			start, n, back = first, end-first, o.desc
			if back {
				start = l.Len() - 1 - first
			}
			first, end = 0, n
		}
		if n > 0 {
			o.elements = make([]listpack.Value, 0, n)
			l.Range(start, n, back, add)
		}
	case record.ZSet:
		z := session.ValueOf[sortedset.SortedSet](c, r)
		span, back := z.All(), false
		if o.unsorted {
			span, back = sortedset.Span{First: first, End: end}, o.desc
			if back {
				span = sortedset.Span{First: z.Len() - end, End: z.Len() - first}
			}
			first, end = 0, span.Len()
		}
		o.elements = make([]listpack.Value, 0, span.Len())
		it := z.Iter(span, back)
		for v, _, ok := it.Next(); ok; v, _, ok = it.Next() {
			add(v)
		}
	}
	return first, end
}

// loadKeys finds the sort key of each element. It returns false if a sort key must be a number and is not.
func loadKeys(c *session.Client, o *ordering) bool {
	n := len(o.elements)
	o.ranks = make([]sortRank, n)
	if o.alpha {
		o.keys = make([][]byte, n)
	}
	valid := true
	for i, e := range o.elements {
		key, found := e, true
		if o.by != nil {
			key, found = byPattern(c, o.by, e)
		}
		score := 0.0
		o.ranks[i].at = i
		switch {
		case !found:
		case o.alpha:
			text := o.texts.text(key)
			if o.store == nil {
				text = untilZero(text)
			}
			o.keys[i], o.ranks[i].key = text, textKey(text)
		case key.Str == nil:
			score = float64(key.Int)
		default:
			var ok bool
			score, ok = sortScore(key.Str)
			valid = valid && ok
		}
		if !o.alpha {
			o.ranks[i].key = numberKey(score)
		}
	}
	return valid
}

// sortScore converts b, up to a zero byte, as C's strtod does; all of it must be a number. An empty string is 0.
func sortScore(b []byte) (float64, bool) {
	b = untilZero(b)
	if len(b) == 0 {
		return 0, true
	}
	f, ok := resp.ParseFloat(bytes.TrimLeft(b, " \t\n\v\f\r"))
	const smallestNormal = 0x1p-1022
	if ok && f != 0 && -smallestNormal < f && f < smallestNormal && !bytes.ContainsAny(b, "xX") {
		return 0, false // strtod reports a range error, since digits are lost
	}
	return f, ok
}

// sort sorts so that the ranks from first to end are in their final order.
func (o *ordering) sort(first, end int) {
	if first >= end {
		return
	}
	sign := 1
	if o.desc {
		sign = -1
	}
	compare := func(a, b sortRank) int {
		switch {
		case a.key < b.key:
			return -sign
		case a.key > b.key:
			return sign
		case o.alpha:
			return sign * compareTexts(o.keys[a.at], o.keys[b.at])
		}
		return sign * compareValues(o.elements[a.at], o.elements[b.at])
	}
	stable := func(a, b sortRank) int {
		if r := compare(a, b); r != 0 {
			return r
		}
		return a.at - b.at
	}
	switch whole := first == 0 && end == len(o.ranks); {
	case whole:
		sortAll(o.ranks, o.desc, stable)
	case o.by != nil:
		partialsort.Sort(o.ranks, compare, first, end-1)
	default:
		partialsort.Sort(o.ranks, stable, first, end-1)
	}
}

// compareTexts compares strings; a missing one (nil) comes first.
func compareTexts(a, b []byte) int {
	switch {
	case a != nil && b != nil:
		return bytes.Compare(a, b)
	case a != nil:
		return 1
	case b != nil:
		return -1
	}
	return 0
}

// compareValues compares the bytes of two elements.
func compareValues(a, b listpack.Value) int {
	if a.Str == nil && b.Str == nil && a.Int == b.Int {
		return 0
	}
	var bufA, bufB session.IntText
	return bytes.Compare(session.BytesOf(a, &bufA), session.BytesOf(b, &bufB))
}

// byPattern returns the value of a pattern of BY or GET for an element. The pattern "#" is the element itself. Otherwise the
// element replaces the first '*', which gives the name of a key; if "->" and a field follow the '*', the key is a hash and
// the value is that of the field. The result is valid until a key changes.
func byPattern(c *session.Client, pattern []byte, e listpack.Value) (v listpack.Value, ok bool) {
	text := untilZero(pattern)
	if len(text) == 1 && text[0] == '#' {
		return e, true
	}
	star := bytes.IndexByte(text, '*')
	if star < 0 {
		return v, false
	}
	rest, field := pattern[star+1:], []byte(nil)
	if arrow := bytes.Index(text[star+1:], []byte("->")); arrow >= 0 && arrow+2 < len(text)-star-1 {
		rest, field = rest[:arrow], rest[arrow+2:]
	}
	var buf session.IntText
	key := c.Core.SortKey[:0]
	key = append(key, pattern[:star]...)
	key = append(key, session.BytesOf(e, &buf)...)
	key = append(key, rest...)
	c.Core.SortKey = key
	if cap(key) > keepSortKey {
		c.Core.SortKey = nil
	}
	r := c.Read(key)
	switch {
	case r == nil:
		return v, false
	case field != nil && r.Type() == record.Hash:
		return session.ValueOf[hash.Hash](c, r).At(c.Core.Keyspace.Now).Get(field)
	case field == nil && r.Type() == record.String:
		if r.Encoding() == record.Int {
			return listpack.Value{Int: r.Int()}, true
		}
		s := r.String(nil)
		if s == nil {
			s = []byte{}
		}
		return listpack.Value{Str: s}, true
	}
	return v, false
}

// keepSortKey is the largest buffer for names of keys that is reused for the next pattern.
const keepSortKey = 1 << 16

// storeSorted stores the result as a list, or deletes the destination if the result is empty, and replies with its length.
func storeSorted(c *session.Client, o *ordering, first, end int) {
	if first == end {
		c.DeleteKey(o.store)
		c.W.Int(0)
		return
	}
	// As in Redis it has nodes of 8 KiB, whatever the configured limits, and becomes small if it is within them.
	q := quicklist.New(c.Core.Lists, -2, 0)
	var buf session.IntText
	for i := first; i < end; i++ {
		e := o.element(i)
		if len(o.get) == 0 {
			q.PushTail(session.BytesOf(e, &buf))
		}
		for _, pattern := range o.get {
			if v, ok := byPattern(c, pattern, e); ok {
				q.PushTail(session.BytesOf(v, &buf))
			} else {
				q.PushTail(nil)
			}
		}
	}
	l := list.FromQuicklist(q, c.Gen())
	l.Settle(c.ListRules())
	n := l.Len()
	c.PutList(o.store, l)
	c.Changed(o.store, n, config.NotifyList, "sortstore")
	c.W.Int(int64(n))
}

// sortable returns the record of the value to sort, and its number of elements. As in Redis a small sorted set becomes large,
// for good, which OBJECT ENCODING shows.
func sortable(c *session.Client, r *record.Record) (*record.Record, int) {
	switch r.Type() {
	case record.Set:
		return r, session.ValueOf[dset.Set](c, r).Len()
	case record.List:
		return r, session.ValueOf[list.List](c, r).Len()
	}
	z := session.ValueOf[sortedset.SortedSet](c, r)
	if z.Large() == nil {
		edit := session.BeginEdit[sortedset.SortedSet](c, r)
		edit.Value.Expect(math.MaxInt, c.ZsetRules(), c.Gen())
		edit.Done()
		return edit.Record, edit.Value.Len()
	}
	return r, z.Len()
}
