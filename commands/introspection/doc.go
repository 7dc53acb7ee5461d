// Package introspection has the commands that show the server's state and need only their session: COMMAND, LATENCY, SLOWLOG,
// and the subcommands of DEBUG that show data. INFO, MEMORY and the rest of DEBUG use all parts of the server and are in
// package commands.
package introspection

import "ferrous/commands/session"

// Commands are the rows of the family.
var Commands = []session.Command{commandRow, latencyRow, slowlogRow}
