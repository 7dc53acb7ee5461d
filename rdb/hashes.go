package rdb

import (
	"ferrous/datatypes/hash"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
)

// Hashes with deadlines of fields. Redis 7.4 writes small ones as the listpack of triples that they are in memory, large
// ones as deadline, field and value alternately, where the deadline is 0 for none, else relative to the earliest one (plus
// one). The earliest deadline precedes both forms. The release candidates of 7.4 had types of their own, without the earliest
// deadline and with absolute deadlines. In Valkey 9 the first of these types has another meaning: field, value and deadline
// alternately, the deadline in eight bytes and -1 for none.

const (
	reasonTwiceInHash = "Duplicate hash fields detected"
	reasonTwiceInPack = "Hash listpack with dup elements"
	reasonDeadline    = "Hash read invalid expire time value"
)

func (d *decoder) hash(t Type) *hash.Hash {
	rules := d.rules.Hash
	switch t {
	case typeHashZipmap:
		h := hash.New(d.gen)
		d.zipmap(d.blob(), func(field, value []byte) {
			if !h.Set(field, value, rules, d.gen) {
				d.fail("Hash zipmap with dup elements")
			}
		})
		return h
	case typeHashZiplist:
		return d.packedHash(d.ziplistPairs("Hash ziplist").ShrinkToFit(), false)
	case typeHashListpack:
		return d.packedHash(d.pack(2), true)
	case typeHashListpackEx:
		d.uint64() // the earliest deadline, which the listpack begins with
		return d.timedPack(d.pack(3))
	case typeHashPackPreGA:
		return d.timedPack(d.pack(3))
	case typeHashTTL, typeHashTTLPreGA:
		return d.timedFields(t)
	}
	n := d.length()
	if n == 0 {
		return nil
	}
	h := d.newHash(n)
	for ; n > 0; n-- {
		d.scratch = append(d.scratch[:0], d.string()...)
		if !h.Add(d.scratch, d.string(), rules, d.gen) {
			d.odd(reasonTwiceInHash, fieldTwice)
		}
	}
	return h
}

// newHash returns a hash for n fields.
func (d *decoder) newHash(n uint64) *hash.Hash {
	if n > uint64(max(d.rules.Hash.Entries, 0)) {
		return hash.NewLarge(d.plausible(n, elementBytes), d.gen)
	}
	return hash.New(d.gen)
}

// packedHash returns the hash of a listpack of fields and values.
func (d *decoder) packedHash(lp listpack.Listpack, check bool) *hash.Hash {
	n := lp.Len() / 2
	switch {
	case n == 0:
		return nil
	case n <= d.rules.Hash.Entries:
		if check {
			lp = d.unique(lp, 2, fieldTwice)
		}
		return hash.FromListpack(lp, d.gen)
	}
	h := hash.NewLarge(n, d.gen)
	var fieldText, valueText [20]byte
	for p := listpack.HeaderSize; p != lp.End(); {
		var field, value listpack.Value
		field, p = lp.Read(p)
		value, p = lp.Read(p)
		if !h.Add(elementText(field, fieldText[:0]), elementText(value, valueText[:0]), d.rules.Hash, d.gen) {
			d.odd(reasonTwiceInPack, fieldTwice)
		}
	}
	return h
}

// timedPack returns the hash of a listpack of fields, values and deadlines. It always checks that fields are different and
// deadlines in order, since expiry relies on both.
func (d *decoder) timedPack(lp listpack.Listpack) *hash.Hash {
	n := lp.Len() / 3
	if n == 0 {
		return nil
	}
	if !d.distinct(lp, 3) {
		d.fail(reasonTwice)
	}
	if n <= d.rules.Hash.Entries {
		for p := listpack.HeaderSize; p != lp.End(); {
			_, p = lp.Read(p)
			_, p = lp.Read(p)
			var when listpack.Value
			when, p = lp.Read(p)
			d.packedDeadline(when)
		}
		h, err := hash.NewListpackEx(lp, d.gen)
		if err != nil {
			d.failf("Hash listpack integrity check failed: %v", err)
		}
		return h
	}
	h := hash.NewLarge(n, d.gen)
	var fieldText, valueText [20]byte
	for p := listpack.HeaderSize; p != lp.End(); {
		var field, value, when listpack.Value
		field, p = lp.Read(p)
		value, p = lp.Read(p)
		when, p = lp.Read(p)
		deadline := d.packedDeadline(when)
		if deadline == 0 {
			deadline = record.NoExpiry
		}
		d.timedField(h, elementText(field, fieldText[:0]), elementText(value, valueText[:0]), deadline)
	}
	return h
}

// packedDeadline returns the deadline of an element of a listpack, 0 for none. It refuses deadlines that are too late: once
// the hash became large, no server would load a dump of it.
func (d *decoder) packedDeadline(v listpack.Value) int64 {
	when, ok := v.Integer()
	if !ok || when < 0 || when > maxFieldDeadline {
		d.fail(reasonDeadline)
	}
	return when
}

// timedField adds a field to a hash.
func (d *decoder) timedField(h *hash.Hash, field, value []byte, when int64) {
	if !h.Set(field, value, d.rules.Hash, d.gen) {
		d.fail(reasonTwiceInHash)
	}
	if when != record.NoExpiry {
		h.SetDeadline(field, when, d.gen)
	}
}

// timedFields reads the RDB types with deadlines that are not listpacks.
func (d *decoder) timedFields(t Type) *hash.Hash {
	earliest := uint64(0)
	if t == typeHashTTL {
		if earliest = d.uint64(); earliest > noFieldDeadline {
			d.fail("Hash read invalid minExpire value")
		}
	}
	n := d.length()
	if n == 0 {
		return nil
	}
	h := d.newHash(n)
	for ; n > 0; n-- {
		var when uint64
		if !d.valkey {
			when = d.length()
			if when > maxFieldDeadline {
				d.fail(reasonDeadline)
			}
			if t == typeHashTTL && when > 0 {
				if when += earliest - 1; when == 0 || when > maxFieldDeadline { // 0: the sum does not fit
					d.fail(reasonDeadline)
				}
			}
		}
		d.scratch = append(d.scratch[:0], d.string()...)
		value := d.string()
		if !d.valkey {
			deadline := int64(when)
			if when == 0 {
				deadline = record.NoExpiry
			}
			d.timedField(h, d.scratch, value, deadline)
			continue
		}
		// The deadline is behind the value, which must be kept for that long.
		field := len(d.scratch)
		d.scratch = append(d.scratch, value...)
		deadline := int64(d.uint64())
		if deadline != record.NoExpiry && (deadline <= 0 || deadline > maxFieldDeadline) {
			d.fail(reasonDeadline)
		}
		d.timedField(h, d.scratch[:field], d.scratch[field:], deadline)
	}
	return h
}
