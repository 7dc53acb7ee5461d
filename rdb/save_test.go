package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// fill puts n random keys into a keyspace.
func fill(m *maker, n int, timed bool) {
	for i := range n {
		db := m.ks.DBs()[[]int{0, 3, 15}[m.IntN(3)]]
		key := fmt.Appendf(nil, "key:%d", i)
		if m.IntN(10) == 0 {
			key = fmt.Appendf(nil, "%d", i)
		}
		db.Set(m.record(key, timed))
	}
}

func save(t testing.TB, ks *keyspace.Keyspace, o *Options) []byte {
	t.Helper()
	snap, err := ks.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	var b memory
	o.Patch = b.patch
	if err := Save(&b, snap, o); err != nil {
		t.Fatal(err)
	}
	return b.b
}

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) Write(b []byte) (int, error) {
	m.b = append(m.b, b...)
	return len(b), nil
}

func (m *memory) patch(b []byte, offset int64) error {
	copy(m.b[offset:], b)
	return nil
}

func load(t testing.TB, file []byte) (*keyspace.Keyspace, *Result) {
	t.Helper()
	ks := newKeyspace()
	l := &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: true}
	res, err := l.Load(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, ks)
	return ks, res
}

// checkAccounts compares the memory that is accounted for with that of all records.
func checkAccounts(t testing.TB, ks *keyspace.Keyspace) {
	t.Helper()
	for _, db := range ks.DBs() {
		sum, expires := 0, 0
		db.Each(func(r *record.Record) bool {
			sum += keyspace.Size(r)
			if r.Expiry() != record.NoExpiry {
				expires++
			}
			return true
		})
		if got := db.Bytes() - db.Overhead(); got != sum || db.Expires() != expires {
			t.Errorf("db %d: %d bytes, %d deadlines; want %d, %d", db.ID, got, db.Expires(), sum, expires)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(12) {
		ks := newKeyspace()
		timed := seed%2 == 0
		fill(newMaker(seed, ks), 150, timed)
		want := contents(ks)
		o := &Options{Compress: seed%3 > 0, Checksum: seed%4 > 0, RedisVersion: "7.2.6", Created: now / 1000}
		if timed {
			o.Version = 12
		}
		file := save(t, ks, o)
		got, res := load(t, file)
		compare(t, contents(got), want)
		if res.Keys != int64(len(want)) || res.Bytes != int64(len(file)) || res.ChecksumFound != o.Checksum {
			t.Errorf("result %+v of %d keys", res, len(want))
		}

		// The same in pieces, of unknown length, and followed by something else.
		l := &Loader{Keyspace: newKeyspace(), Checksum: true}
		l.Rules = testRules(l.Keyspace)
		tail := "*1\r\n$4\r\nPING\r\n"
		res, err := l.Load(iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(append(file, tail...)))), -1)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, contents(l.Keyspace), want)
		if rest, _ := io.ReadAll(res.Rest); string(rest) != tail {
			t.Errorf("rest is %q", rest)
		}
	}
}

// Each version is written so that nothing of its own type is in it, and loses only what is said.
func TestVersions(t *testing.T) {
	ks := newKeyspace()
	m := newMaker(42, ks)
	fill(m, 200, false)
	// Streams know less in older versions.
	for _, db := range ks.DBs() {
		var streams [][]byte
		db.Each(func(r *record.Record) bool {
			if r.Type() == record.Stream {
				streams = append(streams, r.Key())
			}
			return true
		})
		for _, k := range streams {
			db.Delete(k)
		}
	}
	want := contents(ks)
	for version := MinVersion; version <= MaxVersion; version++ {
		file := save(t, ks, &Options{Version: version, Compress: true, Checksum: true})
		if head := fmt.Sprintf("REDIS%04d", version); string(file[:9]) != head {
			t.Errorf("header %q", file[:9])
		}
		got, _ := load(t, file)
		compare(t, contents(got), want)
	}
}

