// Package config has all directives of the server: their names, values, defaults and flags. It reads configuration files and
// command lines, implements CONFIG GET, SET and REWRITE, and has the values as Go fields for the rest of the server. It does
// not depend on the server itself.
//
// # Design
//
// A Config belongs to one server; there is no package state, so a process may have several. It embeds Values, a struct with
// one typed field for each directive, which the reactor reads without a call. A row (table.go) describes a directive and
// binds it to its field through a setting (settings.go for switches, words, enums and numbers; special.go for lists), which
// turns text into the field and back. All rows together are the directive table: parsing, GET, SET, REWRITE and the lists for
// documents use it.
//
// When the server starts, it attaches effects to directives (reopening a port, resizing the backlog) with OnApply. They run
// for CONFIG SET only. SET changes all fields first, then runs the effects; if a value or an effect is refused, Values is
// restored (from a copy of the struct: slices are replaced, never written) and the effects run once more.
//
// Directives of Redis without a meaning in this server are rows like any other (read, checked, reported, rewritten), with the
// reason why they have no effect. NoOps lists them, and the log has a line if one is set.
//
// A Config belongs to the reactor's goroutine. Names, ranges, defaults and texts are those of Redis 7.2.
package config

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// redisVersion is the version in messages about the configuration, the same as in INFO.
const redisVersion = "7.2.4"

// Options has the functions and the disk that a Config uses. The zero value is a server without commands to rename or users
// to define, on the real disk.
type Options struct {
	// FS is the disk, nil for the real one.
	FS FS
	// RenameCommand applies one rename-command directive while the configuration
	// is read; to is "" when the command is removed. Its error becomes the reason
	// of the ParseError. nil accepts everything; Config.Renames records it anyway.
	RenameCommand func(from, to string) error
	// User applies one user directive (the words after "user") while the
	// configuration is read, like RenameCommand. Config.Users records it.
	User func(words []string) error
}

// Config is the configuration of one server. It must not be copied: its rows
// point into it. The server may assign fields of Values itself (ReplicaOf after REPLICAOF, MaxClients lowered at start):
// CONFIG GET and REWRITE use the new values.
type Config struct {
	Values

	// Other lines of configuration files than parameters, in order.
	Renames       []Rename
	Users         [][]string // words after "user", of each user directive
	Modules       [][]string // words after "loadmodule": path, then arguments
	ModuleConfigs [][]string // words of directives of modules (a dot in the name)

	// RewriteUsers returns the users as lines "user name rules…" for CONFIG
	// REWRITE. If it is nil, the user lines of the file stay unchanged.
	RewriteUsers func() []string

	opts  Options
	fs    FS
	temp  atomic.Pointer[string] // the file that is being written; see Abandon
	file  string                 // absolute path of the configuration file, "" without one
	rows  []*row                 // in the order of table.go
	part  string                 // the section of the rows that are being added
	index map[string]*row        // by name and by alias, in lower case

	asking   bool // ModePing: this process starts nothing, and makes no log file
	entered  bool // the process works in dir: EnterDir
	loading  int  // depth of configuration files being read
	saveSeen bool // a save directive was read

	log     func(level LogLevel, msg string)
	pending []logLine // messages from before OnLog
}

// Rename is a rename-command directive; To is "" when the command is removed.
type Rename struct{ From, To string }

type logLine struct {
	level LogLevel
	msg   string
}

// Flags restrict changing and showing a directive.
type Flags uint16

// Flags of directives, as Redis has them.
const (
	Immutable   Flags = 1 << iota // only a file or the command line sets it
	Hidden                        // CONFIG GET shows it only by its exact name
	Protected                     // CONFIG SET needs enable-protected-configs
	Sensitive                     // the value must not reach logs, SLOWLOG or MONITOR
	DenyLoading                   // CONFIG SET is refused while data is loaded
	MultiArg                      // takes several words
	Debug                         // part of the crash report
	volatile                      // CONFIG SET applies it even when it is unchanged
)

// row is one directive.
type row struct {
	name    string
	section string // for documents: which part of the table it stands in
	aliases []string
	flags   Flags
	kind    string // for documents: "yes/no", "integer", …
	noop    string // why it has no effect, "" if it has one
	value   setting
	after   func() // adjusts the field when it was set
	applies []*apply
}

// apply is an effect; several rows may share one, which then runs once for a SET.
type apply struct {
	fn   func(*Config) error
	last bool // see OnApplyLast
}

// New returns a configuration with all defaults on the real disk.
func New() *Config { return NewWith(Options{}) }

// NewWith returns a configuration with all defaults.
func NewWith(opts Options) *Config {
	c := &Config{opts: opts, fs: opts.FS, index: make(map[string]*row, 256)}
	if c.fs == nil {
		c.fs = osFS{}
	}
	if dir, err := c.fs.Getwd(); err == nil {
		c.Dir = dir
	}
	c.Save = []SavePoint{{3600, 1}, {300, 100}, {60, 10000}}
	c.OutputBufferLimits = defaultLimits
	c.OOMScoreAdjValues = defaultOOM
	c.Bind = slices.Clone(defaultBind)
	c.MetricsBind = slices.Clone(defaultMetricsBind)
	c.LatencyPercentiles = []float64{50, 99, 99.9}
	c.addRows()
	for _, r := range c.rows {
		for _, name := range append([]string{r.name}, r.aliases...) {
			if c.index[name] != nil {
				panic("config: directive named twice: " + name)
			}
			c.index[name] = r
		}
	}
	return c
}

