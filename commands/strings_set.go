package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The commands that store or take away a whole string: SET and its older relatives, and GETEX, whose options are
// those of SET.
//
// SET with nothing but key and value never sees its options' code. With options, things happen in Redis's order, which
// shows in what is answered when several are wrong: syntax, then the deadline, then (GET) the type of the old value,
// then the condition.
//
// # IFEQ
//
// SET … IFEQ comparison-value is Valkey 8.1's compare-and-set: the value is stored only if the key holds a string equal
// to comparison-value; otherwise, and if there is no key, the reply is null. A key of another type is a WRONGTYPE error.
// It excludes NX and XX and may be given once. With GET the reply is the old value (null if there was none) in both
// cases, and does not say whether the new one was stored other than by what it is. What is propagated has no IFEQ, so
// that replicas and files of Redis, which does not know it, get the same value.

// Words of rewritten commands. They are never written to.
var (
	wordSet       = []byte("SET")
	wordPXAt      = []byte("PXAT")
	wordKeepTTL   = []byte("KEEPTTL")
	wordDel       = []byte("DEL")
	wordUnlink    = []byte("UNLINK")
	wordPersist   = []byte("PERSIST")
	wordPExpireAt = []byte("PEXPIREAT")
)

// propagates reports whether anybody receives what is changed: if not, rewriting needs not be prepared.
func (c *Client) propagates() bool { return len(c.srv.sinks) > 0 }

// decimal returns n as an argument of a rewritten command.
func decimal(n int64) []byte { return resp.AppendInt(make([]byte, 0, 20), n) }

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

// parseSetOptions reads the options from argument i on: those of SET, or of GETEX. An option may be repeated (the last
// one counts) but for IFEQ. On failure it has replied.
func (c *Client) parseSetOptions(i int, getex bool) (o setOptions, ok bool) {
	for ; i < len(c.args); i++ {
		var opt, excludes setOption
		value := false
		switch w := c.args[i]; {
		case equalFold(w, "ex"):
			opt, excludes, value = optEX, optExpiry&^optEX, true
		case equalFold(w, "px"):
			opt, excludes, value = optPX, optExpiry&^optPX, true
		case equalFold(w, "exat"):
			opt, excludes, value = optEXAt, optExpiry&^optEXAt, true
		case equalFold(w, "pxat"):
			opt, excludes, value = optPXAt, optExpiry&^optPXAt, true
		case getex && equalFold(w, "persist"):
			opt, excludes = optPersist, optTimes
		case getex:
		case equalFold(w, "nx"):
			opt, excludes = optNX, optXX|optIfEq
		case equalFold(w, "xx"):
			opt, excludes = optXX, optNX|optIfEq
		case equalFold(w, "get"):
			opt = optGet
		case equalFold(w, "keepttl"):
			opt, excludes = optKeepTTL, optTimes
		case equalFold(w, "ifeq"):
			opt, excludes, value = optIfEq, optNX|optXX|optIfEq, true
		}
		if opt == 0 || o.given&excludes != 0 || value && i == len(c.args)-1 {
			c.error(errSyntax)
			return o, false
		}
		o.given |= opt
		if value {
			i++
			if opt == optIfEq {
				o.equals = c.args[i]
			} else {
				o.time = c.args[i]
			}
		}
	}
	return o, true
}

// deadline turns the argument of EX, PX, EXAT or PXAT into Unix milliseconds. On failure it has replied.
func (c *Client) deadline(arg []byte, opt setOption) (int64, bool) {
	n, ok := resp.ParseInt(arg)
	if !ok {
		c.error(errNotInteger)
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
		n += c.srv.ks.Now // negative when it overflows
	}
	if n <= 0 {
		c.error(errInvalidExpire(c.cmd.full))
		return 0, false
	}
	return n, true
}

func set(c *Client) {
	if len(c.args) > 3 {
		setWithOptions(c)
		return
	}
	key := c.args[1]
	c.db.SetString(key, c.args[2], record.NoExpiry)
	c.changed(key, 1, config.NotifyString, "set")
	c.w.OK()
}

func setWithOptions(c *Client) {
	o, ok := c.parseSetOptions(3, false)
	if !ok {
		return
	}
	key, value := c.args[1], c.args[2]
	expiry := record.NoExpiry
	if o.given&optTimes != 0 {
		if expiry, ok = c.deadline(o.time, o.given); !ok {
			return
		}
	} else if o.given&optKeepTTL != 0 {
		expiry = keyspace.KeepTTL
	}
	if o.given&optGet != 0 && !c.replyOld(key) {
		return
	}
	if o.given&(optNX|optXX|optIfEq) != 0 {
		r := c.write(key)
		var refused bool
		switch {
		case o.given&optNX != 0:
			refused = r != nil
		case o.given&optXX != 0:
			refused = r == nil
		default:
			if !c.typed(r, record.String) {
				return
			}
			var buf intText
			refused = r == nil || string(r.String(buf[:])) != string(o.equals)
		}
		if refused {
			if o.given&optGet == 0 {
				c.w.Null()
			}
			return
		}
	}
	c.db.SetString(key, value, expiry)
	c.changed(key, 1, config.NotifyString, "set")
	if o.given&optTimes != 0 {
		c.notify(config.NotifyGeneric, "expire", key)
	}
	if o.given&optGet == 0 {
		c.w.OK()
	}
	if c.propagates() {
		c.rewriteSet(&o, expiry)
	}
}

