package config

// The value of an enum directive has one of the integer types below. Each type has a table of names in the order in which
// Redis prints them; if two names mean the same value (oom-score-adj yes/relative), the first one is reported.

// enumName is one word that an enum directive accepts.
type enumName[E ~int] struct {
	name string
	val  E
}

// LogLevel is the least important level that is still logged.
type LogLevel int

// The log levels, chatty first.
const (
	LogDebug LogLevel = iota
	LogVerbose
	LogNotice
	LogWarning
	LogNothing
)

var logLevelNames = []enumName[LogLevel]{
	{"debug", LogDebug}, {"verbose", LogVerbose}, {"notice", LogNotice},
	{"warning", LogWarning}, {"nothing", LogNothing},
}

// LogFormat is the format of log lines (log-format, a directive that Redis does not have).
type LogFormat int

// The log formats: Redis's own line, logfmt pairs, or one JSON object a line.
const (
	LogFormatRedis LogFormat = iota
	LogFormatLogfmt
	LogFormatJSON
)

var logFormatNames = []enumName[LogFormat]{
	{"redis", LogFormatRedis}, {"logfmt", LogFormatLogfmt}, {"json", LogFormatJSON},
}

// Policy is maxmemory-policy: it selects the keys to evict when memory is full. Its bits say how keys are ranked and from
// which keys they are drawn, so that the hot path tests them with one AND.
type Policy int

// Bits of a Policy.
const (
	PolicyLRU     Policy = 1 << iota // rank by idle time
	PolicyLFU                        // rank by access frequency
	PolicyRandom                     // any key will do
	PolicyTTL                        // rank by deadline
	PolicyAllKeys                    // draw from all keys, not only from those with a deadline
	PolicyWrites                     // with PolicyLRU: idle time counts from the last write, reads do not matter
)

// The policies that maxmemory-policy can name.
const (
	NoEviction     Policy = 0
	VolatileLRU           = PolicyLRU
	VolatileLFU           = PolicyLFU
	VolatileRandom        = PolicyRandom
	VolatileTTL           = PolicyTTL
	AllKeysLRU            = PolicyLRU | PolicyAllKeys
	AllKeysLFU            = PolicyLFU | PolicyAllKeys
	VolatileLRM           = PolicyLRU | PolicyWrites
	AllKeysLRM            = PolicyLRU | PolicyWrites | PolicyAllKeys
	AllKeysRandom         = PolicyRandom | PolicyAllKeys
)

var policyNames = []enumName[Policy]{
	{"volatile-lru", VolatileLRU}, {"volatile-lfu", VolatileLFU},
	{"volatile-random", VolatileRandom}, {"volatile-ttl", VolatileTTL},
	{"allkeys-lru", AllKeysLRU}, {"allkeys-lfu", AllKeysLFU},
	{"allkeys-random", AllKeysRandom}, {"noeviction", NoEviction},
	{"volatile-lrm", VolatileLRM}, {"allkeys-lrm", AllKeysLRM}, // of Redis 8.6
}

// String returns the policy's name as CONFIG GET and INFO print it.
func (p Policy) String() string { return enumText(policyNames, p, false) }

// Fsync is appendfsync: when the append-only file is synced.
type Fsync int

// The values of appendfsync.
const (
	FsyncNo Fsync = iota
	FsyncAlways
	FsyncEverysec
)

var fsyncNames = []enumName[Fsync]{
	{"everysec", FsyncEverysec}, {"always", FsyncAlways}, {"no", FsyncNo},
}

// ShutdownFlags are the options with which a signal shuts the server down
// (shutdown-on-sigint, shutdown-on-sigterm). Zero is Redis's "default".
type ShutdownFlags int

// Bits of ShutdownFlags.
const (
	ShutdownSave   ShutdownFlags = 1 << iota // save even without save points
	ShutdownNoSave                           // do not save
	ShutdownNow                              // do not wait for replicas
	ShutdownForce                            // exit even if saving fails
)

var shutdownNames = []enumName[ShutdownFlags]{
	{"default", 0}, {"save", ShutdownSave}, {"nosave", ShutdownNoSave},
	{"now", ShutdownNow}, {"force", ShutdownForce},
}

func checkShutdownFlags(f ShutdownFlags) error {
	if f&ShutdownSave != 0 && f&ShutdownNoSave != 0 {
		return errSaveAndNosave
	}
	return nil
}

// Supervised is the supervisor that gets a message when the server is ready.
type Supervised int

// The values of supervised.
const (
	SupervisedNone Supervised = iota
	SupervisedAuto
	SupervisedSystemd
	SupervisedUpstart
)

var supervisedNames = []enumName[Supervised]{
	{"upstart", SupervisedUpstart}, {"systemd", SupervisedSystemd},
	{"auto", SupervisedAuto}, {"no", SupervisedNone},
}

// Facility is a syslog facility by its name (user, local0 … local7).
type Facility int

// The facilities that syslog-facility can name.
const (
	FacilityUser Facility = iota
	FacilityLocal0
	FacilityLocal1
	FacilityLocal2
	FacilityLocal3
	FacilityLocal4
	FacilityLocal5
	FacilityLocal6
	FacilityLocal7
)

