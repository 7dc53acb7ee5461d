package streams

import (
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
	"ferrous/eventloop/resp"
)

// XREAD and XREADGROUP.

const (
	errGroupOption = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	errNoAckOption = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	errClaimOption = "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead."
	errNoGroupWord = "ERR Missing GROUP option for XREADGROUP"
	errDollar      = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by " +
		"specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
	errPlus = "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by " +
		"specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set."
	errGreater = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
	errMinIdle = "ERR min-idle-time is not an integer"
	errMinLow  = "ERR min-idle-time must be a positive integer"
)

// readOption is an option of XREAD and XREADGROUP.
type readOption uint8

const (
	noOption readOption = iota
	optionBlock
	optionCount
	optionClaim
	optionGroup
	optionNoAck
	optionStreams
)

// optionAt returns which option is at place i, and how many arguments it takes, its own word included. The handlers and
// readKeys both call it, so that they agree where the streams begin.
func optionAt(args [][]byte, i int) (o readOption, width int) {
	more := len(args) - 1 - i
	switch b := args[i]; {
	case more >= 1 && session.EqualFold(b, "block"):
		return optionBlock, 2
	case more >= 1 && session.EqualFold(b, "count"):
		return optionCount, 2
	case more >= 1 && session.EqualFold(b, "claim"):
		return optionClaim, 2
	case more >= 2 && session.EqualFold(b, "group"):
		return optionGroup, 3
	case session.EqualFold(b, "noack"):
		return optionNoAck, 1
	case more >= 1 && session.EqualFold(b, "streams"):
		return optionStreams, 1
	}
	return noOption, 0
}

// readKeys finds the keys of XREAD and XREADGROUP.
func readKeys(args [][]byte) ([]session.KeyRef, bool) {
	for i := 1; i < len(args); {
		o, width := optionAt(args, i)
		i += width
		switch o {
		case noOption:
			return nil, false
		case optionStreams:
			n := (len(args) - i) / 2
			if (len(args)-i)%2 != 0 {
				return nil, false
			}
			var keys []session.KeyRef
			for k := range n {
				keys = append(keys, session.KeyRef{Pos: i + k, Flags: session.KeyRO | session.KeyAccess})
			}
			return keys, true
		}
	}
	return nil, false
}

// A reading is a call of XREAD or XREADGROUP. It holds the indexes of arguments instead of the arguments, and no pointer to
// itself, so that it stays on the stack.
type reading struct {
	grouped  bool
	group    int // place of the group, which its consumer follows; 0 if it is not named
	blocks   bool
	deadline int64 // Unix ms, 0 for none
	count    int64 // 0 for all
	noAck    bool
	claims   bool
	minIdle  int64 // ms

	streams int // their number,
	keys    int // the place of the first one's key
	idArgs  int // and that of its ID
	ids     [8]stream.ID
	more    []stream.ID // of those behind the first eight

	served int
	mark   resp.Mark
	again  int64 // when the next pending entry has been idle for long enough to be claimed, Unix ms
}

func xread(c *session.Client) {
	d := reading{}
	d.run(c)
}

func xreadgroup(c *session.Client) {
	d := reading{grouped: true}
	d.run(c)
	c.PropagateNothing() // deliveries are propagated entry by entry
}

func (d *reading) run(c *session.Client) {
	if !d.parse(c) {
		return
	}
	for i := range d.streams {
		if !d.check(c, i) {
			return
		}
	}
	for i := range d.streams {
		r := c.Read(d.key(c, i))
		switch {
		case r == nil:
		case d.grouped:
			d.deliver(c, i, r)
		default:
			d.read(c, i, record.Value[stream.Stream](r))
		}
	}
	switch {
	case d.served > 0 && c.W.RESP3():
		c.W.EndMap(d.mark, d.served)
	case d.served > 0:
		c.W.EndArray(d.mark, d.served)
	case d.blocks && c.Host.MayBlock():
		d.wait(c)
	default:
		c.W.NullArray()
	}
}

// key returns the key of a stream.
func (d *reading) key(c *session.Client, i int) []byte { return c.Args[d.keys+i] }

// id returns the ID from which a stream is read.
func (d *reading) id(i int) stream.ID {
	if i < len(d.ids) {
		return d.ids[i]
	}
	return d.more[i-len(d.ids)]
}

