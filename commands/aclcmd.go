package commands

import (
	crand "crypto/rand"
	"encoding/hex"
	"strconv"

	"ferrous/commands/acl"
	"ferrous/eventloop/resp"
)

// ACL: users as commands show and change them, and the log of what was denied. Rights are package acl, the checks of
// requests are in rights.go.

// aclSub is what all subcommands of ACL but HELP have in common.
const aclSub = NoScript | Loading | Stale

var aclCommand = Command{
	Name: "acl", Arity: -2, Group: GroupServer, Since: "6.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about users and their rights.",
	Subs: []Command{
		{Name: "cat", Arity: -2, Flags: aclSub, Handler: aclCat,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(1), since what there is does not change",
			Summary: "Lists the categories of commands, or the commands of a category.",
			Args:    []Arg{aString("category").optional()}},
		{Name: "deluser", Arity: -3, Flags: aclSub | Admin, Handler: aclDelUser,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(1) for each user, and O(N) in the number of connections",
			Summary: "Deletes users and ends their sessions.", Hints: allNodesSucceed,
			Args: []Arg{aString("username").multiple()}},
		{Name: "dryrun", Arity: -4, Flags: aclSub | Admin, Handler: aclDryRun,
			Group: GroupServer, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Tells whether a user may run a command, without running it.",
			Args:    []Arg{aString("username"), aString("command"), aString("arg").optional().multiple()}},
		{Name: "genpass", Arity: -2, Flags: aclSub, Handler: aclGenPass,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(1)",
			Summary: "Makes a random password.", Args: []Arg{anInt("bits").optional()}},
		{Name: "getuser", Arity: 3, Flags: aclSub | Admin, Handler: aclGetUser,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of the user's rules",
			Summary: "Tells the rules of a user.", Args: []Arg{aString("username")},
			History: []Change{{"6.2.0", "Patterns of channels."},
				{"7.0.0", "Selectors; patterns of keys and channels are given as rules instead of lists."}}},
		{Name: "help", Arity: 2, Flags: Loading | Stale, Handler: aclHelp,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "list", Arity: 2, Flags: aclSub | Admin, Handler: aclList,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Tells all users with their rules, as files have them."},
		{Name: "load", Arity: 2, Flags: aclSub | Admin, Handler: aclLoad,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Reads all users from the file of users."},
		{Name: "log", Arity: -2, Flags: aclSub | Admin, Handler: aclLogGet,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of entries told",
			Summary: "Tells the latest requests and log-ins that were denied.",
			History: []Change{{"7.2.0", "Entries have a number, the time when they were made, and when they were last changed."}},
			Args: []Arg{Arg{Name: "operation", Type: ArgOneOf, Optional: true,
				Args: []Arg{anInt("count"), aToken("reset", "RESET", "")}}}},
		{Name: "save", Arity: 2, Flags: aclSub | Admin, Handler: aclSave,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Writes all users to the file of users.", Hints: allNodesSucceed},
		{Name: "setuser", Arity: -3, Flags: aclSub | Admin, Handler: aclSetUser,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of rules",
			Summary: "Makes a user, or changes the rules of one.", Hints: allNodesSucceed,
			History: []Change{{"6.2.0", "Patterns of channels."}, {"7.0.0", "Selectors, and patterns of keys to read or to write."}},
			Args:    []Arg{aString("username"), aString("rule").optional().multiple()}},
		{Name: "users", Arity: 2, Flags: aclSub | Admin, Handler: aclUsers,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Tells the names of all users."},
		{Name: "whoami", Arity: 2, Flags: aclSub, Handler: aclWhoAmI,
			Group: GroupServer, Since: "6.0.0", Complexity: "O(1)", Summary: "Tells the name of the connection's user."},
	},
}

const (
	errUserName    = "ERR Usernames can't contain spaces or null characters"
	errDelDefault  = "ERR The 'default' user cannot be removed"
	errNoUsersFile = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via " +
		"the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in " +
		"order to store users in the Redis configuration."
	errUsersNotSaved = "ERR There was an error trying to save the ACLs. Please check the server logs for more information"
	maxGenPassBits   = 4096
)

var errGenPass = "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to " +
	strconv.Itoa(maxGenPassBits)

func aclCat(c *Client) {
	switch len(c.args) {
	case 2:
		c.w.Array(len(CategoryNames))
		for _, name := range CategoryNames {
			c.w.BulkString(name)
		}
	case 3:
		cat := categoryNamed([]byte(cString(c.args[2])))
		if cat == 0 {
			name := cString(c.args[2])
			c.error("ERR Unknown category '" + name[:min(len(name), 128)] + "'")
			return
		}
		m, n := c.w.BeginArray(), 0
		for _, e := range c.srv.reg.shown {
			if e.cats&cat != 0 {
				c.w.BulkString(e.full)
				n++
			}
		}
		c.w.EndArray(m, n)
	default:
		c.error(errUnknownSubOrArity(c.args))
	}
}

func aclSetUser(c *Client) {
	name := c.arg(2)
	if !acl.ValidName(name) {
		c.error(errUserName)
		return
	}
	u, lost, err := c.srv.security.users.Set(name, c.strings(3))
	if err != nil {
		c.error("ERR " + err.Error())
		return
	}
	if lost {
		c.srv.endSubscribers(u)
	}
	c.w.OK()
}

func aclDelUser(c *Client) {
	for _, name := range c.args[2:] {
		if string(name) == acl.DefaultName {
			c.error(errDelDefault)
			return
		}
	}
	var gone []*acl.User
	for _, name := range c.args[2:] {
		if u := c.srv.security.users.Delete(name); u != nil {
			gone = append(gone, u)
		}
	}
	c.srv.endSessions(gone...)
	c.w.Int(int64(len(gone)))
}

func aclGetUser(c *Client) {
	u := c.srv.security.users.Get(c.args[2])
	if u == nil {
		c.w.Null()
		return
	}
	c.w.Map(6)
	c.w.BulkString("flags")
	flags := u.Flags()
	c.w.Set(len(flags))
	for _, f := range flags {
		c.w.BulkString(f)
	}
	c.w.BulkString("passwords")
	c.w.Array(len(u.Passwords()))
	for _, p := range u.Passwords() {
		c.w.BulkString(p)
	}
	selectors := u.Selectors()
	c.aclSelector(selectors[0])
	c.w.BulkString("selectors")
	c.w.Array(len(selectors) - 1)
	for _, s := range selectors[1:] {
		c.w.Map(3)
		c.aclSelector(s)
	}
}

// aclSelector writes the three fields of a selector.
func (c *Client) aclSelector(s acl.Selector) {
	for _, field := range [...][2]string{{"commands", s.Commands}, {"keys", s.Keys}, {"channels", s.Channels}} {
		c.w.BulkString(field[0])
		c.w.BulkString(field[1])
	}
}

func aclList(c *Client) {
	all := c.srv.security.users.Sorted()
	c.w.Array(len(all))
	for _, u := range all {
		c.w.BulkString(u.Line())
	}
}

func aclUsers(c *Client) {
	all := c.srv.security.users.Sorted()
	c.w.Array(len(all))
	for _, u := range all {
		c.w.BulkString(u.Name())
	}
}

func aclWhoAmI(c *Client) {
	if c.user == nil {
		c.w.Null()
		return
	}
	c.w.BulkString(c.user.Name())
}

func aclLoad(c *Client) {
	if c.srv.cfg.ACLFile == "" {
		c.error(errNoUsersFile)
		return
	}
	if err := c.srv.readUsers(); err != nil {
		c.error("ERR " + err.Error())
		return
	}
	c.w.OK()
}

func aclSave(c *Client) {
	cfg := c.srv.cfg
	if cfg.ACLFile == "" {
		c.error(errNoUsersFile)
		return
	}
	if cfg.ReplaceFile("ACL", cfg.Path(cfg.ACLFile), c.srv.security.users.Text()) != nil {
		c.error(errUsersNotSaved)
		return
	}
	c.w.OK()
}

func aclGenPass(c *Client) {
	bits := int64(256)
	switch len(c.args) {
	case 2:
	case 3:
		var ok bool
		if bits, ok = c.int64Arg(2); !ok {
			return
		}
	default:
		c.error(errUnknownSubOrArity(c.args))
		return
	}
	if bits <= 0 || bits > maxGenPassBits {
		c.error(errGenPass)
		return
	}
	digits := (bits + 3) / 4
	raw := make([]byte, (digits+1)/2)
	if _, err := crand.Read(raw); err != nil {
		c.error("ERR no random numbers: " + err.Error())
		return
	}
	c.w.BulkString(hex.EncodeToString(raw)[:digits])
}

func aclDryRun(c *Client) {
	u := c.srv.security.users.Get(c.args[2])
	if u == nil {
		c.error("ERR User '" + cString(c.args[2]) + "' not found")
		return
	}
	args := c.args[3:]
	e, unknownSub := c.srv.reg.lookup(args)
	if e == nil || unknownSub {
		c.error("ERR Command '" + cString(args[0]) + "' not found")
		return
	}
	if e.Arity > 0 && len(args) != e.Arity || len(args) < -e.Arity {
		c.error(errArity(e.full))
		return
	}
	why, pos := c.srv.check(u, e, args)
	switch why {
	case acl.Allowed:
		c.w.OK()
	case acl.DeniedCommand:
		c.w.BulkString(errDenied(why, u, e))
	default:
		c.w.BulkString("User " + u.Name() + " has no permissions to access the '" + string(args[pos]) + "' " + why.String())
	}
}

// aclLog is the log of what was denied, the newest entry first.
type aclLog struct {
	entries []*aclLogEntry
	nextID  int64
}

// aclLogEntry is something that was denied, perhaps several times.
type aclLogEntry struct {
	id       int64
	count    int64
	why      acl.Denial
	context  string
	object   string // the command, key or channel
	user     string
	client   string // the last one's line of CLIENT LIST
	made     int64  // Unix ms
	lastTime int64  // Unix ms
}

const (
	aclLogMergeMs   = 60_000 // the same within that time is one entry
	aclLogMergeLook = 10     // entries that are looked at for the same
	aclLogDefault   = 10     // entries told
)

// The contexts of denied requests.
const (
	contextTop   = "toplevel"
	contextMulti = "multi"
)

// logDenial counts and logs that the client was denied something for what it is: a command, key or channel.
func (s *Server) logDenial(c *Client, why acl.Denial, object string) {
	s.logDenialOf(c, why, object, c.userName())
}

// logDenialOf is logDenial for another user than the client's: the one that it tried to log in as.
func (s *Server) logDenialOf(c *Client, why acl.Denial, object, user string) {
	s.stats.denied[why]++
	context := contextTop
	if c.inMulti() {
		context = contextMulti
	}
	l := &s.security.log
	now, client := s.ks.Now, c.info()
	for i, e := range l.entries[:min(len(l.entries), aclLogMergeLook)] {
		if age := now - e.lastTime; e.why == why && e.context == context && e.object == object && e.user == user &&
			age <= aclLogMergeMs && age >= -aclLogMergeMs {
			copy(l.entries[1:i+1], l.entries[:i])
			l.entries[0] = e
			e.count++
			e.lastTime, e.client = now, client
			return
		}
	}
	e := &aclLogEntry{id: l.nextID, count: 1, why: why, context: context, object: object, user: user, client: client,
		made: now, lastTime: now}
	l.nextID++
	if n := len(l.entries); n > 0 && n >= s.cfg.ACLLogMaxLen {
		clear(l.entries[max(s.cfg.ACLLogMaxLen-1, 0):])
		l.entries = l.entries[:max(s.cfg.ACLLogMaxLen-1, 0)]
	}
	if s.cfg.ACLLogMaxLen > 0 {
		l.entries = append(l.entries, nil)
		copy(l.entries[1:], l.entries)
		l.entries[0] = e
	}
}

func aclLogGet(c *Client) {
	l := &c.srv.security.log
	count := int64(aclLogDefault)
	switch {
	case len(c.args) > 3:
		c.error(errUnknownSubOrArity(c.args))
		return
	case len(c.args) == 3 && c.is(2, "reset"):
		l.entries = nil
		c.w.OK()
		return
	case len(c.args) == 3:
		n, ok := resp.ParseInt(c.args[2])
		if !ok {
			c.error(errNotInteger)
			return
		}
		count = max(n, 0)
	}
	shown := l.entries[:min(count, int64(len(l.entries)))]
	c.w.Array(len(shown))
	for _, e := range shown {
		c.w.Map(10)
		c.w.BulkString("count")
		c.w.Int(e.count)
		for _, field := range [...][2]string{{"reason", e.why.String()}, {"context", e.context}, {"object", e.object},
			{"username", e.user}} {
			c.w.BulkString(field[0])
			c.w.BulkString(field[1])
		}
		c.w.BulkString("age-seconds")
		c.w.Double(float64(c.srv.ks.Now-e.lastTime) / 1000)
		c.w.BulkString("client-info")
		c.w.BulkString(e.client)
		for _, field := range [...]struct {
			name string
			n    int64
		}{{"entry-id", e.id}, {"timestamp-created", e.made}, {"timestamp-last-updated", e.lastTime}} {
			c.w.BulkString(field.name)
			c.w.Int(field.n)
		}
	}
}

func aclHelp(c *Client) {
	c.help(
		"CAT [<category>]",
		"    List the categories of commands, or the commands of one category.",
		"DELUSER <username> [<username> ...]",
		"    Delete users and end their sessions.",
		"DRYRUN <username> <command> [<arg> ...]",
		"    Tell whether the user may run the command, without running it.",
		"GENPASS [<bits>]",
		"    Make a random password of <bits> bits (default 256), in hexadecimal digits.",
		"GETUSER <username>",
		"    Tell the rules of a user.",
		"LIST",
		"    Tell all users with their rules, as files have them.",
		"LOAD",
		"    Read all users from the file of users.",
		"LOG [<count> | RESET]",
		"    Tell the latest <count> (default "+strconv.Itoa(aclLogDefault)+") denied requests and log-ins, or forget them all.",
		"SAVE",
		"    Write all users to the file of users.",
		"SETUSER <username> [<rule> ...]",
		"    Make a user, or change the rules of one.",
		"USERS",
		"    Tell the names of all users.",
		"WHOAMI",
		"    Tell the name of this connection's user.",
	)
}

// commandsOfRedis are the commands of Redis 7.2 that rules and rename-command may name though this server does not have
// them, so that its configuration files can be taken over.
const commandsOfRedis = `asking cluster cluster|addslots cluster|addslotsrange cluster|bumpepoch
	cluster|count-failure-reports cluster|countkeysinslot cluster|delslots cluster|delslotsrange cluster|failover
	cluster|flushslots cluster|forget cluster|getkeysinslot cluster|help cluster|info cluster|keyslot cluster|links
	cluster|meet cluster|myid cluster|myshardid cluster|nodes cluster|replicas cluster|replicate cluster|reset
	cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves cluster|slots eval
	eval_ro evalsha evalsha_ro failover fcall fcall_ro function function|delete function|dump function|flush
	function|help function|kill function|list function|load function|restore function|stats psync readonly readwrite
	replconf replicaof restore-asking role script script|debug script|exists script|flush script|help
	script|kill script|load slaveof sync wait xack xadd xautoclaim xclaim xdel xgroup xgroup|create
	xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|help xgroup|setid xinfo xinfo|consumers xinfo|groups
	xinfo|help xinfo|stream xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim`
