package commands

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// CONFIG. What directives there are and how they are read, answered and written back is package config's business;
// what follows from a change is attached in lifecycle.go.

const configSub = session.Admin | session.NoScript | session.Loading | session.Stale

var configCommand = session.Command{
	Name: "config", Arity: -2, Group: session.GroupServer, Since: "2.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about the configuration.",
	Subs: []session.Command{
		{Name: "get", Arity: -3, Flags: configSub, Handler: connected(configGet),
			Group: session.GroupServer, Since: "2.0.0", Complexity: "O(N) in the number of parameters of the configuration",
			Summary: "Tells the values of parameters.", Args: []session.Arg{session.StringArg("parameter").Many()},
			History: []session.Change{{"7.0.0", "Takes several patterns."}}},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(configHelp),
			Group: session.GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "resetstat", Arity: 2, Flags: configSub, Handler: connected(configResetStat),
			Group: session.GroupServer, Since: "2.0.0", Complexity: "O(1)", Summary: "Starts the statistics anew.",
			Hints: session.AllNodesSucceed},
		{Name: "rewrite", Arity: 2, Flags: configSub, Handler: connected(configRewrite),
			Group: session.GroupServer, Since: "2.8.0", Complexity: "O(1)",
			Summary: "Writes the present configuration back to its file.", Hints: session.AllNodesSucceed},
		{Name: "set", Arity: -4, Flags: configSub, Handler: connected(configSet),
			Group: session.GroupServer, Since: "2.0.0", Complexity: "O(N) in the number of parameters given",
			Summary: "Changes parameters while the server runs.", Hints: session.AllNodesSucceed,
			History: []session.Change{{"7.0.0", "Takes several parameters, all of which change or none."}},
			Args:    []session.Arg{session.BlockOf("data", session.StringArg("parameter"), session.StringArg("value")).Many()}},
	},
}

// strings returns the arguments from i on.
func (c *Client) strings(i int) []string {
	out := make([]string, 0, len(c.Args)-i)
	for _, a := range c.Args[i:] {
		out = append(out, string(a))
	}
	return out
}

func configGet(c *Client) {
	pairs := c.srv.Config.Get(c.strings(2)...)
	c.W.Map(len(pairs))
	for _, p := range pairs {
		c.W.BulkString(p.Name)
		c.W.BulkString(p.Value)
	}
}

func configSet(c *Client) {
	local := c.conn == nil || isLocal(c.conn)
	c.srv.followDir()
	if err := c.srv.Config.Set(c.strings(2), config.SetContext{Local: local, Loading: c.srv.persist.loading != nil || c.srv.asyncLoading()}); err != nil {
		c.Error(err.Error())
		return
	}
	c.W.OK()
}

func configRewrite(c *Client) {
	if err := c.srv.Config.Rewrite(false); err != nil {
		c.Error(err.Error())
		return
	}
	c.W.OK()
}

func configResetStat(c *Client) {
	c.srv.resetStats()
	c.W.OK()
}

// resetStats sets back what INFO counts since the start; the peak of memory and the age in rounds of cron are
// states and stay, as do, in Redis 7.2, refusals for missing rights.
func (s *Server) resetStats() {
	s.activity.Restart(s.stats.commands)
	s.Counters = session.Counters{}
	n := s.sync.node
	n.SyncFull, n.SyncPartialOK, n.SyncPartialErr = 0, 0, 0
	s.stats = stats{
		peakMemory: s.stats.peakMemory,
		cronCycles: s.stats.cronCycles,
		denied:     s.stats.denied,
	}
	if s.tls.port != nil {
		s.tls.port.ResetCounts()
	}
	s.persist.saves = 0
	s.aof.file.ResetStats()
	s.eviction.evicted = 0
	s.Keyspace.ExpiredKeys, s.Keyspace.ExpiredFields, s.Keyspace.LazilyFreed = 0, 0, 0
	*s.Keyspace.ExpiryLag() = keyspace.Lag{}
	for _, e := range s.Registry.Shown {
		e.Calls, e.Nanos, e.Rejected, e.Failed, e.Times = 0, 0, 0, 0, nil
	}
	clear(s.Errors)
}

func configHelp(c *Client) {
	c.Help("GET <pattern> [<pattern> ...]",
		"    Tell the parameters that match a pattern, with their values.",
		"RESETSTAT",
		"    Set the counters of INFO back to zero.",
		"REWRITE",
		"    Write the present configuration to the file that the server was started with.",
		"SET <parameter> <value> [<parameter> <value> ...]",
		"    Change parameters, all or none.")
}

// Which locales the host has. Strings are compared by their bytes in any case, but locale-collate refuses what setlocale(3)
// would refuse: a name that is mistyped must not be answered OK.

// localeFolders are where hosts keep locales: one folder each, with a file LC_COLLATE in it.
var localeFolders = []string{"/usr/lib/locale", "/usr/share/locale"}

// localeArchive is where glibc keeps most of them, in one file.
const localeArchive = "/usr/lib/locale/locale-archive"

// hasLocale reports whether the host has a locale.
func hasLocale(name string) bool {
	base, codeset, _ := strings.Cut(name, ".")
	codeset, modifier, modified := strings.Cut(codeset, "@")
	// Codesets are compared without regard to case and punctuation.
	codeset = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(codeset))
	switch {
	case name == "" || name == "C" || name == "POSIX" || base == "C" && codeset == "utf8" && !modified:
		return true // every C library has these
	case strings.ContainsAny(name, "/=;"):
		return false
	}
	normal := base
	if codeset != "" {
		normal += "." + codeset
	}
	if modified {
		normal += "@" + modifier
	}
	archived := archivedLocales(localeArchive)
	for _, n := range []string{name, normal} {
		for _, folder := range localeFolders {
			if _, err := os.Stat(filepath.Join(folder, n, "LC_COLLATE")); err == nil {
				return true
			}
		}
		if bytes.Contains(archived, []byte("\x00"+n+"\x00")) {
			return true
		}
	}
	return false
}

// archivedLocales returns the names of a locale archive, each between zero bytes; nil if there is none. Its head is 32-bit
// numbers in the order of the machine: magic, serial, offset, number and size of the table of names, then offset and bytes
// used of the strings (struct locarhead of glibc's locarchive.h).
func archivedLocales(path string) []byte {
	const magic, most = 0xde020109, 4 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var head [7]uint32
	if binary.Read(f, binary.NativeEndian, &head) != nil || head[0] != magic || head[6] > most {
		return nil
	}
	names := make([]byte, 1+head[6]) // a zero byte before the first
	if _, err := f.ReadAt(names[1:], int64(head[5])); err != nil {
		return nil
	}
	return append(names, 0)
}
