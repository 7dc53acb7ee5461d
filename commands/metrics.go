package commands

import (
	"math"
	"time"

	"ferrous/commands/acl"
	"ferrous/commands/config"
	"ferrous/commands/web"
	"ferrous/replication"
)

// The figures that /metrics shows. A family is a row of metricRows: what package web writes of it, and a function that copies
// its values on the loop. Figures of the process and of Go's runtime are read beside the loop, by package web.
//
// Names. All begin with ferrous_. Counters, which CONFIG RESETSTAT sets back as it does those of INFO, end in _total. Times are in
// seconds and sizes in bytes, as the names say. A family has one label at most. packaging/manual/metrics.md lists them all.
//
// What a row does is O(1), or O(N) in the number of commands, databases, replicas or codes of errors; nothing here walks keys
// or clients. While a script is busy and while data is loaded the figures are those of that moment.

// metricRow is a family and how it is read.
type metricRow struct {
	web.Family
	bounds []float64
	read   func(s *Server, m *samples)
}

// samples are the samples of a family in the making.
type samples struct{ list []web.Sample }

func (m *samples) add(label string, v float64) {
	m.list = append(m.list, web.Sample{Label: label, Value: v})
}
func (m *samples) int(label string, n int64) { m.add(label, float64(n)) }

// flag adds 1 for true.
func (m *samples) flag(label string, on bool) {
	if on {
		m.add(label, 1)
	} else {
		m.add(label, 0)
	}
}

// Bounds of histograms, in seconds: powers of two of a microsecond's 1024 ns, and of a millisecond. What lies below a bound is
// exact; a duration that equals one counts above it.
var (
	commandBounds = powers(1024e-9, 20)
	lagBounds     = powers(1e-3, 16)
)

func powers(first float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Round(first*1e9*float64(int(1)<<i)) / 1e9
	}
	return out
}

// counter and gauge make rows without labels.
func counter(name, help string, read func(s *Server) float64) metricRow {
	return metricRow{web.Family{Name: "ferrous_" + name, Kind: web.Counter, Help: help}, nil, func(s *Server, m *samples) { m.add("", read(s)) }}
}

func gauge(name, help string, read func(s *Server) float64) metricRow {
	return metricRow{web.Family{Name: "ferrous_" + name, Kind: web.Gauge, Help: help}, nil, func(s *Server, m *samples) { m.add("", read(s)) }}
}

// labelled makes a row with a label.
func labelled(kind web.Kind, name, label, help string, read func(s *Server, m *samples)) metricRow {
	return metricRow{web.Family{Name: "ferrous_" + name, Kind: kind, Label: label, Help: help}, nil, read}
}

// distribution makes a row that is a histogram.
func distribution(name, label, help string, bounds []float64, read func(s *Server, m *samples)) metricRow {
	return metricRow{web.Family{Name: "ferrous_" + name, Kind: web.Histogram, Label: label, Help: help}, bounds, read}
}

