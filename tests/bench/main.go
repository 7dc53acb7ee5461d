// Command bench measures Ferrous beside redis-server on the same machine, in the same run.
//
// What it counts is CPU: user plus system time of the whole server process, read from /proc around each round, divided
// by the requests served. On a small machine the load generator saturates first, so throughput alone says little; it is
// printed for information. Rounds are interleaved (Ferrous, Redis, Ferrous, Redis …, the order turned round each time)
// and the medians reported, so that a machine that slows down for a while slows both.
//
// Sections (-only):
//
//	cpu      redis-benchmark's default tests, and pops of missing keys, at several pipeline depths
//	big      SET and GET at pipeline 16 over 4 million keys
//	large    values of 10 KB to 512 MB: CPU a request, and how long a paced client waits beside values of 64 MB
//	mem      resident bytes a key, for several shapes and numbers of keys
//	elems    resident bytes an element of large collections and of many small ones
//	small    resident bytes a key of small hashes, sets, sorted sets and lists, and CPU of the commands that use them
//	blocked  10,000 blocked workers: CPU while they wait and CPU a job, on one queue and on a queue each
//	streams  CPU a request of XADD, XREAD, XREADGROUP and XACK, CPU a delivery to consumers that wait, bytes an entry and a
//	         pending entry
//	stalls   the slowest single write to collections of 5 million elements while a snapshot is held (ours alone)
//	aof      SET with the append-only file on: CPU with everysec, requests a second with always
//	snapshot latency, memory and time of BGSAVE, and loading, with 3 million keys and with one hash of 5 million fields
//	sessions publishing to 1, 100 and 10,000 subscribers, tracked writes, transactions of ten commands
//	watch    what slowlog, latency tracking and the latency monitor cost when nobody looks: on against off, ours alone
//	lua      scripts: calls of them, and what they do inside, beside the ratios that are to be reached
//	jobs     20,000 jobs through scripts such as queue libraries have: add, take, extend the lock, finish
//	replication  CPU a SET with replicas, full synchronisation, applying a stream, WAIT, stalled replicas
//	eviction at maxmemory: hit rates, CPU of a read-through loop, latency, resident memory, a limit that is lowered. Its parts
//	         take minutes: -evictparts, -evictpatterns, -evictrooms, -evictpolicies choose
//	conns    resident bytes an idle connection
//	many     CPU a request with 1,000 and 10,000 active clients, CPU a connection that asks once
//	tls      SET and GET over TLS: requests a second, CPU of the loop's thread and of the process; bytes an idle connection
//	latency  percentiles of a paced client, counted from the intended start, idle and beside load
//	tail     percentiles of a paced client beside 50 clients at full speed over 10 million keys, ten minutes a server
//	long     commands over a million elements, SCAN of 10 million keys: CPU, and how long others wait meanwhile
//	expiry   how late keys are gone and counted in expired_keys, among 1 million far deadlines
//	metrics  for how long a scrape of /metrics holds the loop, with few keys and with 2 million (ours alone)
//
// Examples:
//
//	go run ./tests/bench
//	go run ./tests/bench -only cpu -tests set,get -pipelines 100 -rounds 3
//	go run ./tests/bench -only cpu -redis ./ferrous-before        (compare two builds)
//
// A markdown table goes to the standard output, the figures with their rounds to tests/bench/results as JSON. Linux only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ferrous/tests/harness"
)

// bench is one run: what was asked for, and what has been found so far.
type bench struct {
	ctx context.Context

	subjects    []subject // always two: ours, then the one it is compared with
	rounds      int
	cpuTarget   time.Duration // CPU time of a server in one round
	clients     int
	dataSize    int
	tests       []string
	pipelines   []int
	keyspace    int
	bigKeys     int
	memKeys     []int
	memShapes   []string
	conns       int
	elemShapes  []string
	smallKeys   int
	smallTypes  []string
	workers     int
	jobs        int // of a round of the blocked section
	streamParts []string
	streamTests []string
	replParts   []string
	tlsParts    []string
	authority   *harness.Authority // servers speak TLS alone; nil: plain
	stallTypes  []string
	readers     int // that wait in the streams section
	deliveries  int // to them in a round
	members     int // of a collection of the stalls section
	seconds     int // length of a latency measurement
	rate        int // requests a second of the paced client
	snapKeys    int
	snapFields  int
	snapRate    int
	farKeys     int
	dueKeys     int
	manyClients []int
	tailKeys    int
	tailSeconds int
	largeParts  []string
	longMembers int
	longKeys    int

	evictParts       []string
	evictPatterns    []string
	evictRooms       []int // per cent of the keys
	evictPolicies    []string
	evictKeys        int
	evictRequests    int // of a run of the part hits
	evictCPURequests int // of a round of the part cpu
	evictWrites      int // of the part resident

	report report
}

