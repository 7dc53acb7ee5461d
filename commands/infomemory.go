package commands

import (
	"math"
	"runtime"
	"runtime/metrics"

	"ferrous/commands/config"
	"ferrous/commands/process"
)

// The memory section of INFO.
//
// used_memory is the account of what the data, its tables and the clients hold (Server.usedMemory). The allocator_
// fields are the Go heap's: allocated are the bytes of objects, dead ones that the collector has not swept included;
// active adds the free room in spans that hold objects; resident is all that the runtime has and has not returned to
// the system, stacks and its own structures included. go_ fields tell of the collector.

// The runtime's metrics that memory shows.
const (
	goObjects = iota
	goUnused
	goFree
	goReleased
	goTotal
	goLive
	goGoal
	goCycles
	goPauses
	goCPU
	goAllCPU
	goMetrics
)

var goMetricNames = [goMetrics]string{
	goObjects:  "/memory/classes/heap/objects:bytes",
	goUnused:   "/memory/classes/heap/unused:bytes",
	goFree:     "/memory/classes/heap/free:bytes",
	goReleased: "/memory/classes/heap/released:bytes",
	goTotal:    "/memory/classes/total:bytes",
	goLive:     "/gc/heap/live:bytes",
	goGoal:     "/gc/heap/goal:bytes",
	goCycles:   "/gc/cycles/total:gc-cycles",
	goPauses:   "/sched/pauses/total/gc:seconds",
	goCPU:      "/cpu/classes/gc/total:cpu-seconds",
	goAllCPU:   "/cpu/classes/total:cpu-seconds",
}

func (t *infoText) memory() {
	s := t.s
	samples := make([]metrics.Sample, goMetrics)
	for i := range samples {
		samples[i].Name = goMetricNames[i]
	}
	metrics.Read(samples)
	bytes := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}

	used := int64(s.usedMemory())
	s.stats.peakMemory = max(s.stats.peakMemory, int(used))
	peak := int64(s.stats.peakMemory)
	clients := int64(s.clientsMemory())
	startup := int64(s.baseMemory)
	overhead := startup + clients + int64(s.otherMemory()+s.aofBuffer())
	for _, db := range s.Keyspace.DBs() {
		overhead += int64(db.Overhead())
	}
	dataset := used - overhead
	rss := process.ResidentMemory()
	allocated := bytes(goObjects)
	active := allocated + bytes(goUnused)
	resident := bytes(goTotal) - bytes(goReleased)

	t.bytes("used_memory", used)
	t.bytes("used_memory_rss", rss)
	t.bytes("used_memory_peak", peak)
	t.percent("used_memory_peak_perc", percentOf(used, peak))
	t.int("used_memory_overhead", overhead)
	t.int("used_memory_startup", startup)
	t.int("used_memory_dataset", dataset)
	t.percent("used_memory_dataset_perc", percentOf(dataset, used-startup))
	t.int("allocator_allocated", allocated)
	t.int("allocator_active", active)
	t.int("allocator_resident", resident)
	t.bytes("total_system_memory", process.SystemMemory())
	x := &s.scripts
	libraries, functions := x.libraries.Count()
	t.zeros("used_memory_lua", "used_memory_vm_eval") // the state of Lua is a part of Go's heap
	t.str("used_memory_lua_human", humanBytes(0))
	t.int("used_memory_scripts_eval", x.engine.Memory())
	t.int("number_of_cached_scripts", int64(x.engine.Count()))
	t.int("number_of_functions", int64(functions))
	t.int("number_of_libraries", int64(libraries))
	t.zeros("used_memory_vm_functions")
	t.bytes("used_memory_vm_total", 0)
	t.int("used_memory_functions", int64(x.libraries.Bytes()))
	t.bytes("used_memory_scripts", x.engine.Memory()+int64(x.libraries.Bytes()))
	t.bytes("maxmemory", int64(min(s.Config.MaxMemory, math.MaxInt64)))
	t.str("maxmemory_policy", s.Config.MaxMemoryPolicy.String())
	t.ratio("allocator_frag_ratio", ratioOf(active, allocated))
	t.int("allocator_frag_bytes", active-allocated)
	t.ratio("allocator_rss_ratio", ratioOf(resident, active))
	t.int("allocator_rss_bytes", resident-active)
	t.ratio("rss_overhead_ratio", ratioOf(rss, resident))
	t.int("rss_overhead_bytes", rss-resident)
	t.ratio("mem_fragmentation_ratio", ratioOf(rss, used))
	t.int("mem_fragmentation_bytes", rss-used)
	t.int("mem_not_counted_for_evict", int64(s.uncountedMemory()))
	backlog, behind := s.streamMemory()
	t.int("mem_replication_backlog", backlog)
	t.int("mem_total_replication_buffers", backlog+behind)
	t.int("mem_clients_slaves", int64(s.classMemory[config.ClassReplica])+behind)
	t.int("mem_clients_normal", int64(s.evictable()))
	t.zeros("mem_cluster_links")
	t.int("mem_aof_buffer", int64(s.aofBuffer()))
	t.str("mem_allocator", "go")
	t.zeros("active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects")

	t.int("go_heap_live", bytes(goLive))
	t.int("go_heap_goal", bytes(goGoal))
	t.int("go_heap_free", bytes(goFree))
	t.int("go_gc_cycles", bytes(goCycles))
	t.int("go_gc_percent", int64(s.gc.Percent()))
	if samples[goCPU].Value.Kind() == metrics.KindFloat64 && samples[goAllCPU].Value.Float64() > 0 {
		t.percent("go_gc_cpu", 100*samples[goCPU].Value.Float64()/samples[goAllCPU].Value.Float64())
	}
	if samples[goPauses].Value.Kind() == metrics.KindFloat64Histogram {
		h := samples[goPauses].Value.Float64Histogram()
		t.int("go_gc_pause_p99_usec", histogramMicros(h, 0.99))
		t.int("go_gc_pause_max_usec", histogramMicros(h, 1))
	}
}

// startupMemory is what the process holds before it has any data: tables of commands and directives, users, buffers.
func startupMemory() int {
	runtime.GC() // what starting has left behind is not held
	sample := []metrics.Sample{{Name: goMetricNames[goLive]}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int(sample[0].Value.Uint64())
}

// histogramMicros returns the upper bound, in microseconds, of the bucket in which the share p of a histogram of seconds
// is reached.
func histogramMicros(h *metrics.Float64Histogram, p float64) int64 {
	total := uint64(0)
	for _, n := range h.Counts {
		total += n
	}
	want, seen := uint64(math.Ceil(float64(total)*p)), uint64(0)
	for i, n := range h.Counts {
		if seen += n; n > 0 && seen >= want {
			bound := h.Buckets[i+1]
			if math.IsInf(bound, 1) {
				bound = h.Buckets[i]
			}
			return int64(math.Ceil(bound * 1e6))
		}
	}
	return 0
}

func ratioOf(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func percentOf(a, b int64) float64 { return 100 * ratioOf(a, b) }
