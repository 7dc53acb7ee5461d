package commands

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"ferrous/commands/config"
	"ferrous/eventloop/resp"
)

// CLIENT and its subcommands; what they show of a client is made in clientinfo.go, pausing is in pause.go.

// clientSub is what all subcommands of CLIENT but HELP have in common.
const clientSub = NoScript | Loading | Stale

var clientCommand = Command{
	Name: "client", Arity: -2, Group: GroupConnection, Since: "2.4.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about connections.",
	Subs: []Command{
		clientCachingRow,
		{Name: "capa", Arity: -3, Flags: clientSub, ACL: CatConnection, Handler: clientCapa,
			Group: GroupConnection, Since: "8.0.0", Complexity: "O(1)", Summary: "Tells what the client can do.",
			Args: []Arg{aString("capability").multiple()}},
		{Name: "getname", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientGetName,
			Group: GroupConnection, Since: "2.6.9", Complexity: "O(1)", Summary: "Tells the connection's name."},
		{Name: "getredir", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientGetRedir,
			Group: GroupConnection, Since: "6.0.0", Complexity: "O(1)",
			Summary: "Tells the id of the client that gets this one's tracking messages."},
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatConnection, Handler: clientHelp,
			Group: GroupConnection, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "id", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientID,
			Group: GroupConnection, Since: "5.0.0", Complexity: "O(1)", Summary: "Tells the connection's number."},
		{Name: "info", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientInfo,
			Group: GroupConnection, Since: "6.2.0", Complexity: "O(1)", Summary: "Describes the connection.",
			Hints: []string{"nondeterministic_output"}},
		{Name: "kill", Arity: -3, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientKill,
			Group: GroupConnection, Since: "2.4.0", Complexity: "O(N) in the number of connections",
			Summary: "Closes connections.",
			History: []Change{
				{"2.8.12", "Filters instead of one address."},
				{"2.8.12", "The filter `ID`."},
				{"3.2.0", "The type `master`."},
				{"5.0.0", "The type `replica`, the new name of `slave`."},
				{"6.2.0", "The filter `LADDR`."},
				{"7.4.0", "The filter `MAXAGE`."},
				{"8.1.0", "Several ids for the filter `ID`."},
				{"9.0.0", "The filters from `NAME` on."}},
			Args: []Arg{aChoice("filter",
				Arg{Name: "old-format", Display: "ip:port", Type: ArgString, Deprecated: "2.8.12"},
				aChoice("new-format", append([]Arg{
					aTokenArg("client-id", ArgInteger, "ID", "2.8.12").optional().multiple(),
					Arg{Name: "client-type", Type: ArgOneOf, Token: "TYPE", Since: "2.8.12", Optional: true, Args: []Arg{
						aToken("normal", "NORMAL", ""), aToken("master", "MASTER", "3.2.0"), aToken("primary", "PRIMARY", "8.0.0"),
						aToken("slave", "SLAVE", ""), aToken("replica", "REPLICA", "5.0.0"), aToken("pubsub", "PUBSUB", "")}},
					aTokenArg("username", ArgString, "USER", "").optional(),
					Arg{Name: "addr", Display: "ip:port", Type: ArgString, Token: "ADDR", Optional: true},
					Arg{Name: "laddr", Display: "ip:port", Type: ArgString, Token: "LADDR", Since: "6.2.0", Optional: true},
					Arg{Name: "skipme", Type: ArgOneOf, Token: "SKIPME", Optional: true,
						Args: []Arg{aToken("yes", "YES", ""), aToken("no", "NO", "")}},
					aTokenArg("maxage", ArgInteger, "MAXAGE", "7.4.0").optional()}, filterArgs()...)...).multiple())}},
		{Name: "list", Arity: -2, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientList,
			Group: GroupConnection, Since: "2.4.0", Complexity: "O(N) in the number of connections",
			Summary: "Describes connections.", Hints: []string{"nondeterministic_output"},
			History: []Change{
				{"2.8.12", "The field `id`."},
				{"5.0.0", "The filter `TYPE`."},
				{"6.0.0", "The field `user`."},
				{"6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and the filter `ID`."},
				{"7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."},
				{"7.0.3", "The field `ssub`."},
				{"8.1.0", "The filters `USER`, `ADDR`, `LADDR`, `SKIPME` and `MAXAGE`."},
				{"9.0.0", "The filters from `NAME` on."}},
			Args: append([]Arg{
				{Name: "client-type", Type: ArgOneOf, Token: "TYPE", Since: "5.0.0", Optional: true, Args: []Arg{
					aToken("normal", "NORMAL", ""), aToken("master", "MASTER", ""), aToken("replica", "REPLICA", ""),
					aToken("pubsub", "PUBSUB", "")}},
				aTokenArg("client-id", ArgInteger, "ID", "6.2.0").optional().multiple(),
				aTokenArg("username", ArgString, "USER", "8.1.0").optional(),
				{Name: "addr", Display: "ip:port", Type: ArgString, Token: "ADDR", Since: "8.1.0", Optional: true},
				{Name: "laddr", Display: "ip:port", Type: ArgString, Token: "LADDR", Since: "8.1.0", Optional: true},
				{Name: "skipme", Type: ArgOneOf, Token: "SKIPME", Since: "8.1.0", Optional: true,
					Args: []Arg{aToken("yes", "YES", ""), aToken("no", "NO", "")}},
				aTokenArg("maxage", ArgInteger, "MAXAGE", "8.1.0").optional()}, filterArgs()...)},
		{Name: "no-evict", Arity: 3, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientNoEvict,
			Group: GroupConnection, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Spares the connection when clients are evicted.", Args: onOff},
		{Name: "no-touch", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientNoTouch,
			Group: GroupConnection, Since: "7.2.0", Complexity: "O(1)",
			Summary: "Keeps the connection's commands from counting as accesses to keys.", Args: onOff},
		{Name: "pause", Arity: -3, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientPause,
			Group: GroupConnection, Since: "3.0.0", Complexity: "O(1)", Summary: "Makes clients wait for a time.",
			History: []Change{{"6.2.0", "The mode `WRITE`."}},
			Args: []Arg{anInt("timeout"), Arg{Name: "mode", Type: ArgOneOf, Since: "6.2.0", Optional: true,
				Args: []Arg{aToken("write", "WRITE", ""), aToken("all", "ALL", "")}}}},
		{Name: "reply", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientReply,
			Group: GroupConnection, Since: "3.2.0", Complexity: "O(1)",
			Summary: "Switches replies to the connection's commands on and off.",
			Args: []Arg{aChoice("action", aToken("on", "ON", ""), aToken("off", "OFF", ""),
				aToken("skip", "SKIP", ""))}},
		{Name: "setinfo", Arity: 4, Flags: clientSub, ACL: CatConnection, Handler: clientSetInfo,
			Group: GroupConnection, Since: "7.2.0", Complexity: "O(1)",
			Summary: "Tells the server which library the client uses.",
			Hints:   []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Args: []Arg{aChoice("attr", aTokenArg("libname", ArgString, "LIB-NAME", ""),
				aTokenArg("libver", ArgString, "LIB-VER", ""))}},
		{Name: "setname", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientSetName,
			Group: GroupConnection, Since: "2.6.9", Complexity: "O(1)", Summary: "Names the connection.",
			Hints: []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Args:  []Arg{aString("connection-name")}},
		clientTrackingRow,
		clientTrackingInfoRow,
		clientUnblockRow,
		{Name: "unpause", Arity: 2, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientUnpause,
			Group: GroupConnection, Since: "6.2.0", Complexity: "O(N) in the number of clients that wait",
			Summary: "Ends a pause."},
	},
}