// subject is one of the servers that are compared.
type subject struct {
	name   string
	binary string
	args   []string
}

// report is what goes to the JSON file.
type report struct {
	Time        string            `json:"time"`
	Machine     map[string]string `json:"machine"`
	Names       [2]string         `json:"names"`
	CPU         []cpuResult       `json:"cpu,omitempty"`
	Memory      []memResult       `json:"memory,omitempty"`
	Elems       []memResult       `json:"elements,omitempty"`
	Small       []memResult       `json:"small,omitempty"`
	Conns       []connResult      `json:"connections,omitempty"`
	TLS         []tlsResult       `json:"tls,omitempty"`
	TLSConns    []connResult      `json:"tls_connections,omitempty"`
	Blocked     []blockedResult   `json:"blocked,omitempty"`
	Streams     []streamResult    `json:"streams,omitempty"`
	Stalls      []stallResult     `json:"stalls,omitempty"`
	Snapshots   []snapshotResult  `json:"snapshots,omitempty"`
	Sessions    []sessionResult   `json:"sessions,omitempty"`
	Watch       []watchResult     `json:"watch,omitempty"`
	Scripts     []sessionResult   `json:"scripts,omitempty"`
	Jobs        []sessionResult   `json:"jobs,omitempty"`
	Latency     []latencyResult   `json:"latency,omitempty"`
	Tail        []tailResult      `json:"tail,omitempty"`
	Long        []longResult      `json:"long,omitempty"`
	Eviction    []evictionResult  `json:"eviction,omitempty"`
	Replication []replicaResult   `json:"replication,omitempty"`
	Expiry      []expiryResult    `json:"expiry,omitempty"`
	Metrics     []metricsResult   `json:"metrics,omitempty"`
}

