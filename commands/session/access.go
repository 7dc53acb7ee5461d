package session

import (
	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// How handlers reach the keyspace. Each access to a key uses one of these, which keep the hit statistics and the access
// clock. Each change is reported with Modified, and to keyspace events with Notify.

// Read returns the record of a key for a command that only reads it, nil if there is none. It counts a hit or a miss, and
// touches the access clock.
func (c *Client) Read(key []byte) *record.Record {
	var r *record.Record
	if c.Core.Keyspace.WritesOnly || c.NoTouch && c.Cmd.Name != "touch" {
		r = c.DB.Peek(key)
	} else {
		r = c.DB.Lookup(key)
	}
	if r == nil {
		c.Core.Counters.Misses++
		c.Core.Notify(config.NotifyKeyMiss, "keymiss", key, c.DB)
		return nil
	}
	c.Core.Counters.Hits++
	return r
}

// Write returns the record of a key for a command that will change it, nil if there is none. It counts neither hit nor miss.
func (c *Client) Write(key []byte) *record.Record {
	if c.NoTouch {
		return c.DB.Peek(key)
	}
	return c.DB.Lookup(key)
}

// Typed replies WRONGTYPE and returns false when r exists and is not of type t.
func (c *Client) Typed(r *record.Record, t record.Type) bool {
	if r != nil && r.Type() != t {
		c.Error(ErrWrongType)
		return false
	}
	return true
}

// Modified reports that the command has changed a key of the selected database. It is to be called once for each key
// changed. Commands that change more than one element of it add the rest to Core.Dirty, or call Changed.
func (c *Client) Modified(key []byte) {
	c.Core.Dirty++
	if c.Core.Listeners != nil {
		c.Core.KeyModified(c.DB, key)
	}
}

// Changed reports that n elements of a key were changed (1 for a value without elements) and publishes the event.
func (c *Client) Changed(key []byte, n int, class config.NotifyFlags, event string) {
	c.Modified(key)
	c.Core.Dirty += int64(n - 1)
	c.Notify(class, event, key)
}

// DeleteKey deletes a key whose place a command leaves empty, and reports whether it was there.
func (c *Client) DeleteKey(key []byte) bool { return c.DeleteKeyAs(key, c.Core.Keyspace.Lazy.Deletion) }

// DeleteKeyAs is DeleteKey for a command that itself says whether the key is deleted lazily.
func (c *Client) DeleteKeyAs(key []byte, lazily bool) bool {
	if !c.DB.DeleteAs(key, lazily) {
		return false
	}
	c.Changed(key, 1, config.NotifyGeneric, "del")
	return true
}

// ModifiedIn is Modified for a key of another database than the selected one.
func (c *Client) ModifiedIn(db *keyspace.DB, key []byte) {
	c.Core.Dirty++
	if c.Core.Listeners != nil {
		c.Core.KeyModified(db, key)
	}
}

// TouchedIn reports a second key that a change which counts once has changed too: the other end of RENAME and MOVE.
func (c *Client) TouchedIn(db *keyspace.DB, key []byte) {
	if c.Core.Listeners != nil {
		c.Core.KeyModified(db, key)
	}
}

// Notify publishes a keyspace event if notify-keyspace-events names its class.
func (c *Client) Notify(class config.NotifyFlags, event string, key []byte) {
	if c.Core.Config.NotifyKeyspaceEvents&class != 0 {
		c.Core.Notify(class, event, key, c.DB)
	}
}

// PrefetchKeys fetches what the keys among the arguments, every step from the first on, will touch into the cache
// together; see Server.prefetch in package commands.
func (c *Client) PrefetchKeys(step int) {
	keys := c.Core.Peeked[:0]
	for i := 1; i < len(c.Args) && len(keys) < cap(keys); i += step {
		keys = append(keys, c.Args[i])
	}
	c.DB.Prefetch(keys)
	clear(keys) // they may lie in a request of any size
}

// Look finds a key for a command that asks about it without using its value: hits and misses count, the access clock
// stays as it is.
func (c *Client) Look(key []byte) *record.Record {
	r := c.DB.Peek(key)
	if r == nil {
		c.Core.Counters.Misses++
		c.Notify(config.NotifyKeyMiss, "keymiss", key)
		return nil
	}
	c.Core.Counters.Hits++
	return r
}

// SetString sets key to a string, as keyspace.DB.SetString does. A large argument of the request is not copied: its buffer becomes
// the string's, and the string's old buffer one for arguments to come.
func (c *Client) SetString(key, value []byte, expiry int64) {
	if c.Core.Requests.Take(value) {
		c.Core.Requests.Keep(c.DB.SetOwned(key, value, expiry))
		return
	}
	c.DB.SetString(key, value, expiry)
}

// WriteIn is Write for a key of another database than the selected one.
func (c *Client) WriteIn(db *keyspace.DB, key []byte) *record.Record {
	if c.NoTouch {
		return db.Peek(key)
	}
	return db.Lookup(key)
}
