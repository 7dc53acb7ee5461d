package strings

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/hyperloglog"
	"ferrous/datatypes/record"
)

// HyperLogLog: strings in the format of package hyperloglog. All other commands treat them as strings, so each command here
// first checks the format.
//
// Dense values are written in place. Sparse ones, which are short and change their length with nearly every element, are
// changed in a copy on the stack that is written back once.
var hyperloglogCommands = []session.Command{
	{Name: "pfadd", Arity: -2, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHyperLogLog, Handler: pfadd,
		Group: session.GroupHyperLogLog, Since: "2.8.9",
		Complexity: "O(1) for each element.",
		Summary:    "Adds elements to a HyperLogLog, which is created if it does not exist.",
		Keys:       session.OneKey(session.KeyRW | session.KeyInsert),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("element").Many().Opt()}},
	{Name: "pfcount", Arity: -2, Flags: session.ReadOnly | session.MayReplicate, ACL: session.CatHyperLogLog, Handler: pfcount,
		Group: session.GroupHyperLogLog, Since: "2.8.9",
		Complexity: "O(1) for one key, mostly answered from the count that is kept in the value. O(N) with N the number of keys otherwise, with a much larger constant.",
		Summary:    "Estimates the number of different elements in a HyperLogLog, or in the union of several.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess, Index: 1, Last: -1, Step: 1,
			Notes: "RW because it may change the internal representation of the key, and propagate to replicas"}},
		Args: []session.Arg{session.KeyArg("key").Many()}},
	{Name: "pfdebug", Arity: 3, Flags: session.Write | session.DenyOOM | session.Admin, ACL: session.CatHyperLogLog, Handler: pfdebug, SysCmd: true,
		Group: session.GroupHyperLogLog, Since: "2.8.9", Complexity: "N/A",
		Summary: "Shows the insides of a HyperLogLog.",
		Keys:    []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess, Index: 2, Step: 1}},
		Args:    []session.Arg{session.StringArg("subcommand"), session.KeyArg("key")}},
	{Name: "pfmerge", Arity: -2, Flags: session.Write | session.DenyOOM, ACL: session.CatHyperLogLog, Handler: pfmerge,
		Group: session.GroupHyperLogLog, Since: "2.8.9",
		Complexity: "O(N) with N the number of keys, with a large constant.",
		Summary:    "Adds the elements of HyperLogLogs to another, which is created if it does not exist.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyInsert, Index: 1, Step: 1},
			{Flags: session.KeyRO | session.KeyAccess, Index: 2, Last: -1, Step: 1}},
		Args: []session.Arg{session.KeyArg("destkey"), session.Arg{Name: "sourcekey", Type: session.ArgKey, Key: 1}.Many().Opt()}},
	{Name: "pfselftest", Arity: 1, Flags: session.Admin, ACL: session.CatHyperLogLog, Handler: pfselftest, SysCmd: true,
		Group: session.GroupHyperLogLog, Since: "2.8.9", Complexity: "N/A",
		Summary: "Tests the implementation of HyperLogLog."},
}

// sparseScratch has room for sparse values of the default hll-sparse-max-bytes.
type sparseScratch [3072]byte

// hllOf returns the bytes of r, which must be a HyperLogLog. They may be read until the next change of the key. If r is not
// one it has replied.
func hllOf(c *session.Client, r *record.Record) ([]byte, bool) {
	if !c.Typed(r, record.String) {
		return nil, false
	}
	if r.Encoding() != record.Int {
		if b := r.String(nil); hyperloglog.Valid(b) {
			return b, true
		}
	}
	c.Error(session.ErrNotHLL)
	return nil, false
}

// rawHLL is hllOf for commands that may write: as in Redis, the string is raw from then on. It returns the key's present
// record. The bytes must only be read.
func rawHLL(c *session.Client, key []byte, r *record.Record) (*record.Record, []byte, bool) {
	b, ok := hllOf(c, r)
	if ok && r.Encoding() != record.Raw {
		b = c.DB.Edit(key, r, len(b), 0)
		r = c.DB.Peek(key)
	}
	return r, b, ok
}

// putHLL stores a value whose old bytes are those of r, nil if the key is new.
func putHLL(c *session.Client, key []byte, r *record.Record, b []byte) {
	copy(editHLL(c, key, r, len(b)), b)
}

// editHLL makes the string n bytes long and returns its bytes for writing. Sparse values get some room to grow, as in Redis.
func editHLL(c *session.Client, key []byte, r *record.Record, n int) []byte {
	room := n
	if n < hyperloglog.DenseSize {
		room = max(n, min(n+300, c.Core.Config.HLLSparseMaxBytes))
	}
	return c.DB.Edit(key, r, n, room)
}

func pfadd(c *session.Client) {
	key := c.Args[1]
	r := c.Write(key)
	var scratch sparseScratch
	var b []byte
	changes := 0
	if r == nil {
		b = hyperloglog.AppendEmpty(scratch[:0])
		changes++
	} else {
		var old []byte
		var ok bool
		if r, old, ok = rawHLL(c, key, r); !ok {
			return
		}
		if hyperloglog.EncodingOf(old) == hyperloglog.Dense {
			pfaddDense(c, key, r, old)
			return
		}
		b = append(scratch[:0], old...)
	}
	var err error
	for _, element := range c.Args[2:] {
		index, rank := hyperloglog.Locate(element)
		var changed bool
		if b, changed, err = hyperloglog.Set(b, index, rank, c.Core.Config.HLLSparseMaxBytes); err != nil {
			break
		}
		if changed {
			changes++
		}
	}
	if changes > 0 {
		hyperloglog.Invalidate(b)
		putHLL(c, key, r, b)
		pfadded(c, key, changes)
	}
	if err != nil {
		c.Error(session.ErrCorruptHLL)
		return
	}
	c.W.Int(int64(min(changes, 1)))
}