var onOff = []Arg{aChoice("enabled", aToken("on", "ON", ""), aToken("off", "OFF", ""))}

const (
	errClientName   = "ERR Client names cannot contain spaces, newlines or special characters."
	errClientID     = "ERR Invalid client ID"
	errKillID       = "ERR client-id should be greater than 0"
	errNoSuchClient = "ERR No such client"
)

// identity is what a client tells of itself. Most tell nothing, so it is made on demand. A name may have a zero byte, with
// anything behind it: CLIENT GETNAME returns it whole, all lines show it as a C string (Client.shownName).
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
	if !validAttribute(c.args[2]) {
		c.error(errClientName)
		return
	}
	c.setName(c.args[2])
	c.w.OK()
}

func clientGetName(c *Client) {
	if c.ident == nil || c.ident.name == "" {
		c.w.Null()
		return
	}
	c.w.BulkString(c.ident.name)
}

func clientSetInfo(c *Client) {
	isName := c.is(2, "lib-name")
	if !isName && !c.is(2, "lib-ver") {
		c.error("ERR Unrecognized option '" + cString(c.args[2]) + "'")
		return
	}
	if !validAttribute(c.args[3]) {
		c.error("ERR " + cString(c.args[2]) + " cannot contain spaces, newlines or special characters.")
		return
	}
	if id := c.identity(); isName {
		id.libName = cString(c.args[3])
	} else {
		id.libVer = cString(c.args[3])
	}
	c.w.OK()
}

