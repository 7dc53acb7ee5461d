package commands

import (
	crand "crypto/rand"
	"encoding/hex"
	"strconv"

	"ferrous/commands/acl"
	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// ACL: users as commands show and change them, and the log of what was denied. Rights are package acl, the checks of
// requests are in rights.go.

// aclSub is what all subcommands of ACL but HELP have in common.
const aclSub = session.NoScript | session.Loading | session.Stale

var aclCommand = session.Command{
	Name: "acl", Arity: -2, Group: session.GroupServer, Since: "6.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about users and their rights.",
	Subs: []session.Command{
		{Name: "cat", Arity: -2, Flags: aclSub, Handler: connected(aclCat),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(1), since what there is does not change",
			Summary: "Lists the categories of commands, or the commands of a category.",
			Args:    []session.Arg{session.StringArg("category").Opt()}},
		{Name: "deluser", Arity: -3, Flags: aclSub | session.Admin, Handler: connected(aclDelUser),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(1) for each user, and O(N) in the number of connections",
			Summary: "Deletes users and ends their sessions.", Hints: session.AllNodesSucceed,
			Args: []session.Arg{session.StringArg("username").Many()}},
		{Name: "dryrun", Arity: -4, Flags: aclSub | session.Admin, Handler: connected(aclDryRun),
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Tells whether a user may run a command, without running it.",
			Args:    []session.Arg{session.StringArg("username"), session.StringArg("command"), session.StringArg("arg").Opt().Many()}},
		{Name: "genpass", Arity: -2, Flags: aclSub, Handler: connected(aclGenPass),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(1)",
			Summary: "Makes a random password.", Args: []session.Arg{session.IntArg("bits").Opt()}},
		{Name: "getuser", Arity: 3, Flags: aclSub | session.Admin, Handler: connected(aclGetUser),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of the user's rules",
			Summary: "Tells the rules of a user.", Args: []session.Arg{session.StringArg("username")},
			History: []session.Change{{"6.2.0", "Patterns of channels."},
				{"7.0.0", "Selectors; patterns of keys and channels are given as rules instead of lists."}}},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(aclHelp),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "list", Arity: 2, Flags: aclSub | session.Admin, Handler: connected(aclList),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Tells all users with their rules, as files have them."},
		{Name: "load", Arity: 2, Flags: aclSub | session.Admin, Handler: connected(aclLoad),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Reads all users from the file of users."},
		{Name: "log", Arity: -2, Flags: aclSub | session.Admin, Handler: connected(aclLogGet),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of entries told",
			Summary: "Tells the latest requests and log-ins that were denied.",
			History: []session.Change{{"7.2.0", "Entries have a number, the time when they were made, and when they were last changed."}},
			Args: []session.Arg{session.Arg{Name: "operation", Type: session.ArgOneOf, Optional: true,
				Args: []session.Arg{session.IntArg("count"), session.TokenWord("reset", "RESET", "")}}}},
		{Name: "save", Arity: 2, Flags: aclSub | session.Admin, Handler: connected(aclSave),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Writes all users to the file of users.", Hints: session.AllNodesSucceed},
		{Name: "setuser", Arity: -3, Flags: aclSub | session.Admin, Handler: connected(aclSetUser),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of rules",
			Summary: "Makes a user, or changes the rules of one.", Hints: session.AllNodesSucceed,
			History: []session.Change{{"6.2.0", "Patterns of channels."}, {"7.0.0", "Selectors, and patterns of keys to read or to write."}},
			Args:    []session.Arg{session.StringArg("username"), session.StringArg("rule").Opt().Many()}},
		{Name: "users", Arity: 2, Flags: aclSub | session.Admin, Handler: connected(aclUsers),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(N) in the number of users",
			Summary: "Tells the names of all users."},
		{Name: "whoami", Arity: 2, Flags: aclSub, Handler: connected(aclWhoAmI),
			Group: session.GroupServer, Since: "6.0.0", Complexity: "O(1)", Summary: "Tells the name of the connection's user."},
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
	switch len(c.Args) {
	case 2:
		c.W.Array(len(session.CategoryNames))
		for _, name := range session.CategoryNames {
			c.W.BulkString(name)
		}
	case 3:
		cat := session.CategoryNamed([]byte(session.CString(c.Args[2])))
		if cat == 0 {
			name := session.CString(c.Args[2])
			c.Error("ERR Unknown category '" + name[:min(len(name), 128)] + "'")
			return
		}
		m, n := c.W.BeginArray(), 0
		for _, e := range c.srv.Registry.Shown {
			if e.Cats&cat != 0 {
				c.W.BulkString(e.Full)
				n++
			}
		}
		c.W.EndArray(m, n)
	default:
		c.Error(session.ErrUnknownSubOrArity(c.Args))
	}
}

func aclSetUser(c *Client) {
	name := c.Arg(2)
	if !acl.ValidName(name) {
		c.Error(errUserName)
		return
	}
	u, lost, err := c.srv.security.users.Set(name, c.strings(3))
	if err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	if lost {
		c.srv.endSubscribers(u)
	}
	c.W.OK()
}

func aclDelUser(c *Client) {
	for _, name := range c.Args[2:] {
		if string(name) == acl.DefaultName {
			c.Error(errDelDefault)
			return
		}
	}
	var gone []*acl.User
	for _, name := range c.Args[2:] {
		if u := c.srv.security.users.Delete(name); u != nil {
			gone = append(gone, u)
		}
	}
	c.srv.endSessions(gone...)
	c.W.Int(int64(len(gone)))
}

func aclGetUser(c *Client) {
	u := c.srv.security.users.Get(c.Args[2])
	if u == nil {
		c.W.Null()
		return
	}
	c.W.Map(6)
	c.W.BulkString("flags")
	flags := u.Flags()
	c.W.Set(len(flags))
	for _, f := range flags {
		c.W.BulkString(f)
	}
	c.W.BulkString("passwords")
	c.W.Array(len(u.Passwords()))
	for _, p := range u.Passwords() {
		c.W.BulkString(p)
	}
	selectors := u.Selectors()
	c.aclSelector(selectors[0])
	c.W.BulkString("selectors")
	c.W.Array(len(selectors) - 1)
	for _, s := range selectors[1:] {
		c.W.Map(3)
		c.aclSelector(s)
	}
}

// aclSelector writes the three fields of a selector.
func (c *Client) aclSelector(s acl.Selector) {
	for _, field := range [...][2]string{{"commands", s.Commands}, {"keys", s.Keys}, {"channels", s.Channels}} {
		c.W.BulkString(field[0])
		c.W.BulkString(field[1])
	}
}

func aclList(c *Client) {
	all := c.srv.security.users.Sorted()
	c.W.Array(len(all))
	for _, u := range all {
		c.W.BulkString(u.Line())
	}
}

func aclUsers(c *Client) {
	all := c.srv.security.users.Sorted()
	c.W.Array(len(all))
	for _, u := range all {
		c.W.BulkString(u.Name())
	}
}

func aclWhoAmI(c *Client) {
	if c.user == nil {
		c.W.Null()
		return
	}
	c.W.BulkString(c.user.Name())
}

func aclLoad(c *Client) {
	if c.srv.Config.ACLFile == "" {
		c.Error(errNoUsersFile)
		return
	}
	if err := c.srv.readUsers(); err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	c.W.OK()
}

func aclSave(c *Client) {
	cfg := c.srv.Config
	if cfg.ACLFile == "" {
		c.Error(errNoUsersFile)
		return
	}
	if cfg.ReplaceFile("ACL", cfg.Path(cfg.ACLFile), c.srv.security.users.Text()) != nil {
		c.Error(errUsersNotSaved)
		return
	}
	c.W.OK()
}

func aclGenPass(c *Client) {
	bits := int64(256)
	switch len(c.Args) {
	case 2:
	case 3:
		var ok bool
		if bits, ok = c.Int64Arg(2); !ok {
			return
		}
	default:
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	if bits <= 0 || bits > maxGenPassBits {
		c.Error(errGenPass)
		return
	}
	digits := (bits + 3) / 4
	raw := make([]byte, (digits+1)/2)
	if _, err := crand.Read(raw); err != nil {
		c.Error("ERR no random numbers: " + err.Error())
		return
	}
	c.W.BulkString(hex.EncodeToString(raw)[:digits])
}

func aclDryRun(c *Client) {
	u := c.srv.security.users.Get(c.Args[2])
	if u == nil {
		c.Error("ERR User '" + session.CString(c.Args[2]) + "' not found")
		return
	}
	args := c.Args[3:]
	e, unknownSub := c.srv.Registry.Lookup(args)
	if e == nil || unknownSub {
		c.Error("ERR Command '" + session.CString(args[0]) + "' not found")
		return
	}
	if e.Arity > 0 && len(args) != e.Arity || len(args) < -e.Arity {
		c.Error(session.ErrArity(e.Full))
		return
	}
	why, pos := c.srv.check(u, e, args)
	switch why {
	case acl.Allowed:
		c.W.OK()
	case acl.DeniedCommand:
		c.W.BulkString(errDenied(why, u, e))
	default:
		c.W.BulkString("User " + u.Name() + " has no permissions to access the '" + string(args[pos]) + "' " + why.String())
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
	aclLogDefault   = 10     // entries shown unless a count is given
)

// The contexts of denied requests.
const (
	contextTop   = "toplevel"
	contextMulti = "multi"
	contextLua   = "lua"
)

// logDenial counts and logs a denied request of the client. object is the command, key or channel.
func (s *Server) logDenial(c *Client, why acl.Denial, object string) {
	s.logDenialOf(c, why, object, c.userName())
}

// logDenialOf is logDenial for the user that a client tried to log in as.
func (s *Server) logDenialOf(c *Client, why acl.Denial, object, user string) {
	s.stats.denied[why]++
	context := contextTop
	if s.scripts.caller == c {
		context = contextLua
	} else if c.inMulti() {
		context = contextMulti
	}
	l := &s.security.log
	now, client := s.Keyspace.Now, c.info()
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
	if n := len(l.entries); n > 0 && n >= s.Config.ACLLogMaxLen {
		clear(l.entries[max(s.Config.ACLLogMaxLen-1, 0):])
		l.entries = l.entries[:max(s.Config.ACLLogMaxLen-1, 0)]
	}
	if s.Config.ACLLogMaxLen > 0 {
		l.entries = append(l.entries, nil)
		copy(l.entries[1:], l.entries)
		l.entries[0] = e
	}
}

func aclLogGet(c *Client) {
	l := &c.srv.security.log
	count := int64(aclLogDefault)
	switch {
	case len(c.Args) > 3:
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	case len(c.Args) == 3 && c.Is(2, "reset"):
		l.entries = nil
		c.W.OK()
		return
	case len(c.Args) == 3:
		n, ok := resp.ParseInt(c.Args[2])
		if !ok {
			c.Error(session.ErrNotInteger)
			return
		}
		count = max(n, 0)
	}
	shown := l.entries[:min(count, int64(len(l.entries)))]
	c.W.Array(len(shown))
	for _, e := range shown {
		c.W.Map(10)
		c.W.BulkString("count")
		c.W.Int(e.count)
		for _, field := range [...][2]string{{"reason", e.why.String()}, {"context", e.context}, {"object", e.object},
			{"username", e.user}} {
			c.W.BulkString(field[0])
			c.W.BulkString(field[1])
		}
		c.W.BulkString("age-seconds")
		c.W.Double(float64(c.srv.Keyspace.Now-e.lastTime) / 1000)
		c.W.BulkString("client-info")
		c.W.BulkString(e.client)
		for _, field := range [...]struct {
			name string
			n    int64
		}{{"entry-id", e.id}, {"timestamp-created", e.made}, {"timestamp-last-updated", e.lastTime}} {
			c.W.BulkString(field.name)
			c.W.Int(field.n)
		}
	}
}

func aclHelp(c *Client) {
	c.Help(
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
