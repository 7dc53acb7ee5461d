package simulation

// A connection is two pipes. What is sent into a pipe arrives in order, later, in other pieces. A pipe takes only so much
// that has not arrived yet: then writes are short, as with a socket. A connection that is cut delivers a random part of what is
// on its way. Its two ends notice the cut at different times, or one of them never (a half-open connection).

type conn struct {
	w    *World
	name string
	ends [2]*end
	cut  bool
}

type end struct {
	conn     *conn
	peer     *end
	server   *server
	life     int // of the server, when the connection was made
	closed   bool
	paused   bool   // the receiver does not read
	inbox    []byte // arrived while it does not
	received func([]byte)
	writable func()
	lost     func()

	flying  int   // bytes sent and not arrived
	last    int64 // when the last piece arrives
	stalled int64 // nothing arrives before
	room    int   // bytes that may fly
}

// dial connects a server with the one at an address; nil if nobody listens there.
func (w *World) dial(from *server, to *server) *conn {
	if !to.alive {
		return nil
	}
	c := &conn{w: w, name: from.name + ">" + to.name}
	for i, s := range []*server{from, to} {
		c.ends[i] = &end{conn: c, server: s, life: s.life, room: w.between(300, 60000)}
	}
	c.ends[0].peer, c.ends[1].peer = c.ends[1], c.ends[0]
	from.conns = append(from.conns, c.ends[0])
	to.conns = append(to.conns, c.ends[1])
	return c
}

// gone says that the end's process does not exist any more, or does not care.
func (e *end) gone() bool { return e.closed || !e.server.alive || e.server.life != e.life }

// send takes as much as the pipe holds.
func (e *end) send(p []byte, whole bool) int {
	if e.gone() || e.conn.cut {
		return len(p)
	}
	n := len(p)
	if !whole {
		n = max(min(n, e.room-e.flying), 0)
	}
	w := e.conn.w
	p = append([]byte(nil), p[:n]...)
	for len(p) > 0 {
		k := len(p)
		if w.chance(3) {
			k = w.between(1, len(p))
		}
		e.fly(p[:k])
		p = p[k:]
	}
	return n
}

func (e *end) fly(p []byte) {
	w := e.conn.w
	arrives := max(w.now+int64(w.between(0, w.plan.Delay)), e.last, e.stalled)
	e.last = arrives
	e.flying += len(p)
	w.at(arrives-w.now, func() {
		full := e.flying >= e.room
		e.flying -= len(p)
		if e.conn.cut || e.peer.gone() {
			return
		}
		e.peer.arrive(p)
		if full && e.flying < e.room && !e.gone() && e.writable != nil {
			e.writable()
		}
	})
}

func (e *end) arrive(p []byte) {
	if e.paused {
		e.inbox = append(e.inbox, p...)
		return
	}
	e.received(p)
}

// resume reads on.
func (e *end) resume() {
	e.paused = false
	for len(e.inbox) > 0 && !e.paused && !e.gone() {
		p := e.inbox
		e.inbox = nil
		e.received(p)
	}
}

// close ends the connection from one side; the other hears of it after what was sent before.
func (e *end) close() {
	if e.closed {
		return
	}
	e.closed = true
	e.server.drop(e)
	w := e.conn.w
	w.at(max(e.last, e.stalled)-w.now+int64(w.between(0, w.plan.Delay)), func() {
		e.peer.hangUp()
	})
}

// hangUp delivers to an end that the other has closed.
func (e *end) hangUp() {
	if e.gone() {
		return
	}
	if e.paused {
		e.conn.w.at(100, e.hangUp)
		return
	}
	e.closed = true
	e.server.drop(e)
	e.lost()
}

// breakOff cuts the connection.
func (c *conn) breakOff() {
	w := c.w
	w.logf("cut %s", c.name)
	// What arrives in the next moments still does.
	w.at(int64(w.between(0, 2*w.plan.Delay)), func() { c.cut = true })
	silent := -1
	if w.chance(4) {
		silent = w.between(0, 1)
	}
	for i, e := range c.ends {
		if i == silent {
			continue
		}
		w.at(int64(w.between(2*w.plan.Delay+1, 2*w.plan.Delay+300)), e.hangUp)
	}
}

// stall holds all that is sent for some time.
func (c *conn) stall(ms int64) {
	c.w.logf("stall %s for %d ms", c.name, ms)
	for _, e := range c.ends {
		e.stalled = c.w.now + ms
	}
}