var sections = []string{"cpu", "big", "large", "mem", "elems", "small", "conns", "many", "blocked", "streams", "stalls", "aof", "snapshot", "sessions", "watch", "lua", "jobs", "eviction", "replication", "tls", "latency", "tail", "long", "expiry", "metrics"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	only := flag.String("only", "", "comma-separated sections: "+strings.Join(sections, ",")+" (all)")
	ferrous := flag.String("ferrous", "", "binary to measure (built from this module)")
	redis := flag.String("redis", "", "binary to compare with (redis-server on the PATH)")
	ferrousArgs := flag.String("ferrous-args", "", "arguments for the first server, separated by blanks")
	redisArgs := flag.String("redis-args", "", "arguments for the second server, separated by blanks")
	out := flag.String("out", "", "folder of the JSON results (tests/bench/results)")
	tests := flag.String("tests", strings.Join(slices.Concat(defaultTests, extraTests), ","), "tests of the cpu section")
	pipelines := flag.String("pipelines", "1,16,100", "pipeline depths of the cpu section")
	memKeys := flag.String("memkeys", "1000000,2000000,10000000", "numbers of keys of the mem section")
	memShapes := flag.String("memshapes", strings.Join(shapeNames(), ","), "shapes of the mem section")
	b := &bench{}
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of each server in the sections that measure CPU")
	flag.DurationVar(&b.cpuTarget, "cpu", 2*time.Second, "CPU time of a server in one round")
	flag.IntVar(&b.clients, "clients", 50, "connections of redis-benchmark")
	flag.IntVar(&b.dataSize, "d", 3, "value size of redis-benchmark in bytes")
	flag.IntVar(&b.keyspace, "keys", 100_000, "keys of the cpu section")
	flag.IntVar(&b.bigKeys, "bigkeys", 4_000_000, "keys of the big section")
	flag.IntVar(&b.conns, "conns", 10_000, "connections of the conns section")
	flag.IntVar(&b.workers, "workers", 10_000, "workers of the blocked section")
	flag.IntVar(&b.jobs, "jobs", 200_000, "jobs a round of the blocked section")
	flag.IntVar(&b.readers, "readers", 1000, "consumers that wait in the streams section")
	flag.IntVar(&b.deliveries, "deliveries", 50_000, "entries that are delivered to them in a round")
	flag.IntVar(&b.members, "members", 5_000_000, "elements of each collection of the stalls section")
	flag.IntVar(&b.snapKeys, "snapkeys", 3_000_000, "keys of the snapshot section")
	flag.IntVar(&b.snapFields, "snapfields", 5_000_000, "fields of the hash of the snapshot section")
	flag.IntVar(&b.snapRate, "snaprate", 2000, "requests a second of the paced client of the snapshot section")
	stallTypes := flag.String("stalltypes", "hash,set,zset,list,stream,arithmetic", "types of the stalls section")
	streamParts := flag.String("streamparts", strings.Join(streamPartNames, ","), "parts of the streams section")
	streamNames := flag.String("streamtests", strings.Join(streamTests, ","), "tests of its part cpu")
	replParts := flag.String("replparts", strings.Join(replicaPartNames, ","), "parts of the replication section")
	tlsParts := flag.String("tlsparts", strings.Join(tlsPartNames, ","), "parts of the tls section")
	flag.IntVar(&b.smallKeys, "smallkeys", 1_000_000, "keys of the small section")
	smallTypes := flag.String("smalltypes", "hash,set,zset,list", "types of the small section")
	elemShapes := flag.String("elemshapes", strings.Join(elementShapeNames(), ","), "shapes of the elems section")
	evictParts := flag.String("evictparts", strings.Join(evictPartNames, ","), "parts of the eviction section")
	evictPatterns := flag.String("evictpatterns", strings.Join(evictPatternNames(), ","), "how its part hits draws keys")
	evictRooms := flag.String("evictrooms", "10,50", "per cent of the keys that have room in its part hits")
	evictPolicies := flag.String("evictpolicies", "allkeys-lru,allkeys-lfu", "policies of its parts hits and cpu")
	flag.IntVar(&b.evictKeys, "evictkeys", 5_000_000, "keys of the eviction section")
	flag.IntVar(&b.evictRequests, "evictrequests", 10_000_000, "GETs of a run of its part hits, half of which warm up")
	flag.IntVar(&b.evictCPURequests, "evictcpurequests", 1_000_000, "GETs of a round of its part cpu")
	flag.IntVar(&b.evictWrites, "evictwrites", 20_000_000, "writes of its part resident")
	flag.IntVar(&b.seconds, "seconds", 10, "seconds of each latency measurement")
	flag.IntVar(&b.rate, "rate", 1000, "requests a second of the paced client")
	flag.IntVar(&b.farKeys, "farkeys", 1_000_000, "keys with far deadlines in the expiry section")
	flag.IntVar(&b.dueKeys, "duekeys", 2000, "keys that expire in the expiry section")
	largeParts := flag.String("largeparts", strings.Join(largePartNames, ","), "parts of the large section")
	manyClients := flag.String("manyclients", "1000,10000", "active clients of the many section")
	flag.IntVar(&b.tailKeys, "tailkeys", 10_000_000, "keys of the tail section")
	flag.IntVar(&b.tailSeconds, "tailseconds", 600, "seconds of the tail section, of each server")
	flag.IntVar(&b.longMembers, "longmembers", 1_000_000, "elements of a collection of the long section")
	flag.IntVar(&b.longKeys, "longkeys", 10_000_000, "keys that its SCAN goes through")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if runtime.GOOS != "linux" {
		return errors.New("the bench reads /proc and runs on Linux only")
	}
	if b.rounds < 1 || b.clients < 1 || b.keyspace < 1 || b.rate < 1 {
		return errors.New("-rounds, -clients, -keys and -rate must be positive")
	}
	chosen := sections
	if *only != "" {
		chosen = strings.Split(*only, ",")
		for _, s := range chosen {
			if !slices.Contains(sections, s) {
				return fmt.Errorf("unknown section %q: there are %s", s, strings.Join(sections, ", "))
			}
		}
	}
	var err error
	b.tests = strings.Split(*tests, ",")
	b.memShapes = strings.Split(*memShapes, ",")
	b.stallTypes = strings.Split(*stallTypes, ",")
	b.streamParts = strings.Split(*streamParts, ",")
	b.streamTests = strings.Split(*streamNames, ",")
	for _, name := range b.streamTests {
		if !slices.Contains(streamTests, name) {
			return fmt.Errorf("unknown test %q: there are %s", name, strings.Join(streamTests, ", "))
		}
	}
	b.replParts = strings.Split(*replParts, ",")
	b.evictParts = strings.Split(*evictParts, ",")
	b.evictPatterns = strings.Split(*evictPatterns, ",")
	b.evictPolicies = strings.Split(*evictPolicies, ",")
	b.largeParts = strings.Split(*largeParts, ",")
	b.tlsParts = strings.Split(*tlsParts, ",")
	b.smallTypes = strings.Split(*smallTypes, ",")
	b.elemShapes = strings.Split(*elemShapes, ",")
	if b.pipelines, err = numbers(*pipelines); err != nil {
		return err
	}
	if b.memKeys, err = numbers(*memKeys); err != nil {
		return err
	}
	if b.manyClients, err = numbers(*manyClients); err != nil {
		return err
	}
	if b.evictRooms, err = numbers(*evictRooms); err != nil {
		return err
	}
	var stop context.CancelFunc
	b.ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	root, err := harness.ModuleRoot()
	if err != nil {
		return err
	}
	if *out == "" {
		*out = filepath.Join(root, "tests", "bench", "results")
	}
	defer harness.Cleanup()
	if *ferrous == "" {
		if *ferrous, err = harness.Ferrous(); err != nil {
			return err
		}
	}
	if *redis == "" {
		if *redis, err = harness.Redis(); err != nil {
			return err
		}
	}
	for _, s := range []struct{ bin, args string }{{*ferrous, *ferrousArgs}, {*redis, *redisArgs}} {
		bin, err := filepath.Abs(s.bin)
		if err != nil {
			return err
		}
		b.subjects = append(b.subjects, subject{name: filepath.Base(bin), binary: bin, args: strings.Fields(s.args)})
	}
	if b.subjects[0].name == b.subjects[1].name {
		b.subjects[0].name += " (a)"
		b.subjects[1].name += " (b)"
	}
	b.report.Names = [2]string{b.subjects[0].name, b.subjects[1].name}
	b.report.Time = time.Now().UTC().Format(time.RFC3339)
	b.report.Machine = machine(root, b.subjects[1].binary)
	fmt.Printf("# %s beside %s\n\n", b.report.Names[0], b.report.Names[1])
	for _, key := range []string{"cpu", "cores", "kernel", "go", "commit", "peer"} {
		fmt.Printf("- %s: %s\n", key, b.report.Machine[key])
	}

	var failed error
	for _, s := range chosen {
		switch s {
		case "cpu":
			failed = b.cpuSection()
		case "big":
			failed = b.bigSection()
		case "large":
			failed = b.largeSection()
		case "mem":
			failed = b.memSection()
		case "elems":
			failed = b.elemSection()
		case "small":
			failed = b.smallSection()
		case "blocked":
			failed = b.blockedSection()
		case "streams":
			failed = b.streamSection()
		case "stalls":
			failed = b.stallSection()
		case "aof":
			failed = b.aofSection()
		case "snapshot":
			failed = b.snapshotSection()
		case "sessions":
			failed = b.sessionSection()
		case "watch":
			failed = b.watchSection()
		case "lua":
			failed = b.luaSection()
		case "jobs":
			failed = b.jobsSection()
		case "replication":
			failed = b.replicationSection()
		case "eviction":
			failed = b.evictionSection()
		case "conns":
			failed = b.connSection()
		case "many":
			failed = b.manySection()
		case "tls":
			failed = b.tlsSection()
		case "latency":
			failed = b.latencySection()
		case "tail":
			failed = b.tailSection()
		case "long":
			failed = b.longSection()
		case "expiry":
			failed = b.expirySection()
		case "metrics":
			failed = b.metricsSection()
		}
		if failed != nil {
			failed = fmt.Errorf("section %s: %w", s, failed)
			break
		}
	}
	// What was measured until then is kept even if a section failed or was interrupted.
	return errors.Join(failed, b.save(*out))
}

