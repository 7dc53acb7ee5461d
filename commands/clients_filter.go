package commands

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"

	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// The filters of CLIENT LIST and CLIENT KILL: those of Redis 7.2, and those that Valkey added up to version 9. A client is
// selected if it passes all of them. Most have a negation, NOT- and the filter's word.

// clientFilter selects clients; the zero value selects all.
type clientFilter struct {
	passes []func(o *Client) bool
	ids    []int64 // of ID, in the order in which they came
	hasID  bool
	skip   *Client
	is72   bool // CLIENT LIST of Redis 7.2 has its own words about a wrong id
}

func (f *clientFilter) matches(o *Client) bool {
	return o != f.skip && !slices.ContainsFunc(f.passes, func(pass func(*Client) bool) bool { return !pass(o) })
}

// onlyIDs reports whether nothing but ID was given: CLIENT LIST then keeps the order of the ids.
func (f *clientFilter) onlyIDs() bool { return f.hasID && len(f.passes) == 1 && f.skip == nil }

// A valueFilter makes the filter of one value, or returns the error. word is the filter's, in upper case, with NOT- if it
// is negated.
type valueFilter func(c *Client, word string, value []byte) (pass func(o *Client) bool, errText string)

// valueFilters are the filters with one value that have a negation.
var valueFilters = map[string]valueFilter{
	"TYPE": func(c *Client, _ string, value []byte) (func(*Client) bool, string) {
		class, ok := clientTypes[strings.ToLower(session.CString(value))]
		if !ok {
			return nil, "ERR Unknown client type '" + session.CString(value) + "'"
		}
		return func(o *Client) bool { return o.kind() == class }, ""
	},
	"USER": func(c *Client, _ string, value []byte) (func(*Client) bool, string) {
		user := c.srv.security.users.Get(value)
		if user == nil {
			return nil, "ERR No such user '" + session.CString(value) + "'"
		}
		return func(o *Client) bool { return o.user == user }, ""
	},
	"ADDR":     textFilter(func(o *Client) string { return o.conn.RemoteAddr() }),
	"LADDR":    textFilter(func(o *Client) string { return o.conn.LocalAddr() }),
	"IP":       textFilter(remoteIP),
	"NAME":     textFilter(func(o *Client) string { return o.declared().name }),
	"LIB-NAME": textFilter(func(o *Client) string { return o.declared().libName }),
	"LIB-VER":  textFilter(func(o *Client) string { return o.declared().libVer }),
	"FLAGS": func(_ *Client, word string, value []byte) (func(*Client) bool, string) {
		if bytes.ContainsFunc(value, func(r rune) bool { return !strings.ContainsRune("OSMPxbtRBdcuAUreTIN", r) }) {
			return nil, unknownLetters("flags", word, value)
		}
		return func(o *Client) bool {
			var buf [24]byte
			return containsAll(o.appendFlags(buf[:0]), value)
		}, ""
	},
	"CAPA": func(_ *Client, word string, value []byte) (func(*Client) bool, string) {
		if bytes.ContainsFunc(value, func(r rune) bool { return r != 'r' }) {
			return nil, unknownLetters("capa", word, value)
		}
		return func(o *Client) bool { return o.declared().redirects || len(value) == 0 }, ""
	},
	"DB": func(c *Client, word string, value []byte) (func(*Client) bool, string) {
		n, ok := resp.ParseInt(value)
		last := int64(len(c.srv.Keyspace.DBs()) - 1)
		switch {
		case !ok:
			return nil, "ERR " + word + " is not an integer or out of range"
		case n < 0 || n > last:
			return nil, fmt.Sprintf("ERR %s number should be between 0 and %d", word, last)
		}
		return func(o *Client) bool { return int64(o.DB.ID) == n }, ""
	},
}

// declared returns what the client has said about itself.
func (c *Client) declared() identity {
	if c.ident == nil {
		return identity{}
	}
	return *c.ident
}

// remoteIP is the address that the client comes from, without the port; "" if it does not come over a network.
func remoteIP(o *Client) string {
	if o.conn.IsUnix() {
		return ""
	}
	host, _, err := net.SplitHostPort(o.conn.RemoteAddr())
	if err != nil {
		return ""
	}
	return host
}

// textFilter makes the filter that compares a text of a connected client. A client that has no such text is not selected.
func textFilter(of func(o *Client) string) valueFilter {
	return func(_ *Client, _ string, value []byte) (func(*Client) bool, string) {
		return func(o *Client) bool {
			if o.conn == nil {
				return false
			}
			text := of(o)
			return text != "" && text == string(value)
		}, ""
	}
}

func unknownLetters(what, word string, value []byte) string {
	where := "provided"
	if strings.HasPrefix(word, "NOT-") {
		where = word
	}
	return "ERR Unknown " + what + " found in the " + where + " filter: " + session.CString(value)
}

func containsAll(in, letters []byte) bool {
	for _, x := range letters {
		if bytes.IndexByte(in, x) < 0 {
			return false
		}
	}
	return true
}

