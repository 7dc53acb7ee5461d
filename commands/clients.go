package commands

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// CLIENT and its subcommands; what they show of a client is made in clientinfo.go, pausing is in pause.go.

// clientSub is what all subcommands of CLIENT but HELP have in common.
const clientSub = session.NoScript | session.Loading | session.Stale

var clientCommand = session.Command{
	Name: "client", Arity: -2, Group: session.GroupConnection, Since: "2.4.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about connections.",
	Subs: []session.Command{
		clientCachingRow,
		{Name: "capa", Arity: -3, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientCapa),
			Group: session.GroupConnection, Since: "8.0.0", Complexity: "O(1)", Summary: "Tells the server what the client can do.",
			Args: []session.Arg{session.StringArg("capability").Many()}},
		{Name: "getname", Arity: 2, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientGetName),
			Group: session.GroupConnection, Since: "2.6.9", Complexity: "O(1)", Summary: "Tells the connection's name."},
		{Name: "getredir", Arity: 2, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientGetRedir),
			Group: session.GroupConnection, Since: "6.0.0", Complexity: "O(1)",
			Summary: "Tells the id of the client that gets this one's tracking messages."},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: connected(clientHelp),
			Group: session.GroupConnection, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "id", Arity: 2, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientID),
			Group: session.GroupConnection, Since: "5.0.0", Complexity: "O(1)", Summary: "Tells the connection's number."},
		{Name: "info", Arity: 2, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientInfo),
			Group: session.GroupConnection, Since: "6.2.0", Complexity: "O(1)", Summary: "Describes the connection.",
			Hints: []string{"nondeterministic_output"}},
		{Name: "kill", Arity: -3, Flags: clientSub | session.Admin, ACL: session.CatConnection, Handler: connected(clientKill),
			Group: session.GroupConnection, Since: "2.4.0", Complexity: "O(N) in the number of connections",
			Summary: "Closes connections.",
			History: []session.Change{
				{"2.8.12", "Filters instead of one address."},
				{"2.8.12", "The filter `ID`."},
				{"3.2.0", "The type `master`."},
				{"5.0.0", "The type `replica`, the new name of `slave`."},
				{"6.2.0", "The filter `LADDR`."},
				{"7.4.0", "The filter `MAXAGE`."},
				{"8.1.0", "Several ids for the filter `ID`."},
				{"9.0.0", "The filters from `NAME` on."}},
			Args: []session.Arg{session.OneOf("filter",
				session.Arg{Name: "old-format", Display: "ip:port", Type: session.ArgString, Deprecated: "2.8.12"},
				session.OneOf("new-format", append([]session.Arg{
					session.TokenArg("client-id", session.ArgInteger, "ID", "2.8.12").Opt().Many(),
					session.Arg{Name: "client-type", Type: session.ArgOneOf, Token: "TYPE", Since: "2.8.12", Optional: true, Args: []session.Arg{
						session.TokenWord("normal", "NORMAL", ""), session.TokenWord("master", "MASTER", "3.2.0"), session.TokenWord("primary", "PRIMARY", "8.0.0"),
						session.TokenWord("slave", "SLAVE", ""), session.TokenWord("replica", "REPLICA", "5.0.0"), session.TokenWord("pubsub", "PUBSUB", "")}},
					session.TokenArg("username", session.ArgString, "USER", "").Opt(),
					session.Arg{Name: "addr", Display: "ip:port", Type: session.ArgString, Token: "ADDR", Optional: true},
					session.Arg{Name: "laddr", Display: "ip:port", Type: session.ArgString, Token: "LADDR", Since: "6.2.0", Optional: true},
					session.Arg{Name: "skipme", Type: session.ArgOneOf, Token: "SKIPME", Optional: true,
						Args: []session.Arg{session.TokenWord("yes", "YES", ""), session.TokenWord("no", "NO", "")}},
					session.TokenArg("maxage", session.ArgInteger, "MAXAGE", "7.4.0").Opt()}, filterArgs()...)...).Many())}},
		{Name: "list", Arity: -2, Flags: clientSub | session.Admin, ACL: session.CatConnection, Handler: connected(clientList),
			Group: session.GroupConnection, Since: "2.4.0", Complexity: "O(N) in the number of connections",
			Summary: "Describes connections.", Hints: []string{"nondeterministic_output"},
			History: []session.Change{
				{"2.8.12", "The field `id`."},
				{"5.0.0", "The filter `TYPE`."},
				{"6.0.0", "The field `user`."},
				{"6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and the filter `ID`."},
				{"7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."},
				{"7.0.3", "The field `ssub`."},
				{"8.1.0", "The filters `USER`, `ADDR`, `LADDR`, `SKIPME` and `MAXAGE`."},
				{"9.0.0", "The filters from `NAME` on."}},
			Args: append([]session.Arg{
				{Name: "client-type", Type: session.ArgOneOf, Token: "TYPE", Since: "5.0.0", Optional: true, Args: []session.Arg{
					session.TokenWord("normal", "NORMAL", ""), session.TokenWord("master", "MASTER", ""), session.TokenWord("replica", "REPLICA", ""),
					session.TokenWord("pubsub", "PUBSUB", "")}},
				session.TokenArg("client-id", session.ArgInteger, "ID", "6.2.0").Opt().Many(),
				session.TokenArg("username", session.ArgString, "USER", "8.1.0").Opt(),
				{Name: "addr", Display: "ip:port", Type: session.ArgString, Token: "ADDR", Since: "8.1.0", Optional: true},
				{Name: "laddr", Display: "ip:port", Type: session.ArgString, Token: "LADDR", Since: "8.1.0", Optional: true},
				{Name: "skipme", Type: session.ArgOneOf, Token: "SKIPME", Since: "8.1.0", Optional: true,
					Args: []session.Arg{session.TokenWord("yes", "YES", ""), session.TokenWord("no", "NO", "")}},
				session.TokenArg("maxage", session.ArgInteger, "MAXAGE", "8.1.0").Opt()}, filterArgs()...)},
		{Name: "no-evict", Arity: 3, Flags: clientSub | session.Admin, ACL: session.CatConnection, Handler: connected(clientNoEvict),
			Group: session.GroupConnection, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Spares the connection when clients are evicted.", Args: onOff},
		{Name: "no-touch", Arity: 3, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientNoTouch),
			Group: session.GroupConnection, Since: "7.2.0", Complexity: "O(1)",
			Summary: "Keeps the connection's commands from counting as accesses to keys.", Args: onOff},
		{Name: "pause", Arity: -3, Flags: clientSub | session.Admin, ACL: session.CatConnection, Handler: connected(clientPause),
			Group: session.GroupConnection, Since: "3.0.0", Complexity: "O(1)", Summary: "Makes clients wait for a time.",
			History: []session.Change{{"6.2.0", "The mode `WRITE`."}},
			Args: []session.Arg{session.IntArg("timeout"), session.Arg{Name: "mode", Type: session.ArgOneOf, Since: "6.2.0", Optional: true,
				Args: []session.Arg{session.TokenWord("write", "WRITE", ""), session.TokenWord("all", "ALL", "")}}}},
		{Name: "reply", Arity: 3, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientReply),
			Group: session.GroupConnection, Since: "3.2.0", Complexity: "O(1)",
			Summary: "Switches replies to the connection's commands on and off.",
			Args: []session.Arg{session.OneOf("action", session.TokenWord("on", "ON", ""), session.TokenWord("off", "OFF", ""),
				session.TokenWord("skip", "SKIP", ""))}},
		{Name: "setinfo", Arity: 4, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientSetInfo),
			Group: session.GroupConnection, Since: "7.2.0", Complexity: "O(1)",
			Summary: "Tells the server which library the client uses.",
			Hints:   []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Args: []session.Arg{session.OneOf("attr", session.TokenArg("libname", session.ArgString, "LIB-NAME", ""),
				session.TokenArg("libver", session.ArgString, "LIB-VER", ""))}},
		{Name: "setname", Arity: 3, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientSetName),
			Group: session.GroupConnection, Since: "2.6.9", Complexity: "O(1)", Summary: "Names the connection.",
			Hints: []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Args:  []session.Arg{session.StringArg("connection-name")}},
		clientTrackingRow,
		clientTrackingInfoRow,
		clientUnblockRow,
		{Name: "unpause", Arity: 2, Flags: clientSub | session.Admin, ACL: session.CatConnection, Handler: connected(clientUnpause),
			Group: session.GroupConnection, Since: "6.2.0", Complexity: "O(N) in the number of clients that wait",
			Summary: "Ends a pause."},
	},
}

