package replication

// A Link is one connection to the master. It holds the state that ends with the connection: a line that is not complete,
// timers, the position in the stream. The Node holds what outlives the connection: History, Backlog, cached, streamDB.
//
//	LinkConnect ------- retryAt ----> LinkConnecting --- Dialed ---> LinkHandshake
//	LinkHandshake:      PING; AUTH and REPLCONFs in one piece; PSYNC, each when the replies before it have come
//	    +CONTINUE ------------------> LinkConnected
//	    +FULLRESYNC, or SYNC sent --> LinkTransfer --- complete ---> LinkLoading --- Loaded ---> LinkConnected
//	any failure ---------------------> LinkConnect: at once if the link was up, else after a second
//
// The stream: Received appends its bytes to the backlog and returns them to the owner, which parses and executes them.
// Executed moves History.Offset to the end of the last command that was executed outside a transaction. When the link ends,
// the bytes behind that offset are removed from the backlog (half a command or half a transaction), and the next PSYNC asks
// for them again.

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// LinkState is where the link to the master stands.
type LinkState int

// The states of the link.
const (
	LinkNone       LinkState = iota // no master
	LinkConnect                     // must connect: connect
	LinkConnecting                  // Dial was asked for: connecting
	LinkHandshake                   // PING to PSYNC: handshake
	LinkTransfer                    // the payload comes: sync
	LinkLoading                     // it has come and is being loaded: sync
	LinkConnected                   // the stream: connected
)

// String returns the name that ROLE gives.
func (s LinkState) String() string {
	return [...]string{"none", "connect", "connecting", "handshake", "sync", "sync", "connected"}[s]
}

// Link is one connection to the master.
type Link struct {
	// Ctx is the owner's: the connection.
	Ctx any

	Host string
	Port int

	state  LinkState
	line   []byte // a line that is not complete yet
	lastIO int64  // when we last received bytes, or began to connect
	sent   int64  // when we last sent an acknowledgement or a newline

	// Handshake.
	expected []string // the requests whose replies have not come yet, in order
	failover bool     // PSYNC was sent with FAILOVER
	old      bool     // the master knows SYNC only: its history has no replid

	transfer transfer

	// Stream.
	base      int64 // History.Offset where the stream began
	wanted    int64 // a GETACK was answered with less than this on disk; 0: no
	forgotten int64 // the end of our history before a failover, while it is not clear whether the new master has it; 0: no
}

// retryDelay is the pause between a failure and the next attempt to connect, in ms.
const retryDelay = 1000

// maxLine bounds a line of the handshake.
const maxLine = 4096

var errLongLine = errors.New("the line is too long")

// Link returns the link that there is, or nil.
func (n *Node) Link() *Link { return n.link }

// linkUp reports whether the link receives the stream (master_link_status:up).
func (n *Node) linkUp() bool { return n.link != nil && n.link.state == LinkConnected }

// connect makes a link.
func (n *Node) connect(now int64) {
	n.logf(Notice, "Connecting to MASTER %s:%d", n.host, n.port)
	n.link = &Link{Host: n.host, Port: n.port, state: LinkConnecting, lastIO: now}
	n.do(Dial{n.link})
	n.logf(Notice, "MASTER <-> REPLICA sync started")
}

// closeLink ends the link, if there is one.
func (n *Node) closeLink() {
	l := n.link
	if l == nil {
		return
	}
	n.link = nil
	if l.state == LinkConnected {
		n.do(LinkDown{l})
		n.Backlog.cut(n.Backlog.shown)
	}
	n.do(CloseLink{l})
}

// dropLink ends the link. A link that was up is reconnected at once, another one after retryDelay.
func (n *Node) dropLink(now int64) {
	l := n.link
	up := l.state == LinkConnected
	if l.failover && n.failover.state == inProgress {
		n.failover.unsure, n.failover.probe = true, true
	}
	n.closeLink()
	n.retryAt = now + retryDelay
	if !up {
		return
	}
	n.downAt = now
	if l.old {
		n.cached = false
	} else if n.cached {
		n.logf(Notice, "Caching the disconnected master state.")
	}
	n.retryAt = now
	n.logf(Notice, "Reconnecting to MASTER %s:%d", n.host, n.port)
	n.connect(now)
}

// fail logs why the link ends, and ends it.
func (n *Node) fail(now int64, format string, args ...any) {
	n.logf(Warning, format, args...)
	n.dropLink(now)
}