func TestLowestVersion(t *testing.T) {
	plain := newKeyspace()
	m := newMaker(1, plain)
	m.ks.DBs()[0].Set(record.NewString([]byte("k"), []byte("v"), record.NoExpiry, 0, 0))
	if file := save(t, plain, &Options{}); string(file[:9]) != "REDIS0010" {
		t.Errorf("header %q", file[:9])
	}

	// A deadline of a field that comes late: behind more than the buffer, or within it.
	for _, size := range []int{10, 3 << 20} {
		ks := newKeyspace()
		m := newMaker(2, ks)
		db := ks.DBs()[0]
		for i := 0; i < size; i += 1000 {
			db.Set(record.NewString(fmt.Appendf(nil, "%d", i), m.bytes(1000), record.NoExpiry, 0, 0))
		}
		db = ks.DBs()[1]
		for i := range 20 {
			r := m.record(fmt.Appendf(nil, "h%d", i), true)
			db.Set(r)
		}
		want := contents(ks)
		snap, err := ks.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var b memory
		if err := Save(&b, snap, &Options{Patch: b.patch, Checksum: true}); err != nil {
			t.Fatal(err)
		}
		snap.Release()
		if string(b.b[:9]) != "REDIS0012" {
			t.Errorf("header %q", b.b[:9])
		}
		got, res := load(t, b.b)
		compare(t, contents(got), want)
		if !res.ChecksumFound {
			t.Error("no checksum")
		}

		// Without a way to change the header.
		snap, _ = ks.Snapshot()
		err = Save(io.Discard, snap, &Options{})
		snap.Release()
		var version *VersionError
		if size > bufferSize && (!errors.As(err, &version) || version.Have != 10 || version.Need < 11) {
			t.Errorf("error %v", err)
		}
		if size < bufferSize && err != nil {
			t.Error(err)
		}
		// Nor in the version that was asked for.
		snap, _ = ks.Snapshot()
		err = Save(io.Discard, snap, &Options{Version: 11})
		snap.Release()
		if !errors.As(err, &version) || version.Need != 12 {
			t.Errorf("error %v", err)
		}
	}
}

// Function libraries are kept, by versions that have them.
func TestLibraries(t *testing.T) {
	ks := newKeyspace()
	snap, err := ks.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	want := [][]byte{[]byte("#!lua name=a\n"), bytes.Repeat([]byte("#!lua name=b\n"), 20_000)}
	var b memory
	if err := Save(&b, snap, &Options{Functions: want, Compress: true, Checksum: true}); err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	if _, _, _, err := loadWith(string(b.b), func(l *Loader) {
		l.OnFunction = func(code []byte) error { got = append(got, code); return nil }
	}); err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d libraries, %v", len(got), err)
	}
	_, _, notices, err := loadWith(string(b.b), nil)
	if err != nil || !slices.Contains(notices, "A function library in the RDB file is passed over.") {
		t.Errorf("%q, %v", notices, err)
	}
	var version *VersionError
	if err := Save(&b, snap, &Options{Functions: want, Version: 9}); !errors.As(err, &version) || version.Need != 10 {
		t.Errorf("version 9: %v", err)
	}
}

// TestHistory: the place in the stream of replication comes back as it was written, and is missing where there is none.
func TestHistory(t *testing.T) {
	ks := newKeyspace()
	for _, want := range []*History{nil, {DB: 0, ID: "0123456789abcdef0123456789abcdef01234567"},
		{DB: 9, ID: "fedcba9876543210fedcba9876543210fedcba98", Offset: 1<<62 + 3}} {
		_, res := load(t, save(t, ks, &Options{Checksum: true, History: want}))
		switch got := res.History; {
		case (got == nil) != (want == nil):
			t.Errorf("%+v came back as %+v", want, got)
		case want != nil && *got != *want:
			t.Errorf("%+v came back as %+v", *want, *got)
		}
	}
}

// TestStreamVersion: what is written where the header cannot be changed begins with the version that the databases ask for.
func TestStreamVersion(t *testing.T) {
	m := newMaker(1, newKeyspace())
	fill(m, 300, true)
	lowest := VersionFor(m.ks)
	var b memory
	if err := Save(&b, m.ks.Live(), &Options{Checksum: true, Lowest: lowest}); err != nil {
		t.Fatal(err)
	}
	if _, res := load(t, b.b); lowest != MaxVersion || res.Version != lowest {
		t.Errorf("deadlines of fields: version %d was asked for, %d is written", lowest, res.Version)
	}
	if v := VersionFor(newKeyspace()); v != DefaultVersion {
		t.Errorf("an empty keyspace asks for version %d", v)
	}
}
