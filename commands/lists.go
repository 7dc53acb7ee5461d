package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The list commands but those that move elements between lists or pop from one of several (lists_move.go).
var listCommands = []Command{
	{Name: "lindex", Arity: 3, Flags: ReadOnly, ACL: CatList, Handler: lindex,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(log N) with N the number of nodes of the list.",
		Summary:    "Returns the element of a list at an index.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), anInt("index")}},
	{Name: "linsert", Arity: 5, Flags: Write | DenyOOM, ACL: CatList, Handler: linsert,
		Group: GroupList, Since: "2.2.0",
		Complexity: "O(N) with N the number of elements before the pivot.",
		Summary:    "Inserts an element before or behind another one of a list.",
		Keys:       oneKey(KeyRW | KeyInsert),
		Args: []Arg{aKey("key"), aChoice("where", aToken("before", "BEFORE", ""), aToken("after", "AFTER", "")),
			aString("pivot"), aString("element")}},
	{Name: "llen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatList, Handler: llen,
		Group: GroupList, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the length of a list.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key")}},
	lmoveRow,
	lmpopRow,
	{Name: "lpop", Arity: -2, Flags: Write | Fast, ACL: CatList, Handler: lpop,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the number of elements returned.",
		Summary:    "Removes and returns the first elements of a list, and the list with its last one.",
		History:    []Change{{"6.2.0", "The argument `count`."}},
		Keys:       oneKey(KeyRW | KeyAccess | KeyDelete),
		Args:       []Arg{aKey("key"), anInt("count").optional().since("6.2.0")}},
	{Name: "lpos", Arity: -3, Flags: ReadOnly, ACL: CatList, Handler: lpos,
		Group: GroupList, Since: "6.0.6",
		Complexity: "O(N) with N the number of elements compared, at most MAXLEN.",
		Summary:    "Returns where an element is in a list.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), aString("element"),
			aTokenArg("rank", ArgInteger, "RANK", "").optional(),
			aTokenArg("num-matches", ArgInteger, "COUNT", "").optional(),
			aTokenArg("len", ArgInteger, "MAXLEN", "").optional()}},
	{Name: "lpush", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatList, Handler: lpush,
		Group: GroupList, Since: "1.0.0", Complexity: pushCost,
		Summary: "Puts elements in front of a list, which is created if it does not exist.",
		History: []Change{{"2.4.0", severalElements}},
		Keys:    oneKey(KeyRW | KeyInsert),
		Args:    []Arg{aKey("key"), aString("element").multiple()}},
	{Name: "lpushx", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatList, Handler: lpushx,
		Group: GroupList, Since: "2.2.0", Complexity: pushCost,
		Summary: "Puts elements in front of a list if it exists.",
		History: []Change{{"4.0.0", severalElements}},
		Keys:    oneKey(KeyRW | KeyInsert),
		Args:    []Arg{aKey("key"), aString("element").multiple()}},
	{Name: "lrange", Arity: 4, Flags: ReadOnly, ACL: CatList, Handler: lrange,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(log M + N) with M the number of nodes of the list and N the number of elements returned.",
		Summary:    "Returns the elements of a list from one index to another.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), anInt("start"), anInt("stop")}},
	{Name: "lrem", Arity: 4, Flags: Write, ACL: CatList, Handler: lrem,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the length of the list.",
		Summary:    "Removes equal elements from a list, and the list with its last one.",
		Keys:       oneKey(KeyRW | KeyDelete),
		Args:       []Arg{aKey("key"), anInt("count"), aString("element")}},
	{Name: "lset", Arity: 4, Flags: Write | DenyOOM, ACL: CatList, Handler: lset,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(log N) with N the number of nodes of the list.",
		Summary:    "Replaces the element of a list at an index.",
		Keys:       oneKey(KeyRW | KeyUpdate),
		Args:       []Arg{aKey("key"), anInt("index"), aString("element")}},
	{Name: "ltrim", Arity: 4, Flags: Write, ACL: CatList, Handler: ltrim,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the number of elements removed.",
		Summary:    "Keeps the elements of a list from one index to another, and removes the list if there are none.",
		Keys:       oneKey(KeyRW | KeyDelete),
		Args:       []Arg{aKey("key"), anInt("start"), anInt("stop")}},
	{Name: "rpop", Arity: -2, Flags: Write | Fast, ACL: CatList, Handler: rpop,
		Group: GroupList, Since: "1.0.0",
		Complexity: "O(N) with N the number of elements returned.",
		Summary:    "Removes and returns the last elements of a list, and the list with its last one.",
		History:    []Change{{"6.2.0", "The argument `count`."}},
		Keys:       oneKey(KeyRW | KeyAccess | KeyDelete),
		Args:       []Arg{aKey("key"), anInt("count").optional().since("6.2.0")}},
	rpoplpushRow,
	{Name: "rpush", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatList, Handler: rpush,
		Group: GroupList, Since: "1.0.0", Complexity: pushCost,
		Summary: "Puts elements at the end of a list, which is created if it does not exist.",
		History: []Change{{"2.4.0", severalElements}},
		Keys:    oneKey(KeyRW | KeyInsert),
		Args:    []Arg{aKey("key"), aString("element").multiple()}},
	{Name: "rpushx", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatList, Handler: rpushx,
		Group: GroupList, Since: "2.2.0", Complexity: pushCost,
		Summary: "Puts elements at the end of a list if it exists.",
		History: []Change{{"4.0.0", severalElements}},
		Keys:    oneKey(KeyRW | KeyInsert),
		Args:    []Arg{aKey("key"), aString("element").multiple()}},
}

const (
	pushCost        = "O(N) with N the number of elements added."
	severalElements = "Takes several elements."
)

// listRules are the limits of lists that are configured now.
func (c *Client) listRules() list.Rules {
	return list.Rules{Set: c.srv.lists, Fill: c.srv.cfg.ListMaxListpackSize, Depth: c.srv.cfg.ListCompressDepth}
}

// readList returns the list at the key for reading, nil if there is none. If there is something else it has replied, and
// ok is false.
func (c *Client) readList() (l *list.List, ok bool) {
	return readValue[list.List](c, c.args[1], record.List)
}

// ownList returns the list at a key for writing, and its record; r is what writeTyped found there. If that is nil the
// list is made.
func (c *Client) ownList(r *record.Record, key []byte) (*record.Record, *list.List) {
	if r == nil {
		l := list.New(c.gen())
		return c.putList(key, l), l
	}
	return own[list.List](c, r)
}

// putList stores a list at a key, in place of what is there.
func (c *Client) putList(key []byte, l *list.List) *record.Record {
	return put(c, key, record.List, record.ListPack, l)
}

func lpush(c *Client)  { c.push(true, false) }
func rpush(c *Client)  { c.push(false, false) }
func lpushx(c *Client) { c.push(true, true) }
func rpushx(c *Client) { c.push(false, true) }

// push puts elements at one end of a list, with xx only of one that exists.
func (c *Client) push(front, xx bool) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil && xx {
		c.w.Int(0)
		return
	}
	_, l := c.ownList(r, key)
	elements := c.args[2:]
	bytes := 0
	for _, e := range elements {
		bytes += len(e)
	}
	before := l.Size()
	l.Grow(bytes, len(elements), c.listRules())
	for _, e := range elements {
		l.Push(e, front)
	}
	c.w.Int(int64(l.Len()))
	c.grown(key, l, before, len(elements), config.NotifyList, pushEvent(front))
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

func lpop(c *Client) { c.pop(true) }
func rpop(c *Client) { c.pop(false) }

// pop removes elements at one end: one, or as many as the count says.
func (c *Client) pop(front bool) {
	if len(c.args) > 3 {
		c.error(errArity(c.cmd.full))
		return
	}
	many := len(c.args) == 3
	count := int64(1)
	if many {
		var ok bool
		if count, ok = c.atLeast(2, 0, errPositive); !ok {
			return
		}
	}
	key := c.args[1]
	r, ok := c.writeTyped(key, record.List)
	switch {
	case !ok:
		return
	case r == nil && many:
		c.w.NullArray()
		return
	case r == nil:
		c.w.Null()
		return
	case count == 0:
		c.w.Array(0)
		return
	}
	r, l := c.ownList(r, key)
	if many {
		c.popMany(r, l, key, count, front)
		return
	}
	before := l.Size()
	c.bulkValue(l.Peek(front))
	l.Drop(front)
	c.elementsRemoved(r, l, before, 1, popEvent(front))
}

// popMany removes up to count elements at one end of a list, replies with them, the outermost first, and returns how
// many there were.
func (c *Client) popMany(r *record.Record, l *list.List, key []byte, count int64, front bool) int {
	before := l.Size()
	n := int(min(count, int64(l.Len())))
	start := 0
	if !front {
		start = l.Len() - 1
	}
	c.w.Array(n)
	l.Range(start, n, !front, c.bulkValue)
	l.DropMany(n, front)
	c.elementsRemoved(r, l, before, n, popEvent(front))
	return n
}

// elementsRemoved does what follows after n elements were removed from the list of record r: the key goes with its last
// one, or the list may become small again. before is the Size that the list had.
func (c *Client) elementsRemoved(r *record.Record, l *list.List, before, n int, event string) {
	if l.Len() > 0 {
		l.Shrink(c.listRules())
	}
	c.shrunk(r, l, before, n, config.NotifyList, event)
}

func llen(c *Client) {
	l, ok := c.readList()
	if !ok {
		return
	}
	n := 0
	if l != nil {
		n = l.Len()
	}
	c.w.Int(int64(n))
}

func lindex(c *Client) {
	l, ok := c.readList()
	if !ok {
		return
	}
	if l == nil {
		c.w.Null()
		return
	}
	i, ok := c.int64Arg(2)
	if !ok {
		return
	}
	if v, ok := l.Index(int(i)); ok {
		c.bulkValue(v)
	} else {
		c.w.Null()
	}
}

func lset(c *Client) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil {
		c.error(errNoKey)
		return
	}
	i, ok := c.int64Arg(2)
	if !ok {
		return
	}
	_, l := c.ownList(r, key)
	before := l.Size()
	// Redis 7.2 makes the list large before it looks for the index, and it stays so if there is none.
	l.Grow(len(c.args[3]), 1, c.listRules())
	changed := 0
	if l.Set(int(i), c.args[3]) {
		changed = 1
		l.Shrink(c.listRules())
		c.w.OK()
	} else {
		c.error(errOutOfRange)
	}
	c.grown(key, l, before, changed, config.NotifyList, "lset")
}

func linsert(c *Client) {
	after := c.is(2, "after")
	if !after && !c.is(2, "before") {
		c.error(errSyntax)
		return
	}
	key := c.args[1]
	r, ok := c.writeTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil {
		c.w.Int(0)
		return
	}
	_, l := c.ownList(r, key)
	before := l.Size()
	// As with LSET, whether there is a pivot is found out later.
	l.Grow(len(c.args[4]), 1, c.listRules())
	added := 0
	if l.Insert(c.args[3], c.args[4], after) {
		added = 1
		c.w.Int(int64(l.Len()))
	} else {
		c.w.Int(-1)
	}
	c.grown(key, l, before, added, config.NotifyList, "linsert")
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

func lrange(c *Client) {
	start, ok := c.int64Arg(2)
	if !ok {
		return
	}
	stop, ok := c.int64Arg(3)
	if !ok {
		return
	}
	l, ok := c.readList()
	if !ok {
		return
	}
	if l == nil {
		c.w.Array(0)
		return
	}
	first, n := span(start, stop, l.Len())
	c.w.Array(n)
	l.Range(first, n, false, c.bulkValue)
}

func ltrim(c *Client) {
	start, ok := c.int64Arg(2)
	if !ok {
		return
	}
	stop, ok := c.int64Arg(3)
	if !ok {
		return
	}
	key := c.args[1]
	r, ok := c.writeTyped(key, record.List)
	if !ok {
		return
	}
	c.w.OK()
	if r == nil {
		return
	}
	r, l := c.ownList(r, key)
	before, length := l.Size(), l.Len()
	first, n := span(start, stop, length)
	if n == 0 {
		first = length
	}
	l.Trim(first, length-first-n)
	c.elementsRemoved(r, l, before, length-n, "ltrim")
}

func lrem(c *Client) {
	count, ok := c.int64Arg(2)
	if !ok {
		return
	}
	key := c.args[1]
	r, ok := c.writeTyped(key, record.List)
	if !ok {
		return
	}
	if r == nil || !record.Value[list.List](r).Has(c.args[3]) {
		c.w.Int(0)
		return
	}
	r, l := c.ownList(r, key)
	before := l.Size()
	n := l.Remove(c.args[3], int(count))
	c.elementsRemoved(r, l, before, n, "lrem")
	c.w.Int(int64(n))
}

const (
	errZeroRank       = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
	errNegativeCount  = "ERR COUNT can't be negative"
	errNegativeMaxLen = "ERR MAXLEN can't be negative"
)

// atLeast parses argument i as a number that is not below least; if it is, it replies with msg.
func (c *Client) atLeast(i int, least int64, msg string) (int64, bool) {
	n, ok := resp.ParseInt(c.args[i])
	if !ok || n < least {
		c.error(msg)
		return 0, false
	}
	return n, true
}

func lpos(c *Client) {
	rank, count, maxlen := int64(1), int64(-1), int64(0)
	for i := 3; i < len(c.args); i += 2 {
		ok := i+1 < len(c.args)
		switch {
		case ok && c.is(i, "rank"):
			if rank, ok = c.countArg(i + 1); !ok {
				return
			}
			if rank == 0 {
				c.error(errZeroRank)
				return
			}
		case ok && c.is(i, "count"):
			if count, ok = c.atLeast(i+1, 0, errNegativeCount); !ok {
				return
			}
		case ok && c.is(i, "maxlen"):
			if maxlen, ok = c.atLeast(i+1, 0, errNegativeMaxLen); !ok {
				return
			}
		default:
			c.error(errSyntax)
			return
		}
	}
	l, ok := c.readList()
	if !ok {
		return
	}
	if count < 0 {
		at := -1
		if l != nil {
			l.Positions(c.args[2], int(rank), 1, int(maxlen), func(i int) { at = i })
		}
		if at < 0 {
			c.w.Null()
		} else {
			c.w.Int(int64(at))
		}
		return
	}
	if l == nil {
		c.w.Array(0)
		return
	}
	m, n := c.w.BeginArray(), 0
	l.Positions(c.args[2], int(rank), int(count), int(maxlen), func(i int) {
		c.w.Int(int64(i))
		n++
	})
	c.w.EndArray(m, n)
}
