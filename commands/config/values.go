package config

// Values holds every directive as a typed Go value. It is a plain struct of the
// reactor's goroutine: hot paths read its fields directly (cfg.MaxMemory). A
// change of a directive replaces its slice and never writes to the old one, so
// a copy of Values is consistent and immutable, and may be passed to another
// goroutine.
//
// Units are in the comments; a field without one is a count or a switch with
// the name of its directive.
type Values struct {
	// Process.
	Daemonize              bool
	Supervised             Supervised
	PidFile                string // "" = none unless daemonized
	Dir                    string // absolute working directory; see Config.Path
	ProcTitleTemplate      string
	SetProcTitle           bool
	AlwaysShowLogo         bool
	CrashLogEnabled        bool
	CrashMemcheckEnabled   bool
	UseExitOnPanic         bool
	WatchdogPeriodMs       int // milliseconds, 0 = off
	DisableTHP             bool
	OOMScoreAdj            OOMScoreAdj
	OOMScoreAdjValues      [3]int // master, replica, background child
	ServerCPUList          string
	BioCPUList             string
	AOFRewriteCPUList      string
	BgsaveCPUList          string
	IgnoreWarnings         string
	LocaleCollate          string
	ShutdownTimeoutSec     int // seconds that a shutdown waits for replicas
	ShutdownOnSigint       ShutdownFlags
	ShutdownOnSigterm      ShutdownFlags
	EnableProtectedConfigs Guard
	EnableDebugCommand     Guard
	EnableModuleCommand    Guard

	// Logging.
	LogLevel       LogLevel
	LogFile        string // "" = standard output
	LogFormat      LogFormat
	SyslogEnabled  bool
	SyslogIdent    string
	SyslogFacility Facility

	// Network and clients.
	Port                   int // 0 = no TCP
	Bind                   []string
	BindSourceAddr         string
	ProtectedMode          bool
	HTTP                   bool     // answers GET on the RESP port
	MetricsPort            int      // 0 = none
	MetricsBind            []string // addresses of MetricsPort
	MetricsPassword        string   // "" = none
	TCPBacklog             int
	UnixSocket             string // "" = none
	UnixSocketPerm         int    // file mode bits, 0 = as the umask says
	TimeoutSec             int    // seconds a client may be idle, 0 = for ever
	TCPKeepAliveSec        int    // seconds, 0 = off
	SocketMarkID           int
	MaxClients             int
	MaxMemoryClients       int64 // bytes; negative = per cent of MaxMemory; 0 = no limit
	OutputBufferLimits     [3]Limit
	ClientQueryBufferLimit int64 // bytes
	ProtoMaxBulkLen        int64 // bytes
	IOThreads              int
	IOThreadsDoReads       bool

	// TLS.
	TLSPort                int // 0 = no TLS
	TLSCluster             bool
	TLSReplication         bool
	TLSAuthClients         TLSAuth
	TLSAuthClientsUser     TLSUser
	TLSAutoReloadInterval  int // seconds, 0 = files are read at CONFIG SET only
	TLSPreferServerCiphers bool
	TLSSessionCaching      bool
	TLSSessionCacheSize    int
	TLSSessionCacheTimeout int // seconds
	TLSCertFile            string
	TLSKeyFile             string
	TLSKeyFilePass         string
	TLSClientCertFile      string
	TLSClientKeyFile       string
	TLSClientKeyFilePass   string
	TLSDHParamsFile        string
	TLSCACertFile          string
	TLSCACertDir           string
	TLSProtocols           string
	TLSCiphers             string
	TLSCipherSuites        string

	// Access control.
	RequirePass      string // "" = none
	ACLFile          string
	ACLPubsubDefault PubsubDefault
	ACLLogMaxLen     int

	// Databases, memory and cron.
	Databases              int
	Hz                     int // ticks a second, 1 to 500
	DynamicHz              bool
	ActiveRehashing        bool
	ActiveExpireEffort     int
	MaxMemory              uint64 // bytes, 0 = no limit; computed by the server from a percentage
	MaxMemoryPercent       int    // of the memory that the machine or cgroup has, 0 if bytes were given
	MaxMemoryPolicy        Policy
	MaxMemorySamples       int
	MaxMemoryTenacity      int
	LFULogFactor           int
	LFUDecayTime           int // minutes
	LazyfreeEviction       bool
	LazyfreeExpire         bool
	LazyfreeServerDel      bool
	LazyfreeUserDel        bool
	LazyfreeUserFlush      bool
	JemallocBgThread       bool
	ActiveDefrag           bool
	ActiveDefragCycleMin   int
	ActiveDefragCycleMax   int
	ActiveDefragLower      int
	ActiveDefragUpper      int
	ActiveDefragMaxFields  int
	ActiveDefragIgnore     int64 // bytes
	TrackingTableMaxKeys   int
	NotifyKeyspaceEvents   NotifyFlags
	BusyReplyThresholdMs   int64 // milliseconds after which other clients get -BUSY because of a script, 0 = never
	LatencyTracking        bool
	LatencyPercentiles     []float64 // 0 to 100
	LatencyMonitorMs       int64     // milliseconds, 0 = off
	SlowlogLogSlowerThanUs int64     // microseconds, negative = off
	SlowlogMaxLen          int

	// Encodings.
	HashMaxListpackEntries int
	HashMaxListpackValue   int // bytes
	ListMaxListpackSize    int // entries, or -1 to -5 for 4 to 64 KiB
	ListCompressDepth      int
	SetMaxIntsetEntries    int
	SetMaxListpackEntries  int
	SetMaxListpackValue    int // bytes
	ZsetMaxListpackEntries int
	ZsetMaxListpackValue   int // bytes
	StreamNodeMaxBytes     int // bytes
	StreamNodeMaxEntries   int64
	HLLSparseMaxBytes      int // bytes

	// Snapshots.
	Save                    []SavePoint
	DBFilename              string
	RDBCompression          bool
	RDBChecksum             bool
	RDBVersion              int // 0 = the lowest that holds the data, else 9 to 12
	RDBSaveIncrementalFsync bool
	RDBDelSyncFiles         bool
	StopWritesOnBgsaveError bool
	SanitizeDumpPayload     Sanitize
	RDBKeySaveDelayUs       int // test aid: microseconds a key; -n = one microsecond every n keys
	KeyLoadDelayUs          int // test aid: microseconds a key; -n = one microsecond every n keys
	LoadingProcessInterval  int // bytes loaded between two rounds of serving clients

	// Append-only file.
	AppendOnly                bool
	AppendFilename            string
	AppendDirname             string
	AppendFsync               Fsync
	NoAppendFsyncOnRewrite    bool
	AutoAOFRewritePercentage  int
	AutoAOFRewriteMinSize     int64 // bytes
	AOFLoadTruncated          bool
	AOFUseRDBPreamble         bool
	AOFTimestampEnabled       bool
	AOFDisableAutoGC          bool
	AOFRewriteIncrementalSync bool

	// Replication.
	ReplicaOf                   Master
	MasterUser                  string
	MasterAuth                  string
	ReplicaServeStaleData       bool
	ReplicaReadOnly             bool
	ReplicaLazyFlush            bool
	ReplicaIgnoreMaxMemory      bool
	ReplicaIgnoreDiskWriteError bool
	ReplicaPriority             int
	ReplicaAnnounceIP           string
	ReplicaAnnouncePort         int
	ReplicaAnnounced            bool
	ReplDisklessSync            bool
	ReplDisklessSyncDelaySec    int // seconds
	ReplDisklessSyncMaxReplicas int
	ReplDisklessLoad            DisklessLoad
	ReplDisableTCPNodelay       bool
	ReplTimeoutSec              int   // seconds
	ReplPingPeriodSec           int   // seconds
	ReplBacklogSize             int64 // bytes
	ReplBacklogTTLSec           int64 // seconds, 0 = for ever
	MinReplicasToWrite          int
	MinReplicasMaxLagSec        int // seconds
	PropagationErrorBehavior    PropagationError

	// Cluster.
	ClusterEnabled               bool
	ClusterConfigFile            string
	ClusterPort                  int
	ClusterNodeTimeoutMs         int64 // milliseconds
	ClusterPingIntervalMs        int64 // milliseconds, 0 = the built-in second
	ClusterReplicaValidityFactor int
	ClusterMigrationBarrier      int
	ClusterRequireFullCoverage   bool
	ClusterReplicaNoFailover     bool
	ClusterAllowReadsWhenDown    bool
	ClusterAllowPubsubWhenDown   bool
	ClusterAllowReplicaMigration bool
	ClusterLinkSendbufLimit      uint64 // bytes, 0 = no limit
	ClusterAnnounceIP            string
	ClusterAnnouncePort          int
	ClusterAnnounceTLSPort       int
	ClusterAnnounceBusPort       int
	ClusterAnnounceHostname      string
	ClusterAnnounceHumanNodename string
	ClusterPreferredEndpointType Endpoint
}

