package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The directive table. A row reads: name, field, default (numbers: lowest and
// highest value first), flags; then aliases, checks and the reason of a no-op.
// What it is for stands in summaries.go.

// Reasons that several no-ops share.
const (
	noopDefrag = "it repacks the memory of jemalloc, which is not used; Go's heap has no such thing"
	noopCPU    = "the Go runtime spreads goroutines over threads; bind the process with taskset or CPUAffinity="
	noopIO     = "one goroutine serves all clients"

	noCluster  = "there is no cluster yet"
	noTLSCache = "sessions are resumed by tickets that the clients keep; the server keeps none"
)

func (c *Config) add(r *row) *row {
	r.section = c.part
	c.rows = append(c.rows, r)
	return r
}

func (r *row) alias(names ...string) *row { r.aliases = append(r.aliases, names...); return r }
func (r *row) noOp(reason string) *row    { r.noop = reason; return r }

// noOps sets the reason of all rows from number from on that have none, except
// the named ones.
func (c *Config) noOps(from int, reason string, but ...string) {
	for _, r := range c.rows[from:] {
		if r.noop == "" && !slices.Contains(but, r.name) {
			r.noop = reason
		}
	}
}

func (c *Config) yesno(name string, p *bool, def bool, f Flags) *row {
	*p = def
	return c.add(&row{name: name, flags: f, kind: "yes/no", value: &yesnoSetting{p, def}})
}

// text adds a string that may be empty.
func (c *Config) text(name string, p *string, def string, f Flags, check func(string) error) *row {
	*p = def
	return c.add(&row{name: name, flags: f, kind: "string", value: &textSetting{p, def, false, check}})
}

// optional adds a string for which empty means "not set".
func (c *Config) optional(name string, p *string, f Flags, check func(string) error) *row {
	return c.add(&row{name: name, flags: f, kind: "string", value: &textSetting{p, "", true, check}})
}

func enum[E ~int](c *Config, name string, p *E, names []enumName[E], def E, f Flags, check func(E) error) *row {
	*p = def
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = n.name
	}
	kind := "one of "
	if f&MultiArg != 0 {
		kind = "some of "
	}
	return c.add(&row{name: name, flags: f, kind: kind + strings.Join(words, ", "),
		value: &enumSetting[E]{p, def, names, f&MultiArg != 0, check, 0}})
}

// num adds a number from lo to hi; a hi that T cannot hold means T's largest
// value, and noMax means the largest of 64 bits.
func num[T number](c *Config, name string, p *T, lo, hi int64, def T, form numberForm, f Flags) *row {
	*p = def
	top := T(hi)
	if int64(top) != hi || hi == noMax {
		// The largest T: all ones, or all but the sign bit.
		if top = ^T(0); top < 0 {
			top = 0
			for bit := T(1); bit > 0; bit <<= 1 {
				top |= bit
			}
		}
	}
	kind := [...]string{"integer", "memory", "memory or per cent", "octal"}[form]
	s := &numberSetting[T]{p: p, lo: T(lo), hi: top, def: def, form: form}
	kind = fmt.Sprintf("%s, %d to %d", kind, s.lo, s.hi)
	if form == octal {
		kind = fmt.Sprintf("octal, %o to %o", s.lo, s.hi)
	}
	return c.add(&row{name: name, flags: f, kind: kind, value: s})
}

func (c *Config) special(name, kind string, f Flags, s setting) *row {
	return c.add(&row{name: name, flags: f, kind: kind, value: s})
}

const (
	noMax  = int64(-1)
	maxI64 = int64(math.MaxInt64)
	maxI32 = int64(math.MaxInt32)
	minI32 = int64(math.MinInt32)
	maxU32 = int64(math.MaxUint32)

	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	rw = Flags(0)
	ro = Immutable
)

func (c *Config) addRows() {
	for _, section := range []struct {
		title string
		add   func()
	}{
		{"Process and logging", c.addProcess},
		{"Network and access", c.addNetwork},
		{"TLS", c.addTLS},
		{"Memory and latency", c.addMemory},
		{"Compact encodings", c.addEncodings},
		{"Snapshots and the append-only file", c.addPersistence},
		{"Replication", c.addReplication},
		{"Cluster", c.addCluster},
	} {
		c.part = section.title
		section.add()
	}
}

