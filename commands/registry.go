package commands

import (
	"ferrous/commands/cluster"
	"ferrous/commands/hashes"
	"ferrous/commands/introspection"
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
	strings.Commands,
	keys.Commands,
	databaseCommands,
	migrateCommands,
	lists.Commands,
	hashes.Commands,
	sets.Commands,
	sortedsets.Commands,
	streams.Commands,
	connectionCommands,
	infoCommands,
	serverCommands,
	introspection.Commands,
	persistenceCommands,
	aofCommands,
	replicationCommands,
	transactionCommands,
	pubsubCommands,
	scriptingCommands,
	cluster.Commands,
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

// List returns all commands in the order of COMMAND, with their subcommands, for documents.
func List() []*session.Entry { return newRegistry().List }
