package commands

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/commands/session"
)

// Walks over the whole command table with users who have few rights. The requests are made from the rows' grammar
// (Command.Args), which also says which words are keys and by which spec. The code under test, which finds the keys of a
// request for the ACL check, is not used for that.

// sampler makes requests from a grammar. Without rng they are the shortest ones.
type sampler struct {
	rng     *rand.Rand
	key     func() string
	texts   map[string]string // strings by the name of their argument; all others are s
	words   []string
	keys    []sampledKey
	pending int // keys that numkeys has announced, -1 for none
	specs   []session.KeySpec
}

// sampledKey is a word that is a key.
type sampledKey struct {
	key   string
	flags session.KeyFlags
}

// request returns a request for the command with all its words.
func (g *sampler) request(e *session.Entry) []string {
	g.words, g.keys, g.pending, g.specs = strings.Split(e.Full, "|"), nil, -1, e.Keys
	g.args(e.Args)
	for len(g.words) < max(e.Arity, -e.Arity) {
		g.words = append(g.words, "x")
	}
	return g.words
}

func (g *sampler) chance() bool { return g.rng != nil && g.rng.IntN(2) == 0 }

func (g *sampler) args(args []session.Arg) {
	many := 0 // how often the argument before was repeated
	for i := range args {
		a := &args[i]
		announced := a.Type == session.ArgKey && g.pending >= 0
		if a.Optional && !announced && !g.chance() {
			continue
		}
		n := 1
		switch {
		case a.Name == "ID" && a.Multiple && i > 0 && args[i-1].Type == session.ArgKey && args[i-1].Multiple:
			n = many // STREAMS: as many as keys
		case announced && a.Multiple:
			n = g.pending
		case a.Multiple && g.rng != nil:
			n += g.rng.IntN(3)
		}
		many = n
		for j := range n {
			if a.Token != "" && a.Type != session.ArgPureToken && (j == 0 || a.MultipleToken) {
				g.words = append(g.words, a.Token)
			}
			g.arg(a, i+1 < len(args) && args[i+1].Type == session.ArgKey)
		}
		if announced {
			g.pending = -1
		}
	}
}

func (g *sampler) arg(a *session.Arg, beforeKeys bool) {
	add := func(w string) { g.words = append(g.words, w) }
	switch a.Type {
	case session.ArgKey:
		k := sampledKey{key: g.key()}
		if a.Key < len(g.specs) {
			k.flags = g.specs[a.Key].Flags
		}
		g.keys = append(g.keys, k)
		add(k.key)
	case session.ArgInteger:
		if a.Name == "numkeys" && beforeKeys {
			g.pending = 1
			if g.rng != nil {
				g.pending += g.rng.IntN(3)
			}
			add(strconv.Itoa(g.pending))
			return
		}
		add("1")
	case session.ArgDouble:
		add("1")
	case session.ArgUnixTime:
		add("9999999999")
	case session.ArgPureToken:
		add(a.Token)
	case session.ArgPattern:
		add("p*")
	case session.ArgOneOf:
		i := 0
		if g.rng != nil {
			i = g.rng.IntN(len(a.Args))
		}
		one := a.Args[i]
		one.Optional = false
		g.args([]session.Arg{one})
	case session.ArgBlock:
		g.args(a.Args)
	default:
		add(cmp.Or(g.texts[a.Name], "s"))
	}
}

// reads and writes report which rights the key needs.
func (k *sampledKey) reads() bool { return k.flags&session.KeyAccess != 0 }
func (k *sampledKey) writes() bool {
	return k.flags&(session.KeyInsert|session.KeyUpdate|session.KeyDelete) != 0
}

const (
	noPermKey     = "-NOPERM No permissions to access a key\r\n"
	noPermChannel = "-NOPERM No permissions to access a channel\r\n"
)

func noPermCommand(user string, e *session.Entry) string {
	return fmt.Sprintf("-NOPERM User %s has no permissions to run the '%s' command\r\n", user, e.Full)
}

// newRightsServer has three users beside the default one, and a client of each.
func newRightsServer(t *testing.T) (ts *testServer, clients map[string]*Client) {
	ts = newTestServer(t, "enable-debug-command", "yes", "enable-module-command", "yes")
	clients = make(map[string]*Client)
	for name, rules := range map[string]string{
		"nobody": "on nopass",
		"reader": "on nopass +@all &* %R~a*",
		"writer": "on nopass +@all &* %W~b*",
	} {
		if got := ts.doLine("ACL SETUSER " + name + " " + rules); got != ok {
			t.Fatal(got)
		}
		clients[name] = ts.client()
		if got := ts.doAs(clients[name], "AUTH", name, "x"); got != ok {
			t.Fatal(got)
		}
	}
	for _, line := range []string{"SET a1 a", "SET b1 b", "SADD as x", "SADD bs x"} {
		ts.doLine(line)
	}
	ts.recordFeed()
	return ts, clients
}