// SavePoint is one pair of the save directive: snapshot when at least Changes
// writes happened and Seconds have passed since the last one.
type SavePoint struct {
	Seconds int64
	Changes int64
}

// The classes of client-output-buffer-limit, as indexes of OutputBufferLimits.
const (
	ClassNormal = iota
	ClassReplica
	ClassPubsub
)

// Limit is the output buffer limit of one class of clients. A client is closed
// at once above Hard bytes, or when it has been above Soft bytes for
// SoftSeconds; 0 switches a limit off.
type Limit struct {
	Hard        uint64
	Soft        uint64
	SoftSeconds int64
}

// Master names the server that replicaof points to; Host is "" on a master.
type Master struct {
	Host string
	Port int
}

// NotifyFlags are the classes of keyspace events that are published.
type NotifyFlags int

// Bits of NotifyFlags, with the letter that selects each.
const (
	NotifyKeyspace NotifyFlags = 1 << iota // K: publish to __keyspace@db__:key
	NotifyKeyevent                         // E: publish to __keyevent@db__:event
	NotifyGeneric                          // g
	NotifyString                           // $
	NotifyList                             // l
	NotifySet                              // s
	NotifyHash                             // h
	NotifyZset                             // z
	NotifyExpired                          // x
	NotifyEvicted                          // e
	NotifyStream                           // t
	NotifyKeyMiss                          // m, not part of A
	NotifyModule                           // d
	NotifyNew                              // n, not part of A

	// NotifyAll is the letter A.
	NotifyAll = NotifyGeneric | NotifyString | NotifyList | NotifySet | NotifyHash |
		NotifyZset | NotifyExpired | NotifyEvicted | NotifyStream | NotifyModule
)
