// Package record holds the unit that every hash table of Ferrous stores: a key with its value, deadline and access
// clock, in one heap object wherever possible. Keyspaces, large sets, hashes and the member index of sorted sets all
// store records, so one table serves them all.
//
// # Layout
//
// A *Record points to a header word; its flags say which of two shapes follows.
//
//	inline   header | expiry, if flagExpiry | length of a huge key, if flagHugeKey | payload | key | value bytes
//	packed   header | expiry, if flagExpiry | size | key | bytes of the collection                    (inline, too)
//	object   header | pointer to the value | expiry, if flagExpiry | key            (struct near)
//	         header | pointer to the value | expiry | pointer to the key's bytes    (struct far, if flagFarKey)
//
// An inline record is one pointer-free allocation that the garbage collector never scans. Its payload is eight bytes for the
// encodings that are a number (Int, and Score for members of sorted sets), none for Element (members of sets), else the
// two-byte length of the value bytes that follow the key. Strings of up to MaxInline bytes are inline; longer ones and
// large collections are objects.
//
// A packed record is the inline record of a small collection: its value bytes are the collection's listpack or intset, which
// says itself how long it is. The two bytes of its payload are the size of the record in words, which does not follow from the
// length: a collection that has become a little shorter keeps its memory.
//
// An object contains its key if both fit into nearMax bytes together; a longer key is a separate allocation.
//
// The header word, from the lowest bit: type 4, encoding 4, flags 5, access clock 31, key length 20. A key of
// hugeKey bytes or more has its length in a word of its own.
//
// # Rules
//
// A record's key never changes, so slices of it stay valid as long as they are held. Everything else may be written in place
// only while no snapshot can reach the record (see package cow); otherwise the record is replaced. The methods here do not
// check that; their callers (package keyspace, the collections) do.
//
// All use of unsafe for records is in this file. The garbage collector sees an inline record as memory without
// pointers and an object as the struct it is; both are kept alive by the pointer to their header.
package record

import (
	"math"
	"strconv"
	"unsafe"

	"ferrous/datatypes/mem"
)

// Type is the type of a value, numbered as in Redis.
type Type uint8

// The types of values.
const (
	String Type = iota
	List
	Set
	ZSet
	Hash
	Module
	Stream
)

var typeNames = [...]string{"string", "list", "set", "zset", "hash", "module", "stream"}

// NumTypes is the number of types.
const NumTypes = Type(len(typeNames))

// String returns the reply of TYPE.
func (t Type) String() string { return typeNames[t] }

// Encoding is the representation of a value. For an object it says, with Type, what Value points to.
type Encoding uint8

// The encodings. Member, Score and Element are for the elements of large collections, never for keys.
const (
	Raw Encoding = iota
	Int
	EmbStr
	ListPack
	ListPackEx
	QuickList
	IntSet
	HashTable
	SkipList
	StreamTree
	Member  // a field of a hash with its value
	Score   // a member of a sorted set with its score
	Element // a member of a set
)

var encodingNames = [...]string{"raw", "int", "embstr", "listpack", "listpackex", "quicklist", "intset", "hashtable",
	"skiplist", "stream", "member", "score", "element"}

// String returns the reply of OBJECT ENCODING.
func (e Encoding) String() string { return encodingNames[e] }

const (
	flagInline  = 1 << 8
	flagExpiry  = 1 << 9 // there is room for a deadline
	flagHugeKey = 1 << 10
	flagMoved   = 1 << 11 // object only: see Moved
	flagFarKey  = 1 << 12 // object only: the key is a separate allocation, and flagExpiry is set

	encodingShift = 4
	clockShift    = 13
	keyLenShift   = 44

	// ClockMask has the bits of the access clock.
	ClockMask = 1<<31 - 1

	clockBits = ClockMask << clockShift

	hugeKey = 1<<20 - 1

	// MaxEmbStr is the length up to which OBJECT ENCODING calls a string embstr, as in Redis.
	MaxEmbStr = 44
	// MaxInline is the length up to which a string's bytes are in the record. Up to this length a second allocation costs
	// more than copying the bytes when the record must be replaced.
	MaxInline = 512

	// MaxPacked is the length up to which a small collection is packed. Longer ones gain little by it: some 32 bytes a key.
	MaxPacked = 1024
	// maxPackedKey is the length of the longest key of a packed record.
	maxPackedKey = 4096

	// NoExpiry is the deadline of a key without one.
	NoExpiry = int64(-1)
)

