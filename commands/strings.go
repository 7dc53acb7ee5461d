package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

var stringCommands = []Command{
	{Name: "get", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Handler: get, Group: GroupString, Since: "1.0.0",
		Complexity: "O(1)", Summary: "Returns the string value of a key.",
		Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Index: 1, Step: 1}},
		Args: []Arg{{Name: "key", Type: ArgKey}}},
	{Name: "set", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Handler: set, Group: GroupString, Since: "1.0.0"},
	{Name: "mset", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Handler: mset, Group: GroupString, Since: "1.0.1"},
	{Name: "incr", Arity: 2, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: incr, Group: GroupString, Since: "1.0.0"},
}

func get(c *Client) {
	r := c.read(c.args[1])
	if r == nil {
		c.w.Null()
		return
	}
	if !c.typed(r, record.String) {
		return
	}
	c.bulkString(r)
}

// bulkString replies with the bytes of a string record.
func (c *Client) bulkString(r *record.Record) {
	if r.Encoding() == record.Int {
		c.w.BulkInt(r.Int())
		return
	}
	c.w.Bulk(r.String(nil))
}

func set(c *Client) {
	key := c.args[1]
	c.db.SetString(key, c.args[2], record.NoExpiry)
	c.modified(key)
	c.notify(config.NotifyString, "set", key)
	c.w.OK()
}

func mset(c *Client) {
	for i := 1; i < len(c.args); i += 2 {
		c.db.SetString(c.args[i], c.args[i+1], record.NoExpiry)
		c.modified(c.args[i])
		c.notify(config.NotifyString, "set", c.args[i])
	}
	c.w.OK()
}

func incr(c *Client) { c.incrBy(1) }

func (c *Client) incrBy(by int64) {
	key := c.args[1]
	r := c.write(key)
	if !c.typed(r, record.String) {
		return
	}
	n := int64(0)
	if r != nil {
		if r.Encoding() == record.Int {
			n = r.Int()
		} else if v, ok := resp.ParseInt(r.String(nil)); ok {
			n = v
		} else {
			c.error(errNotInteger)
			return
		}
	}
	if by > 0 && n > (1<<63-1)-by || by < 0 && n < (-1<<63)-by {
		c.error(errOverflow)
		return
	}
	n += by
	if r == nil {
		c.db.Set(record.NewInt(key, n, record.NoExpiry, c.db.NewClock()))
	} else {
		c.db.SetInt(r, n)
	}
	c.modified(key)
	c.notify(config.NotifyString, "incrby", key)
	c.w.Int(n)
}
