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

// newRegistry makes the command table of a server, and marks the commands that dispatch treats apart.
func newRegistry() *session.Registry {
	g := session.NewRegistry(tables)
	for _, e := range g.List {
		e.Direct, e.Exec = runsInMulti[e.Name], e.Name == "exec"
		e.Scripted = e.Exec || runsScripts[e.Name]
		e.WhileSubscribed = runsSubscribed[e.Name]
	}
	return g
}