// Record is the header of a record; see the package comment for what follows it in memory.
type Record struct{ header uint64 }

// object is the beginning of all objects.
type object struct {
	header uint64
	value  unsafe.Pointer
}

// near is an object that contains its key. W is the words of its size class behind the pointer.
type near[W any] struct {
	object
	_ W
}

// far is an object whose key is a separate allocation.
type far struct {
	object
	expiry int64
	key    unsafe.Pointer // *byte; a huge key is preceded by its length
}

const (
	objectSize   = int(unsafe.Sizeof(object{}))
	objectExpiry = objectSize // where the deadline is
	nearMax      = 128
)

// newNear returns a zeroed object of n bytes, at most nearMax, which fills its size class.
func newNear(n int) *object {
	switch mem.Size(n) {
	case 16, 24:
		return &new(near[[1]uint64]).object
	case 32:
		return &new(near[[2]uint64]).object
	case 48:
		return &new(near[[4]uint64]).object
	case 64:
		return &new(near[[6]uint64]).object
	case 80:
		return &new(near[[8]uint64]).object
	case 96:
		return &new(near[[10]uint64]).object
	case 112:
		return &new(near[[12]uint64]).object
	}
	return &new(near[[14]uint64]).object
}

// nearSize returns the bytes that an object of n bytes takes.
func nearSize(n int) int { return max(mem.SizePtr(n), 24) }

// Bytes is the value of a long string: a buffer that grows, and the stamp that says whether it may be written in place.
type Bytes struct {
	B     []byte
	Stamp uint64
}

func (r *Record) at(off int) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(r), off) }

// bytes returns n bytes of the record. For n = 0 it uses the record's start, since a pointer to the record's end would point
// to another object.
func (r *Record) bytes(off, n int) []byte {
	if n == 0 {
		off = 0
	}
	return unsafe.Slice((*byte)(r.at(off)), n)
}

func (r *Record) object() *object { return (*object)(unsafe.Pointer(r)) }

func (r *Record) far() *far { return (*far)(unsafe.Pointer(r)) }

// Type returns the value's type.
func (r *Record) Type() Type { return Type(r.header & 15) }

// Encoding returns the value's representation.
func (r *Record) Encoding() Encoding { return Encoding(r.header >> encodingShift & 15) }

// Inline reports whether the value is held in the record itself.
func (r *Record) Inline() bool { return r.header&flagInline != 0 }

// Clock returns the access clock: 31 bits of LRU or LFU.
func (r *Record) Clock() uint32 { return uint32(r.header>>clockShift) & ClockMask }

// SetClock sets the access clock.
func (r *Record) SetClock(c uint32) {
	r.header = r.header&^uint64(clockBits) | uint64(c&ClockMask)<<clockShift
}

// Expiry returns the deadline in Unix milliseconds, or NoExpiry.
func (r *Record) Expiry() int64 {
	switch r.header & (flagInline | flagExpiry) {
	case flagInline | flagExpiry:
		return *(*int64)(r.at(8))
	case flagExpiry:
		return *(*int64)(r.at(objectExpiry))
	}
	return NoExpiry
}

// SetExpiry sets the deadline in place and reports whether it could: an inline record, or an object that contains its key,
// has no room for a deadline if it was made without one (NoExpiry needs no room).
func (r *Record) SetExpiry(when int64) bool {
	switch r.header & (flagInline | flagExpiry) {
	case flagInline | flagExpiry:
		*(*int64)(r.at(8)) = when
	case flagExpiry:
		*(*int64)(r.at(objectExpiry)) = when
	default:
		return when == NoExpiry
	}
	return true
}