var onOff = []session.Arg{session.OneOf("enabled", session.TokenWord("on", "ON", ""), session.TokenWord("off", "OFF", ""))}

const (
	errClientName   = "ERR Client names cannot contain spaces, newlines or special characters."
	errClientID     = "ERR Invalid client ID"
	errKillID       = "ERR client-id should be greater than 0"
	errNoSuchClient = "ERR No such client"
)

// identity is what a client has said about itself. Most clients say nothing, so it is made on demand. A name may contain a
// zero byte, with anything behind it: CLIENT GETNAME returns all of it, lines show it as a C string (Client.shownName).
type identity struct {
	name, libName, libVer string // of the library no more is kept than is shown
	redirects             bool   // CLIENT CAPA REDIRECT
}

// identity returns the client's identity to be changed.
func (c *Client) identity() *identity {
	if c.ident == nil {
		c.ident = new(identity)
	}
	return c.ident
}

// shownName is the client's name as lines for people and programs show it: the part that validAttribute has checked.
func (c *Client) shownName() string {
	if c.ident == nil {
		return ""
	}
	name, _, _ := strings.Cut(c.ident.name, "\x00")
	return name
}

// validAttribute reports whether a text, up to the first zero byte, may stand in a line of CLIENT LIST, where blanks
// separate fields. Redis looks no further and shows no more.
func validAttribute(b []byte) bool {
	b, _, _ = bytes.Cut(b, []byte{0})
	return !slices.ContainsFunc(b, func(x byte) bool { return x < '!' || x > '~' })
}