// LinkClosed ends the link. The owner calls it when the connection was closed or failed.
func (n *Node) LinkClosed(now int64, l *Link, err error) {
	if l != n.link {
		return
	}
	switch l.state {
	case LinkLoading:
		// The payload is complete: loading continues without the connection.
		l.transfer.lost = true
		return
	case LinkConnected:
		n.logf(Notice, "Connection with master lost.")
	case LinkTransfer:
		n.logf(Warning, "I/O error trying to sync with MASTER: %s", reasonOf(err))
	default:
		n.logf(Warning, "Failed to read response from the server: %s", reasonOf(err))
	}
	lost := l.state == LinkTransfer
	n.dropLink(now)
	if lost && n.link == nil {
		n.retryAt = now // reconnect with the next Tick, while the master's backlog may still reach back far enough
	}
}

func reasonOf(err error) string {
	if err == nil {
		return "connection lost"
	}
	return err.Error()
}

// LinkBroken ends the link and asks for a full resync next time. The owner calls it when the stream cannot be parsed.
func (n *Node) LinkBroken(now int64, l *Link, reason string) {
	if l != n.link {
		return
	}
	n.cached = false
	n.fail(now, "Protocol error from master: %s", reason)
}

// Dialed begins the handshake. The owner calls it when the connection is established, or has failed (err).
func (n *Node) Dialed(now int64, l *Link, err error) {
	if l != n.link || l.state != LinkConnecting {
		return
	}
	if err != nil {
		n.fail(now, "Error condition on socket for SYNC: %v", err)
		return
	}
	n.logf(Notice, "Non blocking connect for SYNC fired the event.")
	l.state, l.lastIO = LinkHandshake, now
	l.expected = []string{"PING"}
	n.send(l, AppendCommand(nil, words("PING")))
}

func (n *Node) send(l *Link, data []byte) { n.do(SendMaster{Link: l, Data: data}) }

// Received takes what came from the master. It returns the part that belongs to the stream, which is a part of p.
func (n *Node) Received(now int64, l *Link, p []byte) (stream []byte) {
	if l != n.link || len(p) == 0 {
		return nil
	}
	l.lastIO = now
	for len(p) > 0 && l == n.link {
		switch l.state {
		case LinkConnected:
			n.Backlog.write(p)
			if l.forgotten > 0 {
				n.reclaim(l)
			}
			return p
		case LinkHandshake:
			var line []byte
			var err error
			if line, p, err = l.takeLine(p); err != nil {
				n.fail(now, "Failed to read response from the server: %v", err)
			} else if len(line) > 0 {
				n.reply(now, l, string(line))
			}
		case LinkTransfer:
			p = n.transferred(now, l, p)
		case LinkLoading:
			l.transfer.early = append(l.transfer.early, p...)
			return nil
		default:
			return nil
		}
	}
	return nil
}

// takeLine reads bytes of p up to the end of a line. It returns the line without its end; "" if the line is empty or not
// complete yet. rest is what follows in p.
func (l *Link) takeLine(p []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		i = len(p)
	}
	l.line = append(l.line, p[:i]...)
	if len(l.line) > maxLine {
		return nil, nil, errLongLine
	}
	if i == len(p) {
		return nil, nil, nil
	}
	line = bytes.TrimSuffix(l.line, []byte("\r"))
	l.line = nil
	return line, p[i+1:], nil
}

// reply handles the master's reply to the first request in expected.
func (n *Node) reply(now int64, l *Link, line string) {
	what := l.expected[0]
	l.expected = l.expected[1:]
	refused := line[0] == '-'
	switch what {
	case "PING":
		if line[0] != '+' && !strings.HasPrefix(line, "-NOAUTH") && !strings.HasPrefix(line, "-NOPERM") &&
			!strings.HasPrefix(line, "-ERR operation not permitted") {
			n.fail(now, "Error reply to PING from master: '%s'", printable([]byte(line)))
			return
		}
		n.logf(Notice, "Master replied to PING, replication can continue...")
		n.introduce(l)
		return
	case "AUTH":
		if refused {
			n.fail(now, "Unable to AUTH to MASTER: %s", printable([]byte(line)))
			return
		}
	case "PSYNC":
		n.psyncReply(now, l, line)
		return
	default:
		if refused {
			n.logf(Notice, "(Non critical) Master does not understand REPLCONF %s: %s", what, printable([]byte(line)))
		}
	}
	if len(l.expected) == 0 {
		n.sendPsync(l)
	}
}