func (c *Config) addProcess() {
	v := &c.Values
	c.yesno("daemonize", &v.Daemonize, false, ro)
	enum(c, "supervised", &v.Supervised, supervisedNames, SupervisedNone, ro, nil)
	c.optional("pidfile", &v.PidFile, ro, nil)
	c.special("dir", "directory", Protected|DenyLoading, dirSetting{c})
	c.text("proc-title-template", &v.ProcTitleTemplate, "{title} {listen-addr} {server-mode}", rw, c.checkTitleTemplate)
	c.yesno("set-proc-title", &v.SetProcTitle, true, ro)
	c.yesno("always-show-logo", &v.AlwaysShowLogo, false, ro)
	c.yesno("crash-log-enabled", &v.CrashLogEnabled, true, rw)
	c.yesno("crash-memcheck-enabled", &v.CrashMemcheckEnabled, true, rw).
		noOp("a crash report tests no memory: the Go runtime owns it")
	c.yesno("use-exit-on-panic", &v.UseExitOnPanic, false, Hidden)
	num(c, "watchdog-period", &v.WatchdogPeriodMs, 0, maxI32, 0, plain, Hidden)
	c.yesno("disable-thp", &v.DisableTHP, true, ro).
		noOp("huge pages cost copies after a fork, and there is none; Go's heap decides on them")
	enum(c, "oom-score-adj", &v.OOMScoreAdj, oomScoreNames, OOMScoreNo, rw, nil)
	c.special("oom-score-adj-values", "three integers, -2000 to 2000", MultiArg, oomSetting{c})
	c.optional("server_cpulist", &v.ServerCPUList, ro, nil).noOp(noopCPU)
	c.optional("bio_cpulist", &v.BioCPUList, ro, nil).noOp(noopCPU)
	c.optional("aof_rewrite_cpulist", &v.AOFRewriteCPUList, ro, nil).noOp(noopCPU)
	c.optional("bgsave_cpulist", &v.BgsaveCPUList, ro, nil).noOp(noopCPU)
	c.text("ignore-warnings", &v.IgnoreWarnings, "", rw, nil).
		noOp("the warning it can silence (a fork bug of arm64 kernels) does not exist without fork")
	c.text("locale-collate", &v.LocaleCollate, "", rw, checkLocale).
		noOp("a locale that the host lacks is refused; strings are compared by their bytes, as Redis does in the C locale")
	num(c, "shutdown-timeout", &v.ShutdownTimeoutSec, 0, maxI32, 10, plain, rw)
	enum(c, "shutdown-on-sigint", &v.ShutdownOnSigint, shutdownNames, 0, MultiArg, checkShutdownFlags)
	enum(c, "shutdown-on-sigterm", &v.ShutdownOnSigterm, shutdownNames, 0, MultiArg, checkShutdownFlags)
	enum(c, "enable-protected-configs", &v.EnableProtectedConfigs, guardNames, GuardNo, ro, nil)
	enum(c, "enable-debug-command", &v.EnableDebugCommand, guardNames, GuardNo, ro, nil)
	enum(c, "enable-module-command", &v.EnableModuleCommand, guardNames, GuardNo, ro, nil)

	enum(c, "loglevel", &v.LogLevel, logLevelNames, LogNotice, rw, nil)
	c.text("logfile", &v.LogFile, "", ro, nil)
	enum(c, "log-format", &v.LogFormat, logFormatNames, LogFormatRedis, rw, nil)
	c.yesno("syslog-enabled", &v.SyslogEnabled, false, ro)
	c.text("syslog-ident", &v.SyslogIdent, "redis", ro, nil)
	enum(c, "syslog-facility", &v.SyslogFacility, facilityNames, FacilityLocal0, ro, nil)
}

