package rdb

import (
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/serial"
)

// Writing keys. Strings are written here; other values write themselves (keyspace.Value, WriteRDB) through output.

// entry writes a key with its value and its attributes.
func (w *writer) entry(r *record.Record, o *Options) {
	if e := r.Expiry(); e != record.NoExpiry {
		w.byte(opExpireMs)
		w.uint64(uint64(e))
	}
	switch {
	case o.Freq != nil:
		w.byte(opFreq)
		w.byte(o.Freq.Counter(r.Clock()))
	case o.Idle:
		w.byte(opIdle)
		w.length(uint64((o.Clock-r.Clock())&record.ClockMask) / keyspace.ClocksPerSecond)
	}
	w.key, w.keyed = r.Key(), true
	w.typeAndValue(r)
}

// typeAndValue writes the type of r, the key in w.key if w.keyed, and the value.
func (w *writer) typeAndValue(r *record.Record) {
	if r.Type() != record.String {
		keyspace.ValueOf(r).WriteRDB((*output)(w))
		return
	}
	w.begin(typeString)
	if r.Encoding() == record.Int {
		w.int(r.Int())
	} else {
		w.text(r.String(nil))
	}
}

// begin writes a type, and the key in w.key if w.keyed.
func (w *writer) begin(t Type) {
	w.began = t
	w.byte(byte(t))
	if w.keyed {
		w.text(w.key)
		w.key, w.keyed = nil, false
	}
}

// output is the writer as values see it: a serial.RDB.
type output writer

func (o *output) Version() int                 { return o.version }
func (o *output) Fixed() bool                  { return o.fixed }
func (o *output) Need(v int, what string)      { (*writer)(o).need(v, what) }
func (o *output) Begin(t serial.Type)          { (*writer)(o).begin(Type(t)) }
func (o *output) Length(n uint64)              { (*writer)(o).length(n) }
func (o *output) Text(b []byte)                { (*writer)(o).text(b) }
func (o *output) Element(v listpack.Value)     { (*writer)(o).value(v) }
func (o *output) Uint64(n uint64)              { (*writer)(o).uint64(n) }
func (o *output) Double(f float64)             { (*writer)(o).double(f) }
func (o *output) Raw(b []byte)                 { (*writer)(o).raw(b) }
func (o *output) LZF(compressed []byte, n int) { (*writer)(o).blobLZF(compressed, n) }
func (o *output) OK() bool                     { return o.err == nil }