// replyOld replies with the string at key, null if there is none. It returns false, having replied the error, if what
// is there is not a string.
func (c *Client) replyOld(key []byte) bool {
	r := c.read(key)
	if r == nil {
		c.w.Null()
		return true
	}
	if !c.typed(r, record.String) {
		return false
	}
	c.bulkString(r)
	return true
}

// rewriteSet propagates a SET that was executed: relative times become absolute, GET and IFEQ are left out.
func (c *Client) rewriteSet(o *setOptions, expiry int64) {
	key, value := c.args[1], c.args[2]
	switch {
	case o.given&optTimes != 0:
		if o.given&optPXAt == 0 || o.given&optIfEq != 0 {
			c.rewrite(wordSet, key, value, wordPXAt, decimal(expiry))
		}
	case o.given&optIfEq != 0:
		if o.given&optKeepTTL != 0 {
			c.rewrite(wordSet, key, value, wordKeepTTL)
		} else {
			c.rewrite(wordSet, key, value)
		}
	case o.given&optGet != 0:
		argv := append([][]byte(nil), c.args[:3]...)
		for _, a := range c.args[3:] {
			if !equalFold(a, "get") {
				argv = append(argv, a)
			}
		}
		c.rewrite(argv...)
	}
}

// setKeys finds SET's key: what may be done to it depends on whether the old value is looked at.
func setKeys(args [][]byte) ([]KeyRef, bool) {
	for i := 3; i < len(args); i++ {
		if equalFold(args[i], "get") || equalFold(args[i], "ifeq") {
			return setReadKey, true
		}
	}
	return setKey, true
}

// The answers of setKeys, which must not be changed. SET is too frequent to make them each time.
var (
	setKey     = []KeyRef{{Pos: 1, Flags: KeyOW | KeyUpdate}}
	setReadKey = []KeyRef{{Pos: 1, Flags: KeyRW | KeyAccess | KeyUpdate}}
)

func setnx(c *Client) {
	key := c.args[1]
	if c.write(key) != nil {
		c.w.Int(0)
		return
	}
	c.db.SetString(key, c.args[2], record.NoExpiry)
	c.changed(key, 1, config.NotifyString, "set")
	c.w.Int(1)
}

func setex(c *Client)  { c.setFor(optEX) }
func psetex(c *Client) { c.setFor(optPX) }

// setFor is SETEX and PSETEX.
func (c *Client) setFor(unit setOption) {
	key, value := c.args[1], c.args[3]
	expiry, ok := c.deadline(c.args[2], unit)
	if !ok {
		return
	}
	c.db.SetString(key, value, expiry)
	c.changed(key, 1, config.NotifyString, "set")
	c.notify(config.NotifyGeneric, "expire", key)
	c.w.OK()
	if c.propagates() {
		c.rewrite(wordSet, key, value, wordPXAt, decimal(expiry))
	}
}

func mset(c *Client) {
	if len(c.args)%2 == 0 {
		c.error(errArity(c.cmd.full))
		return
	}
	c.setPairs()
	c.w.OK()
}

func msetnx(c *Client) {
	if len(c.args)%2 == 0 {
		c.error(errArity(c.cmd.full))
		return
	}
	for i := 1; i < len(c.args); i += 2 {
		if c.write(c.args[i]) != nil {
			c.w.Int(0)
			return
		}
	}
	c.setPairs()
	c.w.Int(1)
}

func (c *Client) setPairs() {
	c.prefetchKeys(2)
	for i := 1; i < len(c.args); i += 2 {
		c.db.SetString(c.args[i], c.args[i+1], record.NoExpiry)
		c.changed(c.args[i], 1, config.NotifyString, "set")
	}
}

func getset(c *Client) {
	key := c.args[1]
	if !c.replyOld(key) {
		return
	}
	c.db.SetString(key, c.args[2], record.NoExpiry)
	c.changed(key, 1, config.NotifyString, "set")
	c.rewrite(wordSet, key, c.args[2])
}

func getdel(c *Client) {
	key := c.args[1]
	r := c.read(key)
	if r == nil {
		c.w.Null()
		return
	}
	if !c.typed(r, record.String) {
		return
	}
	c.bulkString(r)
	c.db.Remove(r)
	c.changed(key, 1, config.NotifyGeneric, "del")
	c.rewrite(wordDel, key)
}

func getex(c *Client) {
	o, ok := c.parseSetOptions(2, true)
	if !ok {
		return
	}
	key := c.args[1]
	r := c.read(key)
	if r == nil {
		c.w.Null()
		return
	}
	if !c.typed(r, record.String) {
		return
	}
	when := record.NoExpiry
	if o.given&optTimes != 0 {
		if when, ok = c.deadline(o.time, o.given); !ok {
			return
		}
	}
	c.bulkString(r)
	ks := c.srv.ks
	switch {
	case o.given&(optEXAt|optPXAt) != 0 && when <= ks.Now && !ks.KeepExpired:
		c.db.Remove(r)
		c.changed(key, 1, config.NotifyGeneric, "del")
		if c.srv.cfg.LazyfreeExpire {
			c.rewrite(wordUnlink, key)
		} else {
			c.rewrite(wordDel, key)
		}
	case o.given&optTimes != 0:
		c.db.SetExpiry(r, when)
		c.changed(key, 1, config.NotifyGeneric, "expire")
		if c.propagates() {
			c.rewrite(wordPExpireAt, key, decimal(when))
		}
	case o.given&optPersist != 0 && r.Expiry() != record.NoExpiry:
		c.db.SetExpiry(r, record.NoExpiry)
		c.changed(key, 1, config.NotifyGeneric, "persist")
		c.rewrite(wordPersist, key)
	}
}
