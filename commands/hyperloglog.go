package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/hyperloglog"
	"ferrous/datatypes/record"
)

// HyperLogLog: strings in the format of package hyperloglog. They are ordinary strings to all other commands, and so each
// command here first sees whether the string is one.
//
// Dense values are written in place. Sparse ones, which are short and change their length with nearly every element, are
// changed in a copy on the stack that is written back once.
var hyperloglogCommands = []Command{
	{Name: "pfadd", Arity: -2, Flags: Write | DenyOOM | Fast, ACL: CatHyperLogLog, Handler: pfadd,
		Group: GroupHyperLogLog, Since: "2.8.9",
		Complexity: "O(1) for each element.",
		Summary:    "Adds elements to a HyperLogLog, which is created if it does not exist.",
		Keys:       oneKey(KeyRW | KeyInsert),
		Args:       []Arg{aKey("key"), aString("element").multiple().optional()}},
	{Name: "pfcount", Arity: -2, Flags: ReadOnly | MayReplicate, ACL: CatHyperLogLog, Handler: pfcount,
		Group: GroupHyperLogLog, Since: "2.8.9",
		Complexity: "O(1) for one key, mostly answered from the count that is kept in the value. O(N) with N the number of keys otherwise, with a much larger constant.",
		Summary:    "Estimates the number of different elements in a HyperLogLog, or in the union of several.",
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess, Index: 1, Last: -1, Step: 1,
			Notes: "RW because it may change the internal representation of the key, and propagate to replicas"}},
		Args: []Arg{aKey("key").multiple()}},
	{Name: "pfdebug", Arity: 3, Flags: Write | DenyOOM | Admin, ACL: CatHyperLogLog, Handler: pfdebug, SysCmd: true,
		Group: GroupHyperLogLog, Since: "2.8.9", Complexity: "N/A",
		Summary: "Shows the insides of a HyperLogLog.",
		Keys:    []KeySpec{{Flags: KeyRW | KeyAccess, Index: 2, Step: 1}},
		Args:    []Arg{aString("subcommand"), aKey("key")}},
	{Name: "pfmerge", Arity: -2, Flags: Write | DenyOOM, ACL: CatHyperLogLog, Handler: pfmerge,
		Group: GroupHyperLogLog, Since: "2.8.9",
		Complexity: "O(N) with N the number of keys, with a large constant.",
		Summary:    "Adds the elements of HyperLogLogs to another, which is created if it does not exist.",
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyInsert, Index: 1, Step: 1},
			{Flags: KeyRO | KeyAccess, Index: 2, Last: -1, Step: 1}},
		Args: []Arg{aKey("destkey"), Arg{Name: "sourcekey", Type: ArgKey, Key: 1}.multiple().optional()}},
	{Name: "pfselftest", Arity: 1, Flags: Admin, ACL: CatHyperLogLog, Handler: pfselftest, SysCmd: true,
		Group: GroupHyperLogLog, Since: "2.8.9", Complexity: "N/A",
		Summary: "Tests the implementation of HyperLogLog."},
}

// sparseScratch has room for sparse values of the default hll-sparse-max-bytes.
type sparseScratch [3072]byte

// hllOf returns the bytes of r, which must be a HyperLogLog: to be read until the key is next changed. If it is not one
// it has replied.
func (c *Client) hllOf(r *record.Record) ([]byte, bool) {
	if !c.typed(r, record.String) {
		return nil, false
	}
	if r.Encoding() != record.Int {
		if b := r.String(nil); hyperloglog.Valid(b) {
			return b, true
		}
	}
	c.error(errNotHLL)
	return nil, false
}

// rawHLL is hllOf for commands that may write: as in Redis, the string is raw from then on. It returns the record that
// now stands for the key. The bytes are still only to be read.
func (c *Client) rawHLL(key []byte, r *record.Record) (*record.Record, []byte, bool) {
	b, ok := c.hllOf(r)
	if ok && r.Encoding() != record.Raw {
		b = c.db.Edit(key, r, len(b), 0)
		r = c.db.Peek(key)
	}
	return r, b, ok
}

// putHLL stores a value whose old bytes are those of r, nil if the key is new.
func (c *Client) putHLL(key []byte, r *record.Record, b []byte) {
	copy(c.editHLL(key, r, len(b)), b)
}

// editHLL makes the string n bytes long and returns them to be written. Sparse values get some room to grow, as in Redis.
func (c *Client) editHLL(key []byte, r *record.Record, n int) []byte {
	room := n
	if n < hyperloglog.DenseSize {
		room = max(n, min(n+300, c.srv.cfg.HLLSparseMaxBytes))
	}
	return c.db.Edit(key, r, n, room)
}

func pfadd(c *Client) {
	key := c.args[1]
	r := c.write(key)
	var scratch sparseScratch
	var b []byte
	changes := 0
	if r == nil {
		b = hyperloglog.AppendEmpty(scratch[:0])
		changes++
	} else {
		var old []byte
		var ok bool
		if r, old, ok = c.rawHLL(key, r); !ok {
			return
		}
		if hyperloglog.EncodingOf(old) == hyperloglog.Dense {
			c.pfaddDense(key, r, old)
			return
		}
		b = append(scratch[:0], old...)
	}
	var err error
	for _, element := range c.args[2:] {
		index, rank := hyperloglog.Locate(element)
		var changed bool
		if b, changed, err = hyperloglog.Set(b, index, rank, c.srv.cfg.HLLSparseMaxBytes); err != nil {
			break
		}
		if changed {
			changes++
		}
	}
	if changes > 0 {
		hyperloglog.Invalidate(b)
		c.putHLL(key, r, b)
		c.pfadded(key, changes)
	}
	if err != nil {
		c.error(errCorruptHLL)
		return
	}
	c.w.Int(int64(min(changes, 1)))
}