// setName names the client; an empty name takes the name away.
func (c *Client) setName(name []byte) {
	if len(name) > 0 || c.ident != nil {
		c.identity().name = string(name)
	}
}

func clientSetName(c *Client) {
	if !validAttribute(c.Args[2]) {
		c.Error(errClientName)
		return
	}
	c.setName(c.Args[2])
	c.W.OK()
}

func clientGetName(c *Client) {
	if c.ident == nil || c.ident.name == "" {
		c.W.Null()
		return
	}
	c.W.BulkString(c.ident.name)
}

func clientSetInfo(c *Client) {
	isName := c.Is(2, "lib-name")
	if !isName && !c.Is(2, "lib-ver") {
		c.Error("ERR Unrecognized option '" + session.CString(c.Args[2]) + "'")
		return
	}
	if !validAttribute(c.Args[3]) {
		c.Error("ERR " + session.CString(c.Args[2]) + " cannot contain spaces, newlines or special characters.")
		return
	}
	if id := c.identity(); isName {
		id.libName = session.CString(c.Args[3])
	} else {
		id.libVer = session.CString(c.Args[3])
	}
	c.W.OK()
}

func clientID(c *Client) { c.W.Int(c.id) }

func clientInfo(c *Client) { c.W.Verbatim("txt", c.info()+"\n") }

// byID returns the clients in the order in which they connected.
func (s *Server) byID() []*Client {
	all := slices.Clone(s.order)
	slices.SortFunc(all, func(a, b *Client) int { return int(a.id - b.id) })
	return all
}

// clientTypes are the types of clients by name: the classes of output limits, and the link to a master.
var clientTypes = map[string]int{
	"normal":  config.ClassNormal,
	"slave":   config.ClassReplica,
	"replica": config.ClassReplica,
	"pubsub":  config.ClassPubsub,
	"master":  classMaster,
	"primary": classMaster,
}

const classMaster = 3

// kind is the client's type, as clientTypes has it.
func (c *Client) kind() int {
	if c.master {
		return classMaster
	}
	return c.outputClass()
}

