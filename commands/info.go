package commands

import (
	"fmt"
	"hash/fnv"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ferrous/commands/acl"
	"ferrous/commands/session"
)

// INFO. A section is a row of infoSections: its title, the names that select it, and a function that appends its fields.
// Names and meanings of fields are those of Redis 7.2; what cannot be said of this server (gcc_version, atomicvar_api,
// percentiles that nobody measures) is left out, and what Redis has no word for has a name that begins with go_, ferrous_
// or expired_lag_. Fields of features that keep no state (active defragmentation, forks,
// threads for input and output) are there with the value that they truly have, zero, since monitors ask for them.

var infoCommands = []session.Command{
	{Name: "info", Arity: -1, Flags: session.Loading | session.Stale, ACL: session.CatDangerous, Handler: connected(info),
		Group: session.GroupServer, Since: "1.0.0", Complexity: "O(1)", Summary: "Reports on the server's state and statistics.",
		History: []session.Change{{"7.0.0", "More than one section may be named."}},
		Hints:   []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Args:    []session.Arg{session.StringArg("section").Opt().Many()}},
}

// infoSection is one section of INFO.
type infoSection struct {
	title string
	names []string // in lower case
	kind  infoKind
	write func(*infoText)
}

type infoKind uint8

const (
	infoDefault infoKind = iota // shown unless other sections are asked for
	infoAll                     // shown with all and everything, or by name
	infoHidden                  // shown by name only
)

// infoSections are the sections in the order of the report.
var infoSections = []infoSection{
	{"Server", []string{"server"}, infoDefault, (*infoText).server},
	{"Clients", []string{"clients"}, infoDefault, (*infoText).clients},
	{"Memory", []string{"memory"}, infoDefault, (*infoText).memory},
	{"Persistence", []string{"persistence"}, infoDefault, (*infoText).persistence},
	{"Stats", []string{"stats"}, infoDefault, (*infoText).statistics},
	{"Replication", []string{"replication"}, infoDefault, (*infoText).replication},
	{"CPU", []string{"cpu"}, infoDefault, (*infoText).cpu},
	{"Modules", []string{"module_list", "modules"}, infoDefault, func(*infoText) {}},
	{"Commandstats", []string{"commandstats"}, infoAll, (*infoText).commandstats},
	{"Errorstats", []string{"errorstats"}, infoDefault, (*infoText).errorstats},
	{"Latencystats", []string{"latencystats"}, infoAll, (*infoText).latencystats},
	{"Cluster", []string{"cluster"}, infoDefault, (*infoText).cluster},
	{"Keyspace", []string{"keyspace"}, infoDefault, (*infoText).keyspace},
	{"Debug", []string{"debug"}, infoHidden, (*infoText).debug},
}

func info(c *Client) { c.W.Verbatim("txt", c.srv.infoReport(c.Args[1:])) }

// infoReport reports the sections that names ask for, in any case and any number of times each; unknown names select
// nothing.
func (s *Server) infoReport(names [][]byte) string {
	var chosen uint32 // bit i: infoSections[i]
	add := func(match func(*infoSection) bool) {
		for i := range infoSections {
			if match(&infoSections[i]) {
				chosen |= 1 << i
			}
		}
	}
	byDefault := func(x *infoSection) bool { return x.kind == infoDefault }
	if len(names) == 0 {
		add(byDefault)
	}
	for _, n := range names {
		switch {
		case session.EqualFold(n, "default"):
			add(byDefault)
		case session.EqualFold(n, "all"), session.EqualFold(n, "everything"):
			add(func(x *infoSection) bool { return x.kind != infoHidden })
		default:
			add(func(x *infoSection) bool {
				return slices.ContainsFunc(x.names, func(name string) bool { return session.EqualFold(n, name) })
			})
		}
	}
	t := infoText{s: s}
	for i := range infoSections {
		if chosen&(1<<i) == 0 {
			continue
		}
		if len(t.b) > 0 {
			t.b = append(t.b, "\r\n"...)
		}
		t.b = append(t.b, "# "+infoSections[i].title+"\r\n"...)
		infoSections[i].write(&t)
	}
	return string(t.b)
}

// infoText is a report in the making.
type infoText struct {
	s *Server
	b []byte
}

