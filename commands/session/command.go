package session

import "ferrous/commands/histogram"

// A Command is one row of the command table: everything that Ferrous knows of a command stands here, beside its
// handler. Dispatch, COMMAND and its subcommands, ACL, key extraction, the README's table and the tests all read it.
// Rows are immutable; what a server counts of a command is in its entry.
type Command struct {
	Name     string // lower case; a subcommand's own word only
	Arity    int    // number of arguments with the name; negative: at least as many
	Flags    Flags
	ACL      Category  // categories beyond those that follow from Flags
	Keys     []KeySpec // where the keys are
	GetKeys  func(args [][]byte) ([]KeyRef, bool)
	Channels ChannelSpec // which arguments are channels
	Handler  func(c *Client)
	Subs     []Command // of a container, which has no handler of its own unless it also works alone

	// What COMMAND DOCS answers.
	Group      Group
	Since      string
	Complexity string
	Summary    string
	History    []Change
	Hints      []string // COMMAND INFO's tips
	Deprecated string   // the version
	ReplacedBy string
	SysCmd     bool // for the server's internal use
	Args       []Arg
}

// Flags say how a command behaves, named as COMMAND INFO names them.
type Flags uint32

// The flags of commands.
const (
	Write Flags = 1 << iota
	ReadOnly
	DenyOOM
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	Asking
	Fast
	NoAuth
	MayReplicate
	NoAsyncLoading
	NoMandatoryKeys
	NoMulti
	AllowBusy
	Protected // not by that name: enable-debug-command and the like decide
	TouchesArbitraryKeys
	MovableKeys // COMMAND INFO shows it for commands whose keys no key spec finds fully
)

// Category is a set of ACL categories.
type Category uint32

// The ACL categories.
const (
	CatKeyspace Category = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
)

// CategoryNames are the names of the categories in the order of their bits, which is that of ACL CAT.
var CategoryNames = [...]string{"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
	"hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection",
	"transaction", "scripting"}

// Categories returns all categories of the command: those of the row and those that Redis derives from its flags.
func (c *Command) Categories() Category {
	cat := c.ACL
	if c.Flags&Write != 0 {
		cat |= CatWrite
	}
	if c.Flags&ReadOnly != 0 && cat&CatScripting == 0 {
		cat |= CatRead
	}
	if c.Flags&Admin != 0 {
		cat |= CatAdmin | CatDangerous
	}
	if c.Flags&PubSub != 0 {
		cat |= CatPubSub
	}
	if c.Flags&Fast != 0 {
		cat |= CatFast
	}
	if c.Flags&Blocking != 0 {
		cat |= CatBlocking
	}
	if cat&CatFast == 0 {
		cat |= CatSlow
	}
	return cat
}

// CategoryNamed returns the ACL category of a name in any case, 0 if there is none.
func CategoryNamed(name []byte) Category {
	for i, n := range CategoryNames {
		if EqualFold(name, n) {
			return 1 << i
		}
	}
	return 0
}

// Group is the group of a command in the documentation.
type Group string

// The groups of commands.
const (
	GroupGeneric      Group = "generic"
	GroupString       Group = "string"
	GroupList         Group = "list"
	GroupSet          Group = "set"
	GroupSortedSet    Group = "sorted-set"
	GroupHash         Group = "hash"
	GroupPubSub       Group = "pubsub"
	GroupTransactions Group = "transactions"
	GroupConnection   Group = "connection"
	GroupServer       Group = "server"
	GroupScripting    Group = "scripting"
	GroupHyperLogLog  Group = "hyperloglog"
	GroupCluster      Group = "cluster"
	GroupGeo          Group = "geo"
	GroupStream       Group = "stream"
	GroupBitmap       Group = "bitmap"
)

// KeyFlags say what a command does with the keys that a spec finds.
type KeyFlags uint16