// clientList is CLIENT LIST.
func clientList(c *Client) {
	f := clientFilter{is72: true}
	switch n := len(c.Args); {
	case n == 3:
		c.Error(session.ErrSyntax)
		return
	case !c.clientFilters(2, &f):
		return
	}
	c.W.Verbatim("txt", string(c.srv.clientLines(&f)))
}

// clientLines describes the clients that a filter selects, one a line.
func (s *Server) clientLines(f *clientFilter) []byte {
	var selected []*Client
	if f.onlyIDs() {
		selected = s.named(f.ids)
	} else {
		selected = s.byID()
	}
	var b []byte
	for _, c := range selected {
		if f.matches(c) {
			b = append(c.appendInfo(b), '\n')
		}
	}
	return b
}

// named returns the clients with these ids, in their order, without those that do not exist.
func (s *Server) named(ids []int64) []*Client {
	var clients []*Client
	for _, id := range ids {
		if c := s.clients[id]; c != nil {
			clients = append(clients, c)
		}
	}
	return clients
}

func clientKill(c *Client) {
	f := clientFilter{skip: c}
	old := len(c.Args) == 3
	if old {
		byAddr, _ := valueFilters["ADDR"](c, "ADDR", c.Args[2])
		f.skip = nil
		f.add(byAddr, false)
	} else if !c.clientFilters(2, &f) {
		return
	}
	killed, self := int64(0), false
	for _, o := range c.srv.byID() {
		if o.conn == nil || !f.matches(o) {
			continue
		}
		killed++
		if o == c {
			self = true
		} else {
			c.srv.doom(o)
		}
	}
	switch {
	case !old:
		c.W.Int(killed)
	case killed == 0:
		c.Error(errNoSuchClient)
	default:
		c.W.OK()
	}
	if self {
		c.closeAfterReply()
	}
}

// doom ends a client's session: nothing more is read from it, executed for it or sent to it. The client stays in the
// registry, and in all queues and lists, until reap, because a function further up the stack may be iterating over one of
// them.
func (s *Server) doom(c *Client) {
	if c.doomed || c.orderIndex < 0 {
		return
	}
	c.end()
	s.doomed = append(s.doomed, c)
	s.unsettled = true
	s.loop.RequestFlush() // which settles where no packet does
}

// end closes the client's connection and keeps it from executing anything further.
func (c *Client) end() {
	c.doomed, c.stopped = true, true
	if c.conn != nil {
		c.conn.CloseNow()
	}
}

// reap takes the doomed clients out of the registry and of all queues and lists, but the one whose turn it is. No
// command may be running but EXEC between two of its commands, and nothing that clients are in may be being walked.
func (s *Server) reap() {
	if len(s.doomed) == 0 {
		return
	}
	left := s.doomed[:0]
	for _, c := range s.doomed {
		if c == s.current {
			left = append(left, c)
		} else {
			s.forget(c)
		}
	}
	clear(s.doomed[len(left):])
	s.doomed = left
}

// settle reaps the clients that the last command has doomed, and evicts clients if they hold too much memory now. It is called
// between two commands, and while no command runs.
func (s *Server) settle() {
	if s.unsettled {
		s.unsettled = false
		s.reap()
		s.evictClients()
	}
}

// onOffArg reads the argument of CLIENT NO-EVICT and NO-TOUCH, sets the switch and replies.
func (c *Client) onOffArg(flag *bool) {
	switch {
	case c.Is(2, "on"):
		*flag = true
	case c.Is(2, "off"):
		*flag = false
	default:
		c.Error(session.ErrSyntax)
		return
	}
	c.W.OK()
}

func clientNoEvict(c *Client) {
	c.onOffArg(&c.noEvict)
	c.srv.sortClient(c)
}

func clientNoTouch(c *Client) { c.onOffArg(&c.NoTouch) }

// clientReply is CLIENT REPLY; execute drops what must not be sent, so OFF and SKIP just append nothing.
func clientReply(c *Client) {
	switch {
	case c.Is(2, "on"):
		c.replyOff, c.replySkip = false, 0
		c.W.OK()
	case c.Is(2, "off"):
		c.replyOff = true
	case c.Is(2, "skip"):
		if !c.replyOff {
			c.replySkip = 2
		}
	default:
		c.Error(session.ErrSyntax)
	}
}