// Moved reports whether the object's value may have been under another key when a snapshot was taken: then only its own
// stamps decide whether the value may be written in place, not the position of the snapshot's walk. It stays true until the
// value is replaced, which costs one copy that might not have been needed.
func (r *Record) Moved() bool { return r.header&flagMoved != 0 }

// SetMoved makes Moved true of an object. Inline records have no value that a snapshot could share.
func (r *Record) SetMoved() {
	if r.header&flagInline == 0 {
		r.header |= flagMoved
	}
}

// payload returns the offset of an inline record's payload, and the length of its key.
func (r *Record) payload() (off, keyLen int) {
	h := r.header
	off, keyLen = 8, int(h>>keyLenShift)
	if h&flagExpiry != 0 {
		off = 16
	}
	if h&flagHugeKey != 0 {
		keyLen = int(*(*uint64)(r.at(off)))
		off += 8
	}
	return off, keyLen
}

func numeric(e Encoding) bool { return e == Int || e == Score }

func payloadSize(e Encoding) int {
	if numeric(e) {
		return 8
	}
	if e == Element {
		return 0
	}
	return 2
}

// Key returns the key. The bytes must not be written; they may be kept.
func (r *Record) Key() []byte {
	if r.header&flagInline != 0 {
		off, n := r.payload()
		return r.bytes(off+payloadSize(r.Encoding()), n)
	}
	if r.header&flagFarKey == 0 {
		off, n := r.nearKey()
		return r.bytes(off, n)
	}
	o := r.far()
	if o.header&flagHugeKey != 0 {
		return unsafe.Slice((*byte)(unsafe.Add(o.key, 8)), int(*(*uint64)(o.key)))
	}
	return unsafe.Slice((*byte)(o.key), int(o.header>>keyLenShift))
}

// nearKey returns the offset and the length of the key of an object that contains it.
func (r *Record) nearKey() (off, keyLen int) {
	off = objectSize
	if r.header&flagExpiry != 0 {
		off += 8
	}
	return off, int(r.header >> keyLenShift)
}

// Touch loads the header, which brings the record into the processor's cache.
func (r *Record) Touch() uint64 { return r.header }

// KeyIs reports whether the record's key is key.
func (r *Record) KeyIs(key []byte) bool {
	if int(r.header>>keyLenShift) != len(key) && len(key) < hugeKey {
		return false
	}
	return string(r.Key()) == string(key)
}

// makeHeader builds a header word.
func makeHeader(t Type, e Encoding, flags uint64, clock uint32, keyLen int) uint64 {
	return uint64(t) | uint64(e)<<encodingShift | flags | uint64(clock&ClockMask)<<clockShift | uint64(keyLen)<<keyLenShift
}

// newInline makes an inline record, of spare memory if there is some, with the payload and the value bytes undefined.
func newInline(s *Spares, t Type, e Encoding, key []byte, valueLen int, expiry int64, clock uint32) (r *Record, payload int) {
	flags, off, keyLen := uint64(flagInline), 8, len(key)
	if expiry != NoExpiry {
		flags |= flagExpiry
		off = 16
	}
	if keyLen >= hugeKey {
		flags |= flagHugeKey
		off += 8
		keyLen = hugeKey
	}
	keyOff := off + payloadSize(e)
	r = s.take(inlineSize(keyOff + len(key) + valueLen))
	r.header = makeHeader(t, e, flags, clock, keyLen)
	if expiry != NoExpiry {
		*(*int64)(r.at(8)) = expiry
	}
	if flags&flagHugeKey != 0 {
		*(*uint64)(r.at(off - 8)) = uint64(len(key))
	}
	copy(r.bytes(keyOff, len(key)), key)
	return r, off
}

// Packs reports whether a collection of n bytes with such a key can be a packed record.
func Packs(key []byte, n int) bool { return n <= MaxPacked && len(key) <= maxPackedKey }