// introduce sends AUTH and the REPLCONFs that precede PSYNC.
func (n *Node) introduce(l *Link) {
	s := &n.Settings
	var out []byte
	say := func(what string, argv ...string) {
		out = AppendCommand(out, words(argv...))
		l.expected = append(l.expected, what)
	}
	switch {
	case s.MasterAuth != "" && s.MasterUser != "":
		say("AUTH", "AUTH", s.MasterUser, s.MasterAuth)
	case s.MasterAuth != "":
		say("AUTH", "AUTH", s.MasterAuth)
	}
	port := s.AnnouncePort
	if port == 0 {
		port = s.Port
	}
	say("listening-port", "REPLCONF", "listening-port", strconv.Itoa(port))
	if s.AnnounceIP != "" {
		say("ip-address", "REPLCONF", "ip-address", s.AnnounceIP)
	}
	say("capa", "REPLCONF", "capa", "eof", "capa", "psync2")
	n.send(l, out)
}

func (n *Node) sendPsync(l *Link) {
	id, offset := "?", int64(-1)
	if n.cached {
		id, offset = n.History.ID, n.History.Offset+1
		if n.failover.state == inProgress {
			offset = n.failover.ask + 1
		}
		n.logf(Notice, "Trying a partial resynchronization (request %s:%d).", id, offset)
	} else {
		n.logf(Notice, "Partial resynchronization not possible (no cached master)")
	}
	if n.opt.Fault == FaultOffset && n.cached {
		offset++
	}
	argv := words("PSYNC", id, strconv.FormatInt(offset, 10))
	if n.failover.state == inProgress && !n.failover.probe {
		l.failover = true
		argv = append(argv, []byte("FAILOVER"))
	}
	l.expected = append(l.expected, "PSYNC")
	n.send(l, AppendCommand(nil, argv))
}

func (n *Node) psyncReply(now int64, l *Link, line string) {
	switch {
	case strings.HasPrefix(line, "+FULLRESYNC"):
		f := strings.Fields(line)
		if len(f) != 3 || len(f[1]) != len(NoID) {
			n.fail(now, "Master replied with wrong +FULLRESYNC syntax.")
			return
		}
		offset, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil || offset < 0 {
			n.fail(now, "Master replied with wrong +FULLRESYNC syntax.")
			return
		}
		n.logf(Notice, "Full resync from master: %s:%d", f[1], offset)
		if n.failover.state == inProgress {
			// The target had all of our history, and it is a master now or has another one.
			n.endFailover()
		}
		l.beginTransfer(now, f[1], offset)
	case strings.HasPrefix(line, "+CONTINUE"):
		n.resume(now, l, strings.TrimSpace(line[len("+CONTINUE"):]))
	case strings.HasPrefix(line, "-NOMASTERLINK"), strings.HasPrefix(line, "-LOADING"):
		n.logf(Notice, "Master is currently unable to PSYNC but should be in the future: %s", printable([]byte(line)))
		l.failover = false
		if n.failover.state == inProgress {
			n.failover.probe = false
		}
		n.dropLink(now)
	case n.failover.state == inProgress:
		if l.failover && n.failover.unsure {
			// The target may have accepted the earlier PSYNC FAILOVER, whose reply was lost with the connection.
			l.failover = false
			n.failover.probe = true
			n.dropLink(now)
			return
		}
		n.abortFailover(now, "Failover target rejected psync request")
	default:
		if strings.HasPrefix(line, "-ERR") {
			n.logf(Notice, "Master does not support PSYNC or is in error state (reply: %s)", printable([]byte(line)))
		} else {
			n.logf(Warning, "Unexpected reply to PSYNC from master: %s", printable([]byte(line)))
		}
		n.logf(Notice, "Retrying with SYNC...")
		l.old = true
		n.send(l, []byte("SYNC\r\n"))
		l.beginTransfer(now, NoID, 0)
	}
}

// resume handles +CONTINUE: the stream continues at the end of our history. id is the new replid, "" if there is none.
func (n *Node) resume(now int64, l *Link, id string) {
	h := &n.History
	if !n.cached {
		n.fail(now, "Master continues a history that was not asked for.")
		return
	}
	if id != "" && len(id) != len(NoID) {
		n.fail(now, "Master replied with wrong +CONTINUE syntax.")
		return
	}
	if n.failover.state == inProgress {
		l.forgotten = n.rewind(n.failover.ask)
		n.endFailover()
	}
	n.logf(Notice, "Successful partial resynchronization with master.")
	if id != "" && !equalID(id, h.ID) {
		h.Shift(id)
		n.logf(Notice, "Master replication ID changed to %s", id)
		// Our sub-replicas reconnect and learn the new replid.
		n.closeReplicas()
	}
	n.needBacklog()
	n.logf(Notice, "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")
	n.goOnline(now, l, false)
}

