package keys

import (
	"ferrous/commands/glob"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// SCAN walks a database with a cursor that is a position in hash order (package table): SCAN has no state, and returns every
// key that exists during the whole scan.
//
// A step collects its keys first and filters them afterwards, since this deletes expired ones. As in Redis 7.2 it deletes
// only keys that match the pattern: MATCH is checked first, then expiry, then TYPE. An unknown type is not an error: no key
// has it.

var scanRow = session.Command{Name: "scan", Arity: -2, Flags: session.ReadOnly | session.TouchesArbitraryKeys, ACL: session.CatKeyspace, Handler: scan,
	Group: session.GroupGeneric, Since: "2.8.0",
	Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of keys in the database.",
	Summary:    "Returns a part of the database's keys and the cursor to go on from.",
	History:    []session.Change{{"6.0.0", "Added the `TYPE` option."}},
	Hints:      []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
	Args: []session.Arg{session.IntArg("cursor"),
		session.TokenArg("pattern", session.ArgPattern, "MATCH", "").Opt(),
		session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt(),
		session.TokenArg("type", session.ArgString, "TYPE", "6.0.0").Opt()}}

func scan(c *session.Client) {
	cursor, ok := session.ParseCursor(c.Args[1])
	if !ok {
		c.Error(session.ErrInvalidCursor)
		return
	}
	o, ok := c.ScanOptions(2, true)
	if !ok {
		return
	}
	s := c.Core
	met := s.Scanned[:0]
	cursor = c.DB.Scan(cursor, o.Count, func(r *record.Record) {
		if o.Pattern == nil || glob.Match(o.Pattern, r.Key(), false) {
			met = append(met, r)
		}
	})
	c.W.Array(2)
	var buf [20]byte
	c.W.Bulk(resp.AppendUint(buf[:0], cursor))
	m := c.W.BeginArray()
	n := 0
	for _, r := range met {
		key := r.Key()
		if r.Expiry() != record.NoExpiry && s.Keyspace.Expired(r) {
			c.DB.Peek(key) // deletes it
			if o.Typ != session.AnyType {
				s.Counters.Misses++
			}
			continue
		}
		if o.Typ != session.AnyType {
			s.Counters.Hits++ // in Redis's statistics, reading the type is an access
			if session.ScanType(r.Type()) != o.Typ {
				continue
			}
		}
		c.W.Bulk(key)
		n++
	}
	c.W.EndArray(m, n)
	if cap(met) > keepScanned {
		met = nil
	}
	clear(met)
	s.Scanned = met[:0]
}

// keepScanned is the largest capacity, in records, that is reused by the next SCAN.
const keepScanned = 1024
