package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// How handlers reach the keyspace. Each access to a key goes through one of these, which keep the hit statistics and
// the access clock; each change is reported with modified (and told to keyspace events with notify).

// read looks a key up for a command that only reads it: counts a hit or a miss and touches its access clock. nil
// means that there is no such key.
func (c *Client) read(key []byte) *record.Record {
	var r *record.Record
	if c.noTouch && c.cmd.Name != "touch" {
		r = c.db.Peek(key)
	} else {
		r = c.db.Lookup(key)
	}
	if r == nil {
		c.srv.stats.misses++
		c.srv.notify(config.NotifyKeyMiss, "keymiss", key, c.db)
		return nil
	}
	c.srv.stats.hits++
	return r
}

// write looks a key up for a command that will change it: no statistics.
func (c *Client) write(key []byte) *record.Record {
	if c.noTouch {
		return c.db.Peek(key)
	}
	return c.db.Lookup(key)
}

// typed replies WRONGTYPE and returns false when r exists and is not of type t.
func (c *Client) typed(r *record.Record, t record.Type) bool {
	if r != nil && r.Type() != t {
		c.error(errWrongType)
		return false
	}
	return true
}

// modified reports that the command has changed a key of the selected database. It is to be called once for each key
// changed; commands that change more than one element of it add the rest to dirty themselves.
func (c *Client) modified(key []byte) {
	c.srv.dirty++
	if c.srv.listeners != nil {
		c.srv.keyModified(c.db, key)
	}
}

// changed reports that n elements of a key were changed (1 for a value without elements) and tells the event.
func (c *Client) changed(key []byte, n int, class config.NotifyFlags, event string) {
	c.modified(key)
	c.srv.dirty += int64(n - 1)
	c.notify(class, event, key)
}

// deleteKey deletes a key, as DEL does, and reports whether it was there.
func (c *Client) deleteKey(key []byte) bool {
	if !c.db.Delete(key) {
		return false
	}
	c.changed(key, 1, config.NotifyGeneric, "del")
	return true
}

// modifiedIn is modified for a key of another database than the selected one.
func (c *Client) modifiedIn(db *keyspace.DB, key []byte) {
	c.srv.dirty++
	if c.srv.listeners != nil {
		c.srv.keyModified(db, key)
	}
}

// touchedIn reports a second key that a change which counts once has changed too: the other end of RENAME and MOVE.
func (c *Client) touchedIn(db *keyspace.DB, key []byte) {
	if c.srv.listeners != nil {
		c.srv.keyModified(db, key)
	}
}

// notify tells a keyspace event to those who asked for its class.
func (c *Client) notify(class config.NotifyFlags, event string, key []byte) {
	if c.srv.cfg.NotifyKeyspaceEvents&class != 0 {
		c.srv.notify(class, event, key, c.db)
	}
}

// prefetchKeys fetches what the keys among the arguments, every step from the first on, will touch into the cache
// together; see Server.prefetch.
func (c *Client) prefetchKeys(step int) {
	keys := c.srv.peeked[:0]
	for i := 1; i < len(c.args) && len(keys) < cap(keys); i += step {
		keys = append(keys, c.args[i])
	}
	c.db.Prefetch(keys)
}
