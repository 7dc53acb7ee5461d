// Package collector decides when Go's garbage collector runs: Pacer sets its pace, starts the collections of large heaps
// itself and gives memory back to the system, Activity measures how busy the server is, Tidier says when an idle server is to
// give memory back. Cron calls all three.
package collector

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// A Pacer sets the collector's pace from the size of the data, and begins the collections of a large heap itself.
//
// Go collects when the heap has grown by GOGC per cent over what survived the last collection. Ferrous wants garbage to
// stay within a quarter of the live data, so that resident memory is known; but on a small heap that would mean
// collecting all the time for nothing. There at least busyGarbage may gather while many commands come, and calmGarbage
// while few do, which make little of it anyway, and while the data grows: collections are few then, for each lets the heap
// become larger, and new objects that lie scattered between much garbage would keep its pages for good.
//
// # Large heaps
//
// Go's pacer has who allocates help with marking, by as much as is needed for the collection to end at its goal. Of a heap
// of millions of records that lie anywhere in memory, the least piece of such help takes a millisecond, and where other
// processes have the processors it waits for the background workers. The loop would pay for it in the midst of a command.
// So from ownLeast of data on the goal is so far away (noGoal) that the loop's share is nothing, and cron begins a
// collection, beside the loop, when ownPercent of the data has become garbage since the last one. If during a collection as
// much is allocated as the data itself takes, the pacer gets a goal again until it has ended: memory has a bound then, too.
// (Measured, a hash of 5 million fields written at pipeline 16 during BGSAVE: 0.6 to 0.9 s of help in each collection,
// 186 of 10.7 million HSETs over 1 ms; without, 64, on a machine that had other work as well.)
//
// What has become garbage is what was allocated less what the data grew by, for the size of the data is exact. (Of what is
// deleted nothing is seen until something else takes its place.) Data that only grows makes no garbage: a collection would
// look at everything and free nothing. (Measured, a replica that loads 3 million
// keys: 18 collections took 42 per cent of its CPU.) So while files or payloads are loaded, heaps of all sizes are treated
// like large ones. In any case a collection begins when the heap has become five times what it was (mostGrowth), since
// each counter may be wrong.
//
// # Memory for the system
//
// Release collects and gives all free memory back, beside the loop. The runtime gives it back in one piece of work that it
// cannot interrupt. A collection that began meanwhile would stop the loop, as each does for a moment, and then wait for the
// end of that work with the loop standing still. (Measured: 106 to 248 ms while 170 MB were given back, on a machine that
// had other work as well.) So until it has ended the runtime's goal is noGoal and the Pacer begins nothing and sets nothing.
type Pacer struct {
	bound   int64 // the runtime's limit of memory that was set, 0 = none
	soft    int64 // the one that GOMEMLIMIT gave
	near    bool  // the data is near its limit
	percent int   // of the pacer
	own     bool
	base    uint64        // bytes ever allocated when the last collection ended
	data    int           // the data then
	begun   uint64        // bytes ever allocated when the running collection began
	freed   uint64        // the same, when memory was last given back for the sake of a limit
	running chan struct{} // closed when the collection ends that was begun here
	frees   bool          // the running collection gives memory back
	wanted  bool          // Release came during a collection
	free    func()        // instead of debug.FreeOSMemory, for tests
	cycles  uint64        // collections that had ended when base was set
	sample  [1]metrics.Sample
}

const (
	garbagePercent = 25       // of the data that garbage may take
	busyGarbage    = 32 << 20 // bytes that it may take in any case while many commands come
	calmGarbage    = 8 << 20  // and while few do
	ownLeast       = 96 << 20 // bytes of data from which on cron begins the collections; half of it to stop that
	noGoal         = 10_000   // per cent; a negative one would make setting it wait for a collection to end
	ownPercent     = 18       // of the data that becomes garbage before cron begins a collection, so that garbage is within garbagePercent when it ends
	mostGrowth     = 4        // times the data at the last collection that may be allocated before cron begins a collection in any case
	lateGoal       = 100      // per cent, when a collection does not keep up
	fullPercent    = 6        // the same while the data is near its limit
)

