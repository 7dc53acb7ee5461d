package commands

import (
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/process"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// MEMORY: what uses the memory. The figures are those of INFO memory (see below for what each means), and every one of them
// is counted, none estimated.

var memoryCommand = session.Command{
	Name: "memory", Arity: -2, Group: session.GroupServer, Since: "4.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about memory.",
	Subs: []session.Command{
		{Name: "doctor", Arity: 2, Handler: connected(memoryDoctor), Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)",
			Summary: "Reports what is unusual about the use of memory.", Hints: anyShardSpecial},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(memoryHelp),
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "malloc-stats", Arity: 2, Handler: connected(memoryMallocStats),
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)",
			Summary: "Tells the allocator's own statistics.", Hints: anyShardSpecial},
		{Name: "purge", Arity: 2, Handler: connected(memoryPurge),
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(N) in the memory of the server, in the background",
			Summary: "Gives unused memory back to the system.",
			Hints:   []string{"request_policy:all_shards", "response_policy:all_succeeded"}},
		{Name: "stats", Arity: 2, Handler: connected(memoryStats), Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)",
			Summary: "Tells how much memory is used for what.", Hints: anyShardSpecial},
		{Name: "usage", Arity: -3, Flags: session.ReadOnly, Handler: connected(memoryUsage),
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Tells how much memory a key takes.",
			Keys: []session.KeySpec{{Flags: session.KeyRO, Index: 2, Step: 1}},
			Args: []session.Arg{session.KeyArg("key"), session.TokenArg("count", session.ArgInteger, "SAMPLES", "").Opt()}},
	},
}

var anyShardSpecial = []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}

// memoryUsage replies with the bytes that the key's record and its value hold. SAMPLES, the effort that Redis's estimate
// may take, is checked and has no influence: values know their size.
func memoryUsage(c *Client) {
	for i := 3; i < len(c.Args); i += 2 {
		if !c.Is(i, "samples") || i+1 >= len(c.Args) {
			c.Error(session.ErrSyntax)
			return
		}
		n, ok := c.Int64Arg(i + 1)
		if !ok {
			return
		}
		if n < 0 {
			c.Error(session.ErrSyntax)
			return
		}
	}
	r := c.DB.PeekStale(c.Args[2])
	if r == nil {
		c.W.Null()
		return
	}
	c.W.Int(int64(keyspace.Size(r)))
}

// memoryFigures are the figures of MEMORY STATS and DOCTOR, in bytes.
type memoryFigures struct {
	used, peak, startup, clients   int64
	overhead, keys, dataset        int64
	allocated, active, resident    int64 // of the Go heap
	rss                            int64 // of the process
	net                            int64 // used beyond an empty server's, at least 1
	datasetPercent, peakPercent    float64
	fragmentation, allocatorFrag   float64 // rss to used, active to allocated
	allocatorOverhead, rssOverhead float64 // resident to active, rss to resident
}

func (s *Server) memoryFigures() memoryFigures {
	m := memoryFigures{
		used:    int64(s.usedMemory()),
		startup: int64(s.baseMemory),
		clients: int64(s.clientsMemory()),
		rss:     process.ResidentMemory(),
		keys:    int64(s.keys()),
	}
	s.stats.peakMemory = max(s.stats.peakMemory, int(m.used))
	m.peak = int64(s.stats.peakMemory)
	m.overhead = m.startup + m.clients + int64(s.otherMemory()+s.aofBuffer())
	for _, db := range s.Keyspace.DBs() {
		m.overhead += int64(db.Overhead())
	}
	m.dataset = m.used - m.overhead
	m.net = max(m.used-m.startup, 1)
	m.datasetPercent, m.peakPercent = percentOf(m.dataset, m.net), percentOf(m.used, m.peak)

	samples := []metrics.Sample{{Name: goMetricNames[goObjects]}, {Name: goMetricNames[goUnused]},
		{Name: goMetricNames[goTotal]}, {Name: goMetricNames[goReleased]}}
	metrics.Read(samples)
	value := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}
	m.allocated = value(0)
	m.active = m.allocated + value(1)
	m.resident = value(2) - value(3)
	m.allocatorFrag, m.allocatorOverhead = ratioOf(m.active, m.allocated), ratioOf(m.resident, m.active)
	m.rssOverhead, m.fragmentation = ratioOf(m.rss, m.resident), ratioOf(m.rss, m.used)
	return m
}