// NewPacked makes a packed record. value is a listpack or an intset, as e says, for which Packs is true. key and value are
// copied.
func NewPacked(t Type, e Encoding, key, value []byte, expiry int64, clock uint32) *Record {
	r, off := newInline(nil, t, e, key, len(value), expiry, clock)
	keyOff := off + 2
	*(*uint16)(r.at(off)) = uint16(max(mem.Size(keyOff+len(key)+len(value)), 16) / 8)
	copy(r.bytes(keyOff+len(key), len(value)), value)
	return r
}

// Packed returns the memory of a packed record from the first byte of the collection on; the bytes behind the collection's
// end have no meaning.
func (r *Record) Packed() []byte {
	off, keyLen := r.payload()
	size := int(*(*uint16)(r.at(off))) * 8
	off += 2 + keyLen
	return r.bytes(off, size-off)
}

// TrySetPacked overwrites the collection of a packed record in place and reports whether it could: the bytes must fit, and
// they must take more than half of the record's memory, unless it is small.
func (r *Record) TrySetPacked(e Encoding, value []byte) bool {
	off, keyLen := r.payload()
	size := int(*(*uint16)(r.at(off))) * 8
	off += 2 + keyLen
	if n := off + len(value); n > size || size > smallest && mem.Size(n) <= size/2 {
		return false
	}
	copy(r.bytes(off, len(value)), value)
	r.header = r.header&^(15<<encodingShift) | uint64(e)<<encodingShift
	return true
}

// IsPacked reports whether r is a packed record.
func (r *Record) IsPacked() bool { return r.header&flagInline != 0 && r.Type() != String }

// smallest is the size of a packed record that is never replaced because it has become too large.
const smallest = 64

// NewString makes a string record in the representation that SET gives it in Redis: Int for the decimal form of an
// int64, EmbStr to MaxEmbStr bytes, else Raw. key and value are copied.
func NewString(key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	return (*Spares)(nil).NewString(key, value, expiry, clock, stamp)
}

// NewString is the function NewString with spare memory.
func (s *Spares) NewString(key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	if n, ok := parseInt(value); ok {
		return s.NewInt(key, n, expiry, clock)
	}
	return newString(s, textEncoding(value), key, value, expiry, clock, stamp)
}

// textEncoding returns the encoding of a string that is no integer.
func textEncoding(value []byte) Encoding {
	if len(value) <= MaxEmbStr {
		return EmbStr
	}
	return Raw
}

// NewText makes a string record that is EmbStr up to MaxEmbStr bytes, else Raw, and never Int. INCRBYFLOAT stores its results
// so, even whole numbers.
func NewText(key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	return newString(nil, textEncoding(value), key, value, expiry, clock, stamp)
}

// NewRaw makes a string record of encoding Raw whatever its length, as SETRANGE and the like do.
func NewRaw(key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	return (*Spares)(nil).NewRaw(key, value, expiry, clock, stamp)
}

// NewRaw is the function NewRaw with spare memory.
func (s *Spares) NewRaw(key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	return newString(s, Raw, key, value, expiry, clock, stamp)
}

func newString(s *Spares, e Encoding, key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	if len(value) > MaxInline {
		return NewOwned(key, append([]byte(nil), value...), expiry, clock, stamp)
	}
	r, off := newInline(s, String, e, key, len(value), expiry, clock)
	*(*uint16)(r.at(off)) = uint16(len(value))
	copy(r.bytes(off+2+len(key), len(value)), value)
	return r
}

// NewOwned makes a long string record that keeps value itself as its buffer.
func NewOwned(key, value []byte, expiry int64, clock uint32, stamp uint64) *Record {
	return NewObject(String, Raw, key, unsafe.Pointer(&Bytes{B: value, Stamp: stamp}), expiry, clock)
}

// NewInt makes a string record that holds an integer.
func NewInt(key []byte, n int64, expiry int64, clock uint32) *Record {
	return (*Spares)(nil).NewInt(key, n, expiry, clock)
}

// NewInt is the function NewInt with spare memory.
func (s *Spares) NewInt(key []byte, n int64, expiry int64, clock uint32) *Record {
	r, off := newInline(s, String, Int, key, 0, expiry, clock)
	*(*int64)(r.at(off)) = n
	return r
}