// pfaddDense is PFADD to a dense value. The value is not written unless a register rises: a snapshot may be reading it.
func (c *Client) pfaddDense(key []byte, r *record.Record, b []byte) {
	changes := 0
	for _, element := range c.args[2:] {
		index, rank := hyperloglog.Locate(element)
		if hyperloglog.DenseRegister(b, index) >= rank {
			continue
		}
		if changes++; changes == 1 {
			b = c.db.Edit(key, r, len(b), len(b))
			hyperloglog.Invalidate(b)
		}
		hyperloglog.SetDenseRegister(b, index, rank)
	}
	if changes > 0 {
		c.pfadded(key, changes)
	}
	c.w.Int(int64(min(changes, 1)))
}

// pfadded reports that a HyperLogLog was changed, by so many elements.
func (c *Client) pfadded(key []byte, changes int) {
	c.changed(key, changes, config.NotifyString, "pfadd")
}

func pfcount(c *Client) {
	if len(c.args) > 2 {
		var u hyperloglog.Union
		if c.unite(&u, c.args[1:], nil) {
			c.w.Int(int64(u.Count()))
		}
		return
	}
	key := c.args[1]
	r := c.read(key)
	if r == nil {
		c.w.Int(0)
		return
	}
	r, b, ok := c.rawHLL(key, r)
	if !ok {
		return
	}
	n, cached := hyperloglog.Cached(b)
	if !cached {
		var err error
		if n, err = hyperloglog.Count(b); err != nil {
			c.error(errCorruptHLL)
			return
		}
		hyperloglog.SetCached(c.db.Edit(key, r, len(b), len(b)), n)
		c.modified(key) // the value is other bytes now, and stays equal on replicas; not an event, though
	}
	c.w.Int(int64(n))
}

// unite adds the values of keys to u; missing keys are empty. It calls each, unless nil, for every value. If one is no
// HyperLogLog, or corrupt, it has replied.
func (c *Client) unite(u *hyperloglog.Union, keys [][]byte, each func(hyperloglog.Encoding)) bool {
	for _, key := range keys {
		r := c.read(key)
		if r == nil {
			continue
		}
		b, ok := c.hllOf(r)
		if !ok {
			return false
		}
		if each != nil {
			each(hyperloglog.EncodingOf(b))
		}
		if u.Add(b) != nil {
			c.error(errCorruptHLL)
			return false
		}
	}
	return true
}

func pfmerge(c *Client) {
	var u hyperloglog.Union
	dense := false
	if !c.unite(&u, c.args[1:], func(e hyperloglog.Encoding) { dense = dense || e == hyperloglog.Dense }) {
		return
	}
	dest := c.args[1]
	r := c.write(dest)
	var scratch sparseScratch
	var b []byte
	if r == nil {
		b = hyperloglog.AppendEmpty(scratch[:0])
	} else {
		b = append(scratch[:0], r.String(nil)...)
	}
	// The union of dense values is dense, even where it need not be.
	var err error
	if dense {
		b, err = hyperloglog.ToDense(b)
	}
	if err == nil {
		b, err = u.MergeInto(b, c.srv.cfg.HLLSparseMaxBytes)
	}
	if err != nil {
		c.error(errCorruptHLL)
		return
	}
	c.putHLL(dest, r, b)
	c.pfadded(dest, 1)
	c.w.OK()
}

func pfdebug(c *Client) {
	key := c.args[2]
	r := c.write(key)
	if r == nil {
		c.error(errNoHLLKey)
		return
	}
	r, b, ok := c.rawHLL(key, r)
	if !ok {
		return
	}
	sparse := hyperloglog.EncodingOf(b) == hyperloglog.Sparse
	switch {
	case c.is(1, "getreg"):
		if b, ok = c.pfToDense(key, r, b); !ok {
			return
		}
		c.w.Array(hyperloglog.Registers)
		for i := range hyperloglog.Registers {
			c.w.Int(int64(hyperloglog.DenseRegister(b, i)))
		}
	case c.is(1, "decode"):
		if !sparse {
			c.error(errDenseHLL)
			return
		}
		c.w.Bulk(hyperloglog.AppendRuns(nil, b))
	case c.is(1, "encoding"):
		c.w.Status(hyperloglog.EncodingOf(b).String())
	case c.is(1, "todense"):
		if _, ok = c.pfToDense(key, r, b); !ok {
			return
		}
		if sparse {
			c.w.Int(1)
		} else {
			c.w.Int(0)
		}
	default:
		c.error(errUnknownPFDebug(c.args[1]))
	}
}

// pfToDense makes the value at key dense and returns its bytes. On failure it has replied.
func (c *Client) pfToDense(key []byte, r *record.Record, b []byte) ([]byte, bool) {
	if hyperloglog.EncodingOf(b) == hyperloglog.Dense {
		return b, true
	}
	d, err := hyperloglog.ToDense(b)
	if err != nil {
		c.error(errCorruptHLL)
		return nil, false
	}
	c.putHLL(key, r, d)
	c.modified(key)
	return d, true
}

func pfselftest(c *Client) {
	if err := hyperloglog.SelfTest(c.srv.ks.Random, c.srv.cfg.HLLSparseMaxBytes); err != nil {
		c.error("ERR " + err.Error())
		return
	}
	c.w.OK()
}
