package commands

import (
	"math"
	"strconv"

	"ferrous/commands/glob"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// SCAN walks a database with a cursor that is a position in hash order (package table): stateless, and every key that
// stays is returned.
//
// Keys of a step are collected first and looked at afterwards, since an expired one is deleted when it is met. As in
// Redis 7.2, that concerns only keys that match the pattern: MATCH comes first, then expiry, then TYPE. A type that
// nobody knows is no error: nothing is of it.

var scanRow = Command{Name: "scan", Arity: -2, Flags: ReadOnly | TouchesArbitraryKeys, ACL: CatKeyspace, Handler: scan,
	Group: GroupGeneric, Since: "2.8.0",
	Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of keys in the database.",
	Summary:    "Returns a part of the database's keys and the cursor to go on from.",
	History:    []Change{{"6.0.0", "Added the `TYPE` option."}},
	Hints:      []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
	Args: []Arg{anInt("cursor"),
		aTokenArg("pattern", ArgPattern, "MATCH", "").optional(),
		aTokenArg("count", ArgInteger, "COUNT", "").optional(),
		aTokenArg("type", ArgString, "TYPE", "6.0.0").optional()}}

// parseCursor reads a cursor as C's strtoul does, which Redis uses: a sign is allowed (a negative number counts from
// 2^64 downwards), so is nothing at all, and a zero byte ends it. White space before it is refused.
func parseCursor(b []byte) (uint64, bool) {
	s := cString(b)
	if s == "" {
		return 0, true
	}
	negative := s[0] == '-'
	if negative || s[0] == '+' {
		s = s[1:]
	}
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// scanOptions are the options of SCAN and its relatives.
type scanOptions struct {
	count   int
	pattern []byte // nil: everything
	typ     scanType

	noValues bool // HSCAN's
}

// scanType is what TYPE asks for.
type scanType int8

const (
	anyType     scanType = -1
	unknownType scanType = -2 // the option was given, with a name that no type has
)

const (
	defaultScanCount = 10
	// maxScanCount keeps products of a count from overflowing; no collection has as many elements.
	maxScanCount = 1 << 40
)

// scanTypes are the types that TYPE can ask for, in Redis's spelling, which any case fits.
var scanTypes = []record.Type{record.String, record.List, record.Set, record.ZSet, record.Hash, record.Stream}

// scanOptions parses the options from argument i on; TYPE is one only where keys are scanned. On failure it has
// replied.
func (c *Client) scanOptions(i int, keys bool) (o scanOptions, ok bool) {
	o = scanOptions{count: defaultScanCount, typ: anyType}
	for ; i < len(c.args); i += 2 {
		more := i+1 < len(c.args)
		switch {
		case more && c.is(i, "count"):
			n, ok := resp.ParseInt(c.args[i+1])
			if !ok {
				c.error(errNotInteger)
				return o, false
			}
			if n < 1 {
				c.error(errSyntax)
				return o, false
			}
			o.count = int(min(n, maxScanCount, math.MaxInt/64))
		case more && c.is(i, "match"):
			o.pattern = c.args[i+1]
			if len(o.pattern) == 1 && o.pattern[0] == '*' {
				o.pattern = nil
			}
		case c.cmd.Name == "hscan" && c.is(i, "novalues"):
			o.noValues = true
			i-- // it takes no argument
		case more && keys && c.is(i, "type"):
			o.typ = unknownType
			for _, t := range scanTypes {
				if equalFold([]byte(cString(c.args[i+1])), t.String()) {
					o.typ = scanType(t)
				}
			}
		default:
			c.error(errSyntax)
			return o, false
		}
	}
	return o, true
}

func scan(c *Client) {
	cursor, ok := parseCursor(c.args[1])
	if !ok {
		c.error(errInvalidCursor)
		return
	}
	o, ok := c.scanOptions(2, true)
	if !ok {
		return
	}
	s := c.srv
	met := s.scanned[:0]
	cursor = c.db.Scan(cursor, o.count, func(r *record.Record) {
		if o.pattern == nil || glob.Match(o.pattern, r.Key(), false) {
			met = append(met, r)
		}
	})
	c.w.Array(2)
	var buf [20]byte
	c.w.Bulk(resp.AppendUint(buf[:0], cursor))
	m := c.w.BeginArray()
	n := 0
	for _, r := range met {
		key := r.Key()
		if r.Expiry() != record.NoExpiry && s.ks.Expired(r) {
			c.db.Peek(key) // deletes it
			if o.typ != anyType {
				s.stats.misses++
			}
			continue
		}
		if o.typ != anyType {
			s.stats.hits++ // asking for the type is an access, to Redis's statistics
			if scanType(r.Type()) != o.typ {
				continue
			}
		}
		c.w.Bulk(key)
		n++
	}
	c.w.EndArray(m, n)
	if cap(met) > keepScanned {
		met = nil
	}
	clear(met)
	s.scanned = met[:0]
}

// keepScanned is how many records' room is kept from one SCAN to the next.
const keepScanned = 1024
