package streams

import (
	"errors"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// XADD and XTRIM, which share their options.

const (
	errTrimTwice   = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	errMaxLen      = "ERR The MAXLEN argument must be >= 0."
	errLimit       = "ERR The LIMIT argument must be >= 0."
	errLimitAlone  = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	errLimitExact  = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	errNoStrategy  = "ERR syntax error, XTRIM must be called with a trimming strategy"
	errAddZero     = "ERR The ID specified in XADD must be greater than 0-0"
	errAddOrder    = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	errExhausted   = "ERR The stream has exhausted the last possible ID, unable to add more items"
	errTooLarge    = "ERR Elements are too large to be stored"
	nodesAtOnce    = 100 // how many nodes ~ removes at most, unless LIMIT says how many entries
	maxLimit       = 1000000
	unlimitedLimit = 10000 // where nodes have any number of entries
)

// addOptions are the options of XADD and XTRIM.
type addOptions struct {
	stream.Trim
	trims      bool
	threshold  int // place of the argument of MAXLEN or MINID
	noMkStream bool

	id     stream.ID // of XADD
	choose choice
}

// choice is the part of an ID that the server chooses.
type choice uint8

const (
	chooseNothing choice = iota
	chooseSeq            // ms-*
	chooseID             // *
)

// addArgs parses the options; for XADD, at is the place of the ID. On failure it has replied.
func addArgs(c *session.Client, add bool) (o addOptions, at int, ok bool) {
	limited, refs := false, false
	i := 2
options:
	for ; i < len(c.Args); i++ {
		more := len(c.Args) - 1 - i
		switch {
		case add && isWord(c.Args[i], '*'):
			o.choose = chooseID
			break options
		case more > 0 && (c.Is(i, "maxlen") || c.Is(i, "minid")):
			if o.trims {
				c.Error(errTrimTwice)
				return o, 0, false
			}
			o.trims, o.ByID = true, c.Is(i, "minid")
			if i++; more >= 2 && isWord(c.Args[i], '~') {
				o.Approx = true
				i++
			} else if more >= 2 && isWord(c.Args[i], '=') {
				i++
			}
			if !o.parseThreshold(c, i) {
				return o, 0, false
			}
		case more > 0 && c.Is(i, "limit"):
			n, ok := c.Int64Arg(i + 1)
			if !ok {
				return o, 0, false
			}
			if n < 0 {
				c.Error(errLimit)
				return o, 0, false
			}
			o.Limit, limited = int(n), true
			i++
		case add && c.Is(i, "nomkstream"):
			o.noMkStream = true
		case o.parseRefs(c, i):
			if refs {
				c.Error(session.ErrSyntax)
				return o, 0, false
			}
			refs = true
		case add:
			if !o.parseID(c, i) {
				return o, 0, false
			}
			break options
		default:
			c.Error(session.ErrSyntax)
			return o, 0, false
		}
	}
	switch {
	case o.Limit > 0 && !o.trims:
		c.Error(errLimitAlone)
	case !add && !o.trims:
		c.Error(errNoStrategy)
	case c.Trusted:
		o.Limit = 0
		return o, i, true
	case limited && !o.Approx:
		c.Error(errLimitExact)
	default:
		if !limited && o.Approx {
			o.Limit = defaultLimit(c)
		}
		return o, i, true
	}
	return o, 0, false
}

// defaultLimit is the LIMIT of ~.
func defaultLimit(c *session.Client) int {
	n := c.Core.Config.StreamNodeMaxEntries
	if n <= 0 {
		return unlimitedLimit
	}
	return int(min(n, maxLimit/nodesAtOnce) * nodesAtOnce)
}

// parseThreshold parses the argument of MAXLEN or MINID.
func (o *addOptions) parseThreshold(c *session.Client, i int) (ok bool) {
	o.threshold = i
	if o.ByID {
		o.MinID, ok = idArg(c, i)
		return ok
	}
	n, ok := c.Int64Arg(i)
	if ok && n < 0 {
		c.Error(errMaxLen)
		return false
	}
	o.MaxLen = int(n)
	return ok
}

// parseRefs reports whether argument i is KEEPREF, DELREF or ACKED, and reads it.
func (o *addOptions) parseRefs(c *session.Client, i int) bool {
	refs, ok := refsWord(c, i)
	if ok {
		o.Refs = refs
	}
	return ok
}

// refsWord reads one of KEEPREF, DELREF and ACKED.
func refsWord(c *session.Client, i int) (stream.Refs, bool) {
	switch {
	case c.Is(i, "keepref"):
		return stream.KeepRef, true
	case c.Is(i, "delref"):
		return stream.DelRef, true
	case c.Is(i, "acked"):
		return stream.Acked, true
	}
	return stream.KeepRef, false
}

// parseID parses the ID of XADD.
func (o *addOptions) parseID(c *session.Client, i int) (ok bool) {
	b := c.Args[i]
	if len(b) <= maxIDLength {
		if ms, seq, found := split(b); found && len(seq) == 1 && seq[0] == '*' {
			o.choose = chooseSeq
			if o.id.Ms, ok = parseUint(ms); !ok {
				c.Error(errID)
			}
			return ok
		}
	}
	o.id, ok = idArg(c, i)
	return ok
}

// nextID is the ID that the new entry gets, false if there is none.
func (o *addOptions) nextID(c *session.Client, s *stream.Stream) (stream.ID, bool) {
	switch o.choose {
	case chooseID:
		return s.NextID(uint64(c.Core.Keyspace.Now))
	case chooseSeq:
		return s.NextSeq(o.id.Ms)
	}
	return o.id, true
}

func limits(c *session.Client) stream.Limits {
	cfg := c.Core.Config
	return stream.Limits{Bytes: cfg.StreamNodeMaxBytes, Entries: int(cfg.StreamNodeMaxEntries)}
}

func xadd(c *session.Client) {
	o, at, ok := addArgs(c, true)
	if !ok {
		return
	}
	pairs := c.Args[min(at+1, len(c.Args)):]
	if len(pairs) < 2 || len(pairs)%2 != 0 {
		c.Error(session.ErrArity(c.Cmd.Full))
		return
	}
	if o.choose == chooseNothing && o.id.IsZero() {
		c.Error(errAddZero)
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Stream)
	if !ok {
		return
	}
	var s edit
	switch {
	case r != nil:
		s = own(c, r)
	case o.noMkStream:
		c.W.Null()
		return
	default:
		s.Stream = stream.New(c.Gen())
	}
	if s.Last == stream.MaxID {
		c.Error(errExhausted)
		return
	}
	id, ok := o.nextID(c, s.Stream)
	err := stream.ErrOrder
	if ok {
		err = s.Append(id, pairs, limits(c), c.Gen())
	}
	switch {
	case errors.Is(err, stream.ErrOrder):
		c.Error(errAddOrder)
		return
	case err != nil:
		c.Error(errTooLarge)
		return
	}
	trimmed := 0
	if o.trims {
		trimmed = s.Trim(o.Trim, c.Gen())
	}
	if r == nil {
		put(c, key, s.Stream)
	} else {
		s.done(c)
		signal(c, key)
	}
	writeID(c, id)
	c.Changed(key, 1, config.NotifyStream, "xadd")
	if trimmed > 0 {
		c.Notify(config.NotifyStream, "xtrim", key)
	}
	if c.Propagates() && (o.choose != chooseNothing || o.trims && o.Approx) {
		argv := append([][]byte(nil), c.Args...)
		if o.trims && o.Approx {
			o.makeExact(argv, s.Stream)
		}
		argv[at] = idWord(id)
		c.Rewrite(argv...)
	}
}

// makeExact replaces ~ and the threshold in the propagated arguments by an exact threshold that removes the same entries.
func (o *addOptions) makeExact(argv [][]byte, s *stream.Stream) {
	argv[o.threshold-1] = wordEquals
	switch {
	case o.ByID && o.Refs == stream.Acked:
		// Entries that are still referenced stay in front of entries that were removed, so no MINID separates them.
		argv[o.threshold-2] = wordMaxLen
		argv[o.threshold] = session.Decimal(int64(s.Len()))
	case !o.ByID:
		argv[o.threshold] = session.Decimal(int64(s.Len()))
	case s.Len() == 0:
		argv[o.threshold] = idWord(stream.MaxID)
	default:
		argv[o.threshold] = idWord(s.First)
	}
}

var (
	wordEquals = []byte("=")
	wordMaxLen = []byte("MAXLEN")
)

func xtrim(c *session.Client) {
	o, _, ok := addArgs(c, false)
	if !ok {
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Stream)
	if !ok {
		return
	}
	if r == nil {
		c.W.Int(0)
		return
	}
	s := own(c, r)
	n := s.Trim(o.Trim, c.Gen())
	s.done(c)
	if n > 0 {
		c.Changed(key, n, config.NotifyStream, "xtrim")
		if o.Approx && c.Propagates() {
			argv := append([][]byte(nil), c.Args...)
			o.makeExact(argv, s.Stream)
			c.Rewrite(argv...)
		}
	}
	c.W.Int(int64(n))
}
