// Package introspection has the commands that show what the server knows of itself and need no more of it than their
// session: COMMAND, LATENCY, SLOWLOG, and those forms of DEBUG that look at data. INFO, MEMORY and the rest of DEBUG look
// into all parts of the server and stand in package commands.
package introspection

import "ferrous/commands/session"

// Commands are the rows of the family.
var Commands = []session.Command{commandRow, latencyRow, slowlogRow}