// str writes a field. Its value, perhaps a path, cannot end the line.
func (t *infoText) str(name, value string) {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", "_", "\n", "_").Replace(value)
	}
	t.b = append(t.b, name...)
	t.b = append(t.b, ':')
	t.b = append(t.b, value...)
	t.b = append(t.b, "\r\n"...)
}

func (t *infoText) int(name string, n int64) {
	t.b = append(t.b, name...)
	t.b = append(t.b, ':')
	t.b = strconv.AppendInt(t.b, n, 10)
	t.b = append(t.b, "\r\n"...)
}

func (t *infoText) flag(name string, v bool) {
	if v {
		t.int(name, 1)
	} else {
		t.int(name, 0)
	}
}

// ratio writes a number with two decimals.
func (t *infoText) ratio(name string, f float64) { t.str(name, strconv.FormatFloat(f, 'f', 2, 64)) }

func (t *infoText) percent(name string, f float64) {
	t.str(name, strconv.FormatFloat(f, 'f', 2, 64)+"%")
}

// zeros writes fields that are always 0.
func (t *infoText) zeros(names ...string) {
	for _, n := range names {
		t.int(n, 0)
	}
}

// bytes writes a figure and, as name_human, its short form.
func (t *infoText) bytes(name string, n int64) {
	t.int(name, n)
	t.str(name+"_human", humanBytes(n))
}

// humanBytes prints a number of bytes with a unit.
func humanBytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + "KMGTP"[unit:unit+1]
}

// buildRevision returns the version control's state at build time, as far as the binary knows it.
var buildRevision = sync.OnceValues(func() (sha string, dirty bool) {
	sha = "00000000"
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range bi.Settings {
			switch {
			case kv.Key == "vcs.revision" && len(kv.Value) >= 8:
				sha = kv.Value[:8]
			case kv.Key == "vcs.modified":
				dirty = kv.Value == "true"
			}
		}
	}
	return sha, dirty
})

// VersionLine is what --version prints: Redis's line first, since tools take the first number of it for the version, then
// Ferrous's own version and commit, and what it was built with. The build is 16 hexadecimal digits, as in Redis.
func VersionLine(commit string) string {
	sha, dirty := buildRevision()
	changed := 0
	if dirty {
		changed = 1
	}
	build := fnv.New64a()
	fmt.Fprint(build, Version, commit, sha, runtime.Version(), runtime.GOARCH)
	return fmt.Sprintf("Redis server v=%s sha=%s:%d malloc=go bits=%d build=%016x ferrous=%s commit=%s go=%s",
		RedisVersion, sha, changed, 32<<(^uint(0)>>63), build.Sum64(), Version, commit, strings.TrimPrefix(runtime.Version(), "go"))
}

func (t *infoText) server() {
	s := t.s
	sha, dirty := buildRevision()
	mode := "standalone"
	if s.Config.ClusterEnabled {
		mode = "cluster"
	}
	exe, _ := os.Executable()
	api := "kqueue"
	if runtime.GOOS == "linux" {
		api = "epoll"
	}
	port := s.Config.Port
	if port == 0 {
		port = s.Config.TLSPort
	}
	uptime := s.nanos() / 1e9
	t.str("redis_version", RedisVersion)
	t.str("server_name", "ferrous")
	t.str("ferrous_version", Version)
	t.str("redis_git_sha1", sha)
	t.flag("redis_git_dirty", dirty)
	t.str("redis_build_id", sha)
	t.str("redis_mode", mode)
	t.str("os", systemName())
	t.int("arch_bits", 32<<(^uint(0)>>63))
	t.str("monotonic_clock", "POSIX clock_gettime")
	t.str("multiplexing_api", api)
	t.str("go_version", runtime.Version())
	t.int("process_id", int64(os.Getpid()))
	t.str("process_supervised", s.supervisor())
	t.str("run_id", s.runID)
	t.int("tcp_port", int64(port))
	t.int("server_time_usec", s.wall+s.nanos()/1000)
	t.int("uptime_in_seconds", uptime)
	t.int("uptime_in_days", uptime/86400)
	if w := &s.shutdown.wait; w.on {
		t.int("shutdown_in_milliseconds", max(w.deadline-s.replNow(), 0))
	}
	t.int("hz", int64(s.Config.Hz))
	t.int("configured_hz", int64(s.Config.Hz))
	t.int("lru_clock", int64(s.Keyspace.Clock))
	t.str("executable", exe)
	t.str("config_file", s.Config.File())
	t.zeros("io_threads_active")
	if s.Config.Port != 0 {
		t.str("listener0", "name=tcp,bind="+strings.Join(s.Config.Bind, ",bind=")+",port="+strconv.Itoa(s.Config.Port))
	}
	if s.Config.UnixSocket != "" {
		t.str("listener1", "name=unix,bind="+s.Config.UnixSocket)
	}
	if s.Config.TLSPort != 0 {
		t.str("listener2", "name=tls,bind="+strings.Join(s.Config.Bind, ",bind=")+",port="+strconv.Itoa(s.Config.TLSPort))
	}
}

