package collector

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestActivity(t *testing.T) {
	var a Activity
	now, commands := int64(1_000_000), int64(0)
	live := 1600
	if !a.Note(now, commands, live) || a.idle || a.Busy() {
		t.Error("the first second tells of a second that was not seen")
	}
	for i, step := range []struct {
		ms, commands int64
		grown        int
		ended, idle  bool
		calm         int
	}{
		{999, calmCommands, 0, false, false, 5},
		{1, 5, 0, true, false, 0},
		{1000, calmCommands, 0, true, false, 1},
		{1000, 5, 100, true, true, 2},
		{1000, 0, 0, true, true, 3},
		{1000, 0, 0, true, true, 4},
		{1000, 0, 0, true, true, 5},
		{1000, 0, 0, true, true, 5},
		{1000, calmCommands + 1, 0, true, false, 0},
		{1000, calmCommands + 1, 200, true, false, 5}, // growing
		{1000, calmCommands + 1, -800, true, false, 0},
		{-5000, 0, 0, true, true, 1}, // the clock was set back
	} {
		now += step.ms
		commands += step.commands
		live += step.grown
		if ended := a.Note(now, commands, live); ended != step.ended || a.idle != step.idle || a.calm != step.calm ||
			a.Busy() != (step.calm < calmAfter) {
			t.Fatalf("step %d: ended %v, idle %v, calm %d", i, ended, a.idle, a.calm)
		}
	}
}

var litter []byte

func TestTidier(t *testing.T) {
	var tidy Tidier
	allocate := func(n int) {
		for ; n > 0; n -= 64 << 10 {
			litter = make([]byte, 64<<10)
		}
	}
	const live = 64 << 20
	now := int64(1_000_000)
	allocate(4 << 20)
	if !tidy.Due(now, live) {
		t.Fatal("the first rest after much was allocated is not used")
	}
	now += tidyPause
	if tidy.Due(now, live) {
		t.Error("tidied again though nothing was allocated")
	}
	allocate(3 << 20)
	if tidy.Due(now-1, live) {
		t.Error("tidied twice within the pause")
	}
	if tidy.Due(now, tidyUnit) {
		t.Error("a large heap is tidied as often as a small one")
	}
	if !tidy.Due(now, live) {
		t.Error("the second rest is not used")
	}
}

func TestPace(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	var g Pacer
	for _, tc := range []struct {
		live          int
		busy, loading bool
		percent       int
	}{
		{0, false, false, 200}, {0, true, false, 800}, {64 << 20, true, false, 50}, {64 << 20, false, false, 25},
		{10 << 30, true, false, noGoal}, {64 << 20, true, false, noGoal}, {32 << 20, true, false, 100},
		{0, false, true, noGoal}, {32 << 20, true, true, noGoal}, {32 << 20, true, false, 100},
	} {
		g.Adjust(tc.live, tc.busy, tc.loading)
		if g.percent != tc.percent {
			t.Errorf("%d bytes, busy %v, loading %v: %d%%, want %d%%", tc.live, tc.busy, tc.loading, g.percent, tc.percent)
		}
	}
}

// A large heap is collected when a share of the data has been allocated; the pacer helps where that is not enough.
func TestLargeHeaps(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC() // none is running that the Pacer would notice the end of
	var g Pacer
	const live = ownLeast
	step := func() {
		t.Helper()
		if g.Adjust(live, true, false); g.running == nil {
			return
		}
		<-g.running
	}
	step()
	if g.percent != noGoal || g.running != nil {
		t.Fatalf("begins with %d%%, collecting %v", g.percent, g.running != nil)
	}
	for range live*ownPercent/100/(64<<10) + 2 {
		litter = make([]byte, 64<<10)
	}
	before := g.base
	step()
	if g.running == nil {
		t.Fatal("nothing is collected though much was allocated")
	}
	if step(); g.running != nil || g.base == before {
		t.Error("the end of a collection is not seen")
	}
	never := make(chan struct{})
	g.running, g.begun = never, g.base-live-1
	if g.Adjust(live, true, false); g.percent != lateGoal {
		t.Errorf("%d%% though more was allocated during a collection than there is", g.percent)
	}
	g.running = make(chan struct{})
	close(g.running)
	if g.Adjust(live, true, false); g.percent != noGoal || g.running != nil {
		t.Errorf("%d%% after it", g.percent)
	}
}

// TestGrowth: data that only grows is not collected until the heap is several times what it was.
func TestGrowth(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	const mb = 1 << 20
	for _, tc := range []struct {
		name          string
		before, now   int // bytes of data
		allocated     int // since the last collection
		near, loading bool
		wanted        bool
	}{
		{"rewritten, little", 100 * mb, 100 * mb, 17 * mb, false, false, false},
		{"rewritten, enough", 100 * mb, 100 * mb, 18 * mb, false, false, true},
		{"rewritten near the limit", 100 * mb, 100 * mb, 6 * mb, true, false, true},
		{"grown", 100 * mb, 300 * mb, 230 * mb, false, false, false},
		{"grown and rewritten", 100 * mb, 300 * mb, 260 * mb, false, false, true},
		{"grown by far", 100 * mb, 600 * mb, 500 * mb, false, false, true},
		{"shrunk", 200 * mb, 100 * mb, mb, false, false, false},
		{"loaded, small", 0, 10 * mb, 41 * mb, false, true, false},
		{"loaded, small, with garbage", 0, 10 * mb, 42 * mb, false, true, true},
		{"loaded", 0, 300 * mb, 340 * mb, false, true, false},
		{"loaded, with garbage", 0, 300 * mb, 355 * mb, false, true, true},
		{"loaded, much", 0, 390 * mb, 385 * mb, false, true, true},
	} {
		g := Pacer{own: true, near: tc.near, data: tc.before, percent: noGoal, cycles: cycles()}
		g.base = g.allocated() - uint64(tc.allocated)
		g.Adjust(tc.now, true, tc.loading)
		if got := g.running != nil; got != tc.wanted {
			t.Errorf("%s: a collection begins: %v", tc.name, got)
		}
		if g.running != nil {
			<-g.running
		}
	}
}