func (c *Config) addNetwork() {
	v := &c.Values
	num(c, "port", &v.Port, 0, 65535, 6379, plain, rw)
	c.special("bind", "addresses", MultiArg, bindSetting{&v.Bind, defaultBind})
	c.optional("bind-source-addr", &v.BindSourceAddr, rw, nil)
	c.yesno("protected-mode", &v.ProtectedMode, true, rw)
	c.yesno("http", &v.HTTP, false, rw)
	num(c, "metrics-port", &v.MetricsPort, 0, 65535, 0, plain, rw)
	c.special("metrics-bind", "addresses", MultiArg, bindSetting{&v.MetricsBind, defaultMetricsBind})
	c.optional("metrics-password", &v.MetricsPassword, Sensitive, nil)
	num(c, "tcp-backlog", &v.TCPBacklog, 0, maxI32, 511, plain, ro)
	c.optional("unixsocket", &v.UnixSocket, ro, nil)
	num(c, "unixsocketperm", &v.UnixSocketPerm, 0, 0o777, 0, octal, ro)
	num(c, "timeout", &v.TimeoutSec, 0, maxI32, 0, plain, rw)
	num(c, "tcp-keepalive", &v.TCPKeepAliveSec, 0, maxI32, 300, plain, rw)
	num(c, "socket-mark-id", &v.SocketMarkID, 0, maxU32, 0, plain, ro).noOp("sockets are not marked")
	num(c, "maxclients", &v.MaxClients, 1, maxU32, 10000, plain, rw)
	num(c, "maxmemory-clients", &v.MaxMemoryClients, -100, maxI64, 0, percent, rw)
	c.special("client-output-buffer-limit", "class, hard limit, soft limit, seconds", MultiArg,
		limitsSetting{&v.OutputBufferLimits})
	num(c, "client-query-buffer-limit", &v.ClientQueryBufferLimit, mib, maxI64, gib, memory, Debug)
	num(c, "proto-max-bulk-len", &v.ProtoMaxBulkLen, mib, maxI64, 512*mib, memory, Debug)
	num(c, "io-threads", &v.IOThreads, 1, 128, 1, plain, Debug|ro).noOp(noopIO)
	c.yesno("io-threads-do-reads", &v.IOThreadsDoReads, false, Debug|ro).noOp(noopIO)

	c.optional("requirepass", &v.RequirePass, Sensitive, nil)
	c.text("aclfile", &v.ACLFile, "", ro, nil)
	enum(c, "acl-pubsub-default", &v.ACLPubsubDefault, pubsubDefaultNames, PubsubResetChannels, rw, nil)
	num(c, "acllog-max-len", &v.ACLLogMaxLen, 0, maxI64, 128, plain, rw)
}

func (c *Config) addTLS() {
	v := &c.Values
	num(c, "tls-port", &v.TLSPort, 0, 65535, 0, plain, rw)
	c.yesno("tls-cluster", &v.TLSCluster, false, rw)
	c.yesno("tls-replication", &v.TLSReplication, false, rw)
	enum(c, "tls-auth-clients", &v.TLSAuthClients, tlsAuthNames, TLSAuthYes, rw, nil)
	enum(c, "tls-auth-clients-user", &v.TLSAuthClientsUser, tlsUserNames, TLSUserOff, rw, nil)
	num(c, "tls-auto-reload-interval", &v.TLSAutoReloadInterval, 0, maxI32, 10, plain, rw)
	c.yesno("tls-prefer-server-ciphers", &v.TLSPreferServerCiphers, false, rw).
		noOp("Go's TLS orders the cipher suites itself")
	c.yesno("tls-session-caching", &v.TLSSessionCaching, true, rw)
	num(c, "tls-session-cache-size", &v.TLSSessionCacheSize, 0, maxI32, 20*kib, plain, rw).noOp(noTLSCache)
	num(c, "tls-session-cache-timeout", &v.TLSSessionCacheTimeout, 0, maxI32, 300, plain, rw).noOp(noTLSCache)
	c.optional("tls-cert-file", &v.TLSCertFile, volatile, nil)
	c.optional("tls-key-file", &v.TLSKeyFile, volatile, nil)
	c.optional("tls-key-file-pass", &v.TLSKeyFilePass, rw, nil)
	c.optional("tls-client-cert-file", &v.TLSClientCertFile, volatile, nil)
	c.optional("tls-client-key-file", &v.TLSClientKeyFile, volatile, nil)
	c.optional("tls-client-key-file-pass", &v.TLSClientKeyFilePass, rw, nil)
	c.optional("tls-dh-params-file", &v.TLSDHParamsFile, volatile, nil).
		noOp("Go's TLS exchanges keys over elliptic curves only")
	c.optional("tls-ca-cert-file", &v.TLSCACertFile, volatile, nil)
	c.optional("tls-ca-cert-dir", &v.TLSCACertDir, volatile, nil)
	c.optional("tls-protocols", &v.TLSProtocols, rw, nil)
	c.optional("tls-ciphers", &v.TLSCiphers, rw, nil)
	c.optional("tls-ciphersuites", &v.TLSCipherSuites, rw, nil).
		noOp("Go's TLS does not let the suites of TLS 1.3 be chosen")
}

