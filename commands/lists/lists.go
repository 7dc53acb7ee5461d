// Package lists has the commands of lists. A list is a listpack while it is small and a quicklist beyond
// list-max-listpack-size; it becomes small again when elements are removed (listEdit.removed).
package lists

import (
	"slices"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
)

// Commands are the rows of the family.
var Commands = slices.Concat(listCommands, blockingListCommands)

// The list commands, without those that move elements between lists or pop from one of several (move.go).
var listCommands = []session.Command{
	{Name: "lindex", Arity: 3, Flags: session.ReadOnly, ACL: session.CatList, Handler: lindex,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(log N) with N the number of nodes of the list.",
		Summary:    "Returns the element of a list at an index.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("index")}},
	{Name: "linsert", Arity: 5, Flags: session.Write | session.DenyOOM, ACL: session.CatList, Handler: linsert,
		Group: session.GroupList, Since: "2.2.0",
		Complexity: "O(N) with N the number of elements before the pivot.",
		Summary:    "Inserts an element before or behind another one of a list.",
		Keys:       session.OneKey(session.KeyRW | session.KeyInsert),
		Args: []session.Arg{session.KeyArg("key"), session.OneOf("where", session.TokenWord("before", "BEFORE", ""), session.TokenWord("after", "AFTER", "")),
			session.StringArg("pivot"), session.StringArg("element")}},
	{Name: "llen", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatList, Handler: llen,
		Group: session.GroupList, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the length of a list.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key")}},
	lmoveRow,
	lmpopRow,
	{Name: "lpop", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatList, Handler: lpop,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the number of elements returned.",
		Summary:    "Removes and returns the first elements of a list, and the list with its last one.",
		History:    []session.Change{{"6.2.0", "The argument `count`."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("count").Opt().From("6.2.0")}},
	{Name: "lpos", Arity: -3, Flags: session.ReadOnly, ACL: session.CatList, Handler: lpos,
		Group: session.GroupList, Since: "6.0.6",
		Complexity: "O(N) with N the number of elements compared, at most MAXLEN.",
		Summary:    "Returns where an element is in a list.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.StringArg("element"),
			session.TokenArg("rank", session.ArgInteger, "RANK", "").Opt(),
			session.TokenArg("num-matches", session.ArgInteger, "COUNT", "").Opt(),
			session.TokenArg("len", session.ArgInteger, "MAXLEN", "").Opt()}},
	{Name: "lpush", Arity: -3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatList, Handler: lpush,
		Group: session.GroupList, Since: "1.0.0", Complexity: pushCost,
		Summary: "Puts elements in front of a list, which is created if it does not exist.",
		History: []session.Change{{"2.4.0", severalElements}},
		Keys:    session.OneKey(session.KeyRW | session.KeyInsert),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("element").Many()}},
	{Name: "lpushx", Arity: -3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatList, Handler: lpushx,
		Group: session.GroupList, Since: "2.2.0", Complexity: pushCost,
		Summary: "Puts elements in front of a list if it exists.",
		History: []session.Change{{"4.0.0", severalElements}},
		Keys:    session.OneKey(session.KeyRW | session.KeyInsert),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("element").Many()}},
	{Name: "lrange", Arity: 4, Flags: session.ReadOnly, ACL: session.CatList, Handler: lrange,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(log M + N) with M the number of nodes of the list and N the number of elements returned.",
		Summary:    "Returns the elements of a list from one index to another.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("start"), session.IntArg("stop")}},
	{Name: "lrem", Arity: 4, Flags: session.Write, ACL: session.CatList, Handler: lrem,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the length of the list.",
		Summary:    "Removes equal elements from a list, and the list with its last one.",
		Keys:       session.OneKey(session.KeyRW | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("count"), session.StringArg("element")}},
	{Name: "lset", Arity: 4, Flags: session.Write | session.DenyOOM, ACL: session.CatList, Handler: lset,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(log N) with N the number of nodes of the list.",
		Summary:    "Replaces the element of a list at an index.",
		Keys:       session.OneKey(session.KeyRW | session.KeyUpdate),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("index"), session.StringArg("element")}},
	{Name: "ltrim", Arity: 4, Flags: session.Write, ACL: session.CatList, Handler: ltrim,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the number of elements removed.",
		Summary:    "Keeps the elements of a list from one index to another, and removes the list if there are none.",
		Keys:       session.OneKey(session.KeyRW | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("start"), session.IntArg("stop")}},
	{Name: "rpop", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatList, Handler: rpop,
		Group: session.GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the number of elements returned.",
		Summary:    "Removes and returns the last elements of a list, and the list with its last one.",
		History:    []session.Change{{"6.2.0", "The argument `count`."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("count").Opt().From("6.2.0")}},
	rpoplpushRow,
	{Name: "rpush", Arity: -3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatList, Handler: rpush,
		Group: session.GroupList, Since: "1.0.0", Complexity: pushCost,
		Summary: "Puts elements at the end of a list, which is created if it does not exist.",
		History: []session.Change{{"2.4.0", severalElements}},
		Keys:    session.OneKey(session.KeyRW | session.KeyInsert),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("element").Many()}},
	{Name: "rpushx", Arity: -3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatList, Handler: rpushx,
		Group: session.GroupList, Since: "2.2.0", Complexity: pushCost,
		Summary: "Puts elements at the end of a list if it exists.",
		History: []session.Change{{"4.0.0", severalElements}},
		Keys:    session.OneKey(session.KeyRW | session.KeyInsert),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("element").Many()}},
}