func (t *infoText) clients() {
	s := t.s
	in, out := s.peaks.max()
	t.int("connected_clients", int64(len(s.clients)-len(s.sync.node.Replicas())))
	t.zeros("cluster_connections")
	t.int("maxclients", int64(s.Config.MaxClients))
	t.int("client_recent_max_input_buffer", int64(in))
	t.int("client_recent_max_output_buffer", int64(out))
	t.int("blocked_clients", int64(len(s.pause.waiting)+s.blocking.clients))
	t.int("tracking_clients", int64(s.tracking.clients))
	t.int("pubsub_clients", int64(s.channels.clients))
	t.int("clients_in_timeout_table", int64(s.blocking.timed))
	t.int("total_blocking_keys", int64(s.blocking.keys))
	t.int("total_blocking_keys_on_nokey", int64(s.blocking.goneKeys))
}

func (t *infoText) persistence() {
	s := t.s
	p := &s.persist
	t.flag("loading", p.loading != nil)
	if l := p.loading; l != nil {
		spent := int64(time.Since(l.start).Seconds())
		t.int("loading_start_time", l.start.Unix())
		t.int("loading_total_bytes", l.total)
		t.int("loading_loaded_bytes", l.read)
		t.ratio("loading_loaded_perc", 100*float64(l.read)/float64(max(l.total, 1)))
		t.int("loading_eta_seconds", spent*(l.total-l.read)/max(l.read, 1))
	}
	copied := int64(0)
	if s.busyWithSnapshot() {
		copied = s.Keyspace.Generation().Copied()
	}
	t.flag("async_loading", s.asyncLoading())
	t.int("current_cow_peak", copied) // a snapshot's copies are given back when it ends
	t.int("current_cow_size", copied)
	t.zeros("current_cow_size_age")
	done, total, began := int64(0), int64(0), int64(-1)
	if b := p.saving; b != nil {
		done, total, began = b.keys.Load(), b.total, s.Keyspace.Now/1000-b.start
	}
	t.ratio("current_fork_perc", 100*float64(done)/float64(max(total, 1)))
	t.int("current_save_keys_processed", done)
	t.int("current_save_keys_total", total)
	t.int("rdb_changes_since_last_save", s.unsaved())
	t.flag("rdb_bgsave_in_progress", s.savingRDB())
	t.int("rdb_last_save_time", p.lastSave)
	t.str("rdb_last_bgsave_status", okOrErr(!p.failed))
	t.int("rdb_last_bgsave_time_sec", p.lastTook)
	t.int("rdb_current_bgsave_time_sec", began)
	t.int("rdb_saves", p.saves)
	t.int("rdb_last_cow_size", p.lastCopied)
	t.int("rdb_last_load_keys_expired", p.loaded.Dropped)
	t.int("rdb_last_load_keys_loaded", p.loaded.Keys)
	a := s.aof.file.Info()
	t.flag("aof_enabled", a.Enabled)
	t.flag("aof_rewrite_in_progress", a.Rewriting)
	t.flag("aof_rewrite_scheduled", a.RewriteScheduled)
	t.int("aof_last_rewrite_time_sec", a.LastRewriteSec)
	t.int("aof_current_rewrite_time_sec", a.CurrentRewriteSec)
	t.str("aof_last_bgrewrite_status", okOrErr(a.LastRewriteOK))
	t.int("aof_rewrites", a.Rewrites)
	t.int("aof_rewrites_consecutive_failures", int64(a.RewriteFailures))
	t.str("aof_last_write_status", okOrErr(a.LastWriteOK))
	t.int("aof_last_cow_size", s.aof.lastCopied)
	t.zeros("module_fork_in_progress", "module_fork_last_cow_size")
	if a.Enabled {
		t.int("aof_current_size", a.CurrentSize)
		t.int("aof_base_size", a.BaseSize)
		t.flag("aof_pending_rewrite", a.RewriteScheduled)
		t.int("aof_buffer_length", a.BufferLength)
		t.int("aof_pending_bio_fsync", int64(a.PendingFsyncs))
		t.int("aof_delayed_fsync", a.DelayedFsyncs)
	}
}