func (c *Config) addMemory() {
	v := &c.Values
	num(c, "databases", &v.Databases, 1, maxI32, 16, plain, ro)
	// Out of range values are accepted and moved to the nearest sensible one.
	num(c, "hz", &v.Hz, 0, maxI32, 10, plain, rw).after = func() { v.Hz = min(max(v.Hz, 1), 500) }
	c.yesno("dynamic-hz", &v.DynamicHz, true, rw).
		noOp("work that grows with the clients has its own timers and is not paced by hz")
	c.yesno("activerehashing", &v.ActiveRehashing, true, rw).
		noOp("tables split one segment at a time and never rehash as a whole")
	num(c, "active-expire-effort", &v.ActiveExpireEffort, 1, 10, 1, plain, rw).
		noOp("keys expire by a timing wheel, on time whatever their number; nothing is sampled")
	c.add(&row{name: "maxmemory", flags: rw, kind: "memory, or per cent of the machine or cgroup",
		value: &memoryLimitSetting{numberSetting[uint64]{p: &v.MaxMemory, hi: math.MaxUint64, form: memory}, &v.MaxMemoryPercent}})
	policy := enum(c, "maxmemory-policy", &v.MaxMemoryPolicy, policyNames, NoEviction, rw, nil)
	policy.value.(*enumSetting[Policy]).newer = 2
	num(c, "maxmemory-samples", &v.MaxMemorySamples, 1, maxI32, 5, plain, rw)
	num(c, "maxmemory-eviction-tenacity", &v.MaxMemoryTenacity, 0, 100, 10, plain, rw)
	num(c, "lfu-log-factor", &v.LFULogFactor, 0, maxI32, 10, plain, rw)
	num(c, "lfu-decay-time", &v.LFUDecayTime, 0, maxI32, 1, plain, rw)
	// These three choose between DEL and UNLINK in what is propagated.
	c.yesno("lazyfree-lazy-eviction", &v.LazyfreeEviction, false, Debug)
	c.yesno("lazyfree-lazy-expire", &v.LazyfreeExpire, false, Debug)
	c.yesno("lazyfree-lazy-server-del", &v.LazyfreeServerDel, false, Debug)
	c.yesno("lazyfree-lazy-user-del", &v.LazyfreeUserDel, false, Debug)
	c.yesno("lazyfree-lazy-user-flush", &v.LazyfreeUserFlush, false, Debug)
	c.yesno("jemalloc-bg-thread", &v.JemallocBgThread, true, rw).noOp("there is no jemalloc")
	c.yesno("activedefrag", &v.ActiveDefrag, false, Debug).noOp(noopDefrag)
	num(c, "active-defrag-cycle-min", &v.ActiveDefragCycleMin, 1, 99, 1, plain, rw).noOp(noopDefrag)
	num(c, "active-defrag-cycle-max", &v.ActiveDefragCycleMax, 1, 99, 25, plain, rw).noOp(noopDefrag)
	num(c, "active-defrag-threshold-lower", &v.ActiveDefragLower, 0, 1000, 10, plain, rw).noOp(noopDefrag)
	num(c, "active-defrag-threshold-upper", &v.ActiveDefragUpper, 0, 1000, 100, plain, rw).noOp(noopDefrag)
	num(c, "active-defrag-max-scan-fields", &v.ActiveDefragMaxFields, 1, maxI64, 1000, plain, rw).noOp(noopDefrag)
	num(c, "active-defrag-ignore-bytes", &v.ActiveDefragIgnore, 1, maxI64, 100*mib, memory, rw).noOp(noopDefrag)

	num(c, "tracking-table-max-keys", &v.TrackingTableMaxKeys, 0, maxI64, 1000000, plain, rw)
	c.special("notify-keyspace-events", "letters of KEg$lshzxetdnmA", rw, notifySetting{&v.NotifyKeyspaceEvents})
	num(c, "busy-reply-threshold", &v.BusyReplyThresholdMs, 0, maxI64, 5000, plain, rw).alias("lua-time-limit")
	c.yesno("latency-tracking", &v.LatencyTracking, true, rw)
	c.special("latency-tracking-info-percentiles", "percentiles, 0 to 100", MultiArg,
		percentilesSetting{&v.LatencyPercentiles})
	num(c, "latency-monitor-threshold", &v.LatencyMonitorMs, 0, maxI64, 0, plain, rw)
	num(c, "slowlog-log-slower-than", &v.SlowlogLogSlowerThanUs, -1, maxI64, 10000, plain, rw)
	num(c, "slowlog-max-len", &v.SlowlogMaxLen, 0, maxI64, 128, plain, rw)
}

