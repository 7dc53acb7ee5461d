// Package mem computes the number of bytes that the Go allocator takes for an object, so that used_memory counts the
// allocated bytes and not the requested ones.
package mem

const (
	maxSmall   = 32 << 10 // the allocator's size classes end here; larger objects take whole pages
	pageSize   = 8 << 10
	headerFrom = 512 // objects with pointers above this size carry a type word in front
	headerSize = 8
)

// classes[i] is the size class of a request of i*8 bytes. The table is made by asking the allocator: append rounds a slice's
// capacity up to its size class.
var classes = func() (t [maxSmall/8 + 1]uint16) {
	for i := 1; i < len(t); {
		c := cap(append([]byte(nil), make([]byte, i*8)...))
		for ; i*8 <= c && i < len(t); i++ {
			t[i] = uint16(c)
		}
	}
	return t
}()

// Size returns the bytes taken by a pointer-free object of n bytes.
func Size(n int) int {
	if n <= maxSmall {
		return int(classes[(n+7)>>3])
	}
	return (n + pageSize - 1) &^ (pageSize - 1)
}

// SizePtr returns the bytes taken by an object of n bytes that holds pointers.
func SizePtr(n int) int {
	if n > headerFrom && n <= maxSmall-headerSize {
		n += headerSize
	}
	return Size(n)
}

// Kept is the capacity up to which a buffer keeps its memory when its content shrinks. Small collections are edited in one
// such buffer, and copied to their record, which has the right size, afterwards.
const Kept = 2 << 10

// Shrinks reports whether a buffer with this capacity whose content has shrunk to n bytes is replaced by a smaller one.
func Shrinks(n, capacity int) bool { return capacity > Kept && Size(n) <= capacity/2 }