// TestForeignCollection: after a collection that the runtime has made by itself, garbage is counted anew.
func TestForeignCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	g := Pacer{own: true, data: ownLeast, percent: noGoal, cycles: cycles()}
	g.base = g.allocated() - ownLeast
	runtime.GC()
	if g.Adjust(ownLeast, true, false); g.running != nil {
		<-g.running
		t.Error("a collection follows one of the runtime at once")
	}
	g.base -= ownLeast
	if g.Adjust(ownLeast, true, false); g.running == nil {
		t.Fatal("no collection though everything was rewritten since")
	}
	<-g.running
}

// The runtime's limit of memory is set near the limit of the data only, and never below what is alive.
func TestBound(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	const mb = 1 << 20
	g := &Pacer{}
	for _, step := range []struct {
		limit, live int
		snapshot    bool
		want        int64 // megabytes, 0 = none
	}{
		{0, 900 * mb, false, 0},
		{1000 * mb, 500 * mb, false, 0},
		{1000 * mb, 990 * mb, false, 1190},
		{1000 * mb, 1010 * mb, true, 1340},
		{100 * mb, 1000 * mb, false, 0}, // it was lowered
		{100 * mb, 120 * mb, false, 0},
		{100 * mb, 100 * mb, false, 132},
		{0, 100 * mb, false, 0},
	} {
		g.Bound(step.limit, step.live, step.snapshot)
		got := debug.SetMemoryLimit(-1)
		if want := step.want * mb; step.want == 0 && got != before || step.want != 0 && got != want {
			t.Errorf("limit %d, data %d: the runtime's limit is %d, want %d", step.limit, step.live, got, want)
		}
	}
}

// TestBoundBelowWhatIsTaken: the runtime gets no limit that the process is beyond, but memory is given back.
func TestBoundBelowWhatIsTaken(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	const mb = 1 << 20
	ballast := make([][]byte, 300)
	for i := range ballast {
		ballast[i] = make([]byte, mb)
		ballast[i][0] = 1
	}
	g := &Pacer{}
	g.Bound(100*mb, 100*mb, false)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Fatalf("the runtime's limit is %d while %d are in use", got, taken())
	}
	if g.running == nil {
		t.Fatal("nothing is given back")
	}
	<-g.running
	runtime.KeepAlive(ballast)
	g.Bound(100*mb, 100*mb, false)
	if g.running != nil {
		t.Error("memory is given back again and again")
	}
	ballast = nil
	g.freed = 0
	for i := 0; debug.SetMemoryLimit(-1) == before; i++ {
		if i == 1000 {
			t.Fatalf("no limit although %d are in use", taken())
		}
		g.Bound(100*mb, 100*mb, false)
		time.Sleep(10 * time.Millisecond)
	}
	if got := debug.SetMemoryLimit(-1); got != 132*mb {
		t.Errorf("the runtime's limit is %d", got)
	}
}

// TestRelease: while memory is given back no collection begins, neither of the Pacer nor of the runtime, and nothing that
// would begin one is set. One that is asked for during a collection comes after it.
func TestRelease(t *testing.T) {
	limit := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(limit)
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	const mb = 1 << 20
	released, end := 0, make(chan struct{})
	g := Pacer{free: func() { released++; <-end }}
	g.Adjust(0, false, false)
	runtime.GC()
	before := cycles()
	g.Release(0)
	for range 64 {
		for range 16 {
			litter = make([]byte, 64<<10)
		}
		g.Bound(100*mb, 100*mb, false)
		g.Adjust(0, true, false)
		g.Adjust(2*ownLeast, true, true)
	}
	if got := cycles(); got != before {
		t.Errorf("%d collections while memory is given back", got-before)
	}
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("the runtime's limit is %d while memory is given back", got)
	}
	end <- struct{}{}
	<-g.running
	if got := debug.SetGCPercent(100); got != g.percent {
		t.Errorf("the runtime's goal is %d%% afterwards, want %d%%", got, g.percent)
	}
	if g.Adjust(0, true, false); g.percent != 800 {
		t.Errorf("%d%% afterwards", g.percent)
	}

	other := make(chan struct{})
	g.running = other
	g.Release(0)
	g.Adjust(0, false, false)
	if g.running != other || released != 1 {
		t.Fatal("memory is given back during a collection")
	}
	close(other)
	g.Adjust(0, false, false)
	end <- struct{}{}
	<-g.running
	g.Adjust(0, false, false)
	if released != 2 || g.running != nil {
		t.Errorf("%d times given back, running %v", released, g.running != nil)
	}
}