// refused sends a request that must get exactly the reply and nothing else: it is not run, changes nothing, is not
// propagated, and counts as rejected.
func refused(t *testing.T, ts *testServer, c *Client, e *session.Entry, words []string, want string) {
	t.Helper()
	dirty, calls, rejected := ts.Dirty, e.Calls, e.Rejected
	if e.Exec { // it ends the transaction, too, and says so
		want = "-EXECABORT Transaction discarded because of: " + want[1:]
	}
	if got := ts.doAs(c, words...); got != want {
		t.Errorf("%s: %q: got %q, want %q", c.userName(), words, got, want)
	}
	if ts.Dirty != dirty || e.Calls != calls || e.Rejected != rejected+1 || ts.propagated() != "" || c.closing {
		t.Errorf("%s: %q had an effect", c.userName(), words)
	}
}

// walk calls f for each command with a handler.
func walk(ts *testServer, f func(e *session.Entry)) {
	for _, e := range ts.Registry.Shown {
		if e.Handler != nil {
			f(e)
		}
	}
}

func TestNobodyMayRunNothing(t *testing.T) {
	ts, clients := newRightsServer(t)
	c := clients["nobody"]
	n := 0
	walk(ts, func(e *session.Entry) {
		g := sampler{key: func() string { return "a1" }}
		words := g.request(e)
		if e.Flags&session.NoAuth != 0 {
			if got := ts.do(append([]string{"ACL", "DRYRUN", "nobody"}, words...)...); got != ok {
				t.Errorf("%s: %q", e.Full, got)
			}
			return
		}
		n++
		refused(t, ts, c, e, words, noPermCommand("nobody", e))
	})
	if n < 200 {
		t.Errorf("%d commands were refused; the table has more", n)
	}
	if got := ts.stats.denied; got[1] != int64(n) || got[2]+got[3]+got[4] != 0 {
		t.Errorf("counted %v, want %d of commands", got, n)
	}
}

// A client that is not authenticated gets NOAUTH for every command.
func TestStrangersMayRunNothing(t *testing.T) {
	for _, settings := range [][]string{{"requirepass", "secret"}, {"user", "default off nopass ~* &* +@all"},
		{"user", "default on >pw ~* &* +@all"}, {"user", "default on >pw +get ~a*"}} {
		ts := newTestServer(t, append(settings, "enable-debug-command", "yes", "enable-module-command", "yes")...)
		ts.recordFeed()
		n := 0
		walk(ts, func(e *session.Entry) {
			if e.Flags&session.NoAuth == 0 {
				g := sampler{key: func() string { return "a1" }}
				refused(t, ts, ts.c, e, g.request(e), noAuth)
				n++
			}
		})
		if n < 200 {
			t.Errorf("%d commands were refused; the table has more", n)
		}
		if ts.stats.denied != [len(ts.stats.denied)]int64{} || len(ts.security.log.entries) > 0 {
			t.Errorf("%q: NOAUTH is logged", settings)
		}
	}
}

func TestReaderAndWriter(t *testing.T) {
	ts, clients := newRightsServer(t)
	allowed := map[string]int{}
	denied := map[string]int{}
	walk(ts, func(e *session.Entry) {
		for _, key := range []string{"a1", "b1"} {
			g := sampler{key: func() string { return key }}
			words := g.request(e)
			if len(g.keys) == 0 || e.VariableSpec() {
				continue
			}
			needsRead := slices.ContainsFunc(g.keys, func(k sampledKey) bool { return k.reads() })
			needsWrite := slices.ContainsFunc(g.keys, func(k sampledKey) bool { return k.writes() })
			for user, may := range map[string]bool{
				"reader": key == "a1" && !needsWrite,
				"writer": key == "b1" && !needsRead,
			} {
				if !may {
					denied[user]++
					refused(t, ts, clients[user], e, words, noPermKey)
					continue
				}
				allowed[user]++
				if got := ts.do(append([]string{"ACL", "DRYRUN", user}, words...)...); got != ok {
					t.Errorf("%s: %q: %q", user, words, got)
				}
			}
		}
	})
	for _, n := range []int{allowed["reader"], allowed["writer"], denied["reader"], denied["writer"]} {
		if n < 40 {
			t.Errorf("too few requests: allowed %v, denied %v", allowed, denied)
		}
	}
	if ts.do("GET", "a1") != "$1\r\na\r\n" || ts.do("GET", "b1") != "$1\r\nb\r\n" {
		t.Error("something was changed")
	}
}