var facilityNames = []enumName[Facility]{
	{"user", FacilityUser}, {"local0", FacilityLocal0}, {"local1", FacilityLocal1},
	{"local2", FacilityLocal2}, {"local3", FacilityLocal3}, {"local4", FacilityLocal4},
	{"local5", FacilityLocal5}, {"local6", FacilityLocal6}, {"local7", FacilityLocal7},
}

// String returns the facility's name.
func (f Facility) String() string { return enumText(facilityNames, f, false) }

// DisklessLoad says when a replica loads a full sync straight from the socket.
type DisklessLoad int

// The values of repl-diskless-load.
const (
	DisklessLoadDisabled DisklessLoad = iota
	DisklessLoadOnEmptyDB
	DisklessLoadSwapDB
)

var disklessLoadNames = []enumName[DisklessLoad]{
	{"disabled", DisklessLoadDisabled}, {"on-empty-db", DisklessLoadOnEmptyDB},
	{"swapdb", DisklessLoadSwapDB},
}

// TLSAuth says whether TLS clients must show a certificate.
type TLSAuth int

// TLSUser says which field of a client's certificate names its user.
type TLSUser int

// The values of tls-auth-clients-user.
const (
	TLSUserOff TLSUser = iota
	TLSUserCN
)

var tlsUserNames = []enumName[TLSUser]{{"off", TLSUserOff}, {"CN", TLSUserCN}}

// The values of tls-auth-clients.
const (
	TLSAuthNo TLSAuth = iota
	TLSAuthYes
	TLSAuthOptional
)

var tlsAuthNames = []enumName[TLSAuth]{
	{"no", TLSAuthNo}, {"yes", TLSAuthYes}, {"optional", TLSAuthOptional},
}

// OOMScoreAdj says how oom-score-adj-values are written to the kernel.
type OOMScoreAdj int

// The values of oom-score-adj ("yes" means relative).
const (
	OOMScoreNo OOMScoreAdj = iota
	OOMScoreRelative
	OOMScoreAbsolute
)

var oomScoreNames = []enumName[OOMScoreAdj]{
	{"no", OOMScoreNo}, {"yes", OOMScoreRelative},
	{"relative", OOMScoreRelative}, {"absolute", OOMScoreAbsolute},
}

// PubsubDefault is what a new ACL user may subscribe to.
type PubsubDefault int

// The values of acl-pubsub-default.
const (
	PubsubResetChannels PubsubDefault = iota
	PubsubAllChannels
)

var pubsubDefaultNames = []enumName[PubsubDefault]{
	{"allchannels", PubsubAllChannels}, {"resetchannels", PubsubResetChannels},
}

// Sanitize is sanitize-dump-payload. In Redis it says when payloads of RESTORE and RDB files are checked deeply. Here they
// always are; it decides whether odd values in files are corrected or refused (package rdb).
type Sanitize int

// The values of sanitize-dump-payload.
const (
	SanitizeNo Sanitize = iota
	SanitizeYes
	SanitizeClients
)

var sanitizeNames = []enumName[Sanitize]{
	{"no", SanitizeNo}, {"yes", SanitizeYes}, {"clients", SanitizeClients},
}

// Guard says who may use a dangerous feature: nobody, everybody, or clients of
// this host only.
type Guard int

// The values of enable-protected-configs, enable-debug-command and
// enable-module-command.
const (
	GuardNo Guard = iota
	GuardYes
	GuardLocal
)

var guardNames = []enumName[Guard]{{"no", GuardNo}, {"yes", GuardYes}, {"local", GuardLocal}}

// Allows reports whether a client may use the guarded feature; local says that
// it is connected from this host (loopback or unix socket).
func (g Guard) Allows(local bool) bool { return g == GuardYes || g == GuardLocal && local }

// Endpoint is the kind of address that CLUSTER SLOTS and redirections tell clients.
type Endpoint int

// The values of cluster-preferred-endpoint-type.
const (
	EndpointIP Endpoint = iota
	EndpointHostname
	EndpointUnknown
)

var endpointNames = []enumName[Endpoint]{
	{"ip", EndpointIP}, {"hostname", EndpointHostname}, {"unknown-endpoint", EndpointUnknown},
}

// PropagationError says what happens when a command that came from the master
// or from the append-only file fails.
type PropagationError int

// The values of propagation-error-behavior.
const (
	PropagationIgnore PropagationError = iota
	PropagationPanic
	PropagationPanicOnReplicas
)

var propagationNames = []enumName[PropagationError]{
	{"ignore", PropagationIgnore}, {"panic", PropagationPanic},
	{"panic-on-replicas", PropagationPanicOnReplicas},
}

// enumText returns the name of val. With flags set val is a set of bits, and the
// names of all its members are joined by blanks.
func enumText[E ~int](names []enumName[E], val E, flags bool) string {
	out, rest := "", val
	for _, n := range names {
		if n.val == val {
			return n.name
		}
		if flags && n.val != 0 && rest&n.val == n.val {
			if out != "" {
				out += " "
			}
			out += n.name
			rest &^= n.val
		}
	}
	if out == "" || rest != 0 {
		return "unknown"
	}
	return out
}
