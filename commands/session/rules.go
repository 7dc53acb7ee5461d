package session

import (
	"ferrous/datatypes/hash"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/rdb"
)

// ListRules are the limits of lists that are configured now.
func (c *Client) ListRules() list.Rules {
	return list.Rules{Set: c.Core.Lists, Fill: c.Core.Config.ListMaxListpackSize, Depth: c.Core.Config.ListCompressDepth}
}

// SetRules are the limits of small sets that are configured now.
func (c *Client) SetRules() dset.Rules {
	cfg := c.Core.Config
	return dset.Rules{Ints: cfg.SetMaxIntsetEntries, Entries: cfg.SetMaxListpackEntries, Value: cfg.SetMaxListpackValue}
}

// HashRules are the limits of small hashes that are configured now.
func (c *Client) HashRules() hash.Rules {
	return hash.Rules{Entries: c.Core.Config.HashMaxListpackEntries, Value: c.Core.Config.HashMaxListpackValue}
}

// ZsetRules are the limits of small sorted sets that are configured now.
func (c *Client) ZsetRules() sortedset.Rules {
	cfg := c.Core.Config
	return sortedset.Rules{Entries: cfg.ZsetMaxListpackEntries, Value: cfg.ZsetMaxListpackValue, Text: c.Core.Zsets}
}

// RDBRules are the limits of small values that are configured now, for what is read from files and payloads.
func (s *Core) RDBRules() *rdb.Rules {
	c := Client{Core: s}
	return &rdb.Rules{Hash: c.HashRules(), Set: c.SetRules(), List: c.ListRules(), ZSet: c.ZsetRules()}
}

// PutList stores a list at a key, in place of what is there.
func (c *Client) PutList(key []byte, l *list.List) *record.Record {
	return Put(c, key, record.List, l)
}