func (c *Config) addEncodings() {
	v := &c.Values
	num(c, "hash-max-listpack-entries", &v.HashMaxListpackEntries, 0, maxI64, 512, plain, rw).
		alias("hash-max-ziplist-entries")
	num(c, "hash-max-listpack-value", &v.HashMaxListpackValue, 0, maxI64, 64, memory, rw).
		alias("hash-max-ziplist-value")
	num(c, "list-max-listpack-size", &v.ListMaxListpackSize, minI32, maxI32, -2, plain, rw).
		alias("list-max-ziplist-size")
	num(c, "list-compress-depth", &v.ListCompressDepth, 0, maxI32, 0, plain, Debug)
	num(c, "set-max-intset-entries", &v.SetMaxIntsetEntries, 0, maxI64, 512, plain, rw)
	num(c, "set-max-listpack-entries", &v.SetMaxListpackEntries, 0, maxI64, 128, plain, rw)
	num(c, "set-max-listpack-value", &v.SetMaxListpackValue, 0, maxI64, 64, plain, rw)
	num(c, "zset-max-listpack-entries", &v.ZsetMaxListpackEntries, 0, maxI64, 128, plain, rw).
		alias("zset-max-ziplist-entries")
	num(c, "zset-max-listpack-value", &v.ZsetMaxListpackValue, 0, maxI64, 64, memory, rw).
		alias("zset-max-ziplist-value")
	num(c, "stream-node-max-bytes", &v.StreamNodeMaxBytes, 0, maxI64, 4096, memory, rw)
	num(c, "stream-node-max-entries", &v.StreamNodeMaxEntries, 0, maxI64, 100, plain, rw)
	num(c, "hll-sparse-max-bytes", &v.HLLSparseMaxBytes, 0, maxI64, 3000, memory, rw)
}