func clientID(c *Client) { c.w.Int(c.id) }

func clientInfo(c *Client) { c.w.Verbatim("txt", c.info()+"\n") }

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

// clientList is CLIENT LIST.
func clientList(c *Client) {
	f := clientFilter{is72: true}
	switch n := len(c.args); {
	case n == 3:
		c.error(errSyntax)
		return
	case !c.clientFilters(2, &f):
		return
	}
	c.w.Verbatim("txt", string(c.srv.clientLines(&f)))
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
	old := len(c.args) == 3
	if old {
		byAddr, _ := valueFilters["ADDR"](c, "ADDR", c.args[2])
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
		c.w.Int(killed)
	case killed == 0:
		c.error(errNoSuchClient)
	default:
		c.w.OK()
	}
	if self {
		c.closeAfterReply()
	}
}

// doom ends a client's session: nothing more is read from it, executed for it or sent to it. The client stays in the
// registry, and in all queues and lists, until reap, since the caller may be walking one of them, or be called by
// somebody who is.
func (s *Server) doom(c *Client) {
	if c.doomed || c.at < 0 {
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

// settle closes what the last command has doomed, and evicts clients if it made them hold too much. It is called
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
	case c.is(2, "on"):
		*flag = true
	case c.is(2, "off"):
		*flag = false
	default:
		c.error(errSyntax)
		return
	}
	c.w.OK()
}

func clientNoEvict(c *Client) {
	c.onOffArg(&c.noEvict)
	c.srv.sortClient(c)
}

func clientNoTouch(c *Client) { c.onOffArg(&c.noTouch) }

// clientReply is CLIENT REPLY; execute drops what must not be sent, so OFF and SKIP just append nothing.
func clientReply(c *Client) {
	switch {
	case c.is(2, "on"):
		c.replyOff, c.replySkip = false, 0
		c.w.OK()
	case c.is(2, "off"):
		c.replyOff = true
	case c.is(2, "skip"):
		if !c.replyOff {
			c.replySkip = 2
		}
	default:
		c.error(errSyntax)
	}
}

const (
	errTimeoutNotInt   = "ERR timeout is not an integer or out of range"
	errTimeoutNegative = "ERR timeout is negative"
	errTimeoutRange    = "ERR timeout is out of range"
	errPauseMode       = "ERR CLIENT PAUSE mode must be WRITE or ALL"
)

func clientPause(c *Client) {
	if len(c.args) > 4 {
		c.error(errUnknownSubOrArity(c.args))
		return
	}
	all := true
	if len(c.args) == 4 {
		if all = c.is(3, "all"); !all && !c.is(3, "write") {
			c.error(errPauseMode)
			return
		}
	}
	ms, ok := resp.ParseInt(c.args[2])
	switch {
	case !ok:
		c.error(errTimeoutNotInt)
	case ms < 0:
		c.error(errTimeoutNegative)
	case ms > math.MaxInt64-c.srv.ks.Now:
		c.error(errTimeoutRange)
	default:
		c.srv.pauseClients(ms, all)
		c.w.OK()
	}
}

func clientUnpause(c *Client) {
	c.srv.unpauseClients()
	c.w.OK()
}

// errUnknownSubOrArity is Redis's text where a container's own parser does not understand its arguments.
func errUnknownSubOrArity(args [][]byte) string {
	name := cString(args[0])
	return "ERR unknown subcommand or wrong number of arguments for '" + quoted([]byte(cString(args[1])), 128) + "'. Try " +
		strings.ToUpper(name) + " HELP."
}

func clientHelp(c *Client) {
	c.help(
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