// goOnline begins the stream.
func (n *Node) goOnline(now int64, l *Link, full bool) {
	l.state, l.lastIO, l.sent = LinkConnected, now, now
	l.base = n.History.Offset
	n.do(LinkUp{Link: l, DB: n.streamDB, Full: full})
}

// Executed moves the history's offset to the end of a command. The owner calls it after each command of the stream. consumed
// counts the bytes of the stream since LinkUp, db is the selected database, inMulti reports an open transaction.
func (n *Node) Executed(now int64, l *Link, consumed int64, db int, inMulti bool) {
	if l != n.link || l.state != LinkConnected || inMulti && n.opt.Fault != FaultHalfTransaction {
		return
	}
	b := &n.Backlog
	if l.base+consumed > b.end {
		panic("replication: more was executed than has come")
	}
	b.shown = l.base + consumed
	n.History.Offset = b.shown
	n.streamDB = db
	n.trim()
}

// MasterReplconf is REPLCONF in the master's stream; args are the words after it. The acknowledgement that GETACK asks for
// has the offset before the GETACK itself.
func (n *Node) MasterReplconf(now int64, l *Link, args [][]byte) {
	if l == n.link && l.state == LinkConnected && len(args) > 0 && strings.EqualFold(string(args[0]), "getack") {
		n.sendAck(now, l)
		if n.Settings.AOF && n.fsynced < n.History.Offset {
			l.wanted = n.History.Offset
		}
	}
}

func (n *Node) sendAck(now int64, l *Link) {
	if l.old {
		return
	}
	l.sent = now
	argv := words("REPLCONF", "ACK", strconv.FormatInt(n.History.Offset, 10))
	if n.Settings.AOF {
		argv = append(argv, words("FACK", strconv.FormatInt(n.fsynced, 10))...)
	}
	n.send(l, AppendCommand(nil, argv))
}

// fsyncedAck sends an acknowledgement as soon as the AOF has on disk what the last GETACK asked for.
func (n *Node) fsyncedAck(now int64) {
	if l := n.link; l != nil && l.state == LinkConnected && l.wanted > 0 && n.fsynced >= l.wanted {
		l.wanted = 0
		n.sendAck(now, l)
	}
}

func (n *Node) tickLink(now int64) {
	l := n.link
	if l == nil {
		if now >= n.retryAt {
			n.connect(now)
		}
		return
	}
	silent := now-l.lastIO > n.Settings.Timeout*1000
	switch l.state {
	case LinkConnecting, LinkHandshake:
		if silent {
			n.fail(now, "Timeout connecting to the MASTER...")
		}
	case LinkTransfer:
		if silent {
			n.fail(now, "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' parameter in redis.conf to a larger value.")
		} else if l.transfer.taken {
			n.sayAlive(now, l)
		}
	case LinkLoading:
		n.sayAlive(now, l)
	case LinkConnected:
		if silent {
			n.fail(now, "MASTER timeout: no data nor PING received...")
		} else if now-l.sent >= 1000 {
			n.sendAck(now, l)
			l.sent = now
		}
	}
}

// sayAlive sends an empty line once a second while the old data are flushed and the payload is loaded.
func (n *Node) sayAlive(now int64, l *Link) {
	if !l.transfer.lost && now-l.sent >= 1000 {
		l.sent = now
		n.send(l, []byte("\n"))
	}
}

// LinkInfo holds what INFO and ROLE show of the link.
type LinkInfo struct {
	State         LinkState
	LastIO        int64 // when we last received bytes, ms; 0: the link is down
	DownSince     int64 // since when it is down, ms; 0: it is up
	ReadOffset    int64 // slave_read_repl_offset
	Size          int64 // of the payload that comes; -1: unknown
	Read          int64 // bytes of it that have come
	TransferIO    int64 // when the last of them came, ms
	TransferStart int64 // when the transfer began, ms
}

// LinkInfo returns the state of the link.
func (n *Node) LinkInfo() LinkInfo {
	i := LinkInfo{Size: -1, ReadOffset: n.History.Offset}
	l := n.link
	switch {
	case n.host == "":
		return i
	case l == nil:
		i.State = LinkConnect
	default:
		i.State = l.state
	}
	switch i.State {
	case LinkConnected:
		i.LastIO, i.ReadOffset = l.lastIO, n.Backlog.end
		return i
	case LinkTransfer, LinkLoading:
		t := &l.transfer
		i.Size, i.Read, i.TransferIO, i.TransferStart = t.size, t.read, l.lastIO, t.started
	}
	i.DownSince = n.downAt
	return i
}

// HistoryUsable reports whether the history can be continued: slave_repl_offset is -1 in ROLE if not.
func (n *Node) HistoryUsable() bool { return n.host == "" || n.cached }
