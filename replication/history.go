package replication

// History names the bytes that a server has: those of ID up to Offset, and those of ID2 below SecondOffset, which is the
// history that this one continues.
type History struct {
	ID           string // replid: 40 hex digits
	ID2          string // replid2; NoID if there is none
	Offset       int64  // master_repl_offset: bytes of the history; on a replica those applied
	SecondOffset int64  // second_repl_offset: the first offset that ID2 does not name; -1 if there is none
}

// NoID is the replid that names nothing.
const NoID = "0000000000000000000000000000000000000000"

// Restart gives the history a new name and forgets the one before.
func (h *History) Restart(id string) {
	h.ID, h.ID2, h.SecondOffset = id, NoID, -1
}

// Shift gives the bytes that follow a new replid. Replicas may still ask for the bytes so far by the old one.
func (h *History) Shift(id string) {
	h.ID2, h.SecondOffset = h.ID, h.Offset+1
	h.ID = id
}

// Names reports whether all bytes of history id before offset belong to this history, too.
func (h *History) Names(id string, offset int64) bool {
	return equalID(id, h.ID) || equalID(id, h.ID2) && h.ID2 != NoID && offset <= h.SecondOffset
}

// equalID compares ids without regard to case.
func equalID(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Aux is the position in a history that a dump's aux fields give.
type Aux struct {
	ID       string // repl-id
	Offset   int64  // repl-offset
	StreamDB int    // repl-stream-db: the database that the stream has selected
}
