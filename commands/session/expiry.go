package session

import "ferrous/datatypes/record"

// ExpireCondition is a set of the options of EXPIRE and its relatives.
type ExpireCondition uint8

const (
	ExpireNX ExpireCondition = 1 << iota
	ExpireXX
	ExpireGT
	ExpireLT
)

// Allows reports whether the options let a key with this deadline have the other one. A key without a deadline lives
// for ever: nothing is greater.
func (o ExpireCondition) Allows(old, when int64) bool {
	never := old == record.NoExpiry
	return !(o&ExpireNX != 0 && !never ||
		o&ExpireXX != 0 && never ||
		o&ExpireGT != 0 && (never || when <= old) ||
		o&ExpireLT != 0 && !never && when >= old)
}