// Bound sets a limit to the memory of the process, given the limit of the data in bytes (0 = none) and how much there is of
// it. Near the limit garbage may not gather as it may elsewhere: collections begin after fullPercent, and the runtime has to
// collect, and to give free memory back, before it takes more than boundShare of the limit; while a snapshot keeps what is
// changed, snapshotShare. A lower GOMEMLIMIT stays. Data well above the limit, as after it was lowered, sets none until enough
// has been evicted: a limit below what is alive would make the runtime collect without end.
//
// Nor is there a limit as long as the process takes more than that already. The next allocation, which is the loop's, would
// give all the rest back before it returns: 5.9 s after maxmemory had been set to a tenth of 400 MB. So memory is given back
// beside the loop first. What is left lies between living records; a limit could not make it less.
func (g *Pacer) Bound(limit, live int, snapshot bool) {
	if g.releases(live) {
		return
	}
	want := int64(0)
	g.near = limit > 0 && live >= limit/8*7 && live <= limit/8*9
	if g.near {
		share := boundShare
		if snapshot {
			share = snapshotShare
		}
		want = max(int64(float64(limit)*share), int64(limit)+busyGarbage)
	}
	if want == g.bound {
		return
	}
	if want != 0 && (g.bound == 0 || want < g.bound) && taken() > want {
		g.giveBack(limit, live)
		return
	}
	if g.soft == 0 {
		g.soft = debug.SetMemoryLimit(-1)
	}
	g.bound = want
	if want == 0 || want > g.soft {
		want = g.soft
	}
	debug.SetMemoryLimit(want)
}

// giveBack gives free memory back to the system, unless that was done a short time ago.
func (g *Pacer) giveBack(limit, live int) {
	allocated := g.allocated()
	if !g.atRest(allocated, live) || g.freed != 0 && allocated-g.freed < uint64(limit)/8 {
		return
	}
	g.freed = allocated
	g.release(allocated)
}

// Release collects, and gives free memory back to the system, beside the loop; see the head of the type. live is the bytes
// of data. During a collection it waits for its end.
func (g *Pacer) Release(live int) {
	allocated := g.allocated()
	if g.wanted = !g.atRest(allocated, live); !g.wanted {
		g.release(allocated)
	}
}

func (g *Pacer) release(allocated uint64) {
	free := g.free
	if free == nil {
		free = debug.FreeOSMemory
	}
	g.frees = true
	before := debug.SetGCPercent(noGoal)
	g.begin(allocated, func() {
		free()
		debug.SetGCPercent(before)
	})
}

// releases reports whether memory is being given back.
func (g *Pacer) releases(live int) bool { return g.frees && !g.atRest(g.allocated(), live) }

// taken returns how many bytes the process has of the system, as the runtime's limit counts them.
func taken() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

const (
	boundShare    = 1.19
	snapshotShare = 1.34
)

// Adjust sets the pace for live bytes of data; loading says that a file or payload is being loaded. It is to be called often:
// large heaps are collected from here.
func (g *Pacer) Adjust(live int, busy, loading bool) {
	if g.releases(live) {
		return
	}
	if g.wanted {
		if g.Release(live); g.frees {
			return
		}
	}
	if own := loading || live >= ownLeast || g.own && live >= ownLeast/2; own != g.own {
		g.own = own
		g.percent = 0
		g.rebase(g.allocated(), live)
	}
	if g.own {
		least := 0
		if loading {
			least = busyGarbage
		}
		g.collect(live, least)
		return
	}
	live = max(live, 4<<20)
	small := calmGarbage
	if busy {
		small = busyGarbage
	}
	p := max(garbagePercent, int(math.Ceil(float64(small)*100/float64(live))))
	// Each change takes a lock of the allocator: only a change that matters is made.
	if g.percent == 0 || p < g.percent*9/10 || p > g.percent*11/10 {
		g.percent = p
		debug.SetGCPercent(p)
	}
}

// collect is Adjust for a large heap, and for any while files are loaded. least is how much garbage may gather in any case.
func (g *Pacer) collect(live, least int) {
	allocated := g.allocated()
	if !g.atRest(allocated, live) {
		if allocated-g.begun > uint64(live) {
			g.set(lateGoal)
		}
		return
	}
	if cycles() != g.cycles {
		g.rebase(allocated, live) // the runtime has collected, because of its limit of memory
	}
	g.set(noGoal)
	share := ownPercent
	if g.near {
		share = fullPercent
	}
	grown := int(allocated - g.base)
	garbage := grown - max(live-g.data, 0)
	if garbage >= max(live*share/100, least) || grown >= mostGrowth*max(g.data, ownLeast) {
		g.begin(allocated, runtime.GC)
	}
}

