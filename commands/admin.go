package commands

import "ferrous/commands/session"

// Commands about the server as a whole. ACL is in aclcmd.go, CONFIG in configcmd.go, COMMAND in commandinfo.go, DEBUG in
// debug.go, LATENCY in latency.go, LOLWUT in lolwut.go, MEMORY in memory.go, MODULE in modules.go, MONITOR in monitor.go,
// SHUTDOWN in lifecycle.go, SLOWLOG in slowlog.go.

var serverCommands = []session.Command{
	aclCommand,
	commandCommand,
	configCommand,
	debugRow,
	latencyCommand,
	lolwutRow,
	memoryCommand,
	moduleCommand,
	monitorCommand,
	shutdownCommand,
	slowlogCommand,
	{Name: "time", Arity: 1, Flags: session.Loading | session.Stale | session.Fast, Handler: connected(timeNow),
		Group: session.GroupServer, Since: "2.6.0", Complexity: "O(1)", Summary: "Tells the time of the server's clock.",
		Hints: []string{"nondeterministic_output"}},
}

// timeNow replies with the Unix time in seconds and the microseconds of the present second.
func timeNow(c *Client) {
	now := c.srv.wall + c.srv.nanos()/1000
	if c == c.srv.scripts.client {
		now = c.srv.scripts.micros
	}
	c.W.Array(2)
	c.W.BulkInt(now / 1e6)
	c.W.BulkInt(now % 1e6)
}
