package strings

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The commands that store or delete a whole string: SET and its older relatives, and GETEX, whose options are those of SET.
//
// SET with key and value only never runs the code for options. With options the checks are in Redis's order, which decides
// the error if several fail: syntax, then the deadline, then (GET) the type of the old value, then the condition.
//
// # IFEQ
//
// SET … IFEQ comparison-value is Valkey 8.1's compare-and-set: the value is stored only if the key holds a string equal
// to comparison-value; otherwise, and if there is no key, the reply is null. A key of another type is a WRONGTYPE error.
// It excludes NX and XX and may be given once. With GET the reply is the old value (null if there was none) in both cases;
// the client must compare it to see whether the new value was stored. The propagated command has no IFEQ, so that Redis,
// which does not have it, can be a replica and load the files.

// Words of rewritten commands. They are never written to.
var (
	wordSet     = []byte("SET")
	wordKeepTTL = []byte("KEEPTTL")
	wordPersist = []byte("PERSIST")
)

// setOption is a set of options of SET and GETEX.
type setOption uint16

const (
	optNX setOption = 1 << iota
	optXX
	optIfEq
	optGet
	optKeepTTL
	optPersist
	optEX
	optPX
	optEXAt
	optPXAt

	optTimes  = optEX | optPX | optEXAt | optPXAt
	optExpiry = optTimes | optKeepTTL | optPersist // at most one of these
)

// setOptions are parsed options.
type setOptions struct {
	given  setOption
	time   []byte // the argument of EX, PX, EXAT or PXAT
	equals []byte // the argument of IFEQ
}

// parseSetOptions reads the options from argument i on: those of SET, or of GETEX. An option may be repeated (the last one
// counts), except IFEQ. On failure it has replied.
func parseSetOptions(c *session.Client, i int, getex bool) (o setOptions, ok bool) {
	for ; i < len(c.Args); i++ {
		var opt, excludes setOption
		value := false
		switch w := c.Args[i]; {
		case session.EqualFold(w, "ex"):
			opt, excludes, value = optEX, optExpiry&^optEX, true
		case session.EqualFold(w, "px"):
			opt, excludes, value = optPX, optExpiry&^optPX, true
		case session.EqualFold(w, "exat"):
			opt, excludes, value = optEXAt, optExpiry&^optEXAt, true
		case session.EqualFold(w, "pxat"):
			opt, excludes, value = optPXAt, optExpiry&^optPXAt, true
		case getex && session.EqualFold(w, "persist"):
			opt, excludes = optPersist, optTimes
		case getex:
		case session.EqualFold(w, "nx"):
			opt, excludes = optNX, optXX|optIfEq
		case session.EqualFold(w, "xx"):
			opt, excludes = optXX, optNX|optIfEq
		case session.EqualFold(w, "get"):
			opt = optGet
		case session.EqualFold(w, "keepttl"):
			opt, excludes = optKeepTTL, optTimes
		case session.EqualFold(w, "ifeq"):
			opt, excludes, value = optIfEq, optNX|optXX|optIfEq, true
		}
		if opt == 0 || o.given&excludes != 0 || value && i == len(c.Args)-1 {
			c.Error(session.ErrSyntax)
			return o, false
		}
		o.given |= opt
		if value {
			i++
			if opt == optIfEq {
				o.equals = c.Args[i]
			} else {
				o.time = c.Args[i]
			}
		}
	}
	return o, true
}

// deadline turns the argument of EX, PX, EXAT or PXAT into Unix milliseconds. On failure it has replied.
func deadline(c *session.Client, arg []byte, opt setOption) (int64, bool) {
	n, ok := resp.ParseInt(arg)
	if !ok {
		c.Error(session.ErrNotInteger)
		return 0, false
	}
	seconds := opt&(optEX|optEXAt) != 0
	if n > 0 && seconds {
		if n > (1<<63-1)/1000 {
			n = 0
		}
		n *= 1000
	}
	if n > 0 && opt&(optEX|optPX) != 0 {
		n += c.Core.Keyspace.Now // negative when it overflows
	}
	if n <= 0 {
		c.Error(session.ErrInvalidExpire(c.Cmd.Full))
		return 0, false
	}
	return n, true
}

