package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"ferrous/datatypes/record"
)

// allocated returns the bytes ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// sealed returns a file with its checksum made right, if there is room for one.
func sealed(file []byte) []byte {
	if n := len(file) - 8; n > headerSize {
		file = bytes.Clone(file)
		binary.LittleEndian.PutUint64(file[n:], crc64(0, file[:n]))
	}
	return file
}

// FuzzDecode loads files. Whatever they hold, there is an error or a keyspace that can be saved and is the same when
// loaded again, and which the check takes for sound; and memory stays within a multiple of the file (LZF expands 88 times,
// and tables round up).
func FuzzDecode(f *testing.F) {
	for seed := range uint64(6) {
		ks := newKeyspace()
		m := newMaker(seed, ks)
		fill(m, 8, true)
		snap, err := ks.Snapshot()
		if err != nil {
			f.Fatal(err)
		}
		var b memory
		if err := Save(&b, snap, &Options{Patch: b.patch, Checksum: true, Compress: seed%2 == 0}); err != nil {
			f.Fatal(err)
		}
		snap.Release()
		if len(b.b) < 1<<20 {
			f.Add(b.b)
		}
	}
	for _, g := range goldens {
		f.Add(g.file())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<20 {
			return
		}
		for _, size := range []int64{int64(len(file)), -1} {
			ks := newKeyspace()
			l := &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: size >= 0}
			before := allocated()
			_, err := l.Load(bytes.NewReader(sealed(file)), size)
			if used := allocated() - before; used > 8<<20+400*uint64(len(file)) {
				t.Fatalf("%d bytes allocated for a file of %d", used, len(file))
			}
			checkAccounts(t, ks)
			before = allocated()
			_, sound := CheckReader(io.Discard, bytes.NewReader(sealed(file)), size)
			if used := allocated() - before; used > 8<<20+400*uint64(len(file)) {
				t.Fatalf("%d bytes allocated to check a file of %d", used, len(file))
			}
			if err != nil { // an odd value that is refused may be corrected by repair
				ks = newKeyspace()
				l = &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: l.Checksum, Repair: true}
				res, err := l.Load(bytes.NewReader(sealed(file)), size)
				checkAccounts(t, ks)
				if err != nil {
					continue
				}
				if res.Repaired == 0 {
					t.Fatal("what was refused is loaded as it is")
				}
			} else if l.Checksum && !sound {
				t.Fatal("what is loaded does not pass the check")
			}
			want := contents(ks)
			out := save(t, ks, &Options{Checksum: true, Compress: true})
			again := &Loader{Keyspace: newKeyspace(), Rules: l.Rules, Checksum: true}
			if _, err := again.Load(bytes.NewReader(out), -1); err != nil {
				t.Fatal(err)
			}
			got := contents(again.Keyspace)
			for k, v := range want {
				if _, ok := got[k]; !ok {
					t.Fatalf("%s is lost: %.200s", k, v)
				}
			}
		}
	})
}

// FuzzRestore restores payloads, and does something with what comes of them.
func FuzzRestore(f *testing.F) {
	var d Dumper
	for seed := range uint64(12) {
		ks := newKeyspace()
		m := newMaker(seed, ks)
		r := m.record([]byte("key"), true)
		if payload, err := d.Dump(nil, r, 0, seed%2 == 0); err == nil && len(payload) < 1<<16 {
			f.Add(payload)
		}
	}
	for _, g := range goldens {
		f.Add(g.payload())
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 1<<20 || len(payload) < footerSize {
			return
		}
		ks := newKeyspace()
		rules := testRules(ks)
		before := allocated()
		r, err := Restore(payload, []byte("key"), record.NoExpiry, 0, rules, ks.Generation())
		if used := allocated() - before; used > 4<<20+400*uint64(len(payload)) {
			t.Fatalf("%d bytes allocated for a payload of %d", used, len(payload))
		}
		if err != nil {
			return
		}
		db := ks.DBs()[0]
		db.Load([]*record.Record{r})
		want := describe(r)
		for _, version := range []int{0, 9, 12} {
			out, err := d.Dump(nil, r, version, true)
			var tooLow *VersionError
			if errors.As(err, &tooLow) && version == 9 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyPayload(out, true); err != nil {
				t.Fatal(err)
			}
			if _, err = Restore(out, []byte("key"), record.NoExpiry, 0, rules, ks.Generation()); err != nil {
				t.Fatalf("what was dumped in version %d is refused: %v\n%.300s", version, err, want)
			}
		}
		// Whatever the bounds are, it is taken, and so is what it becomes.
		taken := func(r *record.Record, what string) {
			out, err := d.Dump(nil, r, 0, false)
			if err == nil {
				_, err = Restore(out, []byte("key"), record.NoExpiry, 0, rules, ks.Generation())
			}
			if err != nil {
				t.Fatalf("%s is refused: %v\n%.300s\nof\n%.300s", what, err, describe(r), want)
			}
		}
		low := *rules
		low.Hash.Entries, low.Set.Entries, low.Set.Ints, low.ZSet.Entries, low.List.Fill = 0, 0, 0, 0, 1
		large, err := Restore(payload, []byte("key"), record.NoExpiry, 0, &low, ks.Generation())
		if err != nil {
			t.Fatalf("it is refused under low bounds: %v\n%.300s", err, want)
		}
		taken(large, "what was large")
		m := newMaker(uint64(len(payload)), ks)
		for range 30 {
			change(m, db, []byte("key"))
			if r := db.PeekStale([]byte("key")); r != nil {
				taken(r, "what was changed")
			}
		}
		checkAccounts(t, ks)
	})
}