// File returns the absolute path of the configuration file, "" without one.
func (c *Config) File() string { return c.file }

// EnterDir makes Dir the working directory of the process, as Redis does; from then on CONFIG SET dir changes the working
// directory, too. If the folder is renamed or moved, relative names follow it. Only the server that owns the process calls
// it, once; for other servers Dir is only a value.
func (c *Config) EnterDir() error {
	enter := func(c *Config) error {
		if err := c.fs.Chdir(c.Dir); err != nil {
			return reason(errorText(err))
		}
		return nil
	}
	c.OnApply(enter, "dir")
	err := enter(c)
	c.entered = err == nil
	return err
}

// WorkDir returns the folder for relative names: Dir, or after EnterDir the present path of the working directory.
func (c *Config) WorkDir() string {
	if c.entered {
		if dir, err := c.fs.Getwd(); err == nil {
			return dir
		}
	}
	return c.Dir
}

// Path resolves a file name of the configuration against WorkDir.
func (c *Config) Path(name string) string {
	if name == "" || name[0] == '/' {
		return name
	}
	if dir := c.WorkDir(); dir != "" {
		return strings.TrimSuffix(dir, "/") + "/" + name
	}
	return name
}

// OnLog sets the function that logs messages of the configuration (warnings, results of REWRITE). Messages from before the
// call are logged now.
func (c *Config) OnLog(fn func(level LogLevel, msg string)) {
	c.log = fn
	for _, l := range c.pending {
		fn(l.level, l.msg)
	}
	c.pending = nil
}

func (c *Config) logf(level LogLevel, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if c.log == nil {
		c.pending = append(c.pending, logLine{level, msg})
		return
	}
	c.log(level, msg)
}

// OnApply attaches an effect to one or several directives. CONFIG SET calls it
// after all values are in place, once even when several of the names changed
// together. Its error refuses the whole SET, with its text as the reason; fn is
// then called again with the old values. It panics for a name that is no
// directive.
func (c *Config) OnApply(fn func(*Config) error, names ...string) {
	c.attach(&apply{fn: fn}, names)
}

// OnApplyLast is OnApply for an effect that cannot be undone at once by calling fn again. It runs after all other effects of
// the same SET have succeeded.
func (c *Config) OnApplyLast(fn func(*Config) error, names ...string) {
	c.attach(&apply{fn: fn, last: true}, names)
}

func (c *Config) attach(a *apply, names []string) {
	for _, name := range names {
		r := c.index[name]
		if r == nil {
			panic("config: OnApply of unknown directive " + name)
		}
		r.applies = append(r.applies, a)
	}
}

// lookup finds a directive by its name or alias, in any case. written is the
// name in lower case.
func (c *Config) lookup(name string) (r *row, written string) {
	written = strings.ToLower(name)
	return c.index[written], written
}

// HasFlag reports whether name, in any case, is a directive with the flag.
func (c *Config) HasFlag(name string, f Flags) bool {
	r, _ := c.lookup(name)
	return r != nil && r.flags&f != 0
}

// Directive describes a row of the table, for documents and for tools.
type Directive struct {
	Name    string
	Section string // "TLS", "Replication", …
	Summary string // one or two sentences
	Aliases []string
	Type    string // "yes/no", "integer", "memory", "one of a, b", …
	Default string // as CONFIG GET prints it; meaningful on an unchanged Config
	Flags   Flags
	NoOp    string // why it has no effect, "" if it has one
}

// Directives lists all directives with their present values as Default, in the
// order of the table.
func (c *Config) Directives() []Directive {
	out := make([]Directive, len(c.rows))
	for i, r := range c.rows {
		out[i] = Directive{r.name, r.section, summaries[r.name], r.aliases, r.kind, r.value.get(), r.flags, r.noop}
	}
	return out
}

// NoOp is a directive that is accepted, checked and reported, but has no effect.
type NoOp struct{ Name, Reason string }

// NoOps lists the directives without an effect, in the order of the table.
func (c *Config) NoOps() []NoOp {
	var out []NoOp
	for _, r := range c.rows {
		if r.noop != "" {
			out = append(out, NoOp{r.name, r.noop})
		}
	}
	return out
}

// WarnOfNoOps logs the directives without an effect that are set to other values than their defaults.
func (c *Config) WarnOfNoOps() { c.warnOfNoOps(c.rows) }

func (c *Config) warnOfNoOps(rows []*row) {
	for _, r := range rows {
		if r.noop != "" && slices.ContainsFunc(r.value.lines(r.name), func(l fileLine) bool { return l.force }) {
			c.logf(LogWarning, "WARNING: %s is set, and it has no effect: %s", r.name, r.noop)
		}
	}
}
