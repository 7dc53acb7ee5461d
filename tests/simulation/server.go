package simulation

// A server is a model keyspace around a replication.Node, driven as the real server drives it: events, then actions until
// there are none, then the end of the round. Its disk holds one dump, which changes when a save is complete. A process that is
// killed loses everything else.

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ferrous/replication"
)

type server struct {
	w     *World
	name  string
	port  int
	alive bool
	life  int // counts starts
	conns []*end

	node *replication.Node
	data *keyspace

	disk     []byte // the last complete dump; nil: none
	config   string // the master that the configuration names; "": none
	saving   bool   // a snapshot is being written
	paused   bool   // writes of clients are held: FAILOVER
	busy     bool   // within step
	diskless bool   // loads from the socket

	link struct {
		end     *end
		parser  parser
		db      int
		multi   bool
		queue   [][][]byte
		payload []byte
	}
	fulls  int  // payloads that were loaded in this life and could have been spared
	beyond bool // it has asked a server that has its history, but not these bytes of it
}

// replica is what the server keeps for a connection of a replica.
type replica struct {
	end    *end
	r      *replication.Replica
	parser parser
}

func (s *server) settings() replication.Settings {
	return s.w.plan.Settings(s.port)
}

// start begins a life with what the disk holds.
func (s *server) start() {
	w := s.w
	s.life++
	s.alive = true
	s.saving, s.paused, s.busy = false, false, false
	s.link.end = nil
	s.data = newKeyspace()
	s.fulls = 0
	s.node = replication.New(replication.Options{
		NewID: w.newID,
		Loadable: func(head []byte) string {
			if string(head) != "REDIS0011" {
				return "no dump"
			}
			return ""
		},
		Fault: w.plan.Fault,
	}, s.settings())
	if s.disk != nil {
		data, id, offset, db, err := load(s.disk)
		if err != nil {
			w.fail("%s: its own dump: %v", s.name, err)
			return
		}
		s.data = data
		if id != replication.NoID {
			s.node.Restore(w.now, replication.Aux{ID: id, Offset: offset, StreamDB: db}, s.config != "")
		}
	}
	w.logf("%s starts, replica of %q, at %s %d", s.name, s.config, s.node.History.ID[:8], s.node.History.Offset)
	if s.config != "" {
		s.node.Boot(w.now, s.config, portOf(s.config))
	}
	w.check(s)
	s.tick(s.life)
}

func portOf(name string) int { return 7000 + int(name[1]-'0') }

// kill ends the process at once.
func (s *server) kill() {
	s.w.logf("%s is killed", s.name)
	s.end()
}

func (s *server) end() {
	s.alive = false
	conns := s.conns
	s.conns = nil
	for _, e := range conns {
		peer := e.peer
		s.w.at(int64(s.w.between(0, 200)), peer.hangUp)
	}
}

// shutdown ends the process with a dump of its last state.
func (s *server) shutdown() {
	s.w.logf("%s shuts down", s.name)
	s.disk = s.image()
	s.end()
}

// image is a dump of this moment.
func (s *server) image() []byte {
	aux, ok := s.node.Aux()
	if !ok {
		aux.ID = replication.NoID
	}
	return s.data.dump(aux.ID, aux.Offset, aux.StreamDB)
}

func (s *server) drop(e *end) {
	for i, other := range s.conns {
		if other == e {
			s.conns = append(s.conns[:i:i], s.conns[i+1:]...)
			return
		}
	}
}

// later runs a function in this life of the server after a delay, as a round of its loop.
func (s *server) later(delay int64, do func()) {
	life := s.life
	s.w.at(delay, func() {
		if s.alive && s.life == life {
			s.step(do)
		}
	})
}

func (s *server) tick(life int) {
	s.w.at(100, func() {
		if s.alive && s.life == life {
			s.step(func() { s.node.Tick(s.w.now) })
			s.tick(life)
		}
	})
}

// step is a round of the loop.
func (s *server) step(do func()) {
	if s.busy {
		do()
		return
	}
	s.busy = true
	do()
	s.carry()
	s.node.EndRound(s.w.now)
	s.carry()
	s.flush()
	s.carry()
	s.busy = false
}

// carry carries out what the node asks for.
func (s *server) carry() {
	for actions := s.node.Take(); len(actions) > 0 && s.alive; actions = s.node.Take() {
		for _, a := range actions {
			s.carryOut(a)
		}
	}
}

