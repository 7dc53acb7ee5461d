// Package cluster has the commands of Redis Cluster for a server that is no node of one: each is known, with its rights and
// its documentation, and refused as Redis refuses it with cluster-enabled no. RESTORE-ASKING stands with RESTORE, whose
// second name it is.
package cluster

import "ferrous/commands/session"

const errDisabled = "ERR This instance has cluster support disabled"

func disabled(c *session.Client) { c.Error(errDisabled) }

// Commands are the rows of the family. Sources: COMMAND INFO and COMMAND DOCS of Redis 7.2.6.
var Commands = []session.Command{
	{Name: "cluster", Arity: -2, Group: session.GroupCluster, Since: "3.0.0", Complexity: "Depends on the subcommand.",
		Summary: "The commands of the cluster.", Subs: []session.Command{
			changes("addslots", -3, "3.0.0", perSlot, "Gives slots to this node.", session.IntArg("slot").Many()),
			changes("addslotsrange", -4, "7.0.0", perSlot, "Gives ranges of slots to this node.", slotRanges),
			vague(changes("bumpepoch", 2, "3.0.0", "O(1)", "Takes the next configuration epoch.")),
			vague(tells("count-failure-reports", 3, session.Admin, "O(N) in the number of reports",
				"Counts the nodes that report that a node has failed.", node)),
			tells("countkeysinslot", 3, 0, "O(1)", "Counts the keys of a slot.", session.IntArg("slot")),
			changes("delslots", -3, "3.0.0", perSlot, "Takes slots away from this node.", session.IntArg("slot").Many()),
			changes("delslotsrange", -4, "7.0.0", perSlot, "Takes ranges of slots away from this node.", slotRanges),
			changes("failover", -2, "3.0.0", "O(1)", "Lets a replica take its master's place.", session.OneOf("options",
				session.TokenWord("force", "FORCE", ""), session.TokenWord("takeover", "TAKEOVER", "")).Opt()),
			changes("flushslots", 2, "3.0.0", "O(1)", "Takes all slots away from this node."),
			changes("forget", 3, "3.0.0", "O(1)", "Drops a node from the table of nodes.", node),
			vague(tells("getkeysinslot", 4, 0, "O(N) in the number of keys asked for", "Names keys of a slot.",
				session.IntArg("slot"), session.IntArg("count"))),
			since("5.0.0", tells("help", 2, session.Loading, "O(1)", "Lists the subcommands.")),
			vague(tells("info", 2, 0, "O(1)", "Tells the state of the cluster as this node sees it.")),
			tells("keyslot", 3, 0, "O(N) in the length of the key", "Tells the slot of a key.", session.StringArg("key")),
			since("7.0.0", vague(tells("links", 2, 0, perNode, "Tells the connections of this node to others."))),
			meet,
			tells("myid", 2, 0, "O(1)", "Tells this node's ID."),
			since("7.2.0", vague(tells("myshardid", 2, 0, "O(1)", "Tells the ID of this node's shard."))),
			vague(tells("nodes", 2, 0, perNode, "Tells the nodes as the file of nodes has them.")),
			since("5.0.0", vague(tells("replicas", 3, session.Admin, perReplica, "Tells the replicas of a master.", node))),
			changes("replicate", 3, "3.0.0", "O(1)", "Makes this node a replica of a master.", node),
			tells("reset", -2, session.Admin|session.NoScript, "O(N) in the number of nodes; keys may be deleted, too",
				"Makes this node forget the cluster.", session.OneOf("reset-type",
					session.TokenWord("hard", "HARD", ""), session.TokenWord("soft", "SOFT", "")).Opt()),
			changes("saveconfig", 2, "3.0.0", "O(1)", "Writes the file of nodes."),
			changes("set-config-epoch", 3, "3.0.0", "O(1)", "Sets the configuration epoch of a new node.",
				session.IntArg("config-epoch")),
			changes("setslot", -4, "3.0.0", "O(1)", "Sets the state or the node of a slot.", session.IntArg("slot"),
				session.OneOf("subcommand", nodeAfter("importing", "IMPORTING"), nodeAfter("migrating", "MIGRATING"),
					nodeAfter("node", "NODE"), session.TokenWord("stable", "STABLE", ""))),
			since("7.0.0", vague(tells("shards", 2, session.Loading, perNode, "Tells which nodes serve which slots."))),
			replaced("5.0.0", "`CLUSTER REPLICAS`",
				vague(tells("slaves", 3, session.Admin, perReplica, "Tells the replicas of a master.", node))),
			slots,
		}},
	mode("asking", session.Fast, "Lets the next command use a slot that is being imported."),
	mode("readonly", session.Fast|session.Loading|session.Stale, "Lets this connection read from a replica."),
	mode("readwrite", session.Fast|session.Loading|session.Stale, "Ends what READONLY began."),
}

const (
	perSlot    = "O(N) in the number of slots"
	perNode    = "O(N) in the number of nodes"
	perReplica = "O(N) in the number of replicas"
)

var (
	node       = session.StringArg("node-id")
	slotRanges = session.BlockOf("range", session.IntArg("start-slot"), session.IntArg("end-slot")).Many()

	meet = func() session.Command {
		r := changes("meet", -4, "3.0.0", "O(1)", "Joins this node to another one.", session.StringArg("ip"), session.IntArg("port"),
			session.IntArg("cluster-bus-port").Opt().From("4.0.0"))
		r.History = []session.Change{{"4.0.0", "The argument `cluster_bus_port`."}}
		return r
	}()

	slots = func() session.Command {
		r := replaced("7.0.0", "`CLUSTER SHARDS`", vague(tells("slots", 2, session.Loading, perNode, "Tells the nodes of each range of slots.")))
		r.History = []session.Change{{"4.0.0", "IDs of nodes."}, {"7.0.0", "A field for more addresses of a node."}}
		return r
	}()
)

// tells is the row of a subcommand of 3.0 that answers something. Flags are added to those that all have.
func tells(name string, arity int, flags session.Flags, complexity, summary string, args ...session.Arg) session.Command {
	return session.Command{Name: name, Arity: arity, Flags: flags | session.Stale, Handler: disabled, Group: session.GroupCluster,
		Since: "3.0.0", Complexity: complexity, Summary: summary, Args: args}
}

// changes is the row of a subcommand that changes the cluster.
func changes(name string, arity int, version, complexity, summary string, args ...session.Arg) session.Command {
	return since(version, tells(name, arity, session.Admin|session.NoAsyncLoading, complexity, summary, args...))
}

// mode is the row of a command that sets how the connection uses a cluster.
func mode(name string, flags session.Flags, summary string) session.Command {
	return session.Command{Name: name, Arity: 1, Flags: flags, ACL: session.CatConnection, Handler: disabled,
		Group: session.GroupCluster, Since: "3.0.0", Complexity: "O(1)", Summary: summary}
}

func since(version string, r session.Command) session.Command { r.Since = version; return r }

// vague is a row whose answer is not the same each time.
func vague(r session.Command) session.Command {
	r.Hints = []string{"nondeterministic_output"}
	return r
}

func replaced(version, by string, r session.Command) session.Command {
	r.Deprecated, r.ReplacedBy = version, by
	return r
}

func nodeAfter(name, token string) session.Arg {
	a := session.TokenArg(name, session.ArgString, token, "")
	a.Display = "node-id"
	return a
}