func (b *bench) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, time.Now().UTC().Format("20060102-150405")+".json")
	if err := os.WriteFile(name, append(data, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Printf("\nFigures with all rounds: %s\n", name)
	return nil
}

// start starts one of the servers with its own arguments and extra ones.
func (b *bench) start(s subject, extra ...string) (*harness.Server, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	return harness.Start(harness.Options{Binary: s.binary, Args: append(append([]string{}, s.args...), extra...),
		Authority: b.authority})
}

// both starts the two servers; the function it returns ends them.
func (b *bench) both(extra ...string) (servers [2]*harness.Server, end func(), err error) {
	for i, s := range b.subjects {
		servers[i], err = b.start(s, extra...)
		if err != nil {
			if i == 1 {
				servers[0].Kill()
			}
			return servers, nil, err
		}
	}
	return servers, func() { servers[0].Kill(); servers[1].Kill() }, nil
}

func machine(root, peer string) map[string]string {
	m := map[string]string{
		"cores": strconv.Itoa(runtime.NumCPU()),
		"go":    runtime.Version(),
	}
	first := func(key, name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Dir = root
		if out, err := cmd.Output(); err == nil {
			m[key], _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
		}
	}
	first("kernel", "uname", "-sr")
	first("commit", "git", "describe", "--always", "--dirty", "--tags")
	first("peer", peer, "--version")
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				m["cpu"] = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

func numbers(list string) ([]int, error) {
	var out []int
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", s)
		}
		out = append(out, n)
	}
	return out, nil
}

// runParts runs the parts of a section that were asked for. all are their names, in order.
func runParts(wanted, all []string, parts map[string]func() error) error {
	for _, name := range wanted {
		part := parts[name]
		if part == nil {
			return fmt.Errorf("unknown part %q: there are %s", name, strings.Join(all, ", "))
		}
		if err := part(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