func set(c *session.Client) {
	if len(c.Args) > 3 {
		setWithOptions(c)
		return
	}
	key := c.Args[1]
	c.SetString(key, c.Args[2], record.NoExpiry)
	c.Changed(key, 1, config.NotifyString, "set")
	c.W.OK()
}

func setWithOptions(c *session.Client) {
	o, ok := parseSetOptions(c, 3, false)
	if !ok {
		return
	}
	key, value := c.Args[1], c.Args[2]
	expiry := record.NoExpiry
	if o.given&optTimes != 0 {
		if expiry, ok = deadline(c, o.time, o.given); !ok {
			return
		}
	} else if o.given&optKeepTTL != 0 {
		expiry = keyspace.KeepTTL
	}
	if o.given&optGet != 0 && !replyOld(c, key) {
		return
	}
	if o.given&(optNX|optXX|optIfEq) != 0 {
		r := c.Write(key)
		var refused bool
		switch {
		case o.given&optNX != 0:
			refused = r != nil
		case o.given&optXX != 0:
			refused = r == nil
		default:
			if !c.Typed(r, record.String) {
				return
			}
			var buf session.IntText
			refused = r == nil || string(r.String(buf[:])) != string(o.equals)
		}
		if refused {
			if o.given&optGet == 0 {
				c.W.Null()
			}
			return
		}
	}
	c.SetString(key, value, expiry)
	c.Changed(key, 1, config.NotifyString, "set")
	if o.given&optTimes != 0 {
		c.Notify(config.NotifyGeneric, "expire", key)
	}
	if o.given&optGet == 0 {
		c.W.OK()
	}
	if c.Propagates() {
		rewriteSet(c, &o, expiry)
	}
}

// replyOld replies with the string at key, null if there is none. If the value is not a string it replies with the error and
// returns false.
func replyOld(c *session.Client, key []byte) bool {
	r := c.Read(key)
	if r == nil {
		c.W.Null()
		return true
	}
	if !c.Typed(r, record.String) {
		return false
	}
	bulkString(c, r)
	return true
}

// rewriteSet propagates a SET that was executed: relative times become absolute, GET and IFEQ are left out.
func rewriteSet(c *session.Client, o *setOptions, expiry int64) {
	key, value := c.Args[1], c.Args[2]
	switch {
	case o.given&optTimes != 0:
		if o.given&optPXAt == 0 || o.given&optIfEq != 0 {
			c.Rewrite(wordSet, key, value, session.WordPXAt, session.Decimal(expiry))
		}
	case o.given&optIfEq != 0:
		if o.given&optKeepTTL != 0 {
			c.Rewrite(wordSet, key, value, wordKeepTTL)
		} else {
			c.Rewrite(wordSet, key, value)
		}
	case o.given&optGet != 0:
		argv := append([][]byte(nil), c.Args[:3]...)
		for _, a := range c.Args[3:] {
			if !session.EqualFold(a, "get") {
				argv = append(argv, a)
			}
		}
		c.Rewrite(argv...)
	}
}

// setKeys finds SET's key: its flags depend on whether the command reads the old value.
func setKeys(args [][]byte) ([]session.KeyRef, bool) {
	for i := 3; i < len(args); i++ {
		if session.EqualFold(args[i], "get") || session.EqualFold(args[i], "ifeq") {
			return setReadKey, true
		}
	}
	return setKey, true
}

// The results of setKeys, which must not be changed. SET is too frequent to allocate them each time.
var (
	setKey     = []session.KeyRef{{Pos: 1, Flags: session.KeyOW | session.KeyUpdate}}
	setReadKey = []session.KeyRef{{Pos: 1, Flags: session.KeyRW | session.KeyAccess | session.KeyUpdate}}
)

