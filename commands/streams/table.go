package streams

import "ferrous/commands/session"

// The table of the commands of streams.

const (
	write = session.Write
	fast  = session.Fast
	read  = session.ReadOnly
	oom   = session.DenyOOM

	each      = "O(1) for each ID."
	inRange   = "O(N) with N the number of entries returned; the first is found in O(log M) in a stream of M entries."
	perStream = "O(N) for each stream with N the number of entries returned."
	in7       = "7.0.0"
)

var nondeterministic = []string{"nondeterministic_output"}

// subKey is the spec of subcommands whose key follows them.
func subKey(flags session.KeyFlags) []session.KeySpec {
	return []session.KeySpec{{Flags: flags, Index: 2, Step: 1}}
}

// streamsKeys are the keys behind the word STREAMS: the first half of what follows.
func streamsKeys(from int) []session.KeySpec {
	return []session.KeySpec{{Flags: session.KeyRO | session.KeyAccess, Keyword: "STREAMS", StartFrom: from, Last: -1, Step: 1, Limit: 2}}
}

var (
	key      = session.KeyArg("key")
	group    = session.StringArg("group")
	consumer = session.StringArg("consumer")
	ids      = session.StringArg("ID").Many()
	count    = session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()
	justID   = session.TokenWord("justid", "JUSTID", "").Opt()

	// refsArg is KEEPREF, DELREF or ACKED, of Redis 8.2.
	refsArg = session.OneOf("condition", session.TokenWord("keepref", "KEEPREF", ""), session.TokenWord("delref", "DELREF", ""),
		session.TokenWord("acked", "ACKED", "")).Opt()
	idsBlock = session.Arg{Name: "ids", Type: session.ArgBlock, Token: "IDS",
		Args: []session.Arg{session.IntArg("numids"), session.StringArg("id").Many()}}

	trim = session.BlockOf("trim",
		session.OneOf("strategy", session.TokenWord("maxlen", "MAXLEN", ""), session.TokenWord("minid", "MINID", "6.2.0")),
		session.OneOf("operator", session.TokenWord("equal", "=", ""), session.TokenWord("approximately", "~", "")).Opt(),
		session.StringArg("threshold"),
		session.TokenArg("count", session.ArgInteger, "LIMIT", "6.2.0").Opt())

	streamsArg = session.Arg{Name: "streams", Type: session.ArgBlock, Token: "STREAMS",
		Args: []session.Arg{session.KeyArg("key").Many(), session.StringArg("ID").Many()}}
	milliseconds = session.TokenArg("milliseconds", session.ArgInteger, "BLOCK", "").Opt()

	lastID = session.OneOf("id-selector", session.StringArg("id"), session.TokenWord("new-id", "$", ""))
)

