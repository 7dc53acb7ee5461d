// Package digest makes the signature of DEBUG DIGEST, by the algorithm of Redis, so that two servers with the same data
// have the same one.
//
// A digest is 20 bytes, at first zero. Two steps make it: Add xors the SHA-1 of some bytes into it, so that the order in
// which parts are added does not matter, and Mix also hashes the result again, so that it does. Parts without an order (keys
// of a database, members, fields) have digests of their own that are added; parts with an order (a key and its value, the
// elements of a list, a field and its value) are mixed one after the other.
package digest

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"

	"ferrous/datatypes/listpack"
)

// Digest is such a signature.
type Digest struct {
	sum [sha1.Size]byte
	// Score appends the form of a score that goes into digests.
	Score func(dst []byte, score float64) []byte
}

// Part returns an empty digest for a part that is then added.
func (d *Digest) Part() Digest { return Digest{Score: d.Score} }

// Add takes in bytes, whatever comes before or behind.
func (d *Digest) Add(b []byte) {
	sum := sha1.Sum(b)
	for i := range d.sum {
		d.sum[i] ^= sum[i]
	}
}

// AddPart takes in a part, whatever comes before or behind.
func (d *Digest) AddPart(part *Digest) { d.Add(part.sum[:]) }

// Mix takes in bytes in their order.
func (d *Digest) Mix(b []byte) {
	d.Add(b)
	d.sum = sha1.Sum(d.sum[:])
}

// MixNumber takes in a number in its order.
func (d *Digest) MixNumber(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	d.Mix(b[:])
}

// AddValue takes in an element of a collection, whatever comes before or behind.
func (d *Digest) AddValue(v listpack.Value) {
	var buf [20]byte
	d.Add(text(v, &buf))
}

// MixValue takes in an element of a collection in its order.
func (d *Digest) MixValue(v listpack.Value) {
	var buf [20]byte
	d.Mix(text(v, &buf))
}

// text returns the bytes of an element, an integer's in buf.
func text(v listpack.Value, buf *[20]byte) []byte {
	if v.Str != nil {
		return v.Str
	}
	return v.AppendTo(buf[:0])
}

// String returns the digest in hexadecimal digits.
func (d *Digest) String() string { return hex.EncodeToString(d.sum[:]) }