const (
	pushCost        = "O(N) with N the number of elements added."
	severalElements = "Takes several elements."
)

// readList returns the list at the key for reading, nil if there is none. If the key has another type it has replied, and ok
// is false.
func readList(c *session.Client) (l *list.List, ok bool) {
	return session.ReadValue[list.List](c, c.Args[1], record.List)
}

// A listEdit is a list that is being changed.
type listEdit struct{ session.Edit[*list.List] }

// editList begins to change the list at a key; r is the result of WriteTyped. If it is nil the list is created.
func editList(c *session.Client, r *record.Record, key []byte) listEdit {
	if r == nil {
		return listEdit{session.Create(c, key, record.List, list.New(c.Gen()))}
	}
	return listEdit{session.BeginEdit[list.List](c, r)}
}

// removed ends an edit that removed n elements: it deletes the key of an empty list, and makes the list small if it can be.
func (e listEdit) removed(c *session.Client, n int, event string) {
	if e.Value.Len() > 0 {
		e.Value.Shrink(c.ListRules())
	}
	e.Shrunk(n, config.NotifyList, event)
}

func lpush(c *session.Client)  { push(c, true, false) }
func rpush(c *session.Client)  { push(c, false, false) }
func lpushx(c *session.Client) { push(c, true, true) }
func rpushx(c *session.Client) { push(c, false, true) }

// push adds elements at one end of a list; with xx only if the list exists.
func push(c *session.Client, front, xx bool) {
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil && xx {
		c.W.Int(0)
		return
	}
	edit := editList(c, r, key)
	l := edit.Value
	elements := c.Args[2:]
	bytes := 0
	for _, e := range elements {
		bytes += len(e)
	}
	l.Grow(bytes, len(elements), c.ListRules())
	for _, e := range elements {
		l.Push(e, front)
	}
	c.W.Int(int64(l.Len()))
	edit.Grown(len(elements), config.NotifyList, pushEvent(front))
}

func pushEvent(front bool) string {
	if front {
		return "lpush"
	}
	return "rpush"
}

func popEvent(front bool) string {
	if front {
		return "lpop"
	}
	return "rpop"
}

func lpop(c *session.Client) { pop(c, true) }
func rpop(c *session.Client) { pop(c, false) }

// pop removes elements at one end: one, or as many as the count says.
func pop(c *session.Client, front bool) {
	if len(c.Args) > 3 {
		c.Error(session.ErrArity(c.Cmd.Full))
		return
	}
	many := len(c.Args) == 3
	count := int64(1)
	if many {
		var ok bool
		if count, ok = c.AtLeast(2, 0, session.ErrPositive); !ok {
			return
		}
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.List)
	switch {
	case !ok:
		return
	case r == nil && many:
		c.W.NullArray()
		return
	case r == nil:
		c.W.Null()
		return
	case count == 0:
		c.W.Array(0)
		return
	}
	if many {
		popMany(c, r, key, count, front)
		return
	}
	popOne(c, r, key, front)
}

// popOne removes the element at one end of the list of record r and replies with it.
func popOne(c *session.Client, r *record.Record, key []byte, front bool) {
	edit := editList(c, r, key)
	c.BulkValue(edit.Value.Peek(front))
	edit.Value.Drop(front)
	edit.removed(c, 1, popEvent(front))
}

// popMany removes up to count elements at one end of the list of record r, replies with them, the outermost first, and
// returns their number.
func popMany(c *session.Client, r *record.Record, key []byte, count int64, front bool) int {
	edit := editList(c, r, key)
	l := edit.Value
	n := int(min(count, int64(l.Len())))
	start := 0
	if !front {
		start = l.Len() - 1
	}
	c.W.Array(n)
	l.Range(start, n, !front, c.BulkValue)
	l.DropMany(n, front)
	edit.removed(c, n, popEvent(front))
	return n
}

func llen(c *session.Client) {
	l, ok := readList(c)
	if !ok {
		return
	}
	n := 0
	if l != nil {
		n = l.Len()
	}
	c.W.Int(int64(n))
}

