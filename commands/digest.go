package commands

import (
	"ferrous/datatypes/digest"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"

	"ferrous/eventloop/resp"
)

// DEBUG DIGEST: a signature of data that two servers with the same data share; see package digest.

// takeValue takes in what a key holds and whether it has a deadline, but not when that is.
func takeValue(d *digest.Digest, r *record.Record) {
	d.MixNumber(uint32(r.Type()))
	keyspace.Digest(r, d)
	if r.Expiry() != record.NoExpiry {
		d.Add([]byte("!!expire!!"))
	}
}

// appendDigested appends a score as it goes into digests.
func appendDigested(dst []byte, score float64) []byte {
	if score == 0 || score-score != 0 {
		return resp.FormatDouble(dst, score) // zero or infinite
	}
	return resp.FormatShortest(dst, score)
}

// datasetDigest is the digest of all keys of all databases, expired ones that are still there included.
func datasetDigest(ks *keyspace.Keyspace) digest.Digest {
	all := digest.Digest{Score: appendDigested}
	for _, db := range ks.DBs() {
		if db.Len() == 0 {
			continue
		}
		all.MixNumber(uint32(db.ID))
		db.Each(func(r *record.Record) bool {
			d := all.Part()
			d.Mix(r.Key())
			takeValue(&d, r)
			all.AddPart(&d)
			return true
		})
	}
	return all
}

func debugDigest(c *Client) {
	d := datasetDigest(c.srv.Keyspace)
	c.W.Status(d.String())
}

func debugDigestValue(c *Client) {
	keys := c.Args[2:]
	c.W.Array(len(keys))
	for _, key := range keys {
		d := digest.Digest{Score: appendDigested}
		if r := c.DB.PeekStale(key); r != nil {
			takeValue(&d, r)
		}
		c.W.Status(d.String())
	}
}