// NewElement makes a member of a large set. It has a key only, so methods that read or write a value must not be called for
// it.
func NewElement(member []byte) *Record {
	r, _ := newInline(nil, String, Element, member, 0, NoExpiry, 0)
	return r
}

// NewMember makes a field of a large hash. Values longer than MaxInline are in a separate *Bytes.
func NewMember(key, value []byte, expiry int64, stamp uint64) *Record {
	if len(value) > MaxInline {
		return NewObject(String, Member, key, unsafe.Pointer(&Bytes{B: append([]byte(nil), value...), Stamp: stamp}), expiry, 0)
	}
	return newString(nil, Member, key, value, expiry, 0, stamp)
}

// NewScore makes a member of a large sorted set.
func NewScore(member []byte, score float64) *Record {
	r, off := newInline(nil, String, Score, member, 0, NoExpiry, 0)
	*(*float64)(r.at(off)) = score
	return r
}

// NewObject makes a record whose value is a separate object. value must point to the struct that t and e stand for; key is
// copied.
func NewObject(t Type, e Encoding, key []byte, value unsafe.Pointer, expiry int64, clock uint32) *Record {
	flags, off := uint64(0), objectSize
	if expiry != NoExpiry {
		flags, off = flagExpiry, objectExpiry+8
	}
	if off+len(key) <= nearMax {
		o := newNear(off + len(key))
		o.header = makeHeader(t, e, flags, clock, len(key))
		o.value = value
		r := (*Record)(unsafe.Pointer(o))
		if flags != 0 {
			*(*int64)(r.at(objectExpiry)) = expiry
		}
		copy(r.bytes(off, len(key)), key)
		return r
	}
	o := &far{object: object{value: value}, expiry: expiry}
	if len(key) >= hugeKey {
		words := make([]uint64, (len(key)+15)/8)
		words[0] = uint64(len(key))
		o.key = unsafe.Pointer(unsafe.SliceData(words))
		copy(unsafe.Slice((*byte)(unsafe.Add(o.key, 8)), len(key)), key)
		o.header = makeHeader(t, e, flagFarKey|flagExpiry|flagHugeKey, clock, hugeKey)
	} else {
		k := make([]byte, mem.Size(len(key)))
		copy(k, key)
		o.key = unsafe.Pointer(unsafe.SliceData(k))
		o.header = makeHeader(t, e, flagFarKey|flagExpiry, clock, len(key))
	}
	return (*Record)(unsafe.Pointer(o))
}

// WithValue returns a new record with the same key, deadline and clock as the object r, and another value. It has the
// size of r.
func (r *Record) WithValue(e Encoding, value unsafe.Pointer) *Record {
	var n *Record
	if r.header&flagFarKey != 0 {
		o := *r.far() // the key's bytes are shared
		n = (*Record)(unsafe.Pointer(&o))
	} else {
		off, keyLen := r.nearKey()
		o := newNear(off + keyLen)
		o.header = r.header
		n = (*Record)(unsafe.Pointer(o))
		// The bytes behind the pointer: deadline and key.
		copy(n.bytes(objectSize, off+keyLen-objectSize), r.bytes(objectSize, off+keyLen-objectSize))
	}
	n.SetValue(e, value)
	return n
}

// SetValue replaces the value of an object record in place.
func (r *Record) SetValue(e Encoding, value unsafe.Pointer) {
	o := r.object()
	o.value = value
	o.header = o.header&^(15<<encodingShift|flagMoved) | uint64(e)<<encodingShift
}

// Value returns the value that an object record points to; T must be the struct of its type and encoding.
func Value[T any](r *Record) *T { return (*T)(r.Pointer()) }

// Pointer returns the value of an object record untyped, for the functions that dispatch on Encoding.
func (r *Record) Pointer() unsafe.Pointer {
	if r.header&flagInline != 0 {
		panic("record: an inline record has no pointer")
	}
	return r.object().value
}