func lindex(c *session.Client) {
	l, ok := readList(c)
	if !ok {
		return
	}
	if l == nil {
		c.W.Null()
		return
	}
	i, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	if v, ok := l.Index(int(i)); ok {
		c.BulkValue(v)
	} else {
		c.W.Null()
	}
}

func lset(c *session.Client) {
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil {
		c.Error(session.ErrNoKey)
		return
	}
	i, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	edit := editList(c, r, key)
	l := edit.Value
	// Redis 7.2 makes the list large before it searches the index, and the list stays large if there is none.
	l.Grow(len(c.Args[3]), 1, c.ListRules())
	changed := 0
	if l.Set(int(i), c.Args[3]) {
		changed = 1
		l.Shrink(c.ListRules())
		c.W.OK()
	} else {
		c.Error(session.ErrOutOfRange)
	}
	edit.Grown(changed, config.NotifyList, "lset")
}

func linsert(c *session.Client) {
	after := c.Is(2, "after")
	if !after && !c.Is(2, "before") {
		c.Error(session.ErrSyntax)
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil {
		c.W.Int(0)
		return
	}
	edit := editList(c, r, key)
	l := edit.Value
	// As with LSET, the list becomes large even if there is no pivot.
	l.Grow(len(c.Args[4]), 1, c.ListRules())
	added := 0
	if l.Insert(c.Args[3], c.Args[4], after) {
		added = 1
		c.W.Int(int64(l.Len()))
	} else {
		c.W.Int(-1)
	}
	edit.Grown(added, config.NotifyList, "linsert")
}

// span turns a range of indexes, both included, which count from the end if they are negative, into the first index and
// the number of elements of a list of length n.
func span(start, stop int64, n int) (first, count int) {
	length := int64(n)
	if start < 0 {
		start = max(start+length, 0)
	}
	if stop < 0 {
		stop += length
	}
	stop = min(stop, length-1)
	if start > stop {
		return 0, 0
	}
	return int(start), int(stop - start + 1)
}

func lrange(c *session.Client) {
	start, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	stop, ok := c.Int64Arg(3)
	if !ok {
		return
	}
	l, ok := readList(c)
	if !ok {
		return
	}
	if l == nil {
		c.W.Array(0)
		return
	}
	first, n := span(start, stop, l.Len())
	c.W.Array(n)
	l.Range(first, n, false, c.BulkValue)
}

func ltrim(c *session.Client) {
	start, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	stop, ok := c.Int64Arg(3)
	if !ok {
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.List)
	if !ok {
		return
	}
	c.W.OK()
	if r == nil {
		return
	}
	edit := editList(c, r, key)
	l, length := edit.Value, edit.Value.Len()
	first, n := span(start, stop, length)
	if n == 0 {
		first = length
	}
	l.Trim(first, length-first-n)
	edit.removed(c, length-n, "ltrim")
}

func lrem(c *session.Client) {
	count, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil || !session.ValueOf[list.List](c, r).Has(c.Args[3]) {
		c.W.Int(0)
		return
	}
	edit := editList(c, r, key)
	n := edit.Value.Remove(c.Args[3], int(count))
	edit.removed(c, n, "lrem")
	c.W.Int(int64(n))
}

const (
	errZeroRank       = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
	errNegativeCount  = "ERR COUNT can't be negative"
	errNegativeMaxLen = "ERR MAXLEN can't be negative"
)

func lpos(c *session.Client) {
	rank, count, maxlen := int64(1), int64(-1), int64(0)
	for i := 3; i < len(c.Args); i += 2 {
		ok := i+1 < len(c.Args)
		switch {
		case ok && c.Is(i, "rank"):
			if rank, ok = c.CountArg(i + 1); !ok {
				return
			}
			if rank == 0 {
				c.Error(errZeroRank)
				return
			}
		case ok && c.Is(i, "count"):
			if count, ok = c.AtLeast(i+1, 0, errNegativeCount); !ok {
				return
			}
		case ok && c.Is(i, "maxlen"):
			if maxlen, ok = c.AtLeast(i+1, 0, errNegativeMaxLen); !ok {
				return
			}
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	l, ok := readList(c)
	if !ok {
		return
	}
	if count < 0 {
		at := -1
		if l != nil {
			l.Positions(c.Args[2], int(rank), 1, int(maxlen), func(i int) { at = i })
		}
		if at < 0 {
			c.W.Null()
		} else {
			c.W.Int(int64(at))
		}
		return
	}
	if l == nil {
		c.W.Array(0)
		return
	}
	m, n := c.W.BeginArray(), 0
	l.Positions(c.Args[2], int(rank), int(count), int(maxlen), func(i int) {
		c.W.Int(int64(i))
		n++
	})
	c.W.EndArray(m, n)
}