// pfaddDense is PFADD to a dense value. It begins to write only when a register must rise, so that it does not copy a value
// that a snapshot needs without reason.
func pfaddDense(c *session.Client, key []byte, r *record.Record, b []byte) {
	changes := 0
	for _, element := range c.Args[2:] {
		index, rank := hyperloglog.Locate(element)
		if hyperloglog.DenseRegister(b, index) >= rank {
			continue
		}
		if changes++; changes == 1 {
			b = c.DB.Edit(key, r, len(b), len(b))
			hyperloglog.Invalidate(b)
		}
		hyperloglog.SetDenseRegister(b, index, rank)
	}
	if changes > 0 {
		pfadded(c, key, changes)
	}
	c.W.Int(int64(min(changes, 1)))
}

// pfadded reports that changes elements have changed a HyperLogLog.
func pfadded(c *session.Client, key []byte, changes int) {
	c.Changed(key, changes, config.NotifyString, "pfadd")
}

func pfcount(c *session.Client) {
	if len(c.Args) > 2 {
		var u hyperloglog.Union
		if unite(c, &u, c.Args[1:], nil) {
			c.W.Int(int64(u.Count()))
		}
		return
	}
	key := c.Args[1]
	r := c.Read(key)
	if r == nil {
		c.W.Int(0)
		return
	}
	r, b, ok := rawHLL(c, key, r)
	if !ok {
		return
	}
	n, cached := hyperloglog.Cached(b)
	if !cached {
		var err error
		if n, err = hyperloglog.Count(b); err != nil {
			c.Error(session.ErrCorruptHLL)
			return
		}
		hyperloglog.SetCached(c.DB.Edit(key, r, len(b), len(b)), n)
		c.Modified(key) // the bytes of the value have changed, and must change on replicas, too; but this is not an event
	}
	c.W.Int(int64(n))
}

// unite adds the values of keys to u; missing keys are empty. It calls each, unless nil, for every value. If one is not a
// HyperLogLog, or is corrupt, it has replied.
func unite(c *session.Client, u *hyperloglog.Union, keys [][]byte, each func(hyperloglog.Encoding)) bool {
	for _, key := range keys {
		r := c.Read(key)
		if r == nil {
			continue
		}
		b, ok := hllOf(c, r)
		if !ok {
			return false
		}
		if each != nil {
			each(hyperloglog.EncodingOf(b))
		}
		if u.Add(b) != nil {
			c.Error(session.ErrCorruptHLL)
			return false
		}
	}
	return true
}

func pfmerge(c *session.Client) {
	var u hyperloglog.Union
	dense := false
	if !unite(c, &u, c.Args[1:], func(e hyperloglog.Encoding) { dense = dense || e == hyperloglog.Dense }) {
		return
	}
	dest := c.Args[1]
	r := c.Write(dest)
	var scratch sparseScratch
	var b []byte
	if r == nil {
		b = hyperloglog.AppendEmpty(scratch[:0])
	} else {
		b = append(scratch[:0], r.String(nil)...)
	}
	// The union of dense values is dense, even if it need not be.
	var err error
	if dense {
		b, err = hyperloglog.ToDense(b)
	}
	if err == nil {
		b, err = u.MergeInto(b, c.Core.Config.HLLSparseMaxBytes)
	}
	if err != nil {
		c.Error(session.ErrCorruptHLL)
		return
	}
	putHLL(c, dest, r, b)
	pfadded(c, dest, 1)
	c.W.OK()
}

func pfdebug(c *session.Client) {
	key := c.Args[2]
	r := c.Write(key)
	if r == nil {
		c.Error(session.ErrNoHLLKey)
		return
	}
	r, b, ok := rawHLL(c, key, r)
	if !ok {
		return
	}
	sparse := hyperloglog.EncodingOf(b) == hyperloglog.Sparse
	switch {
	case c.Is(1, "getreg"):
		if b, ok = pfToDense(c, key, r, b); !ok {
			return
		}
		c.W.Array(hyperloglog.Registers)
		for i := range hyperloglog.Registers {
			c.W.Int(int64(hyperloglog.DenseRegister(b, i)))
		}
	case c.Is(1, "decode"):
		if !sparse {
			c.Error(session.ErrDenseHLL)
			return
		}
		c.W.Bulk(hyperloglog.AppendRuns(nil, b))
	case c.Is(1, "encoding"):
		c.W.Status(hyperloglog.EncodingOf(b).String())
	case c.Is(1, "todense"):
		if _, ok = pfToDense(c, key, r, b); !ok {
			return
		}
		if sparse {
			c.W.Int(1)
		} else {
			c.W.Int(0)
		}
	default:
		c.Error(session.ErrUnknownPFDebug(c.Args[1]))
	}
}

// pfToDense makes the value at key dense and returns its bytes. On failure it has replied.
func pfToDense(c *session.Client, key []byte, r *record.Record, b []byte) ([]byte, bool) {
	if hyperloglog.EncodingOf(b) == hyperloglog.Dense {
		return b, true
	}
	d, err := hyperloglog.ToDense(b)
	if err != nil {
		c.Error(session.ErrCorruptHLL)
		return nil, false
	}
	putHLL(c, key, r, d)
	c.Modified(key)
	return d, true
}

func pfselftest(c *session.Client) {
	if err := hyperloglog.SelfTest(c.Core.Keyspace.Random, c.Core.Config.HLLSparseMaxBytes); err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	c.W.OK()
}