// Int returns the number of a record of encoding Int.
func (r *Record) Int() int64 {
	off, _ := r.payload()
	return *(*int64)(r.at(off))
}

// SetInt sets the number of a record of encoding Int in place.
func (r *Record) SetInt(n int64) {
	off, _ := r.payload()
	*(*int64)(r.at(off)) = n
}

// Score returns the score of a record of encoding Score.
func (r *Record) Score() float64 {
	off, _ := r.payload()
	return *(*float64)(r.at(off))
}

// SetScore sets the score of a record of encoding Score in place.
func (r *Record) SetScore(f float64) {
	off, _ := r.payload()
	*(*float64)(r.at(off)) = f
}

// String returns the bytes of a string, or of a hash field's value. An integer is formatted into buf (which should
// have room for 20 bytes); other values are the stored bytes themselves, which must not be written and are valid until the
// record changes.
func (r *Record) String(buf []byte) []byte {
	if r.header&flagInline == 0 {
		return Value[Bytes](r).B
	}
	off, n := r.payload()
	if r.Encoding() == Int {
		return strconv.AppendInt(buf[:0], *(*int64)(r.at(off)), 10)
	}
	return r.bytes(off+2+n, int(*(*uint16)(r.at(off))))
}

// StringLen returns len(r.String(buf)) without making it.
func (r *Record) StringLen() int {
	if r.header&flagInline == 0 {
		return len(Value[Bytes](r).B)
	}
	off, _ := r.payload()
	if r.Encoding() == Int {
		return decimalLen(*(*int64)(r.at(off)))
	}
	return int(*(*uint16)(r.at(off)))
}

// TrySetString sets a string in place to value, in the representation that NewString would choose, and reports whether it
// could: the representation and the size class must stay the same. The deadline stays.
func (r *Record) TrySetString(value []byte) bool {
	if r.header&flagInline == 0 {
		return r.trySetLong(value)
	}
	e := r.Encoding()
	if n, ok := parseInt(value); ok {
		if e != Int {
			return false
		}
		r.SetInt(n)
		return true
	}
	if e == Int || len(value) > MaxInline || (len(value) <= MaxEmbStr) != (e == EmbStr) {
		return false
	}
	off, keyLen := r.payload()
	p := (*uint16)(r.at(off))
	off += 2 + keyLen
	if old := int(*p); old != len(value) {
		if mem.Size(off+old) != mem.Size(off+len(value)) {
			return false
		}
		*p = uint16(len(value))
	}
	copy(r.bytes(off, len(value)), value)
	return true
}

// trySetLong is TrySetString and TrySetMember for a long string and a long value.
func (r *Record) trySetLong(value []byte) bool {
	v := Value[Bytes](r)
	if len(value) <= MaxInline || mem.Size(len(value)) != mem.Size(cap(v.B)) || len(value) > cap(v.B) {
		return false
	}
	v.B = v.B[:len(value)]
	copy(v.B, value)
	return true
}

// SwapLong gives a long string another buffer, which is kept, and returns the one that it had.
func (r *Record) SwapLong(value []byte) (was []byte) {
	v := Value[Bytes](r)
	was, v.B = v.B, value
	return was
}

// lent is the stamp of bytes that queued replies refer to.
const lent = math.MaxUint64

// Lend marks the bytes of a long string as used by queued replies, for an unknown time: they are never written again. A
// change of the string gives it other bytes.
func (r *Record) Lend() { Value[Bytes](r).Stamp = lent }

// Lent reports whether Lend was called for the bytes that the object has now.
func (r *Record) Lent() bool { return Value[Bytes](r).Stamp == lent }

// TrySetMember overwrites the value of a field in place and reports whether it could: the value must fill the same
// size class as the old one. The deadline stays.
func (r *Record) TrySetMember(value []byte) bool {
	if r.header&flagInline == 0 {
		return r.trySetLong(value)
	}
	if len(value) > MaxInline {
		return false
	}
	off, keyLen := r.payload()
	p := (*uint16)(r.at(off))
	off += 2 + keyLen
	if old := int(*p); old != len(value) {
		if mem.Size(off+old) != mem.Size(off+len(value)) {
			return false
		}
		*p = uint16(len(value))
	}
	copy(r.bytes(off, len(value)), value)
	return true
}

