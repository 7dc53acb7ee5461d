// Package digest computes DEBUG DIGEST by the algorithm of Redis, so that Redis and this server have the same digest for the
// same data.
//
// A digest is 20 bytes, at first zero. Add xors the SHA-1 of some bytes into it, so that the order of additions does not
// matter. Mix also hashes the result again, so that the order does matter. Parts without an order (keys of a database,
// members, fields) have digests of their own that are added; parts with an order (a key and its value, the elements of a
// list, a field and its value) are mixed one after the other.
package digest

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"

	"ferrous/datatypes/listpack"
)

// Digest is a value of DEBUG DIGEST.
type Digest struct {
	sum [sha1.Size]byte
	// Score appends the text of a score for digests.
	Score func(dst []byte, score float64) []byte
}

// Part returns an empty digest for a part that is then added.
func (d *Digest) Part() Digest { return Digest{Score: d.Score} }

// Add adds bytes. The order of additions does not matter.
func (d *Digest) Add(b []byte) {
	sum := sha1.Sum(b)
	for i := range d.sum {
		d.sum[i] ^= sum[i]
	}
}

// AddPart adds the digest of a part. The order of additions does not matter.
func (d *Digest) AddPart(part *Digest) { d.Add(part.sum[:]) }

// Mix adds bytes. The order matters.
func (d *Digest) Mix(b []byte) {
	d.Add(b)
	d.sum = sha1.Sum(d.sum[:])
}

// MixNumber adds a number. The order matters.
func (d *Digest) MixNumber(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	d.Mix(b[:])
}

// AddValue adds an element of a collection. The order of additions does not matter.
func (d *Digest) AddValue(v listpack.Value) {
	var buf [20]byte
	d.Add(text(v, &buf))
}

// MixValue adds an element of a collection. The order matters.
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