func (c *Config) addPersistence() {
	v := &c.Values
	c.special("save", "pairs of seconds and changes", MultiArg, saveSetting{c})
	c.text("dbfilename", &v.DBFilename, "dump.rdb", Protected, checkDBFilename)
	c.yesno("rdbcompression", &v.RDBCompression, true, rw)
	c.yesno("rdbchecksum", &v.RDBChecksum, true, ro)
	num(c, "rdb-version", &v.RDBVersion, 0, 12, 0, plain, rw).
		value.(*numberSetting[int]).check = checkRDBVersion
	c.yesno("rdb-save-incremental-fsync", &v.RDBSaveIncrementalFsync, true, rw)
	c.yesno("rdb-del-sync-files", &v.RDBDelSyncFiles, false, rw)
	c.yesno("stop-writes-on-bgsave-error", &v.StopWritesOnBgsaveError, true, rw)
	enum(c, "sanitize-dump-payload", &v.SanitizeDumpPayload, sanitizeNames, SanitizeNo, Debug, nil)
	num(c, "rdb-key-save-delay", &v.RDBKeySaveDelayUs, minI32, maxI32, 0, plain, Hidden)
	num(c, "key-load-delay", &v.KeyLoadDelayUs, minI32, maxI32, 0, plain, Hidden)
	num(c, "loading-process-events-interval-bytes", &v.LoadingProcessInterval, 1024, maxI32, 2*mib, plain, Hidden)

	c.yesno("appendonly", &v.AppendOnly, false, DenyLoading)
	c.text("appendfilename", &v.AppendFilename, "appendonly.aof", ro, checkAppendFilename)
	c.text("appenddirname", &v.AppendDirname, "appendonlydir", ro, checkAppendDirname)
	enum(c, "appendfsync", &v.AppendFsync, fsyncNames, FsyncEverysec, rw, nil)
	c.yesno("no-appendfsync-on-rewrite", &v.NoAppendFsyncOnRewrite, false, rw)
	num(c, "auto-aof-rewrite-percentage", &v.AutoAOFRewritePercentage, 0, maxI32, 100, plain, rw)
	num(c, "auto-aof-rewrite-min-size", &v.AutoAOFRewriteMinSize, 0, maxI64, 64*mib, memory, rw)
	c.yesno("aof-load-truncated", &v.AOFLoadTruncated, true, rw)
	c.yesno("aof-use-rdb-preamble", &v.AOFUseRDBPreamble, true, rw)
	c.yesno("aof-timestamp-enabled", &v.AOFTimestampEnabled, false, rw)
	c.yesno("aof-rewrite-incremental-fsync", &v.AOFRewriteIncrementalSync, true, rw)
	// Hidden in 7.2, but not in 7.0, so it is shown for tools that expect it.
	c.yesno("aof-disable-auto-gc", &v.AOFDisableAutoGC, false, rw)
}

func (c *Config) addReplication() {
	v := &c.Values
	c.special("replicaof", "host and port, or no one", Immutable|MultiArg, replicaofSetting{c}).alias("slaveof")
	c.optional("masteruser", &v.MasterUser, Sensitive, nil)
	c.optional("masterauth", &v.MasterAuth, Sensitive, nil)
	c.yesno("replica-serve-stale-data", &v.ReplicaServeStaleData, true, rw).alias("slave-serve-stale-data")
	c.yesno("replica-read-only", &v.ReplicaReadOnly, true, Debug).alias("slave-read-only")
	c.yesno("replica-lazy-flush", &v.ReplicaLazyFlush, false, rw).alias("slave-lazy-flush")
	c.yesno("replica-ignore-maxmemory", &v.ReplicaIgnoreMaxMemory, true, rw).alias("slave-ignore-maxmemory")
	c.yesno("replica-ignore-disk-write-errors", &v.ReplicaIgnoreDiskWriteError, false, rw)
	num(c, "replica-priority", &v.ReplicaPriority, 0, maxI32, 100, plain, rw).alias("slave-priority")
	c.optional("replica-announce-ip", &v.ReplicaAnnounceIP, rw, nil).alias("slave-announce-ip")
	num(c, "replica-announce-port", &v.ReplicaAnnouncePort, 0, 65535, 0, plain, rw).alias("slave-announce-port")
	c.yesno("replica-announced", &v.ReplicaAnnounced, true, rw)
	c.yesno("repl-diskless-sync", &v.ReplDisklessSync, true, Debug)
	num(c, "repl-diskless-sync-delay", &v.ReplDisklessSyncDelaySec, 0, maxI32, 5, plain, rw)
	num(c, "repl-diskless-sync-max-replicas", &v.ReplDisklessSyncMaxReplicas, 0, maxI32, 0, plain, rw)
	enum(c, "repl-diskless-load", &v.ReplDisklessLoad, disklessLoadNames, DisklessLoadDisabled, Debug|DenyLoading, nil)
	c.yesno("repl-disable-tcp-nodelay", &v.ReplDisableTCPNodelay, false, rw)
	num(c, "repl-timeout", &v.ReplTimeoutSec, 1, maxI32, 60, plain, rw)
	num(c, "repl-ping-replica-period", &v.ReplPingPeriodSec, 1, maxI32, 10, plain, rw).alias("repl-ping-slave-period")
	num(c, "repl-backlog-size", &v.ReplBacklogSize, 1, maxI64, mib, memory, rw).
		after = func() { v.ReplBacklogSize = max(v.ReplBacklogSize, 16*kib) }
	num(c, "repl-backlog-ttl", &v.ReplBacklogTTLSec, 0, maxI64, 3600, plain, rw)
	num(c, "min-replicas-to-write", &v.MinReplicasToWrite, 0, maxI32, 0, plain, rw).alias("min-slaves-to-write")
	num(c, "min-replicas-max-lag", &v.MinReplicasMaxLagSec, 0, maxI32, 10, plain, rw).alias("min-slaves-max-lag")
	enum(c, "propagation-error-behavior", &v.PropagationErrorBehavior, propagationNames, PropagationIgnore, rw, nil)
}