// Requests with all kinds of options and several keys: allowed is what the grammar says, key by key.
func TestEveryKeyIsChecked(t *testing.T) {
	ts, _ := newRightsServer(t)
	rng := rand.New(rand.NewPCG(1, 2))
	walk(ts, func(e *session.Entry) {
		if len(e.Keys) == 0 || e.VariableSpec() {
			return
		}
		for range 60 {
			g := sampler{rng: rng, key: func() string { return []string{"a1", "a2", "b1", "b2"}[rng.IntN(4)] }}
			words := g.request(e)
			if slices.Contains(words, `""`) {
				continue // of MIGRATE: it stands for an empty key, see TestMigrateKeysAndSecrets
			}
			for _, user := range []string{"reader", "writer"} {
				want, bad := "+OK\r\n", ""
				for _, k := range g.keys {
					if user == "reader" && (k.key[0] != 'a' || k.writes()) || user == "writer" && (k.key[0] != 'b' || k.reads()) {
						want, bad = "", k.key
						break
					}
				}
				got := ts.do(append([]string{"ACL", "DRYRUN", user}, words...)...)
				if want != "" && got != want || want == "" && !strings.Contains(got, "has no permissions to access the '") {
					t.Errorf("%s: %q: got %q; not allowed: %q", user, words, got, bad)
				}
			}
		}
	})
}

// Commands whose keys depend on other arguments, and keys that the grammar cannot describe.
func TestKeysOfSpecialCommands(t *testing.T) {
	ts, _ := newRightsServer(t)
	ts.doLine("ACL SETUSER both on nopass +@all %R~a* %W~b* ~c*")
	key := func(k string) string {
		text := fmt.Sprintf("User both has no permissions to access the '%s' key", k)
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	}
	for _, tt := range []struct{ line, denied string }{
		{"SET b v", ""},
		{"SET a v", "a"},
		{"SET b v GET", "b"},
		{"SET b v EX 10 GET", "b"},
		{"SET c v GET", ""},
		{"SET b get", ""},
		{"BITFIELD a GET u8 0", ""},
		{"BITFIELD b GET u8 0", "b"},
		{"BITFIELD a SET u8 0 1", "a"},
		{"BITFIELD b SET u8 0 1", "b"},
		{"BITFIELD c GET u8 0 SET u8 0 1 INCRBY u8 0 1", ""},
		{"BITFIELD a GET u8 0 INCRBY u8 0 1", "a"},
		{"XREAD STREAMS a a2 0 0", ""},
		{"XREAD COUNT 1 STREAMS streams 0", "streams"},
		{"XREAD BLOCK streams COUNT streams STREAMS b 0", "COUNT"}, // the first STREAMS counts for key specs, as in Redis
		{"XREADGROUP GROUP streams streams STREAMS b 0", "b"},
		{"XREADGROUP GROUP streams streams BLOCK 1 STREAMS a >", ""},
		{"SORT a", ""},
		{"SORT b", "b"},
		{"SORT a STORE b", ""},
		{"SORT a STORE a", "a"},
		{"SORT a STORE b STORE a2", "a2"},
		{"SORT a STORE x STORE b", ""}, // the last counts
		{"SORT a BY x* GET STORE STORE a3", "a3"},
		{"SORT a LIMIT STORE a4 STORE a5", "a5"},
		{"SORT a STORE by STORE a3", "a3"}, // what follows STORE is no option
		{"SORT a STORE limit STORE a3", "a3"},
		{"SORT a STORE b limit 1", ""},
		{"SORT_RO a GET x*", ""},
		{"GEORADIUS a 1 1 1 m", ""},
		{"GEORADIUS b 1 1 1 m", "b"},
		{"GEORADIUS a 1 1 1 m STORE b", ""},
		{"GEORADIUS a 1 1 1 m store a2", "a2"},
		{"GEORADIUS a 1 1 1 m STORE b STORE a2", "a2"},
		{"GEORADIUS a 1 1 1 m STOREDIST b STORE a2", "a2"},
		{"GEORADIUS a 1 1 1 m STORE b STOREDIST a2", "a2"},
		{"GEORADIUS a 1 1 1 m STORE\x00x a2", "a2"},
		{"GEORADIUS a 1 1 1 m COUNT 1 STORE a2", "a2"},
		{"GEORADIUSBYMEMBER a x 1 m STORE b STOREDIST a2", "a2"},
		{"COPY a b", ""},
		{"COPY b a", "b"},
		{"COPY a a2", "a2"},
		{"RENAME c b", ""},
		{"RENAME b c", "b"},
		{"LMPOP 2 c a LEFT", "a"},
		{"ZUNIONSTORE b 2 a c", ""},
		{"ZUNIONSTORE b 2 a b", "b"},
		{"BITOP AND b a c", ""},
		{"BITOP AND a a c", "a"},
		{"MSET b 1 c 2 a 3", "a"},
		{"EXISTS a b c d", "d"},
		{"WATCH a b", ""},
		{"WATCH d", "d"},
		{"OBJECT ENCODING b", ""},
		{"OBJECT ENCODING d", "d"},
		{"MEMORY USAGE d", "d"},
		{"PFMERGE d", "d"},
		{"PFMERGE c", ""},
		{"ZUNIONSTORE d 2 a", "d"},
		{"KEYS *", ""},
	} {
		want := ok
		if tt.denied != "" {
			want = key(tt.denied)
		}
		if got := ts.do(append([]string{"ACL", "DRYRUN", "both"}, strings.Split(tt.line, " ")...)...); got != want {
			t.Errorf("%q: got %q, want %q", tt.line, got, want)
		}
	}
}

