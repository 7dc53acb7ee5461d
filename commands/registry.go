package commands

import (
	"ferrous/commands/hashes"
	"ferrous/commands/keys"
	"ferrous/commands/lists"
	"ferrous/commands/session"
	"ferrous/commands/sets"
	"ferrous/commands/sortedsets"
	"ferrous/commands/streams"
	"ferrous/commands/strings"
)

// tables are the rows of all groups, in the order in which COMMAND lists them. A new group of commands is added here.
var tables = [][]session.Command{
	strings.StringCommands,
	strings.BitmapCommands,
	strings.HyperloglogCommands,
	keys.KeyCommands,
	databaseCommands,
	keys.DumpCommands,
	migrateCommands,
	lists.ListCommands,
	lists.BlockingListCommands,
	hashes.HashCommands,
	hashes.HashTTLCommands,
	hashes.HashExCommands,
	sets.SetCommands,
	sortedsets.ZsetCommands,
	sortedsets.BlockingZSetCommands,
	sortedsets.GeoCommands,
	streams.StreamCommands,
	keys.SortCommands,
	connectionCommands,
	infoCommands,
	serverCommands,
	persistenceCommands,
	aofCommands,
	replicationCommands,
	transactionCommands,
	pubsubCommands,
	scriptingCommands,
}

// registry is the command table of one server, where rename-command may have changed names.
type registry struct {
	byName map[string]*session.Entry
	list   []*session.Entry // top-level commands in table order
	shown  []*session.Entry // with subcommands, for statistics
}

func newRegistry() *registry {
	g := &registry{byName: make(map[string]*session.Entry)}
	for _, table := range tables {
		for i := range table {
			e := g.add(&table[i], nil)
			g.byName[e.Name] = e
			g.list = append(g.list, e)
		}
	}
	return g
}

func (g *registry) add(row *session.Command, parent *session.Entry) *session.Entry {
	e := &session.Entry{Command: row, Parent: parent, Full: row.Name, Cats: row.Categories()}
	if parent == nil {
		e.Direct, e.Exec = runsInMulti[row.Name], row.Name == "exec"
		e.Scripted = e.Exec || runsScripts[row.Name]
		e.WhileSubscribed = runsSubscribed[row.Name]
	}
	if parent != nil {
		e.Full = parent.Full + "|" + row.Name
	}
	g.shown = append(g.shown, e)
	for i := range row.Subs {
		if e.Subs == nil {
			e.Subs = make(map[string]*session.Entry)
		}
		s := g.add(&row.Subs[i], e)
		e.Subs[s.Name] = s
		e.Order = append(e.Order, s)
	}
	return e
}

// maxName is longer than any command's name; longer words are unknown without being looked up.
const maxName = 64

// find returns the entry of a command's name in any case, nil if it is unknown.
func find(m map[string]*session.Entry, name []byte) *session.Entry {
	var buf [maxName]byte
	if len(name) > len(buf) {
		return nil
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		buf[i] = b
	}
	return m[string(buf[:len(name)])]
}

// lookup finds the command of a request: of a container the subcommand, if it is known.
func (g *registry) lookup(args [][]byte) (e *session.Entry, unknownSub bool) {
	e = find(g.byName, args[0])
	if e == nil || e.Subs == nil || len(args) < 2 {
		return e, false
	}
	if s := find(e.Subs, args[1]); s != nil {
		return s, false
	}
	return e, true
}