func setnx(c *session.Client) {
	key := c.Args[1]
	if c.Write(key) != nil {
		c.W.Int(0)
		return
	}
	c.SetString(key, c.Args[2], record.NoExpiry)
	c.Changed(key, 1, config.NotifyString, "set")
	c.W.Int(1)
}

func setex(c *session.Client)  { setFor(c, optEX) }
func psetex(c *session.Client) { setFor(c, optPX) }

// setFor is SETEX and PSETEX.
func setFor(c *session.Client, unit setOption) {
	key, value := c.Args[1], c.Args[3]
	expiry, ok := deadline(c, c.Args[2], unit)
	if !ok {
		return
	}
	c.SetString(key, value, expiry)
	c.Changed(key, 1, config.NotifyString, "set")
	c.Notify(config.NotifyGeneric, "expire", key)
	c.W.OK()
	if c.Propagates() {
		c.Rewrite(wordSet, key, value, session.WordPXAt, session.Decimal(expiry))
	}
}

func mset(c *session.Client) {
	if len(c.Args)%2 == 0 {
		c.Error(session.ErrArity(c.Cmd.Full))
		return
	}
	setPairs(c)
	c.W.OK()
}

func msetnx(c *session.Client) {
	if len(c.Args)%2 == 0 {
		c.Error(session.ErrArity(c.Cmd.Full))
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		if c.Write(c.Args[i]) != nil {
			c.W.Int(0)
			return
		}
	}
	setPairs(c)
	c.W.Int(1)
}

func setPairs(c *session.Client) {
	c.PrefetchKeys(2)
	for i := 1; i < len(c.Args); i += 2 {
		c.SetString(c.Args[i], c.Args[i+1], record.NoExpiry)
		c.Changed(c.Args[i], 1, config.NotifyString, "set")
	}
}

func getset(c *session.Client) {
	key := c.Args[1]
	if !replyOld(c, key) {
		return
	}
	c.SetString(key, c.Args[2], record.NoExpiry)
	c.Changed(key, 1, config.NotifyString, "set")
	c.Rewrite(wordSet, key, c.Args[2])
}

func getdel(c *session.Client) {
	key := c.Args[1]
	r := c.Read(key)
	if r == nil {
		c.W.Null()
		return
	}
	if !c.Typed(r, record.String) {
		return
	}
	bulkString(c, r)
	c.DB.Remove(r)
	c.Changed(key, 1, config.NotifyGeneric, "del")
	c.Rewrite(session.WordDel, key)
}

func getex(c *session.Client) {
	o, ok := parseSetOptions(c, 2, true)
	if !ok {
		return
	}
	key := c.Args[1]
	r := c.Read(key)
	if r == nil {
		c.W.Null()
		return
	}
	if !c.Typed(r, record.String) {
		return
	}
	when := record.NoExpiry
	if o.given&optTimes != 0 {
		if when, ok = deadline(c, o.time, o.given); !ok {
			return
		}
	}
	bulkString(c, r)
	ks := c.Core.Keyspace
	switch {
	case o.given&(optEXAt|optPXAt) != 0 && when <= ks.Now && !ks.KeepExpired:
		c.DB.Remove(r)
		c.Changed(key, 1, config.NotifyGeneric, "del")
		if c.Core.Config.LazyfreeExpire {
			c.Rewrite(session.WordUnlink, key)
		} else {
			c.Rewrite(session.WordDel, key)
		}
	case o.given&optTimes != 0:
		c.DB.SetExpiry(r, when)
		c.Changed(key, 1, config.NotifyGeneric, "expire")
		if c.Propagates() {
			c.Rewrite(session.WordPExpireAt, key, session.Decimal(when))
		}
	case o.given&optPersist != 0 && r.Expiry() != record.NoExpiry:
		c.DB.SetExpiry(r, record.NoExpiry)
		c.Changed(key, 1, config.NotifyGeneric, "persist")
		c.Rewrite(wordPersist, key)
	}
}
