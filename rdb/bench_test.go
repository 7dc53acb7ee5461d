package rdb

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"ferrous/datatypes/record"
)

// benchFile names a dump to load in place of the generated one: for comparing with the server that wrote it.
var benchFile = flag.String("rdb.file", "", "dump file that the benchmarks load")

func benchData(b *testing.B) []byte {
	b.Helper()
	if *benchFile != "" {
		file, err := os.ReadFile(*benchFile)
		if err != nil {
			b.Fatal(err)
		}
		return file
	}
	ks := newKeyspace()
	for i := range 200_000 {
		key := fmt.Appendf(nil, "key:%012d", i)
		ks.DBs()[0].SetString(key, fmt.Appendf(nil, "value:%d:%016x", i, i*7919), record.NoExpiry)
	}
	return save(b, ks, &Options{Compress: true, Checksum: true})
}

// cpuTime returns the time that the process has computed: what a busy machine does not distort.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkLoad(b *testing.B) {
	file := benchData(b)
	b.SetBytes(int64(len(file)))
	keys := int64(0)
	b.ResetTimer()
	before := cpuTime()
	for range b.N {
		ks := newKeyspace()
		l := &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: true}
		res, err := l.Load(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		keys += res.Keys
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(keys), "cpu-ns/key")
}

func BenchmarkSave(b *testing.B) {
	for _, compress := range []bool{true, false} {
		b.Run(fmt.Sprintf("compress=%t", compress), func(b *testing.B) {
			ks := newKeyspace()
			file := benchData(b)
			if _, err := (&Loader{Keyspace: ks, Rules: testRules(ks)}).Load(bytes.NewReader(file), -1); err != nil {
				b.Fatal(err)
			}
			keys, size := 0, int64(0)
			b.ResetTimer()
			before := cpuTime()
			for range b.N {
				snap, err := ks.Snapshot()
				if err != nil {
					b.Fatal(err)
				}
				o := &Options{Compress: compress, Checksum: true, OnProgress: func(_, n int64) error { size = n; return nil }}
				if err := Save(io.Discard, snap, o); err != nil {
					b.Fatal(err)
				}
				keys += snap.Len()
				snap.Release()
			}
			b.SetBytes(size)
			b.ReportMetric(float64(cpuTime()-before)/float64(keys), "cpu-ns/key")
		})
	}
}