func (c *Config) addCluster() {
	v := &c.Values
	defer c.noOps(len(c.rows), noCluster)
	c.yesno("cluster-enabled", &v.ClusterEnabled, false, ro).
		noOp("there is no cluster yet: this server serves all keys")
	c.text("cluster-config-file", &v.ClusterConfigFile, "nodes.conf", ro, nil)
	num(c, "cluster-port", &v.ClusterPort, 0, 65535, 0, plain, ro)
	num(c, "cluster-node-timeout", &v.ClusterNodeTimeoutMs, 0, maxI64, 15000, plain, rw)
	num(c, "cluster-ping-interval", &v.ClusterPingIntervalMs, 0, maxI64, 0, plain, Hidden)
	num(c, "cluster-replica-validity-factor", &v.ClusterReplicaValidityFactor, 0, maxI32, 10, plain, rw).
		alias("cluster-slave-validity-factor")
	num(c, "cluster-migration-barrier", &v.ClusterMigrationBarrier, 0, maxI32, 1, plain, rw)
	c.yesno("cluster-require-full-coverage", &v.ClusterRequireFullCoverage, true, rw)
	c.yesno("cluster-replica-no-failover", &v.ClusterReplicaNoFailover, false, rw).alias("cluster-slave-no-failover")
	c.yesno("cluster-allow-reads-when-down", &v.ClusterAllowReadsWhenDown, false, rw)
	c.yesno("cluster-allow-pubsubshard-when-down", &v.ClusterAllowPubsubWhenDown, true, rw)
	c.yesno("cluster-allow-replica-migration", &v.ClusterAllowReplicaMigration, true, rw)
	num(c, "cluster-link-sendbuf-limit", &v.ClusterLinkSendbufLimit, 0, noMax, 0, memory, rw)
	c.optional("cluster-announce-ip", &v.ClusterAnnounceIP, rw, nil)
	num(c, "cluster-announce-port", &v.ClusterAnnouncePort, 0, 65535, 0, plain, rw)
	num(c, "cluster-announce-tls-port", &v.ClusterAnnounceTLSPort, 0, 65535, 0, plain, rw)
	num(c, "cluster-announce-bus-port", &v.ClusterAnnounceBusPort, 0, 65535, 0, plain, rw)
	c.optional("cluster-announce-hostname", &v.ClusterAnnounceHostname, rw, checkHostname)
	c.optional("cluster-announce-human-nodename", &v.ClusterAnnounceHumanNodename, rw, checkNodename)
	enum(c, "cluster-preferred-endpoint-type", &v.ClusterPreferredEndpointType, endpointNames, EndpointIP, rw, nil)
}