// Size returns the bytes of the record as the allocator counts them, with its key and the buffer of a long string. It does
// not include the collection that the record points to.
func (r *Record) Size() int {
	if r.header&flagInline == 0 {
		n := 0
		switch r.header & (flagFarKey | flagHugeKey) {
		case 0:
			off, keyLen := r.nearKey()
			n = nearSize(off + keyLen)
		case flagFarKey:
			n = mem.SizePtr(int(unsafe.Sizeof(far{}))) + mem.Size(int(r.header>>keyLenShift))
		default:
			n = mem.SizePtr(int(unsafe.Sizeof(far{}))) + mem.Size((int(*(*uint64)(r.far().key))+15)/8*8)
		}
		if r.Type() == String {
			n += mem.SizePtr(int(unsafe.Sizeof(Bytes{}))) + mem.Size(cap(Value[Bytes](r).B))
		}
		return n
	}
	off, keyLen := r.payload()
	if r.Type() != String {
		return int(*(*uint16)(r.at(off))) * 8
	}
	switch e := r.Encoding(); {
	case numeric(e):
		off += 8
	case e != Element:
		off += 2 + int(*(*uint16)(r.at(off)))
	}
	return inlineSize(off + keyLen)
}

// parseInt accepts exactly the texts that an int64 is formatted to.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	i, neg := 0, b[0] == '-'
	if neg {
		i = 1
		if len(b) == 1 {
			return 0, false
		}
	}
	if b[i] == '0' {
		return 0, len(b) == 1
	}
	if len(b)-i > 19 {
		return 0, false
	}
	var n uint64
	for ; i < len(b); i++ {
		d := b[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if neg {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

func decimalLen(n int64) int {
	l, u := 1, uint64(n)
	if n < 0 {
		l, u = 2, -u
	}
	for u >= 10 {
		u /= 10
		l++
	}
	return l
}

// AppendTo appends the bytes of the record's value to dst, integers in decimal.
func (r *Record) AppendTo(dst []byte) []byte {
	if r.Encoding() == Int {
		return strconv.AppendInt(dst, r.Int(), 10)
	}
	return append(dst, r.String(nil)...)
}

// Rekey returns a new record with r's value and clock under another key and deadline. An object's value is shared with r, so
// the value must not be changed through r any more; a caller that keeps both records copies the value first. r is not packed.
func (r *Record) Rekey(key []byte, expiry int64) *Record {
	if r.header&flagInline == 0 {
		n := NewObject(r.Type(), r.Encoding(), key, r.Pointer(), expiry, r.Clock())
		n.header |= r.header & flagMoved
		return n
	}
	e := r.Encoding()
	off, _ := r.payload()
	if numeric(e) {
		n, to := newInline(nil, r.Type(), e, key, 0, expiry, r.Clock())
		*(*uint64)(n.at(to)) = *(*uint64)(r.at(off))
		return n
	}
	value := r.String(nil)
	n, to := newInline(nil, r.Type(), e, key, len(value), expiry, r.Clock())
	*(*uint16)(n.at(to)) = uint16(len(value))
	copy(n.bytes(to+2+len(key), len(value)), value)
	return n
}

// TryResize makes an inline string raw and n bytes long in place and returns its bytes, those beyond the old length
// undefined. It reports false if another size class or representation is needed.
func (r *Record) TryResize(n int) ([]byte, bool) {
	if r.header&flagInline == 0 || r.Encoding() == Int || n > MaxInline {
		return nil, false
	}
	off, keyLen := r.payload()
	p := (*uint16)(r.at(off))
	off += 2 + keyLen
	if mem.Size(off+int(*p)) != mem.Size(off+n) {
		return nil, false
	}
	*p = uint16(n)
	r.header &^= 15 << encodingShift // Raw
	return r.bytes(off, n), true
}