// parse reads the options. On failure it has replied.
func (d *reading) parse(c *session.Client) (ok bool) {
	for i := 1; i < len(c.Args); {
		o, width := optionAt(c.Args, i)
		switch o {
		case optionBlock:
			if c.Host.InScript() {
				c.Error("ERR " + session.CString(c.Args[0]) + " command is not allowed with BLOCK option from scripts")
				return false
			}
			if d.deadline, ok = c.MillisecondsArg(i + 1); !ok {
				return false
			}
			d.blocks = true
		case optionCount:
			if d.count, ok = c.Int64Arg(i + 1); !ok {
				return false
			}
			d.count = max(d.count, 0)
		case optionClaim:
			if !d.grouped {
				c.Error(errClaimOption)
				return false
			}
			if d.minIdle, ok = resp.ParseInt(c.Args[i+1]); !ok {
				c.Error(errMinIdle)
				return false
			}
			if d.minIdle < 0 {
				c.Error(errMinLow)
				return false
			}
			d.claims = true
		case optionGroup:
			if !d.grouped {
				c.Error(errGroupOption)
				return false
			}
			d.group = i + 1
		case optionNoAck:
			if !d.grouped {
				c.Error(errNoAckOption)
				return false
			}
			d.noAck = true
		case optionStreams:
			return d.parseStreams(c, i+1)
		default:
			c.Error(session.ErrSyntax)
			return false
		}
		i += width
	}
	c.Error(session.ErrSyntax)
	return false
}

// parseStreams reads what follows STREAMS: keys, then as many IDs.
func (d *reading) parseStreams(c *session.Client, at int) bool {
	rest := c.Args[at:]
	n := len(rest) / 2
	switch {
	case len(rest)%2 != 0 && d.grouped:
		c.Error(errUnbalanced(c.Cmd.Full, ">"))
	case len(rest)%2 != 0:
		c.Error(errUnbalanced(c.Cmd.Full, "$"))
	case d.grouped && d.group == 0:
		c.Error(errNoGroupWord)
	default:
		d.streams, d.keys, d.idArgs = n, at, at+n
		return true
	}
	return false
}

func errUnbalanced(name, symbol string) string {
	return "ERR Unbalanced '" + name + "' list of streams: for each stream key an ID or '" + symbol + "' must be specified."
}

// check checks a stream's key and parses its ID, before anything is delivered. MaxID stands for >.
func (d *reading) check(c *session.Client, i int) bool {
	key, b := d.key(c, i), c.Args[d.idArgs+i]
	s, ok := readStream(c, key)
	if !ok {
		return false
	}
	if d.grouped && (s == nil || s.Group(c.Args[d.group]) == nil) {
		c.Error(errNoGroup(key, c.Args[d.group]) + " in XREADGROUP with GROUP option")
		return false
	}
	var id stream.ID
	switch {
	case isWord(b, '$') && d.grouped:
		c.Error(errDollar)
		return false
	case isWord(b, '+') && d.grouped:
		c.Error(errPlus)
		return false
	case isWord(b, '>') && !d.grouped:
		c.Error(errGreater)
		return false
	case isWord(b, '$'):
		if s != nil {
			id = s.Last
		}
	case isWord(b, '+'):
		if s != nil && s.Len() > 0 {
			id, _ = s.TopID().Prev()
		}
	case isWord(b, '>'):
		id = stream.MaxID
	default:
		if id, ok = parseID(b, 0, true); !ok {
			c.Error(errID)
			return false
		}
	}
	if i < len(d.ids) {
		d.ids[i] = id
	} else {
		d.more = append(d.more, id)
	}
	return true
}

// begin begins the reply of one stream.
func (d *reading) begin(c *session.Client, key []byte) {
	if d.served++; d.served == 1 {
		if c.W.RESP3() {
			d.mark = c.W.BeginMap()
		} else {
			d.mark = c.W.BeginArray()
		}
	}
	if !c.W.RESP3() {
		c.W.Array(2)
	}
	c.W.Bulk(key)
}

// read serves XREAD from one stream.
func (d *reading) read(c *session.Client, i int, s *stream.Stream) {
	if s.Len() == 0 || s.TopID().Compare(d.id(i)) <= 0 {
		return
	}
	d.begin(c, d.key(c, i))
	start, _ := d.id(i).Next()
	writeRange(c, s, start, stream.MaxID, false, d.count)
}

// deliver serves XREADGROUP from one stream.
func (d *reading) deliver(c *session.Client, i int, r *record.Record) {
	key, group := d.key(c, i), c.Args[d.group]
	g := ownGroup(c, r, key, group)
	defer g.done(c)
	consumer, fresh := g.consumer(c, c.Args[d.group+1])
	if fresh && d.noAck && c.Propagates() {
		c.PropagateAlso(wordXGroup, wordCreateConsumer, key, group, consumer.Name())
	}
	if d.id(i) != stream.MaxID {
		d.begin(c, key)
		d.history(c, &g, consumer, d.id(i))
		c.Core.Dirty++
		return
	}
	news := g.Stream.Len() > 0 && g.TopID().Compare(g.Last) > 0
	if !news && !(d.claims && d.claimable(&g)) {
		return
	}
	d.begin(c, key)
	m, n := c.W.BeginArray(), int64(0)
	if d.claims {
		n = d.claim(c, &g, consumer)
	}
	if news {
		n += d.news(c, &g, consumer, n)
	}
	c.W.EndArray(m, int(n))
	c.Core.Dirty++
}