// In MULTI a request that is not allowed is refused like any other, and EXEC fails.
func TestRightsInMulti(t *testing.T) {
	ts, clients := newRightsServer(t)
	c := clients["reader"]
	walk(ts, func(e *session.Entry) {
		g := sampler{key: func() string { return "b1" }}
		words := g.request(e)
		if len(g.keys) == 0 || e.Flags&session.NoMulti != 0 {
			return
		}
		ts.doAs(c, "MULTI")
		ts.doAs(c, "GET", "a1")
		refused(t, ts, c, e, words, noPermKey)
		if got := ts.doAs(c, "EXEC"); got != "-"+errExecAbort+"\r\n" {
			t.Errorf("%q: EXEC answers %q", words, got)
		}
	})
	if context := ts.security.log.entries[0].context; context != contextMulti {
		t.Errorf("logged as %s", context)
	}
}

// Rights that were taken between queueing and EXEC are gone.
func TestRightsAtExec(t *testing.T) {
	for _, tt := range []struct{ request, rules, reason string }{
		{"SET a1 x", "-set", "no permission to execute the command or subcommand"},
		{"CONFIG SET hz 10", "-config|set", "no permission to execute the command or subcommand"},
		{"SET a1 x", "resetkeys ~b*", "no permission to touch the specified keys"},
		{"COPY a1 a2", "resetkeys %R~a*", "no permission to touch the specified keys"},
		{"PUBLISH ch x", "resetchannels &d*", "no permission to access one of the channels used as arguments"},
	} {
		ts, _ := newRightsServer(t)
		ts.doLine("ACL SETUSER u on nopass ~* &* +@all")
		c := ts.client()
		ts.doAs(c, "AUTH", "u", "x")
		ts.doAs(c, "MULTI")
		ts.doAs(c, "PING")
		if got := ts.doAs(c, strings.Fields(tt.request)...); got != "+QUEUED\r\n" {
			t.Errorf("%s: %q", tt.request, got)
		}
		ts.doLine("ACL SETUSER u " + tt.rules)
		ts.propagated()
		dirty := ts.Dirty
		want := "*2\r\n+PONG\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
			"This command is no longer allowed for the following reason: " + tt.reason + "\r\n"
		if got := ts.doAs(c, "EXEC"); got != want {
			t.Errorf("%s: got %q, want %q", tt.request, got, want)
		}
		if ts.Dirty != dirty || ts.propagated() != "" || ts.do("GET", "a1") != "$1\r\na\r\n" {
			t.Errorf("%s had an effect", tt.request)
		}
	}
}

// A user who deletes itself in a transaction is nobody for the rest of it.
func TestDeletedInExec(t *testing.T) {
	ts := newTestServer(t, "requirepass", "secret")
	ts.doLine("AUTH secret")
	ts.doLine("ACL SETUSER u on nopass ~* &* +@all")
	c := ts.client()
	ts.doAs(c, "AUTH", "u", "x")
	for _, line := range []string{"MULTI", "ACL DELUSER u", "SET k v"} {
		ts.doAs(c, strings.Fields(line)...)
	}
	if got, want := ts.doAs(c, "EXEC"), "*2\r\n:1\r\n"+noAuth; got != want || !c.closing {
		t.Errorf("got %q, want %q; closing: %v", got, want, c.closing)
	}
	if got := ts.do("EXISTS", "k"); got != ":0\r\n" {
		t.Error("the rest was executed")
	}
}

// The walks reach every row that has a handler, subcommands included.
func TestWalkIsComplete(t *testing.T) {
	walked := map[string]bool{}
	walk(newTestServer(t), func(e *session.Entry) { walked[e.Full] = true })
	for _, table := range tables {
		for _, row := range table {
			if row.Handler != nil && !walked[row.Name] {
				t.Errorf("%s is left out", row.Name)
			}
			for _, sub := range row.Subs {
				if sub.Handler != nil && !walked[row.Name+"|"+sub.Name] {
					t.Errorf("%s|%s is left out", row.Name, sub.Name)
				}
			}
		}
	}
}
