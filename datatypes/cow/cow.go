// Package cow holds the one rule of copy-on-write that all structures share.
//
// A server has one Generation. Every piece that can be written in place (a table segment, a tree node, a list node, a
// large string) carries a stamp: the generation in which it was made or last copied. Taking a snapshot pins the
// generation and begins a new one, so that everything that exists at that moment bears an older stamp. While pinned, a
// piece may be written in place only when its stamp is the current one; any other piece is copied first and the copy
// stamped. When the snapshot ends nothing is pinned and everything may be written in place again; the pieces that only
// the snapshot held are left to the garbage collector.
//
// There is at most one snapshot at a time. A Generation belongs to the goroutine that owns the data; a snapshot's
// reader never looks at it.
package cow

// Generation is the shared clock of snapshots. The zero value is ready: nothing pinned.
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

// Copied returns how many bytes were copied because the snapshot needs them: the one that is held, or the last. What was
// replaced or deleted as a whole meanwhile is not in it, though it lives as long as the snapshot.
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
