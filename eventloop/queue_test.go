package eventloop

import (
	"bytes"
	"math/rand"
	"testing"

	"ferrous/tests/random"
)

// The queue against a plain slice.
func TestQueueModel(t *testing.T) { random.Repeat(t, testQueueModel) }

func testQueueModel(t *testing.T) {
	r := rand.New(rand.NewSource(int64(random.Seed(t))))
	var pool chunkPool
	runs := 30
	if raceEnabled {
		runs = 2
	}
	for run := range runs {
		q := pool.queue()
		if q.bytes != 0 || q.mem != 0 || q.n != 0 || len(q.front()) != 0 {
			t.Fatalf("a used queue from the pool")
		}
		var want []byte
		for step := range 400 {
			switch k := r.Intn(6); {
			case k < 3:
				b := make([]byte, r.Intn([]int{1, 100, 5000, 300_000}[r.Intn(4)])+1)
				r.Read(b)
				want = append(want, b...)
				if k == 0 {
					q.addOwned(b)
				} else {
					q.add(&pool, b)
					clear(b) // the queue has its own copy
				}
			default:
				p := q.front()
				n := r.Intn(len(p) + 1)
				if r.Intn(2) == 0 {
					n = len(p)
				}
				if !bytes.Equal(p[:n], want[:n]) {
					t.Fatalf("run %d step %d: content differs", run, step)
				}
				if len(p) > 0 {
					q.advance(&pool, n)
				}
				want = want[n:]
			}
			n, mem := 0, 0
			for c := q.head; c != nil; c = c.next {
				n++
				mem += cap(c.buf) + chunkOverhead
			}
			if q.bytes != len(want) || q.n != n || q.mem != mem {
				t.Fatalf("run %d step %d: %d bytes %d chunks %d memory, want %d %d %d", run, step, q.bytes, q.n, q.mem, len(want), n, mem)
			}
			if (len(q.front()) == 0) != (len(want) == 0) {
				t.Fatalf("run %d step %d: front is empty", run, step)
			}
		}
		pool.release(q)
		kept := 0
		for _, c := range pool.free {
			for ; c != nil; c = c.next {
				kept += cap(c.buf)
				if len(c.buf) != 0 || c.off != 0 {
					t.Fatal("a chunk in the pool is not empty")
				}
			}
		}
		if kept != pool.kept || kept > poolKeep {
			t.Fatalf("pool keeps %d, says %d", kept, pool.kept)
		}
	}
}

// Small writes to a long queue do not make many or wasteful chunks.
func TestQueueGrowth(t *testing.T) {
	var pool chunkPool
	q := pool.queue()
	b := make([]byte, 37)
	for q.bytes < 64<<20 {
		q.add(&pool, b)
	}
	if q.n > 80 || q.mem > q.bytes+2<<20 {
		t.Errorf("%d bytes: %d chunks, %d bytes of memory", q.bytes, q.n, q.mem)
	}
	pool.release(q)
	q = pool.queue()
	q.add(&pool, b)
	if q.mem > minChunk+chunkOverhead {
		t.Errorf("%d bytes of memory for one short reply", q.mem)
	}
}