func memoryStats(c *Client) {
	m := c.srv.memoryFigures()
	w := c.W
	mark, n := w.BeginMap(), 0
	num := func(name string, v int64) {
		w.BulkString(name)
		w.Int(v)
		n++
	}
	ratio := func(name string, v float64) {
		w.BulkString(name)
		w.Double(v)
		n++
	}
	num("peak.allocated", m.peak)
	num("total.allocated", m.used)
	num("startup.allocated", m.startup)
	backlog, behind := c.srv.streamMemory()
	num("replication.backlog", backlog)
	num("clients.slaves", int64(c.srv.classMemory[config.ClassReplica])+behind)
	num("clients.normal", int64(c.srv.evictable()))
	num("cluster.links", 0)
	num("aof.buffer", int64(c.srv.aofBuffer()))
	num("lua.caches", c.srv.scripts.engine.Memory())
	num("functions.caches", int64(c.srv.scripts.libraries.Bytes()))
	for _, db := range c.srv.Keyspace.DBs() {
		if db.Len() == 0 {
			continue
		}
		w.BulkString(fmt.Sprintf("db.%d", db.ID))
		n++
		w.Map(3)
		w.BulkString("overhead.hashtable.main")
		w.Int(int64(db.Overhead() - db.WheelBytes()))
		w.BulkString("overhead.hashtable.expires")
		w.Int(int64(db.WheelBytes()))
		w.BulkString("overhead.hashtable.slot-to-keys")
		w.Int(0)
	}
	num("overhead.total", m.overhead)
	num("keys.count", m.keys)
	perKey := int64(0)
	if m.keys > 0 {
		perKey = m.net / m.keys
	}
	num("keys.bytes-per-key", perKey)
	num("dataset.bytes", m.dataset)
	ratio("dataset.percentage", m.datasetPercent)
	ratio("peak.percentage", m.peakPercent)
	num("allocator.allocated", m.allocated)
	num("allocator.active", m.active)
	num("allocator.resident", m.resident)
	ratio("allocator-fragmentation.ratio", m.allocatorFrag)
	num("allocator-fragmentation.bytes", m.active-m.allocated)
	ratio("allocator-rss.ratio", m.allocatorOverhead)
	num("allocator-rss.bytes", m.resident-m.active)
	ratio("rss-overhead.ratio", m.rssOverhead)
	num("rss-overhead.bytes", m.rss-m.resident)
	ratio("fragmentation", m.fragmentation)
	num("fragmentation.bytes", m.rss-m.used)
	w.EndMap(mark, n)
}

// The problems that MEMORY DOCTOR reports. The limits are Redis's, so that both report the same problems.
const (
	doctorTiny      = 5 << 20   // used bytes below which nothing can be said
	doctorPeak      = 1.5       // peak to used
	doctorRatio     = 1.4       // resident to used
	doctorOverheads = 1.1       // of the heap's parts
	doctorWaste     = 10 << 20  // bytes below which a ratio does not matter
	doctorClient    = 200 << 10 // bytes a client
)

func memoryDoctor(c *Client) {
	m := c.srv.memoryFigures()
	c.W.Verbatim("txt", m.report(len(c.srv.clients)))
}