// Commands are the commands of streams.
var Commands = []session.Command{
	{Name: "xack", Arity: -4, Flags: write | fast, ACL: session.CatStream, Handler: xack,
		Group: session.GroupStream, Since: "5.0.0", Complexity: each,
		Summary: "Acknowledges entries that are pending in a group and returns how many were.",
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args:    []session.Arg{key, group, ids}},
	{Name: "xackdel", Arity: -6, Flags: write | fast, ACL: session.CatStream, Handler: xackdel,
		Group: session.GroupStream, Since: "8.2.0", Complexity: each,
		Summary: "Acknowledges entries that are pending in a group and deletes them, or those of them that no group needs.",
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate | session.KeyDelete),
		Args:    []session.Arg{key, group, refsArg, idsBlock}},
	{Name: "xadd", Arity: -5, Flags: write | oom | fast, ACL: session.CatStream, Handler: xadd,
		Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1), and O(N) with N the number of entries that are trimmed.",
		Summary: "Adds an entry to the end of a stream, which is made if it does not exist.",
		History: []session.Change{
			{"6.2.0", "Added the `NOMKSTREAM` option, the `MINID` strategy and the `LIMIT` option."},
			{"7.0.0", "Added the form `<ms>-*` of IDs."},
			{"8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."}},
		Hints: nondeterministic,
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyUpdate, Index: 1, Step: 1,
			Notes: "UPDATE instead of INSERT because of the optional trimming feature"}},
		Args: []session.Arg{key, session.TokenWord("nomkstream", "NOMKSTREAM", "6.2.0").Opt(), refsArg.From("8.2.0"), trim.Opt(),
			session.OneOf("id-selector", session.TokenWord("auto-id", "*", ""), session.StringArg("id")),
			session.BlockOf("data", session.StringArg("field"), session.StringArg("value")).Many()}},
	{Name: "xautoclaim", Arity: -6, Flags: write | fast, ACL: session.CatStream, Handler: xautoclaim,
		Group: session.GroupStream, Since: "6.2.0", Complexity: "O(N) with N the value of COUNT.",
		Summary: "Claims for a consumer what has been pending with any for long enough, in steps as SCAN does.",
		History: []session.Change{{in7, "The reply tells the entries that were pending but are deleted, too."}},
		Hints:   nondeterministic,
		Keys:    session.OneKey(session.KeyRW | session.KeyDelete),
		Args: []session.Arg{key, group, consumer, session.StringArg("min-idle-time"), session.StringArg("start"), count,
			justID}},
	{Name: "xclaim", Arity: -6, Flags: write | fast, ACL: session.CatStream, Handler: xclaim,
		Group: session.GroupStream, Since: "5.0.0", Complexity: "O(log N) for each ID with N the number of entries pending in the group.",
		Summary: "Claims for a consumer pending entries that were delivered to others.",
		Hints:   nondeterministic,
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{key, group, consumer, session.StringArg("min-idle-time"), ids,
			session.TokenArg("ms", session.ArgInteger, "IDLE", "").Opt(),
			session.TokenArg("unix-time-milliseconds", session.ArgUnixTime, "TIME", "").Opt(),
			session.TokenArg("count", session.ArgInteger, "RETRYCOUNT", "").Opt(),
			session.TokenWord("force", "FORCE", "").Opt(), justID,
			session.TokenArg("lastid", session.ArgString, "LASTID", "").Opt()}},
	{Name: "xdel", Arity: -3, Flags: write | fast, ACL: session.CatStream, Handler: xdel,
		Group: session.GroupStream, Since: "5.0.0", Complexity: each,
		Summary: "Deletes entries and returns how many there were.",
		Keys:    session.OneKey(session.KeyRW | session.KeyDelete),
		Args:    []session.Arg{key, ids}},
	{Name: "xdelex", Arity: -5, Flags: write | fast, ACL: session.CatStream, Handler: xdelex,
		Group: session.GroupStream, Since: "8.2.0", Complexity: each,
		Summary: "Deletes entries, with what refers to them, or only those that no group needs.",
		Keys:    session.OneKey(session.KeyRW | session.KeyDelete),
		Args:    []session.Arg{key, refsArg, idsBlock}},
	{Name: "xgroup", Arity: -2, Group: session.GroupStream, Since: "5.0.0", Complexity: "Depends on subcommand.",
		Summary: "Commands about groups of consumers.",
		Subs: []session.Command{
			{Name: "create", Arity: -5, Flags: write | oom, ACL: session.CatStream, Handler: xgroupCreate,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
				Summary: "Makes a group.",
				History: []session.Change{{in7, "Added the `ENTRIESREAD` option."}},
				Keys:    subKey(session.KeyRW | session.KeyInsert),
				Args: []session.Arg{key, group, lastID, session.TokenWord("mkstream", "MKSTREAM", "").Opt(),
					session.TokenArg("entries-read", session.ArgInteger, "ENTRIESREAD", "").Opt()}},
			{Name: "createconsumer", Arity: 5, Flags: write | oom, ACL: session.CatStream, Handler: xgroupCreateConsumer,
				Group: session.GroupStream, Since: "6.2.0", Complexity: "O(1)",
				Summary: "Makes a consumer in a group.",
				Keys:    subKey(session.KeyRW | session.KeyInsert),
				Args:    []session.Arg{key, group, consumer}},
			{Name: "delconsumer", Arity: 5, Flags: write, ACL: session.CatStream, Handler: xgroupDelConsumer,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(N) with N the number of entries pending with the consumer.",
				Summary: "Deletes a consumer of a group, with what is pending with it.",
				Keys:    subKey(session.KeyRW | session.KeyDelete),
				Args:    []session.Arg{key, group, consumer}},
			{Name: "destroy", Arity: 4, Flags: write, ACL: session.CatStream, Handler: xgroupDestroy,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
				Summary: "Deletes a group.",
				Keys:    subKey(session.KeyRW | session.KeyDelete),
				Args:    []session.Arg{key, group}},
			{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatStream, Handler: xgroupHelp,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
				Summary: "Tells the subcommands."},
			{Name: "setid", Arity: -5, Flags: write, ACL: session.CatStream, Handler: xgroupSetID,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
				Summary: "Sets how far a group has read.",
				History: []session.Change{{in7, "Added the `ENTRIESREAD` option."}},
				Keys:    subKey(session.KeyRW | session.KeyUpdate),
				Args: []session.Arg{key, group, lastID, {Name: "entriesread", Display: "entries-read", Type: session.ArgInteger,
					Token: "ENTRIESREAD", Optional: true}}},
		}},
	{Name: "xinfo", Arity: -2, Group: session.GroupStream, Since: "5.0.0", Complexity: "Depends on subcommand.",
		Summary: "Commands that tell about streams.",
		Subs: []session.Command{
			{Name: "consumers", Arity: 4, Flags: read, ACL: session.CatStream, Handler: xinfoConsumers,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(N) with N the number of consumers.",
				Summary: "Returns the consumers of a group.",
				History: []session.Change{{"7.2.0", "Added the `inactive` field."}},
				Hints:   nondeterministic,
				Keys:    subKey(session.KeyRO | session.KeyAccess),
				Args:    []session.Arg{key, group}},
			{Name: "groups", Arity: 3, Flags: read, ACL: session.CatStream, Handler: xinfoGroups,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(N) with N the number of groups.",
				Summary: "Returns the groups of a stream.",
				History: []session.Change{{in7, "Added the `entries-read` and `lag` fields."}},
				Keys:    subKey(session.KeyRO | session.KeyAccess),
				Args:    []session.Arg{key}},
			{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatStream, Handler: xinfoHelp,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
				Summary: "Tells the subcommands."},
			{Name: "stream", Arity: -3, Flags: read, ACL: session.CatStream, Handler: xinfoStream,
				Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1), with FULL O(N) with N the number of elements returned.",
				Summary: "Returns the length of a stream, its IDs and counters, or all of it.",
				History: []session.Change{
					{"6.0.0", "Added the `FULL` modifier."},
					{in7, "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields."},
					{"7.2.0", "Added the `active-time` field, and changed the meaning of `seen-time`."}},
				Keys: subKey(session.KeyRO | session.KeyAccess),
				Args: []session.Arg{key, session.BlockOf("full-block", session.TokenWord("full", "FULL", ""), count).Opt()}},
		}},
	{Name: "xlen", Arity: 2, Flags: read | fast, ACL: session.CatStream, Handler: xlen,
		Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
		Summary: "Returns the number of entries in a stream.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{key}},
	{Name: "xnack", Arity: -7, Flags: write | fast, ACL: session.CatStream, Handler: xnack,
		Group: session.GroupStream, Since: "8.8.0", Complexity: each,
		Summary: "Gives entries back that are pending with a consumer, so that others may claim them at once.",
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{key, group,
			session.OneOf("mode", session.TokenWord("silent", "SILENT", ""), session.TokenWord("fail", "FAIL", ""),
				session.TokenWord("fatal", "FATAL", "")),
			idsBlock, session.TokenArg("count", session.ArgInteger, "RETRYCOUNT", "").Opt(), session.TokenWord("force", "FORCE", "").Opt()}},
	{Name: "xpending", Arity: -3, Flags: read, ACL: session.CatStream, Handler: xpending,
		Group: session.GroupStream, Since: "5.0.0",
		Complexity: "O(N) with N the number of entries returned, or looked at with IDLE; the summary is O(N) with N the number of consumers.",
		Summary:    "Returns what is pending in a group: a summary, or entries one by one.",
		History:    []session.Change{{"6.2.0", "Added the `IDLE` option and exclusive intervals."}},
		Hints:      nondeterministic,
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{key, group, session.BlockOf("filters",
			session.TokenArg("min-idle-time", session.ArgInteger, "IDLE", "6.2.0").Opt(),
			session.StringArg("start"), session.StringArg("end"), session.IntArg("count"), consumer.Opt()).Opt()}},
	{Name: "xrange", Arity: -4, Flags: read, ACL: session.CatStream, Handler: xrange,
		Group: session.GroupStream, Since: "5.0.0", Complexity: inRange,
		Summary: "Returns the entries between two IDs.",
		History: []session.Change{{"6.2.0", "Added exclusive ranges."}},
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{key, session.StringArg("start"), session.StringArg("end"), count}},
	{Name: "xread", Arity: -4, Flags: read | session.Blocking | session.MovableKeys, ACL: session.CatStream, Handler: xread, GetKeys: readKeys,
		Group: session.GroupStream, Since: "5.0.0", Complexity: perStream,
		Summary: "Returns the entries of streams behind an ID each, and can wait for new ones.",
		History: []session.Change{{"7.4.0", "Added the ID `+`, for the last entry."}},
		Keys:    streamsKeys(1),
		Args:    []session.Arg{count, milliseconds, streamsArg}},
	{Name: "xreadgroup", Arity: -7, Flags: write | session.Blocking | session.MovableKeys, ACL: session.CatStream, Handler: xreadgroup,
		GetKeys: readKeys,
		Group:   session.GroupStream, Since: "5.0.0", Complexity: perStream,
		Summary: "Returns entries that a group has not got yet, or what is pending with a consumer of it, and can wait for new ones.",
		History: []session.Change{{"8.4.0", "Added the `CLAIM` option."}},
		Keys:    streamsKeys(4),
		Args: []session.Arg{
			{Name: "group-block", Type: session.ArgBlock, Token: "GROUP", Args: []session.Arg{group, consumer}}, count, milliseconds,
			session.TokenArg("min-idle-time", session.ArgInteger, "CLAIM", "8.4.0").Opt(),
			session.TokenWord("noack", "NOACK", "").Opt(), streamsArg}},
	{Name: "xrevrange", Arity: -4, Flags: read, ACL: session.CatStream, Handler: xrevrange,
		Group: session.GroupStream, Since: "5.0.0", Complexity: inRange,
		Summary: "Returns the entries between two IDs in reverse order.",
		History: []session.Change{{"6.2.0", "Added exclusive ranges."}},
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{key, session.StringArg("end"), session.StringArg("start"), count}},
	{Name: "xsetid", Arity: -3, Flags: write | oom | fast, ACL: session.CatStream, Handler: xsetid,
		Group: session.GroupStream, Since: "5.0.0", Complexity: "O(1)",
		Summary: "Sets the last ID of a stream and its counters, for programs that copy streams by commands.",
		History: []session.Change{{in7, "Added the `ENTRIESADDED` and `MAXDELETEDID` options."}},
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{key, session.StringArg("last-id"),
			session.TokenArg("entries-added", session.ArgInteger, "ENTRIESADDED", "7.0.0").Opt(),
			session.TokenArg("max-deleted-id", session.ArgString, "MAXDELETEDID", "7.0.0").Opt()}},
	{Name: "xtrim", Arity: -4, Flags: write, ACL: session.CatStream, Handler: xtrim,
		Group: session.GroupStream, Since: "5.0.0", Complexity: "O(N) with N the number of entries that are deleted; whole nodes go in O(1).",
		Summary: "Deletes entries at the front of a stream.",
		History: []session.Change{
			{"6.2.0", "Added the `MINID` strategy and the `LIMIT` option."},
			{"8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."}},
		Hints: nondeterministic,
		Keys:  session.OneKey(session.KeyRW | session.KeyDelete),
		Args:  []session.Arg{key, trim, refsArg.From("8.2.0")}},
}
