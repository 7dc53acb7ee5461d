// Package head has the head of a collection: two words that a small collection has besides its bytes.
//
// # Structure
//
// A server has millions of collections of a few elements, each one listpack (or intset) of some hundred bytes. A slice of the
// bytes, a pointer to the large form, a stamp and a flag would be six words, a quarter of what is stored. A Head is two: one
// pointer, to the first of the bytes or to the struct of the large form, and one word of three fields:
//
//	stamp 40 bits | form 2 bits | capacity 22 bits
//
// The owner numbers its forms; the form says what the pointer points to. The length of the bytes is not kept, since listpack
// and intset begin with it. The capacity is kept, because it does not follow from the length: bytes that have become fewer
// keep their memory until half of it is free. Otherwise a list that is pushed to and popped from at the border between two
// size classes would be copied each time. The capacity is always a size class of the allocator: up to 32 KiB it is stored in
// units of 8 bytes, above in pages.
//
// A view is a Head of bytes that belong to somebody else, the record of a small collection or a buffer: they have any capacity,
// which is stored in bytes.
//
// # Costs
//
// Reading makes a slice from the pointer, writing stores both words. Neither allocates, unless the capacity of new bytes is
// not a size class (a part of a larger buffer, from a decoder): these are copied once.
package head

import (
	"encoding/binary"
	"unsafe"

	"ferrous/datatypes/intset"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
)

// Head is the head of a collection. Use New; the zero value has no bytes and form 0.
type Head struct {
	p    unsafe.Pointer
	word uint64
}

// Form is what a Head points to. There may be four, numbered from 0.
type Form uint8

const (
	capacityBits = 22
	formBits     = 2

	capacityMask = 1<<capacityBits - 1
	formMask     = 1<<formBits - 1
	stampShift   = capacityBits + formBits

	unit     = 8
	unitsEnd = 32 << 10 // capacities above are whole pages
	page     = 8 << 10
	maxUnits = unitsEnd / unit
	views    = 1 << (capacityBits - 1) // the field is a capacity in bytes from here on
)

// New returns a head with a stamp that points to nothing yet. Stamps are counted from 0 and fit into 40 bits.
func New(stamp uint64) Head { return Head{word: stamp << stampShift} }

// View returns a head of bytes that it does not own, with a capacity of less than 2 MiB. They may be changed through the head if
// they belong to the caller; who makes them outgrow their capacity gives the head bytes of its own.
func View(b []byte, f Form, stamp uint64) Head {
	h := New(stamp)
	h.p = unsafe.Pointer(unsafe.SliceData(b))
	h.word |= uint64(views + cap(b))
	h.SetForm(f)
	return h
}

// IsView reports whether the bytes belong to somebody else.
func (h *Head) IsView() bool { return h.word&capacityMask >= views }

// Stamp returns the stamp.
func (h *Head) Stamp() uint64 { return h.word >> stampShift }

// Form returns the form that was last set.
func (h *Head) Form() Form { return Form(h.word >> capacityBits & formMask) }

// SetForm changes the form only.
func (h *Head) SetForm(f Form) {
	h.word = h.word&^uint64(formMask<<capacityBits) | uint64(f&formMask)<<capacityBits
}

// Data returns the pointer to the first byte, or the one that was passed to SetLarge.
func (h *Head) Data() unsafe.Pointer { return h.p }

// Cap returns the capacity of the bytes. It has no meaning after SetLarge.
func (h *Head) Cap() int {
	n := int(h.word & capacityMask)
	switch {
	case n <= maxUnits:
		return n * unit
	case n >= views:
		return n - views
	}
	return (n - maxUnits) * page
}

// Bytes returns the first n bytes, at most Cap.
func (h *Head) Bytes(n int) []byte {
	return unsafe.Slice((*byte)(h.p), h.Cap())[:n]
}

// Listpack returns the bytes, which are a listpack.
func (h *Head) Listpack() listpack.Listpack {
	b := unsafe.Slice((*byte)(h.p), h.Cap())
	return b[:binary.LittleEndian.Uint32(b)]
}

// Intset returns the bytes, which are an intset.
func (h *Head) Intset() intset.Intset {
	b := unsafe.Slice((*byte)(h.p), h.Cap())
	return b[:intset.Bytes(b)]
}

// SetBytes makes the head point to b, which is not empty and belongs to the head from now on.
func (h *Head) SetBytes(b []byte) {
	n := cap(b)
	if unsafe.Pointer(unsafe.SliceData(b)) == h.p && n == h.Cap() {
		return
	}
	if mem.Size(n) != n {
		c := make([]byte, len(b), mem.Size(len(b)))
		copy(c, b)
		b, n = c, cap(c)
	}
	if n <= unitsEnd {
		n /= unit
	} else {
		n = n/page + maxUnits
	}
	h.p = unsafe.Pointer(unsafe.SliceData(b))
	h.word = h.word&^uint64(capacityMask) | uint64(n)
}

// SetLarge makes the head point to the struct of a large form.
func (h *Head) SetLarge(p unsafe.Pointer, f Form) {
	h.p = p
	h.word &^= capacityMask
	h.SetForm(f)
}