// report is the text of MEMORY DOCTOR.
func (m *memoryFigures) report(clients int) string {
	if m.used < doctorTiny {
		return "This server holds next to no data: less than 5 MB are in use, and the ratios say nothing yet.\n"
	}
	var b strings.Builder
	finding := func(cond bool, format string, args ...any) {
		if cond {
			fmt.Fprintf(&b, " * "+format+"\n\n", args...)
		}
	}
	finding(float64(m.peak) > doctorPeak*float64(m.used),
		"Peak: %s were in use once, now it is %s. The heap shrinks by itself as the collector finds memory that has "+
			"not been used for a while; MEMORY PURGE gives it back at once.", humanBytes(m.peak), humanBytes(m.used))
	finding(m.fragmentation > doctorRatio && m.rss-m.used > doctorWaste,
		"Resident memory: the process holds %.2f times what its data and clients take. After a peak this passes. "+
			"Otherwise it is garbage that waits for the collector: the heap may grow by a quarter over the live data, "+
			"and by 8 MB, or 32 MB under load, where there is little.", m.fragmentation)
	finding(m.allocatorFrag > doctorOverheads && m.active-m.allocated > doctorWaste,
		"Fragmentation: %s lie free between objects of the heap, as after deleting many keys here and there. New keys "+
			"of the same sizes fill the gaps.", humanBytes(m.active-m.allocated))
	finding(m.allocatorOverhead > doctorOverheads && m.resident-m.active > doctorWaste,
		"Idle heap: %s belong to the heap and hold nothing. MEMORY PURGE gives them back to the system.",
		humanBytes(m.resident-m.active))
	finding(m.rssOverhead > doctorOverheads && m.rss-m.resident > doctorWaste,
		"Outside the heap: %s of the process are neither heap nor stacks.", humanBytes(m.rss-m.resident))
	finding(clients > 0 && m.clients/int64(max(clients, 1)) > doctorClient,
		"Clients: a client takes %s on average. Some do not read their replies, or send very large requests; "+
			"CLIENT LIST shows which (omem, qbuf).", humanBytes(m.clients/int64(max(clients, 1))))
	if b.Len() == 0 {
		return "Nothing about the memory of this server is unusual.\n"
	}
	return "What is unusual about the memory of this server:\n\n" + b.String()
}

// memoryMallocStats lists the figures of the Go runtime about memory and its collector.
func memoryMallocStats(c *Client) {
	var samples []metrics.Sample
	for _, d := range metrics.All() {
		if strings.HasPrefix(d.Name, "/memory/") || strings.HasPrefix(d.Name, "/gc/") {
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
	metrics.Read(samples)
	var b strings.Builder
	b.WriteString("Memory classes and collector statistics of the Go runtime\n")
	for _, s := range samples {
		switch s.Value.Kind() {
		case metrics.KindUint64:
			fmt.Fprintf(&b, "%s %d\n", s.Name, s.Value.Uint64())
		case metrics.KindFloat64:
			fmt.Fprintf(&b, "%s %g\n", s.Name, s.Value.Float64())
		}
	}
	c.W.Verbatim("txt", b.String())
}

// memoryPurge replies at once: the collection that comes first takes long on a large heap, but runs beside the loop. During
// another one it comes after that.
func memoryPurge(c *Client) {
	c.srv.gc.Release(c.srv.heldMemory())
	c.W.OK()
}

func memoryHelp(c *Client) {
	c.Help("DOCTOR",
		"    Report what is unusual about the use of memory.",
		"MALLOC-STATS",
		"    Tell the allocator's statistics.",
		"PURGE",
		"    Give unused memory back to the system.",
		"STATS",
		"    Tell how much memory is used for what.",
		"USAGE <key> [SAMPLES <count>]",
		"    Tell how many bytes a key and its value take. The count has no influence.")
}

// The memory section of INFO.
//
// used_memory is the account of what the data, its tables and the clients hold (Server.usedMemory). The allocator_ fields are
// the Go heap's: allocated are the bytes of objects, dead ones that the collector has not swept included; active adds the free
// room in spans that hold objects; resident is all that the runtime has and has not returned to the system, stacks and its own
// structures included. go_ fields are about the collector.

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
	state := x.engine.StateMemory()
	t.int("used_memory_lua", state)
	t.int("used_memory_vm_eval", state)
	t.str("used_memory_lua_human", humanBytes(state))
	t.int("used_memory_scripts_eval", x.engine.Memory())
	t.int("number_of_cached_scripts", int64(x.engine.Count()))
	t.int("number_of_functions", int64(functions))
	t.int("number_of_libraries", int64(libraries))
	t.zeros("used_memory_vm_functions") // they run in the state of scripts
	t.bytes("used_memory_vm_total", state)
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
	t.zeros("active_defrag_running", "lazyfree_pending_objects")
	t.int("lazyfreed_objects", s.Keyspace.LazilyFreed)

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