func okOrErr(ok bool) string {
	if ok {
		return "ok"
	}
	return "err"
}

func (t *infoText) statistics() {
	s := t.s
	st := &s.stats
	lag := s.Keyspace.ExpiryLag()
	nanos := int64(0)
	for _, e := range s.Registry.Shown {
		nanos += e.Nanos
	}
	t.int("total_connections_received", st.connections)
	t.int("total_commands_processed", st.commands)
	t.int("instantaneous_ops_per_sec", st.instant[instantCommands].rate())
	t.int("total_net_input_bytes", st.netIn)
	t.int("total_net_output_bytes", st.netOut)
	t.int("total_net_repl_input_bytes", st.replIn)
	t.int("total_net_repl_output_bytes", st.replOut)
	t.ratio("instantaneous_input_kbps", float64(st.instant[instantInput].rate())/1024)
	t.ratio("instantaneous_output_kbps", float64(st.instant[instantOutput].rate())/1024)
	t.ratio("instantaneous_input_repl_kbps", float64(st.instant[instantReplInput].rate())/1024)
	t.ratio("instantaneous_output_repl_kbps", float64(st.instant[instantReplOutput].rate())/1024)
	rejected := st.rejectedConns
	if p := s.tls.port; p != nil {
		rejected += p.Refused()
	}
	t.int("rejected_connections", rejected)
	t.int("sync_full", s.sync.node.SyncFull)
	t.int("sync_partial_ok", s.sync.node.SyncPartialOK)
	t.int("sync_partial_err", s.sync.node.SyncPartialErr)
	t.int("expired_subkeys", s.Keyspace.ExpiredFields)
	t.int("expired_keys", s.Keyspace.ExpiredKeys)
	t.int("expired_lag_p50_ms", lag.Percentile(50))
	t.int("expired_lag_p99_ms", lag.Percentile(99))
	t.int("expired_lag_max_ms", lag.Max)
	t.ratio("expired_stale_perc", 0)
	t.int("expired_time_cap_reached_count", st.expireCapped)
	t.int("expire_cycle_cpu_milliseconds", st.expireNanos/1e6)
	t.int("evicted_keys", st.evictedKeys)
	t.int("evicted_clients", s.eviction.evicted)
	t.int("evicted_scripts", s.scripts.engine.Evicted())
	total, current := s.exceeded()
	t.int("total_eviction_exceeded_time", total/1e6)
	t.int("current_eviction_exceeded_time", current/1e6)
	t.int("keyspace_hits", s.Counters.Hits)
	t.int("keyspace_misses", s.Counters.Misses)
	for kind, name := range [...]string{"pubsub_channels", "pubsub_patterns", "pubsubshard_channels"} {
		t.int(name, int64(s.channels.registries[kind].Len()))
	}
	// Redis forks to write in the background; here it is snapshots.
	t.int("latest_fork_usec", st.snapshotNanos/1000)
	t.int("total_forks", st.snapshots)
	t.int("migrate_cached_sockets", int64(len(s.migrations.links)))
	t.int("slave_expires_tracked_keys", int64(len(s.sync.own)))
	t.zeros("active_defrag_hits", "active_defrag_misses",
		"active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time")
	t.int("tracking_total_keys", int64(len(s.tracking.keys)))
	t.int("tracking_total_items", int64(s.tracking.items))
	t.int("tracking_total_prefixes", int64(len(s.tracking.prefixes)))
	t.int("unexpected_error_replies", st.unexpectedErrors)
	t.int("total_error_replies", s.Counters.ErrorReplies)
	t.int("client_query_buffer_limit_disconnections", st.queryBufDisconnections)
	t.int("client_output_buffer_limit_disconnections", st.outputBufDisconnections)
	t.zeros("dump_payload_sanitizations")
	t.int("total_reads_processed", st.reads)
	t.int("total_writes_processed", st.writes)
	t.zeros("io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks",
		"reply_buffer_expands")
	t.int("eventloop_cycles", st.cycles)
	t.int("eventloop_duration_sum", st.cycleNanos/1000)
	t.int("eventloop_duration_cmd_sum", nanos/1000)
	t.int("instantaneous_eventloop_cycles_per_sec", st.instant[instantCycles].rate())
	t.int("instantaneous_eventloop_duration_usec", st.instant[instantCycleTime].rate())
	t.int("acl_access_denied_auth", st.denied[acl.DeniedAuth])
	t.int("acl_access_denied_tls_cert", st.denied[acl.DeniedCert])
	t.int("acl_access_denied_cmd", st.denied[acl.DeniedCommand])
	t.int("acl_access_denied_key", st.denied[acl.DeniedKey])
	t.int("acl_access_denied_channel", st.denied[acl.DeniedChannel])
	if p := s.tls.port; p != nil {
		t.int("tls_handshake_failures", p.Failures())
	}
}

