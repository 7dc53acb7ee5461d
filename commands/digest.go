package commands

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"ferrous/commands/session"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"

	dset "ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
	"ferrous/eventloop/resp"
)

// DEBUG DIGEST: a signature of data that two servers with the same data share, by the algorithm of Redis, so that the two
// can be compared with each other.
//
// A digest is 20 bytes, at first zero. Two steps make it: add xors the SHA-1 of some bytes into it, so that the order
// in which parts are added does not matter, and mix also hashes the result again, so that it does. Parts without an
// order (keys of a database, members, fields) have digests of their own that are added; parts with an order (a key and
// its value, the elements of a list, a field and its value) are mixed one after the other.

// digest is such a signature.
type digest [sha1.Size]byte

func (d *digest) add(b []byte) {
	sum := sha1.Sum(b)
	for i := range d {
		d[i] ^= sum[i]
	}
}

func (d *digest) mix(b []byte) {
	d.add(b)
	*d = sha1.Sum(d[:])
}

func (d *digest) mixNumber(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	d.mix(b[:])
}

// value takes in what a key holds and whether it has a deadline, but not when that is.
func (d *digest) value(r *record.Record) {
	d.mixNumber(uint32(r.Type()))
	switch r.Type() {
	case record.String:
		d.mix(r.String(make([]byte, 20)))
	case record.Set:
		record.Value[dset.Set](r).Each(func(v dset.Value) bool {
			var buf session.IntText
			d.add(session.BytesOf(v, &buf))
			return true
		})
	case record.List:
		l := record.Value[list.List](r)
		var buf session.IntText
		l.Range(0, l.Len(), false, func(v list.Value) { d.mix(session.BytesOf(v, &buf)) })
	case record.Hash:
		record.Value[hash.Hash](r).EachField(func(field, value hash.Value, when int64) bool {
			var e digest
			var buf session.IntText
			e.mix(session.BytesOf(field, &buf))
			e.mix(session.BytesOf(value, &buf))
			if when != record.NoExpiry {
				e.add([]byte("!!hexpire!!"))
			}
			d.add(e[:])
			return true
		})
	case record.ZSet:
		record.Value[sortedset.SortedSet](r).Each(func(m sortedset.Value, score float64) bool {
			var e digest
			var buf session.IntText
			var text [32]byte
			e.mix(session.BytesOf(m, &buf))
			e.mix(appendDigested(text[:0], score))
			d.add(e[:])
			return true
		})
	case record.Stream:
		record.Value[stream.Stream](r).Each(func(id stream.ID, pairs []listpack.Value) bool {
			var buf session.IntText
			d.mix(strconv.AppendUint(append(strconv.AppendUint(nil, id.Ms, 10), '.'), id.Seq, 10))
			for _, v := range pairs {
				d.mix(session.BytesOf(v, &buf))
			}
			return true
		})
	default:
		panic("commands: no digest of type " + r.Type().String())
	}
	if r.Expiry() != record.NoExpiry {
		d.add([]byte("!!expire!!"))
	}
}

// appendDigested appends a score as it goes into digests.
func appendDigested(dst []byte, score float64) []byte {
	if score == 0 || score-score != 0 {
		return resp.FormatDouble(dst, score) // zero or infinite
	}
	return resp.FormatShortest(dst, score)
}

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// datasetDigest is the digest of all keys of all databases, expired ones that are still there included.
func datasetDigest(ks *keyspace.Keyspace) digest {
	var all digest
	for _, db := range ks.DBs() {
		if db.Len() == 0 {
			continue
		}
		all.mixNumber(uint32(db.ID))
		db.Each(func(r *record.Record) bool {
			var d digest
			d.mix(r.Key())
			d.value(r)
			all.add(d[:])
			return true
		})
	}
	return all
}

func debugDigest(c *Client) { c.W.Status(datasetDigest(c.srv.Keyspace).String()) }

func debugDigestValue(c *Client) {
	keys := c.Args[2:]
	c.W.Array(len(keys))
	for _, key := range keys {
		var d digest
		if r := c.DB.PeekStale(key); r != nil {
			d.value(r)
		}
		c.W.Status(d.String())
	}
}
