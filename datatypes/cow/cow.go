// Package cow has the rule of copy-on-write that all structures share.
//
// A server has one Generation. Every piece that can be written in place (a table segment, a tree node, a list node, a
// large string) carries a stamp: the generation in which it was made or last copied. Taking a snapshot pins the
// generation and begins a new one, so that everything that exists at that moment has an older stamp. While a snapshot is
// pinned, a piece may be written in place only if its stamp is the current one; any other piece is copied first, and the copy
// gets the current stamp. After the snapshot everything may be written in place again; the garbage collector frees the pieces
// that only the snapshot held.
//
// There is at most one snapshot at a time. A Generation belongs to the goroutine that owns the data; a snapshot's reader
// never reads it.
package cow

// Generation counts snapshots. The zero value is ready to use, with no snapshot pinned.
type Generation struct {
	current uint64
	pinned  bool
	copied  int64
}

// Current returns the stamp for pieces made or copied now.
func (g *Generation) Current() uint64 { return g.current }

// Copying returns the stamp for a copy of n bytes that is made because a snapshot needs the piece, and counts them.
func (g *Generation) Copying(n int) uint64 {
	g.copied += int64(n)
	return g.current
}

// Copied returns the number of bytes copied because of the snapshot that is held, or the last one. It does not include values
// that were replaced or deleted as a whole meanwhile, though they live as long as the snapshot.
func (g *Generation) Copied() int64 { return g.copied }

// Pinned reports whether a snapshot is held.
func (g *Generation) Pinned() bool { return g.pinned }

// Owns reports whether a piece with this stamp may be written in place.
func (g *Generation) Owns(stamp uint64) bool { return !g.pinned || stamp == g.current }

// Pin begins a snapshot: everything that exists is frozen until Unpin. It panics when a snapshot is held already,
// since the second would be unpinned with the first.
func (g *Generation) Pin() {
	if g.pinned {
		panic("cow: a snapshot is already held")
	}
	g.current++
	g.pinned = true
	g.copied = 0
}

// Unpin ends the snapshot.
func (g *Generation) Unpin() { g.pinned = false }