// clientFilters reads the filters that begin at argument i; if something is wrong with them it has replied.
func (c *Client) clientFilters(i int, f *clientFilter) bool {
	afterIDs := false
	for i < len(c.Args) {
		word := strings.ToUpper(session.CString(c.Args[i]))
		plain := strings.TrimPrefix(word, "NOT-")
		if plain == "ID" {
			n, ok := c.idFilter(i+1, plain != word, f)
			if !ok {
				return false
			}
			i, afterIDs = i+1+n, true
			continue
		}
		filter := valueFilters[plain]
		switch {
		case filter == nil && word != "SKIPME" && word != "MAXAGE" && word != "IDLE":
			if afterIDs && f.is72 {
				c.Error(errClientID) // it is taken for one more
			} else {
				c.Error(session.ErrSyntax)
			}
			return false
		case i+1 == len(c.Args):
			c.Error(session.ErrSyntax)
			return false
		case word == "SKIPME":
			switch {
			case c.Is(i+1, "yes"):
				f.skip = c
			case c.Is(i+1, "no"):
				f.skip = nil
			default:
				c.Error(session.ErrSyntax)
				return false
			}
		default:
			if filter == nil {
				filter = ageFilter
			}
			pass, errText := filter(c, word, c.Args[i+1])
			if errText != "" {
				c.Error(errText)
				return false
			}
			f.add(pass, plain != word)
		}
		i, afterIDs = i+2, false
	}
	return true
}

// add adds a filter, or its negation.
func (f *clientFilter) add(pass func(o *Client) bool, not bool) {
	if not {
		f.passes = append(f.passes, func(o *Client) bool { return !pass(o) })
	} else {
		f.passes = append(f.passes, pass)
	}
}

// idFilter reads ids from argument i on, up to the first argument that is none, and returns their number.
func (c *Client) idFilter(i int, not bool, f *clientFilter) (n int, ok bool) {
	var ids []int64
	for ; i+n < len(c.Args); n++ {
		id, ok := resp.ParseInt(c.Args[i+n])
		if !ok {
			break
		}
		if id < 1 && !f.is72 {
			c.Error(errKillID)
			return 0, false
		}
		ids = append(ids, id)
	}
	if n == 0 {
		switch {
		case i == len(c.Args):
			c.Error(session.ErrSyntax)
		case f.is72:
			c.Error(errClientID)
		default:
			c.Error(errKillID)
		}
		return 0, false
	}
	if !not {
		f.ids, f.hasID = ids, true
	}
	f.add(func(o *Client) bool { return slices.Contains(ids, o.id) }, not)
	return n, true
}

// ageFilter is MAXAGE and IDLE: the clients that are connected, or have been silent, for so many seconds at least.
func ageFilter(c *Client, word string, value []byte) (func(o *Client) bool, string) {
	name := strings.ToLower(word)
	age, ok := resp.ParseInt(value)
	switch {
	case !ok:
		return nil, "ERR " + name + " is not an integer or out of range"
	case age < 1:
		return nil, "ERR " + name + " should be greater than 0"
	}
	now := c.srv.Keyspace.Now / 1000
	return func(o *Client) bool {
		since := o.created
		if word == "IDLE" {
			since = o.lastActive
		}
		return now-since/1000 >= age
	}, ""
}

// clientCapa is CLIENT CAPA: what the client can do. What the server does not know is no error.
func clientCapa(c *Client) {
	for i := range c.Args[2:] {
		if c.Is(2+i, "redirect") {
			c.identity().redirects = true
		}
	}
	c.W.OK()
}

// filterArgs is the grammar of the filters that only Valkey has, but for USER to MAXAGE of CLIENT LIST.
func filterArgs() []session.Arg {
	args := []session.Arg{session.TokenArg("name", session.ArgString, "NAME", "9.0.0"), session.TokenArg("idle", session.ArgInteger, "IDLE", "9.0.0"),
		session.TokenArg("flags", session.ArgString, "FLAGS", "9.0.0"), session.TokenArg("lib-name", session.ArgString, "LIB-NAME", "9.0.0"),
		session.TokenArg("lib-ver", session.ArgString, "LIB-VER", "9.0.0"), session.TokenArg("db", session.ArgInteger, "DB", "9.0.0"),
		session.TokenArg("capa", session.ArgString, "CAPA", "9.0.0"), session.TokenArg("ip", session.ArgString, "IP", "9.0.0"),
		{Name: "not-client-type", Type: session.ArgOneOf, Token: "NOT-TYPE", Since: "9.0.0", Args: []session.Arg{
			session.TokenWord("normal", "NORMAL", ""), session.TokenWord("master", "MASTER", ""), session.TokenWord("primary", "PRIMARY", ""),
			session.TokenWord("slave", "SLAVE", ""), session.TokenWord("replica", "REPLICA", ""), session.TokenWord("pubsub", "PUBSUB", "")}},
		session.TokenArg("not-client-id", session.ArgInteger, "NOT-ID", "9.0.0").Many()}
	for _, word := range []string{"USER", "ADDR", "LADDR", "NAME", "FLAGS", "LIB-NAME", "LIB-VER", "DB", "CAPA", "IP"} {
		kind := session.ArgString
		if word == "DB" {
			kind = session.ArgInteger
		}
		args = append(args, session.TokenArg("not-"+strings.ToLower(word), kind, "NOT-"+word, "9.0.0"))
	}
	for i := range args {
		args[i].Optional = true
	}
	return args
}