const (
	errPauseMode = "ERR CLIENT PAUSE mode must be WRITE or ALL"
)

func clientPause(c *Client) {
	if len(c.Args) > 4 {
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	all := true
	if len(c.Args) == 4 {
		if all = c.Is(3, "all"); !all && !c.Is(3, "write") {
			c.Error(errPauseMode)
			return
		}
	}
	ms, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Error(session.ErrTimeoutNotInt)
	case ms < 0:
		c.Error(session.ErrTimeoutNegative)
	case ms > math.MaxInt64-c.srv.Keyspace.Now:
		c.Error(session.ErrTimeoutRange)
	default:
		c.srv.pauseClients(ms, all)
		c.W.OK()
	}
}

func clientUnpause(c *Client) {
	c.srv.unpauseClients()
	c.W.OK()
}

func clientHelp(c *Client) {
	c.Help(
		"CACHING (YES|NO)",
		"    Have the keys of the next command tracked, or not.",
		"CAPA <option> [options...]",
		"    Tell what the client can do. Options are:",
		"    * REDIRECT: it follows redirections",
		"GETNAME",
		"    Tell the name of this connection.",
		"GETREDIR",
		"    Tell the id of the client that tracking messages are redirected to.",
		"ID",
		"    Tell the id of this connection.",
		"INFO",
		"    Describe this connection.",
		"KILL <ip:port>",
		"    Close the connection that comes from <ip:port>.",
		"KILL <option> <value> [<option> <value> [...]]",
		"    Close the connections that all options select:",
		"    * ADDR (<ip:port>|<unixsocket>:0)",
		"      those that come from the address",
		"    * LADDR (<ip:port>|<unixsocket>:0)",
		"      those that came in at the address",
		"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
		"      those of the type",
		"    * USER <username>",
		"      those of the user",
		"    * ID <client-id> [<client-id> [...]]",
		"      those with the ids",
		"    * SKIPME (YES|NO)",
		"      whether this connection is spared (yes unless told otherwise)",
		"    * MAXAGE <seconds>, IDLE <seconds>",
		"      those that are at least that old, or have been silent for that long",
		"    * NAME <name>, LIB-NAME <name>, LIB-VER <version>, DB <number>, IP <address>",
		"      those of which this holds",
		"    * FLAGS <letters>, CAPA <letters>",
		"      those that have all of the flags, or capabilities",
		"    * NOT-ID, NOT-TYPE, NOT-USER, NOT-ADDR, NOT-LADDR, NOT-NAME, NOT-LIB-NAME, NOT-LIB-VER, NOT-DB,",
		"      NOT-IP, NOT-FLAGS, NOT-CAPA with a value",
		"      those that the option without NOT- does not select",
		"LIST [options ...]",
		"    Describe connections, all of them without options, else those that all options select. They are",
		"    those of KILL; this connection is not spared unless told otherwise.",
		"NO-EVICT (ON|OFF)",
		"    Spare this connection when clients are evicted.",
		"NO-TOUCH (ON|OFF)",
		"    Keep this connection's commands from counting as accesses to keys.",
		"PAUSE <timeout> [WRITE|ALL]",
		"    Make clients that write, or all of them, wait for <timeout> milliseconds.",
		"REPLY (ON|OFF|SKIP)",
		"    Send replies to this connection, send none, or leave out the next one.",
		"SETINFO <option> <value>",
		"    Tell the library behind this connection. Options are:",
		"    * LIB-NAME: its name",
		"    * LIB-VER: its version",
		"SETNAME <name>",
		"    Name this connection.",
		"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
		"         [OPTIN] [OPTOUT] [NOLOOP]",
		"    Have this connection told of keys that it read when they are modified.",
		"TRACKINGINFO",
		"    Tell how this connection's keys are tracked.",
		"UNBLOCK <client-id> [TIMEOUT|ERROR]",
		"    End the waiting of a client that is blocked by a command, as its timeout would or with an error.",
		"UNPAUSE",
		"    End a pause.",
	)
}