// The flags of key specs, named as COMMAND INFO names them.
const (
	KeyRW KeyFlags = 1 << iota
	KeyRO
	KeyOW
	KeyRM
	KeyAccess
	KeyUpdate
	KeyInsert
	KeyDelete
	KeyNotKey
	KeyIncomplete
	KeyVariable
)

// KeySpec finds keys among the arguments. The search begins at Index, or behind the word Keyword looked for from argument
// StartFrom (negative: from the end, backwards), or nowhere (Unknown). From there either the keys are at that place and every
// Step arguments up to Last (relative; -1 the last argument, -2 the last but one, and so on; with Limit only the first 1/Limit
// of the remaining arguments), or the argument KeyNum is the number of keys that follow, the first at FirstKey (both
// relative).
type KeySpec struct {
	Flags     KeyFlags
	Notes     string
	Index     int // with Keyword empty and Unknown false
	Keyword   string
	StartFrom int
	Unknown   bool

	Last  int
	Step  int // 0: the keynum form
	Limit int

	KeyNum   int
	FirstKey int
	NumStep  int
}

// first returns the index of the first key, or 0 where a request must be searched for it.
func (k *KeySpec) first() int {
	switch {
	case k.Unknown || k.Keyword != "":
		return 0
	case k.Step == 0:
		return k.Index + k.FirstKey
	}
	return k.Index
}

// KeyRef is a key among the arguments.
type KeyRef struct {
	Pos   int
	Flags KeyFlags
}

// A Change is an entry of a command's history: the version, and what came with it.
type Change [2]string

// ArgType is the type of an argument in COMMAND DOCS.
type ArgType uint8

// The types of arguments.
const (
	ArgString ArgType = iota
	ArgInteger
	ArgDouble
	ArgKey
	ArgPattern
	ArgUnixTime
	ArgPureToken
	ArgOneOf
	ArgBlock
)

// ArgTypeNames are their names in COMMAND DOCS.
var ArgTypeNames = [...]string{"string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof",
	"block"}

// Arg is an argument in COMMAND DOCS.
type Arg struct {
	Name          string
	Display       string // "" = Name
	Type          ArgType
	Key           int // number of its key spec, of an ArgKey or of a pattern of keys
	Token         string
	Since         string
	Deprecated    string
	Optional      bool
	Multiple      bool
	MultipleToken bool
	Args          []Arg // of ArgOneOf and ArgBlock
}

// Entry is a command as one server has it: the row, and what the server counts.
type Entry struct {
	*Command
	ID     int    // number for package acl
	Full   string // name as INFO commandstats has it: "config|get"
	Parent *Entry
	Subs   map[string]*Entry
	Order  []*Entry // subs in the order of the table
	Cats   Category

	FirstKey int // index of the first key in every request, 0 if there is none or its place varies

	Renamed bool // rename-command: known by another name than the row's
	Direct  bool // is not queued inside MULTI
	Exec    bool // EXEC itself

	Scripted bool // it may run scripts

	WhileSubscribed bool // may be sent under RESP2 by a client that waits for messages

	Calls    int64
	Nanos    int64
	Rejected int64                // refused before execution
	Failed   int64                // answered an error
	Times    *histogram.Histogram // of executions, nil before the first; see latency-tracking
}

// ChannelSpec says which arguments of a command are channels. They begin at Index.
type ChannelSpec struct {
	Flags ChannelFlags
	Index int
	Rest  bool // all arguments from there on, and not only that one
}

// ChannelFlags say what a command does with its channels. The zero value means that it has none.
type ChannelFlags uint8

// The flags of channels.
const (
	ChannelPublish ChannelFlags = 1 << iota
	ChannelSubscribe
	ChannelUnsubscribe // needs no right
	ChannelPattern     // they are patterns
)

// RecordTime counts an execution that took so long.
func (e *Entry) RecordTime(nanos int64) {
	if e.Times == nil {
		e.Times = new(histogram.Histogram)
	}
	e.Times.Record(nanos)
}