func (s *server) carryOut(a replication.Action) {
	w, n := s.w, s.node
	switch a := a.(type) {
	case replication.Log:
		w.logf("%s: %s", s.name, a.Text)
	case replication.CloseReplica:
		a.Replica.Ctx.(*replica).end.close()
	case replication.StartJob:
		if s.saving {
			n.JobDelayed(w.now, a.Job)
			return
		}
		s.save(a.Job)
	case replication.CancelJob:
		if !a.Job.Streamed && !a.Job.Wanted() && w.rng.IntN(2) == 0 {
			n.JobDone(w.now, a.Job, 0, errors.New("nobody waits for the dump"))
		}
	case replication.SendFile:
		s.pump(a.Payload, s.disk, func() { n.PayloadEnd(w.now, a.Payload, nil) })
	case replication.PayloadRoom:
		a.Payload.Ctx.(func())()
	case replication.PayloadDropped:
		a.Payload.Ctx = nil
	case replication.WaitDone:
		a.Waiter.Ctx.(func(replication.WaitDone))(a)
	case replication.PauseWrites:
		s.paused = true
	case replication.ResumeWrites:
		s.paused = false
	case replication.RoleChanged:
		host, _ := n.Master()
		s.config = host
		w.logf("%s: role changed, master %q", s.name, host)
		if !a.Replica {
			w.check(s)
		}
	case replication.Dial:
		s.dial(a.Link)
	case replication.SendMaster:
		a.Link.Ctx.(*end).send(a.Data, true)
	case replication.CloseLink:
		if e, ok := a.Link.Ctx.(*end); ok {
			e.close()
		}
		if s.link.end == nil {
			break
		}
		s.link.end = nil
	case replication.PayloadBegin:
		s.link.payload = nil
		if s.diskless = w.chance(2); s.diskless {
			n.Taking(w.now, a.Link)
			s.data = newKeyspace()
		}
	case replication.PayloadBytes:
		s.link.payload = append(s.link.payload, a.Data...)
	case replication.PayloadComplete:
		s.load(a.Link)
	case replication.LinkUp:
		s.link.parser, s.link.db, s.link.multi, s.link.queue = parser{}, a.DB, false, nil
		w.check(s)
	case replication.LinkDown:
		s.link.parser, s.link.multi, s.link.queue = parser{}, false, nil
	default:
		w.fail("unknown action %T", a)
	}
}

// save makes a snapshot for a job; nil is a dump for the server itself.
func (s *server) save(j *replication.Job) {
	w, n := s.w, s.node
	s.saving = true
	own := j == nil
	if own {
		j = n.NewDump()
	} else {
		n.JobStarted(w.now, j)
	}
	aux := j.History
	if own {
		if _, ok := n.Aux(); !ok {
			aux.ID = replication.NoID
		}
	}
	file := s.data.dump(aux.ID, aux.Offset, aux.StreamDB)
	if j.Streamed {
		s.pump(j.Payload, file, func() {
			s.saving = false
			n.JobDone(w.now, j, int64(len(file)), nil)
			n.SnapshotFree(w.now)
		})
		return
	}
	s.later(int64(w.between(1, w.plan.SaveTime)), func() {
		s.saving = false
		if w.chance(w.plan.SaveFails) {
			n.JobDone(w.now, j, 0, errors.New("disk full"))
		} else {
			s.disk = file
			n.JobDone(w.now, j, int64(len(file)), nil)
		}
		n.SnapshotFree(w.now)
	})
}

// pump feeds a payload in pieces.
func (s *server) pump(p *replication.Payload, file []byte, done func()) {
	w := s.w
	piece := w.between(1, 4000)
	var on func()
	on = func() {
		if len(file) == 0 {
			done()
			return
		}
		if p.Room() == 0 {
			p.Ctx = func() { s.later(1, on) }
			return
		}
		k := min(piece, len(file))
		s.node.PayloadData(p, file[:k:k])
		file = file[k:]
		s.later(int64(w.between(0, 5)), on)
	}
	p.Ctx = func() {}
	s.later(int64(w.between(0, w.plan.SaveTime)), on)
}

// load loads the payload of a link.
func (s *server) load(l *replication.Link) {
	w := s.w
	e := l.Ctx.(*end)
	e.paused = true
	s.later(int64(w.between(0, 3000)), func() {
		if s.node.Link() != l {
			return
		}
		data, _, _, db, err := load(s.link.payload)
		if err == nil && w.chance(w.plan.LoadFails) {
			err = errors.New("no memory")
		}
		if err == nil {
			s.node.Taking(w.now, l)
			s.data = data
			if !s.beyond {
				s.fulls++
			}
		} else if !w.chance(2) {
			s.node.Taking(w.now, l)
			s.data = newKeyspace()
		}
		stream := s.node.Loaded(w.now, l, db, err)
		s.carry()
		s.execute(l, stream)
		w.at(0, func() {
			if !e.gone() {
				e.resume()
			}
		})
	})
}

// dial connects to the master.
func (s *server) dial(l *replication.Link) {
	w := s.w
	to := w.server(l.Host)
	s.later(int64(w.between(0, 50)), func() {
		if s.node.Link() != l {
			return
		}
		c := w.dial(s, to)
		if c == nil {
			s.node.Dialed(w.now, l, errors.New("connection refused"))
			return
		}
		e := c.ends[0]
		l.Ctx = e
		s.link.end = e
		e.received = func(p []byte) {
			s.step(func() {
				stream := s.node.Received(w.now, l, p)
				s.carry()
				s.execute(l, stream)
			})
		}
		e.lost = func() { s.step(func() { s.node.LinkClosed(w.now, l, nil) }) }
		to.accept(c.ends[1])
		s.node.Dialed(w.now, l, nil)
	})
}