func b2f(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

var metricRows = []metricRow{
	labelled(web.Gauge, "build_info", "version", "1, with the version of Ferrous.", func(_ *Server, m *samples) { m.add(Version, 1) }),
	gauge("uptime_seconds", "Time since the server was started.", func(s *Server) float64 { return float64(s.nanos()) / 1e9 }),
	gauge("scrape_loop_seconds", "Time for which the loop was held to copy the figures before these.", func(s *Server) float64 {
		return s.web.took.Seconds()
	}),

	// Clients.
	labelled(web.Gauge, "clients", "class", "Connections of clients, by class of output limits (normal, replica, pubsub).", func(s *Server, m *samples) {
		replicas, subscribers := len(s.sync.node.Replicas()), s.channels.clients
		m.add("normal", float64(max(len(s.clients)-replicas-subscribers, 0)))
		m.add("replica", float64(replicas))
		m.add("pubsub", float64(subscribers))
	}),
	labelled(web.Gauge, "client_memory_bytes", "class", "Memory of clients, by class of output limits (normal, replica, pubsub).", func(s *Server, m *samples) {
		m.add("normal", float64(s.classMemory[config.ClassNormal]))
		m.add("replica", float64(s.classMemory[config.ClassReplica]))
		m.add("pubsub", float64(s.classMemory[config.ClassPubsub]))
	}),
	gauge("clients_max", "The directive maxclients.", func(s *Server) float64 { return float64(s.Config.MaxClients) }),
	gauge("clients_blocked", "Clients that wait in a blocking command or for the end of a pause.", func(s *Server) float64 {
		return float64(len(s.pause.waiting) + s.blocking.clients)
	}),
	gauge("clients_tracking", "Clients with client side caching.", func(s *Server) float64 { return float64(s.tracking.clients) }),
	gauge("clients_monitoring", "Clients that run MONITOR.", func(s *Server) float64 { return float64(len(s.monitors)) }),
	counter("connections_total", "Connections that were accepted.", func(s *Server) float64 { return float64(s.stats.connections) }),
	counter("connections_rejected_total", "Connections that were refused because of maxclients or protected mode.", func(s *Server) float64 {
		n := s.stats.rejectedConns
		if s.tls.port != nil {
			n += s.tls.port.Refused()
		}
		return float64(n)
	}),
	counter("clients_evicted_total", "Clients that were closed because of maxmemory-clients.", func(s *Server) float64 { return float64(s.eviction.evicted) }),
	labelled(web.Counter, "clients_over_limit_total", "limit", "Clients that were closed because of a limit (query_buffer, output_buffer).", func(s *Server, m *samples) {
		m.int("query_buffer", s.stats.queryBufDisconnections)
		m.int("output_buffer", s.stats.outputBufDisconnections)
	}),
	labelled(web.Counter, "acl_denied_total", "reason", "Requests and log-ins that were denied, by reason.", func(s *Server, m *samples) {
		for _, why := range []acl.Denial{acl.DeniedAuth, acl.DeniedCert, acl.DeniedCommand, acl.DeniedKey, acl.DeniedChannel} {
			m.int(why.String(), s.stats.denied[why])
		}
	}),

	// Commands and the loop.
	counter("commands_processed_total", "Commands that were executed.", func(s *Server) float64 { return float64(s.stats.commands) }),
	labelled(web.Counter, "command_calls_total", "command", "Calls of each command that was called.", func(s *Server, m *samples) {
		for _, e := range s.Registry.Shown {
			if e.Calls != 0 {
				m.int(e.Full, e.Calls)
			}
		}
	}),
	labelled(web.Counter, "command_rejected_total", "command", "Calls that were refused before they ran.", func(s *Server, m *samples) {
		for _, e := range s.Registry.Shown {
			if e.Rejected != 0 {
				m.int(e.Full, e.Rejected)
			}
		}
	}),
	labelled(web.Counter, "command_failed_total", "command", "Calls that ended with an error.", func(s *Server, m *samples) {
		for _, e := range s.Registry.Shown {
			if e.Failed != 0 {
				m.int(e.Full, e.Failed)
			}
		}
	}),
	distribution("command_duration_seconds", "command", "How long commands took, without waiting; where latency-tracking is on. The sum is of all calls.",
		commandBounds, func(s *Server, m *samples) {
			n := 0
			for _, e := range s.Registry.Shown {
				if e.Times != nil {
					n++
				}
			}
			width := len(commandBounds) + 1
			all := make([]uint64, n*width)
			for _, e := range s.Registry.Shown {
				if e.Times != nil {
					counts := all[:width:width]
					all = all[width:]
					e.Times.Powers(counts)
					m.list = append(m.list, web.Sample{Label: e.Full, Value: float64(e.Nanos) / 1e9, Buckets: counts})
				}
			}
		}),
	labelled(web.Counter, "error_replies_total", "code", "Errors that were replied, by their first word.", func(s *Server, m *samples) {
		for code, n := range s.Errors {
			m.int(code, n)
		}
	}),
	counter("loop_cycles_total", "Packets that the loop has handled.", func(s *Server) float64 { return float64(s.stats.cycles) }),
	counter("loop_busy_seconds_total", "Time that the loop spent on them.", func(s *Server) float64 { return float64(s.stats.cycleNanos) / 1e9 }),
	counter("slow_commands_total", "Commands that the slow log has ever got.", func(s *Server) float64 { return float64(s.SlowLog.Seen()) }),
	gauge("script_busy", "1 while a script runs longer than busy-reply-threshold.", func(s *Server) float64 { return b2f(s.busy.on) }),
	counter("network_input_bytes_total", "Bytes that came from clients.", func(s *Server) float64 { return float64(s.stats.netIn) }),
	counter("network_output_bytes_total", "Bytes that were sent to clients.", func(s *Server) float64 { return float64(s.stats.netOut) }),

	// Memory.
	gauge("memory_used_bytes", "used_memory of INFO: data, clients and buffers.", func(s *Server) float64 { return float64(s.usedMemory()) }),
	gauge("memory_peak_bytes", "The most that it was.", func(s *Server) float64 { return float64(max(s.stats.peakMemory, s.usedMemory())) }),
	gauge("memory_max_bytes", "The directive maxmemory, 0 for none.", func(s *Server) float64 { return float64(s.Config.MaxMemory) }),
	gauge("memory_scripts_bytes", "Memory of scripts and functions, with their state.", func(s *Server) float64 {
		x := &s.scripts
		return float64(x.engine.StateMemory() + x.engine.Memory() + int64(x.libraries.Bytes()))
	}),
	counter("keys_evicted_total", "Keys that were removed because of maxmemory.", func(s *Server) float64 { return float64(s.stats.evictedKeys) }),

	// Keyspace.
	labelled(web.Gauge, "db_keys", "db", "Keys of each database that has any.", func(s *Server, m *samples) {
		s.eachDB(func(db *database) { m.add(db.name, float64(db.Len())) })
	}),
	labelled(web.Gauge, "db_keys_expiring", "db", "Keys with a deadline.", func(s *Server, m *samples) {
		s.eachDB(func(db *database) { m.add(db.name, float64(db.Expires())) })
	}),
	labelled(web.Gauge, "db_memory_bytes", "db", "Memory of the keys and their table.", func(s *Server, m *samples) {
		s.eachDB(func(db *database) { m.add(db.name, float64(db.Bytes())) })
	}),
	counter("keyspace_hits_total", "Lookups that found their key.", func(s *Server) float64 { return float64(s.Counters.Hits) }),
	counter("keyspace_misses_total", "Lookups that did not.", func(s *Server) float64 { return float64(s.Counters.Misses) }),
	counter("keys_expired_total", "Keys that were deleted after their deadline.", func(s *Server) float64 { return float64(s.Keyspace.ExpiredKeys) }),
	counter("hash_fields_expired_total", "Fields of hashes that were deleted after their deadline.", func(s *Server) float64 { return float64(s.Keyspace.ExpiredFields) }),
	distribution("expiry_lag_seconds", "", "How late after their deadlines keys were deleted in the background.", lagBounds, func(s *Server, m *samples) {
		lag := s.Keyspace.ExpiryLag()
		counts := make([]uint64, len(lagBounds)+1)
		lag.Powers(counts)
		m.list = append(m.list, web.Sample{Value: float64(lag.Sum) / 1e3, Buckets: counts})
	}),
	gauge("pubsub_channels", "Channels with subscribers.", func(s *Server) float64 { return float64(s.channels.registries[kindChannel].Len()) }),
	gauge("pubsub_patterns", "Patterns with subscribers.", func(s *Server) float64 { return float64(s.channels.registries[kindPattern].Len()) }),
	gauge("pubsub_shard_channels", "Shard channels with subscribers.", func(s *Server) float64 { return float64(s.channels.registries[kindShard].Len()) }),
	gauge("tracking_keys", "Keys that clients with client side caching know.", func(s *Server) float64 { return float64(len(s.tracking.keys)) }),

	// Persistence.
	gauge("loading", "1 while data is loaded from a file.", func(s *Server) float64 { return b2f(s.persist.loading != nil) }),
	gauge("unsaved_changes", "Changes since the last dump.", func(s *Server) float64 { return float64(s.unsaved()) }),
	gauge("last_save_timestamp_seconds", "When the last dump was written, in Unix time.", func(s *Server) float64 { return float64(s.persist.lastSave) }),
	gauge("last_save_ok", "0 if the last background save failed.", func(s *Server) float64 { return b2f(!s.persist.failed) }),
	gauge("last_save_duration_seconds", "How long the last background save took, -1 if there was none.", func(s *Server) float64 { return float64(s.persist.lastTook) }),
	gauge("saving", "1 while a dump is written in the background.", func(s *Server) float64 { return b2f(s.savingRDB()) }),
	counter("saves_total", "Dumps that were written.", func(s *Server) float64 { return float64(s.persist.saves) }),
	counter("snapshots_total", "Snapshots that were taken.", func(s *Server) float64 { return float64(s.stats.snapshots) }),
	gauge("last_snapshot_pause_seconds", "How long taking the last one held the loop.", func(s *Server) float64 { return float64(s.stats.snapshotNanos) / 1e9 }),
	gauge("snapshot_copied_bytes", "What was copied for the snapshot that is held now.", func(s *Server) float64 {
		if !s.busyWithSnapshot() {
			return 0
		}
		return float64(s.Keyspace.Generation().Copied())
	}),
	gauge("aof_enabled", "1 with an append-only file.", func(s *Server) float64 { return b2f(s.aof.file.Info().Enabled) }),
	gauge("aof_size_bytes", "Its size.", func(s *Server) float64 { return float64(s.aof.file.Info().CurrentSize) }),
	gauge("aof_base_size_bytes", "Its size after the last rewrite or at the start.", func(s *Server) float64 { return float64(s.aof.file.Info().BaseSize) }),
	gauge("aof_buffer_bytes", "What waits to be written to it.", func(s *Server) float64 { return float64(s.aof.file.Info().BufferLength) }),
	gauge("aof_rewriting", "1 while it is rewritten.", func(s *Server) float64 { return b2f(s.aof.file.Info().Rewriting) }),
	gauge("aof_last_rewrite_ok", "0 if the last rewrite failed.", func(s *Server) float64 { return b2f(s.aof.file.Info().LastRewriteOK) }),
	gauge("aof_last_rewrite_duration_seconds", "How long it took, -1 if there was none.", func(s *Server) float64 { return float64(s.aof.file.Info().LastRewriteSec) }),
	gauge("aof_last_write_ok", "0 if the last write or fsync failed.", func(s *Server) float64 { return b2f(s.aof.file.Info().LastWriteOK) }),
	counter("aof_fsyncs_total", "Calls of fsync for it.", func(s *Server) float64 { return float64(s.aof.file.Info().Fsyncs.Count) }),
	counter("aof_fsync_seconds_total", "Time that they took.", func(s *Server) float64 { return s.aof.file.Info().Fsyncs.Total.Seconds() }),
	gauge("aof_last_fsync_seconds", "Time of the last one.", func(s *Server) float64 { return s.aof.file.Info().Fsyncs.Last.Seconds() }),
	gauge("aof_longest_fsync_seconds", "Time of the longest one.", func(s *Server) float64 { return s.aof.file.Info().Fsyncs.Max.Seconds() }),
	counter("aof_delayed_fsyncs_total", "Writes that waited because fsync had not ended.", func(s *Server) float64 { return float64(s.aof.file.Info().DelayedFsyncs) }),

	// Replication.
	labelled(web.Gauge, "role", "role", "1 for what the server is (master, replica).", func(s *Server, m *samples) {
		m.flag("master", !s.isReplica())
		m.flag("replica", s.isReplica())
	}),
	gauge("replication_offset_bytes", "Offset of the replication stream.", func(s *Server) float64 { return float64(s.sync.node.History.Offset) }),
	gauge("replication_backlog_bytes", "What the backlog holds.", func(s *Server) float64 {
		if b := &s.sync.node.Backlog; b.Active() {
			return float64(b.Len())
		}
		return 0
	}),
	gauge("replication_backlog_max_bytes", "The directive repl-backlog-size.", func(s *Server) float64 { return float64(s.Config.ReplBacklogSize) }),
	labelled(web.Gauge, "replica_offset_bytes", "replica", "Offset that each replica has confirmed.", func(s *Server, m *samples) {
		for _, r := range s.sync.node.Replicas() {
			m.int(replicaName(r), r.AckOffset)
		}
	}),
	labelled(web.Gauge, "replica_lag_seconds", "replica", "Time since each replica confirmed anything.", func(s *Server, m *samples) {
		now := s.replNow()
		for _, r := range s.sync.node.Replicas() {
			m.int(replicaName(r), r.Lag(now))
		}
	}),
	gauge("master_link_up", "1 while a replica is connected with its master; 0 on a master.", func(s *Server) float64 {
		return b2f(s.isReplica() && s.sync.node.LinkInfo().State == replication.LinkConnected)
	}),
	labelled(web.Counter, "replication_syncs_total", "kind", "Synchronisations of replicas (full, partial, partial_refused).", func(s *Server, m *samples) {
		m.int("full", s.sync.node.SyncFull)
		m.int("partial", s.sync.node.SyncPartialOK)
		m.int("partial_refused", s.sync.node.SyncPartialErr)
	}),
	counter("replication_input_bytes_total", "Bytes that came from the master.", func(s *Server) float64 { return float64(s.stats.replIn) }),
	counter("replication_output_bytes_total", "Bytes that were sent to replicas.", func(s *Server) float64 { return float64(s.stats.replOut) }),
}

// copyMetrics copies all figures. It runs on the loop.
func (s *Server) copyMetrics() []web.Metric {
	began := time.Now()
	out := make([]web.Metric, len(metricRows))
	for i := range metricRows {
		row := &metricRows[i]
		var m samples
		row.read(s, &m)
		out[i] = web.Metric{Family: &row.Family, Bounds: row.bounds, Samples: m.list}
	}
	s.web.took = time.Since(began)
	return out
}