func (t *infoText) cpu() {
	used := func(who string, sys, user time.Duration) {
		t.str("used_cpu_sys"+who, strconv.FormatFloat(sys.Seconds(), 'f', 6, 64))
		t.str("used_cpu_user"+who, strconv.FormatFloat(user.Seconds(), 'f', 6, 64))
	}
	var sys, user time.Duration
	known := false
	if t.s.loop != nil {
		sys, user, known = t.s.loop.CPUTime() // first, so that it is no more than that of the process
	}
	for _, who := range []struct {
		id   int
		name string
	}{{syscall.RUSAGE_SELF, ""}, {syscall.RUSAGE_CHILDREN, "_children"}} {
		var ru syscall.Rusage
		if syscall.Getrusage(who.id, &ru) == nil {
			used(who.name, time.Duration(ru.Stime.Nano()), time.Duration(ru.Utime.Nano()))
		}
	}
	if known {
		used("_main_thread", sys, user)
	}
}

func (t *infoText) commandstats() {
	for _, e := range t.s.Registry.Shown {
		if e.Calls == 0 && e.Rejected == 0 && e.Failed == 0 {
			continue
		}
		usec := e.Nanos / 1000
		each := 0.0
		if e.Calls > 0 {
			each = float64(usec) / float64(e.Calls)
		}
		t.str("cmdstat_"+safeInfoName(e.Full), fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			e.Calls, usec, each, e.Rejected, e.Failed))
	}
}

func (t *infoText) latencystats() {
	if !t.s.Config.LatencyTracking {
		return
	}
	for _, e := range t.s.Registry.Shown {
		if e.Times == nil {
			continue
		}
		var parts []string
		for _, p := range t.s.Config.LatencyPercentiles {
			parts = append(parts, fmt.Sprintf("p%s=%.3f", strconv.FormatFloat(p, 'f', -1, 64), float64(e.Times.Percentile(p))/1000))
		}
		t.str("latency_percentiles_usec_"+safeInfoName(e.Full), strings.Join(parts, ","))
	}
}

func (t *infoText) errorstats() {
	codes := make([]string, 0, len(t.s.Errors))
	for code := range t.s.Errors {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		t.str("errorstat_"+safeInfoName(code), fmt.Sprintf("count=%d", t.s.Errors[code]))
	}
}

// safeInfoName replaces what would break a line of INFO.
func safeInfoName(s string) string {
	return strings.NewReplacer("#", "_", ":", "_", "\n", "_", "\r", "_").Replace(s)
}

func (t *infoText) cluster() { t.flag("cluster_enabled", t.s.Config.ClusterEnabled) }

func (t *infoText) keyspace() {
	for _, db := range t.s.Keyspace.DBs() {
		if db.Len() > 0 {
			text := fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", db.Len(), db.Expires(), db.AverageTTL())
			// Redis 7.2 does not know hashes with deadlines, and there are tools that take a fourth value for something else.
			if n := db.FieldExpires(); n > 0 {
				text += fmt.Sprintf(",subexpiry=%d", n)
			}
			t.str("db"+strconv.Itoa(db.ID), text)
		}
	}
}

func (t *infoText) debug() {
	st := &t.s.stats
	t.int("eventloop_duration_aof_sum", st.fileNanos/1000)
	t.int("eventloop_duration_cron_sum", st.cronNanos/1000)
	t.int("eventloop_duration_max", st.cycleMax/1000)
	t.int("eventloop_cmd_per_cycle_max", st.cycleCommands)
}

// systemName returns the operating system's name, release and machine.
var systemName = sync.OnceValue(func() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " +
		unix.ByteSliceToString(u.Machine[:])
})