// history replies with the consumer's pending entries behind an ID. For an entry that was deleted it replies the ID and nil.
func (d *reading) history(c *session.Client, g *groupEdit, consumer *stream.Consumer, id stream.ID) {
	var it stream.Iter
	m, n := c.W.BeginArray(), int64(0)
	for ok := true; d.count == 0 || n < d.count; n++ {
		if id, ok = id.Next(); !ok {
			break
		}
		if id, ok = consumer.NextPending(id); !ok || c.OverLimit() {
			break
		}
		it.Start(g.Stream, id, id, false)
		if !it.Next() {
			c.W.Array(2)
			writeID(c, id)
			c.W.NullArray()
			continue
		}
		writeEntry(c, &it)
		p, _ := g.Pending(id)
		g.SetPending(g.Group, consumer, id, g.now, p.Count+1, c.Gen())
	}
	c.W.EndArray(m, int(n))
}

// news delivers entries that were never delivered to the group. n entries of the reply were claimed already.
func (d *reading) news(c *session.Client, g *groupEdit, consumer *stream.Consumer, n int64) (delivered int64) {
	start, ok := g.Last.Next()
	if !ok {
		return 0
	}
	moved := false
	var it stream.Iter
	for it.Start(g.Stream, start, stream.MaxID, false); (d.count == 0 || n+delivered < d.count) && !c.OverLimit() && it.Next(); delivered++ {
		id := it.ID()
		if g.Advance(g.Group, id) {
			moved = true
		}
		if d.claims {
			c.W.Array(4)
			writeFields(c, &it)
			c.W.Int(0)
			c.W.Int(0)
		} else {
			writeEntry(c, &it)
		}
		if !d.noAck {
			g.deliver(c, consumer, id, g.now, 1)
		}
	}
	if moved {
		g.propagateLast(c)
	}
	return delivered
}

// claimable reports whether the pending entry that was delivered first has been idle for long enough. If not, it notes when
// it will be.
func (d *reading) claimable(g *groupEdit) bool {
	_, p, ok := g.Oldest()
	if ok && g.now-p.Time >= d.minIdle {
		return true
	}
	again := g.now + max(d.minIdle, pollClaims)
	if ok && d.minIdle <= again-p.Time {
		again = min(again, p.Time+d.minIdle)
	}
	if d.again == 0 || again < d.again {
		d.again = again
	}
	return false
}

// pollClaims is how often, in ms, a blocked client checks for claimable entries that were delivered to other consumers
// after it blocked.
const pollClaims = 10

// claim delivers pending entries that have been idle for long enough, in the order of their delivery.
func (d *reading) claim(c *session.Client, g *groupEdit, consumer *stream.Consumer) (n int64) {
	var claimed map[stream.ID]bool
	if d.minIdle == 0 {
		claimed = make(map[stream.ID]bool)
	}
	for (d.count == 0 || n < d.count) && !c.OverLimit() {
		id, p, ok := g.Oldest()
		if !ok || g.now-p.Time < d.minIdle || p.Time >= g.now {
			break
		}
		if claimed != nil {
			claimed[id] = true
		}
		n += d.claimOne(c, g, consumer, id, p)
	}
	if claimed == nil {
		return n
	}
	// Entries that were delivered in this millisecond may be claimed too. They have the same time as those just claimed.
	for from := (stream.ID{}); (d.count == 0 || n < d.count) && !c.OverLimit(); {
		id, p, ok := g.NextPending(from)
		if !ok {
			break
		}
		if p.Time == g.now && !claimed[id] {
			n += d.claimOne(c, g, consumer, id, p)
		}
		if from, ok = id.Next(); !ok {
			break
		}
	}
	return n
}

// claimOne delivers a pending entry and returns 1, or removes the pending entry of a deleted entry and returns 0.
func (d *reading) claimOne(c *session.Client, g *groupEdit, consumer *stream.Consumer, id stream.ID, p stream.Pending) int64 {
	var it stream.Iter
	it.Start(g.Stream, id, id, false)
	if !it.Next() {
		g.forget(c, consumer, id, p)
		return 0
	}
	c.W.Array(4)
	writeFields(c, &it)
	c.W.Int(g.idle(p))
	c.W.Int(int64(p.Count))
	g.deliver(c, consumer, id, g.now, p.Count+1)
	return 1
}

// wait makes the client wait until one of the streams has something for it.
func (d *reading) wait(c *session.Client) {
	w := session.Wait{Kind: record.Stream, Keys: c.Args[d.keys:d.idArgs], Deadline: d.deadline, Gone: d.grouped, Again: d.again}
	if d.grouped && !d.claims {
		w.Group = c.Args[d.group]
	}
	for i := range d.streams {
		if !isWord(c.Args[d.idArgs+i], '$') {
			continue
		}
		// $ means the entries from now on, also when the request runs again.
		if w.Args == nil {
			w.Args = append([][]byte(nil), c.Args...)
		}
		w.Args[d.idArgs+i] = idWord(d.id(i))
	}
	c.Host.Wait(w)
}