// begin runs a collection beside the loop.
func (g *Pacer) begin(allocated uint64, collection func()) {
	done := make(chan struct{})
	g.running, g.begun = done, allocated
	go func() {
		defer close(done)
		collection()
	}()
}

// atRest reports whether no collection is running that was begun here.
func (g *Pacer) atRest(allocated uint64, live int) bool {
	if g.running == nil {
		return true
	}
	select {
	case <-g.running:
		g.running, g.frees = nil, false
		g.rebase(allocated, live)
		return true
	default:
		return false
	}
}

// rebase counts garbage from now on, after a collection.
func (g *Pacer) rebase(allocated uint64, live int) {
	g.base, g.data, g.cycles = allocated, live, cycles()
}

// cycles returns how many collections have ended.
func cycles() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample[:])
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// Percent returns the collector's goal: by how many per cent the heap may grow.
func (g *Pacer) Percent() int { return g.percent }

// set gives the collector a goal.
func (g *Pacer) set(percent int) {
	if g.percent != percent {
		g.percent = percent
		debug.SetGCPercent(percent)
	}
}

// allocated returns how many bytes the process has ever allocated on its heap.
func (g *Pacer) allocated() uint64 { return heapAllocated(&g.sample) }

// heapAllocated reads the bytes that the process has ever allocated on its heap.
func heapAllocated(sample *[1]metrics.Sample) uint64 {
	sample[0].Name = "/gc/heap/allocs:bytes"
	metrics.Read(sample[:])
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// An Activity measures how much there is to do.
type Activity struct {
	from, commands int64 // when the present second began, in Unix ms, and the commands before it
	live           int   // bytes of the data then
	idle           bool  // the last second brought next to nothing
	calm           int   // seconds in a row that brought little, up to calmAfter
}

const (
	second       = 1000 // ms
	IdleCommands = 100  // that an idle second may bring
	calmCommands = 2000 // that a calm second may bring
	calmAfter    = 5    // seconds
	growth       = 16   // data that grows by more than this share in a second is growing
)

// Note takes the time in Unix ms, the number of commands that have ever been run and the bytes of the data. It reports
// whether a second has ended.
func (a *Activity) Note(now, commands int64, live int) bool {
	if now-a.from < second && now >= a.from {
		return false
	}
	n, first := commands-a.commands, a.from == 0
	growing := live-a.live > a.live/growth
	a.from, a.commands, a.live = now, commands, live
	a.idle = !first && n <= IdleCommands
	switch {
	case first || growing:
		a.calm = calmAfter
	case n > calmCommands:
		a.calm = 0
	default:
		a.calm = min(a.calm+1, calmAfter)
	}
	return true
}

// Busy reports whether one of the last seconds brought many commands, to data that does not grow by them.
func (a *Activity) Busy() bool { return a.calm < calmAfter }

// Idle reports whether the last second brought next to no commands.
func (a *Activity) Idle() bool { return a.idle }

// Restart says that the number of commands begins again at 0 after n.
func (a *Activity) Restart(n int64) { a.commands -= n }

// A Tidier says when the garbage of the heap is to be given back to the system because the server is idle.
//
// What a burst of commands left behind would stay until the next one brings the collector: on a heap of some ten
// megabytes a quarter more than the data or worse, which no one needs. So when a whole second brought next to no
// commands, and enough was allocated since the last time, the heap is collected and what is free goes back to the system.
// It happens beside the loop, and comes at most once in tidyPause for each tidyUnit of data, so that a server which rests
// between bursts does not collect all the time.
type Tidier struct {
	last      int64  // when the heap was last tidied, in Unix ms
	allocated uint64 // bytes allocated by then
	sample    [1]metrics.Sample
}

const (
	tidyUnit  = 256 << 20
	tidyPause = 10 * second // between two, for each tidyUnit
	tidyLeast = 1 << 20     // bytes that must have been allocated since the last time,
	tidyShare = 32          // and this share of the data
)

// Due is called at the end of an idle second with the time in Unix ms and the bytes of the data. It reports whether the heap
// is to be tidied now.
func (t *Tidier) Due(now int64, live int) bool {
	if now-t.last < tidyPause*int64(live/tidyUnit+1) && now >= t.last {
		return false
	}
	allocated := heapAllocated(&t.sample)
	if allocated-t.allocated < uint64(max(tidyLeast, live/tidyShare)) {
		return false
	}
	t.last, t.allocated = now, allocated
	return true
}