// execute runs a piece of the master's stream.
func (s *server) execute(l *replication.Link, stream []byte) {
	k := &s.link
	k.parser.buf = append(k.parser.buf, stream...)
	if len(stream) == 0 {
		return
	}
	for s.node.Link() == l && s.w.failure == "" {
		argv, err := k.parser.next()
		if err != nil {
			s.w.fail("%s: garbage in the stream: %q", s.name, k.parser.buf)
			return
		}
		if argv == nil {
			return
		}
		s.command(l, argv)
		s.node.Executed(s.w.now, l, k.parser.consumed, k.db, k.multi)
		s.carry()
		if !k.multi && s.node.Link() == l {
			s.w.check(s)
		}
	}
}

// command runs one command of the master.
func (s *server) command(l *replication.Link, argv [][]byte) {
	k := &s.link
	name := strings.ToUpper(string(argv[0]))
	switch {
	case name == "MULTI":
		if k.multi {
			s.w.fail("%s: MULTI within MULTI", s.name)
		}
		k.multi, k.queue = true, nil
	case name == "EXEC":
		if !k.multi {
			s.w.fail("%s: EXEC without MULTI", s.name)
		}
		k.multi = false
		for _, queued := range k.queue {
			s.command(l, queued)
		}
		k.queue = nil
	case k.multi:
		k.queue = append(k.queue, argv)
	case name == "SELECT":
		fmt.Sscan(string(argv[1]), &k.db)
	case name == "PING":
	case name == "REPLCONF":
		s.node.MasterReplconf(s.w.now, l, argv[1:])
	default:
		if err := s.data.run(k.db, argv); err != nil {
			s.w.fail("%s: %v", s.name, err)
		}
	}
}

// accept serves a connection of a replica.
func (s *server) accept(e *end) {
	w := s.w
	c := &replica{end: e}
	e.received = func(p []byte) {
		s.step(func() {
			c.parser.buf = append(c.parser.buf, p...)
			for !e.gone() {
				if c.r != nil && len(c.parser.buf) > 0 && c.parser.buf[0] == '\n' {
					c.parser.buf = c.parser.buf[1:]
					s.node.ReplicaAlive(w.now, c.r)
					continue
				}
				argv, err := c.parser.next()
				if err != nil {
					w.fail("%s: garbage from a replica: %q", s.name, c.parser.buf)
				}
				if argv == nil {
					return
				}
				s.request(c, argv)
				s.carry()
			}
		})
	}
	e.lost = func() {
		s.step(func() {
			if c.r != nil {
				s.node.ReplicaClosed(w.now, c.r)
			}
		})
	}
	e.writable = func() { s.step(func() { s.write(c) }) }
}

// request serves a command of a replica.
func (s *server) request(c *replica, argv [][]byte) {
	w := s.w
	if c.r == nil && string(argv[0]) != "PING" {
		c.r = s.node.NewReplica(c, c.end.peer.server.name)
	}
	var reply replication.Reply
	switch string(argv[0]) {
	case "PING":
		reply = "+PONG"
	case "REPLCONF":
		reply = s.node.Replconf(w.now, c.r, argv[1:])
	case "PSYNC":
		w.logf("%s: %s asks %s", s.name, c.end.peer.server.name, argv[1:])
		c.end.peer.server.beyond = s.lacks(string(argv[1]), string(argv[2]))
		reply = s.node.Psync(w.now, c.r, argv[1:], false, c.end.peer.server.name)
	default:
		w.fail("%s: a replica sends %q", s.name, argv)
	}
	if reply != "" {
		c.end.send([]byte(string(reply)+"\r\n"), true)
	}
}

// lacks reports whether the server has the history that is asked for, but cannot go on from the offset: its backlog begins
// later, for it was itself synchronised in full later, or it has not come as far as the one that asks.
func (s *server) lacks(id, offset string) bool {
	h, b := &s.node.History, &s.node.Backlog
	from, err := strconv.ParseInt(offset, 10, 64)
	return err == nil && (id == h.ID || id == h.ID2) && b.Active() && (from < b.First() || from > h.Offset+1)
}

// flush writes to all replicas.
func (s *server) flush() {
	for _, r := range s.node.Replicas() {
		s.write(r.Ctx.(*replica))
	}
}

func (s *server) write(c *replica) {
	for !c.end.gone() && c.r.Pending() {
		bufs := c.r.Output(nil, s.w.between(1, 100000))
		sent := 0
		for _, b := range bufs {
			k := c.end.send(b, false)
			sent += k
			if k < len(b) {
				c.r.Wrote(s.w.now, sent)
				return
			}
		}
		c.r.Wrote(s.w.now, sent)
	}
}

// feed runs a command of a client and puts it into the stream.
func (s *server) feed(db int, argv ...string) {
	words := make([][]byte, len(argv))
	for i, a := range argv {
		words[i] = []byte(a)
	}
	if db >= 0 {
		if err := s.data.run(db, words); err != nil {
			s.w.fail("%s: %v", s.name, err)
		}
	}
	s.node.Feed(db, words)
}

// takesWrites reports whether a client's write would be done.
func (s *server) takesWrites() bool {
	return s.alive && !s.node.IsReplica() && !s.paused && !s.node.WritesRefused
}
