package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
)

// CONFIG. What directives there are and how they are read, answered and written back is package config's business;
// what follows from a change is attached in lifecycle.go.

const configSub = Admin | NoScript | Loading | Stale

var configCommand = Command{
	Name: "config", Arity: -2, Group: GroupServer, Since: "2.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about the configuration.",
	Subs: []Command{
		{Name: "get", Arity: -3, Flags: configSub, Handler: configGet,
			Group: GroupServer, Since: "2.0.0", Complexity: "O(N) in the number of parameters of the configuration",
			Summary: "Tells the values of parameters.", Args: []Arg{aString("parameter").multiple()},
			History: []Change{{"7.0.0", "Takes several patterns."}}},
		{Name: "help", Arity: 2, Flags: Loading | Stale, Handler: configHelp,
			Group: GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "resetstat", Arity: 2, Flags: configSub, Handler: configResetStat,
			Group: GroupServer, Since: "2.0.0", Complexity: "O(1)", Summary: "Starts the statistics anew.",
			Hints: allNodesSucceed},
		{Name: "rewrite", Arity: 2, Flags: configSub, Handler: configRewrite,
			Group: GroupServer, Since: "2.8.0", Complexity: "O(1)",
			Summary: "Writes the present configuration back to its file.", Hints: allNodesSucceed},
		{Name: "set", Arity: -4, Flags: configSub, Handler: configSet,
			Group: GroupServer, Since: "2.0.0", Complexity: "O(N) in the number of parameters given",
			Summary: "Changes parameters while the server runs.", Hints: allNodesSucceed,
			History: []Change{{"7.0.0", "Takes several parameters, all of which change or none."}},
			Args:    []Arg{aBlock("data", aString("parameter"), aString("value")).multiple()}},
	},
}

var allNodesSucceed = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}

// strings returns the arguments from i on.
func (c *Client) strings(i int) []string {
	out := make([]string, 0, len(c.args)-i)
	for _, a := range c.args[i:] {
		out = append(out, string(a))
	}
	return out
}

func configGet(c *Client) {
	pairs := c.srv.cfg.Get(c.strings(2)...)
	c.w.Map(len(pairs))
	for _, p := range pairs {
		c.w.BulkString(p.Name)
		c.w.BulkString(p.Value)
	}
}

func configSet(c *Client) {
	local := c.conn == nil || isLocal(c.conn)
	c.srv.followDir()
	if err := c.srv.cfg.Set(c.strings(2), config.SetContext{Local: local, Loading: c.srv.persist.loading != nil}); err != nil {
		c.error(err.Error())
		return
	}
	c.w.OK()
}

func configRewrite(c *Client) {
	if err := c.srv.cfg.Rewrite(false); err != nil {
		c.error(err.Error())
		return
	}
	c.w.OK()
}

func configResetStat(c *Client) {
	c.srv.resetStats()
	c.w.OK()
}

// resetStats sets back what INFO counts since the start; the peak of memory and the age in rounds of cron are
// states and stay, as do, in Redis 7.2, refusals for missing rights.
func (s *Server) resetStats() {
	s.pulse.commands -= s.stats.commands // it counts on
	s.stats = stats{
		peakMemory: s.stats.peakMemory,
		cronCycles: s.stats.cronCycles,
		denied:     s.stats.denied,
	}
	s.persist.saves = 0
	s.aof.file.ResetStats()
	s.eviction.evicted = 0
	s.ks.ExpiredKeys, s.ks.ExpiredFields = 0, 0
	*s.ks.ExpiryLag() = keyspace.Lag{}
	for _, e := range s.reg.shown {
		e.calls, e.nanos, e.rejected, e.failed, e.times = 0, 0, 0, 0, nil
	}
	clear(s.errors)
}

func configHelp(c *Client) {
	c.help("GET <pattern> [<pattern> ...]",
		"    Tell the parameters that match a pattern, with their values.",
		"RESETSTAT",
		"    Set the counters of INFO back to zero.",
		"REWRITE",
		"    Write the present configuration to the file that the server was started with.",
		"SET <parameter> <value> [<parameter> <value> ...]",
		"    Change parameters, all or none.")
}
