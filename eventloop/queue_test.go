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
				switch k {
				case 0:
					q.addOwned(b)
				case 1:
					own := append(pool.buffer(), b...) // as a writer fills it
					off := r.Intn(len(b))
					want = append(want[:len(want)-len(b)], b[off:]...)
					q.addBuffer(&pool, own, off)
				default:
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
			n, mem, out := 0, 0, 0
			for c := q.head; c != nil; c = c.next {
				n++
				mem += cap(c.buf) + chunkOverhead
				if c.class != classOwned {
					out += cap(c.buf)
				}
			}
			if pool.out != out {
				t.Fatalf("run %d step %d: %d bytes of the pool's are out, counted %d", run, step, out, pool.out)
			}
			if q.bytes != len(want) || q.n != n || q.mem != mem {
				t.Fatalf("run %d step %d: %d bytes %d chunks %d memory, want %d %d %d", run, step, q.bytes, q.n, q.mem, len(want), n, mem)
			}
			if (len(q.front()) == 0) != (len(want) == 0) {
				t.Fatalf("run %d step %d: front is empty", run, step)
			}
		}
		pool.release(q)
		if r.Intn(4) == 0 {
			pool.trim()
		}
		kept := 0
		for _, b := range pool.buffers {
			kept += cap(b)
			if len(b) != 0 {
				t.Fatal("a buffer in the pool is not empty")
			}
		}
		for _, c := range pool.free {
			for ; c != nil; c = c.next {
				kept += cap(c.buf)
				if len(c.buf) != 0 || c.off != 0 {
					t.Fatal("a chunk in the pool is not empty")
				}
			}
		}
		if kept != pool.kept || kept > pool.limit() || pool.out != 0 {
			t.Fatalf("pool keeps %d, says %d, its limit is %d, and %d are out", kept, pool.kept, pool.limit(), pool.out)
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

// The pool keeps what queues held at once, up to poolMost, and lets go of it when it was not needed for two trims.
func TestPoolFollowsNeed(t *testing.T) {
	var pool chunkPool
	send := func(total int) {
		q := pool.queue()
		for q.bytes < total {
			q.addBuffer(&pool, append(pool.buffer(), make([]byte, 1<<20)...), 0)
			q.add(&pool, make([]byte, 1<<20))
		}
		pool.release(q)
	}
	send(32 << 20)
	if pool.kept < 32<<20 || pool.kept > 40<<20 {
		t.Errorf("%d bytes are kept after queues of 32 MiB", pool.kept)
	}
	pool.trim()
	if pool.kept < 32<<20 {
		t.Errorf("%d bytes are kept after the first trim", pool.kept)
	}
	pool.trim()
	if pool.kept > poolKeep {
		t.Errorf("%d bytes are kept when nothing was sent for long", pool.kept)
	}
	send(poolMost + 64<<20)
	if pool.kept > poolMost {
		t.Errorf("%d bytes are kept after queues of more", pool.kept)
	}
	if n := testing.AllocsPerRun(20, func() {
		q := pool.queue()
		q.addBuffer(&pool, append(pool.buffer(), "reply"...), 0)
		pool.release(q)
	}); n > 1 { // the chunk's head
		t.Errorf("a buffer that comes back costs %v allocations", n)
	}
}
