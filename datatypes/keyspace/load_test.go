package keyspace

import (
	"fmt"
	"testing"

	"ferrous/datatypes/record"
)

// counted compares the account of memory with the sum of all databases.
func counted(t *testing.T, ks *Keyspace, when string) {
	t.Helper()
	sum := 0
	for _, db := range ks.dbs {
		sum += db.Bytes()
	}
	if ks.Bytes() != sum {
		t.Errorf("%s: %d bytes, the databases have %d", when, ks.Bytes(), sum)
	}
}

func fill(db *DB, n int) {
	for i := range n {
		r := record.NewString(fmt.Appendf(nil, "key%d", i), []byte("value"), record.NoExpiry, 0, db.ks.gen.Current())
		db.Load([]*record.Record{r})
	}
}

// TestBytesOfReserved: what Reserve takes is counted, before and after the first key.
func TestBytesOfReserved(t *testing.T) {
	ks := New(3, 1)
	paused := 0
	ks.dbs[1].Reserve(1_000_000, func() { paused++ })
	if ks.Bytes() < 16_000_000 || paused == 0 {
		t.Errorf("%d bytes and %d pauses for a million keys", ks.Bytes(), paused)
	}
	counted(t, ks, "reserved")
	fill(ks.dbs[1], 1000)
	counted(t, ks, "with keys")
	ks.dbs[1].Trim()
	counted(t, ks, "trimmed")
}

// TestAside: databases that are loaded aside are no part of the keyspace until they are swapped in, nor after they are dropped.
func TestAside(t *testing.T) {
	ks := New(2, 1)
	fill(ks.dbs[0], 100)
	before := ks.Bytes()
	for range 2 {
		aside := ks.Aside()
		aside[0].Reserve(10_000, nil)
		fill(aside[0], 5000)
		fill(aside[1], 5)
		if ks.Bytes() != before {
			t.Fatalf("%d bytes with databases aside, %d before", ks.Bytes(), before)
		}
		counted(t, ks, "loaded aside")
	}
	aside := ks.Aside()
	fill(aside[1], 5000)
	for i, db := range ks.dbs {
		ks.Swap(db, aside[i])
	}
	counted(t, ks, "swapped")
	if len(ks.active) > len(ks.dbs) || ks.dbs[0].Len() != 0 || ks.dbs[1].Len() != 5000 {
		t.Errorf("%d databases are walked; %d and %d keys", len(ks.active), ks.dbs[0].Len(), ks.dbs[1].Len())
	}
}
