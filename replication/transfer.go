package replication

// The payload as it comes in:
//
//	"\n" ...                          keepalives while the master prepares the payload
//	"-..." "\n"                       the master has given up
//	"$<length>\r\n" data              nothing follows data
//	"$EOF:<mark>\r\n" data <mark>     mark: 40 random bytes
//
// A packet may end anywhere in the mark, and the stream may follow the mark at once. Bytes at the end of a packet that may
// begin the mark are held back until the next packet decides.
//
// The first nine bytes of the data (magic and version of an RDB file) are checked before PayloadBegin: a server that is no
// master, or whose file we cannot load, must not cost us our data. The old history stays valid until Taking.

import (
	"bytes"
	"strconv"
	"strings"
)

type transfer struct {
	id      string // of the history that follows
	offset  int64
	head    []byte // the first bytes of the data
	framed  bool   // the line before the data is complete
	begun   bool   // PayloadBegin was given out
	mark    []byte // nil: data end after size bytes
	size    int64  // -1: data end with the mark
	read    int64  // bytes of data that have come
	held    []byte // may be the beginning of the mark
	early   []byte // bytes of the stream that came before the data were loaded
	started int64
	taken   bool // Taking was called: the old data are lost
	lost    bool // the connection has ended, while the data are being loaded
}

// headSize is the length of magic and version of an RDB file.
const headSize = 9

func (l *Link) beginTransfer(now int64, id string, offset int64) {
	l.state = LinkTransfer
	l.transfer = transfer{id: id, offset: offset, size: -1, started: now}
	l.sent = now
}

// transferred handles bytes of the payload. It returns those behind the payload or behind the line before it.
func (n *Node) transferred(now int64, l *Link, p []byte) (rest []byte) {
	t := &l.transfer
	switch {
	case !t.framed:
		line, rest, err := l.takeLine(p)
		if err != nil {
			n.fail(now, "Bad protocol from MASTER: %v", err)
		} else if len(line) > 0 {
			n.frame(now, l, string(line))
		}
		return rest
	case t.mark != nil:
		return n.untilMark(now, l, p)
	}
	k := int(min(int64(len(p)), t.size-t.read))
	n.data(now, l, p[:k])
	if l == n.link && t.read == t.size {
		n.complete(now, l)
	}
	return p[k:]
}

// frame takes the line that begins the payload.
func (n *Node) frame(now int64, l *Link, line string) {
	t := &l.transfer
	switch mark, marked := strings.CutPrefix(line, "$EOF:"); {
	case line[0] == '-':
		n.fail(now, "MASTER aborted replication with an error: %s", printable([]byte(line[1:])))
		return
	case line[0] != '$':
		n.fail(now, "Bad protocol from MASTER, the first byte is not '$' (we received '%s'), are you sure the host and port are right?",
			printable([]byte(line)))
		return
	case marked && len(mark) >= len(NoID):
		t.mark = []byte(mark[:len(NoID)])
	default:
		size, err := strconv.ParseInt(line[1:], 10, 64)
		if err != nil || size < headSize {
			n.fail(now, "Bad protocol from MASTER, no length of a payload: '%s'", printable([]byte(line)))
			return
		}
		t.size = size
	}
	t.framed = true
}

// untilMark takes data up to the mark.
func (n *Node) untilMark(now int64, l *Link, p []byte) (rest []byte) {
	t := &l.transfer
	if len(t.held) > 0 {
		// The mark may begin in held and end in p.
		k := min(len(p), len(t.mark)-1)
		both := append(t.held[:len(t.held):len(t.held)], p[:k]...)
		if i := bytes.Index(both, t.mark); i >= 0 {
			used := i + len(t.mark) - len(t.held)
			n.data(now, l, both[:i])
			if l == n.link {
				n.complete(now, l)
			}
			return p[used:]
		}
		if k == len(p) {
			keep := markBegin(both, t.mark)
			t.held = both[len(both)-keep:]
			n.data(now, l, both[:len(both)-keep])
			return nil
		}
		// The mark is longer than the rest of both, so it begins in p.
		held := t.held
		t.held = nil
		n.data(now, l, held)
		if l != n.link {
			return nil
		}
	}
	if i := bytes.Index(p, t.mark); i >= 0 {
		n.data(now, l, p[:i])
		if l == n.link {
			n.complete(now, l)
		}
		return p[i+len(t.mark):]
	}
	keep := markBegin(p, t.mark)
	t.held = append([]byte(nil), p[len(p)-keep:]...)
	n.data(now, l, p[:len(p)-keep])
	return nil
}

// markBegin returns how many bytes at the end of p may begin a mark.
func markBegin(p, mark []byte) int {
	for k := min(len(p), len(mark)-1); k > 0; k-- {
		if p[len(p)-k] == mark[0] && bytes.Equal(p[len(p)-k:], mark[:k]) {
			return k
		}
	}
	return 0
}

// data takes bytes of the RDB file.
func (n *Node) data(now int64, l *Link, p []byte) {
	t := &l.transfer
	t.read += int64(len(p))
	if !t.begun {
		k := min(headSize-len(t.head), len(p))
		t.head = append(t.head, p[:k]...)
		p = p[k:]
		if len(t.head) < headSize {
			return
		}
		if why := n.opt.Loadable(t.head); why != "" {
			n.fail(now, "The payload from MASTER cannot be loaded, the data are kept: %s", why)
			return
		}
		t.begun = true
		n.do(PayloadBegin{Link: l, ID: t.id, Offset: t.offset, Size: t.size,
			SameHistory: n.cached && equalID(t.id, n.History.ID)})
		n.do(PayloadBytes{l, t.head})
	}
	if len(p) > 0 {
		n.do(PayloadBytes{l, p})
	}
}

// complete ends the payload.
func (n *Node) complete(now int64, l *Link) {
	if !l.transfer.begun {
		n.fail(now, "The payload from MASTER cannot be loaded, the data are kept: it is too short")
		return
	}
	l.state = LinkLoading
	n.do(PayloadComplete{l})
}

// Taking ends the old history. The owner calls it right before it flushes the old data: no replica can continue from them.
func (n *Node) Taking(now int64, l *Link) {
	if l != n.link || l.transfer.taken {
		return
	}
	l.transfer.taken = true
	n.closeReplicas()
	n.cached = false
	n.History.Restart(n.opt.NewID())
	n.Backlog.drop()
}

// Loaded ends a full synchronisation. The owner calls it when the payload is loaded, or loading has failed (err). streamDB is
// the file's repl-stream-db. It returns the bytes of the stream that came meanwhile.
func (n *Node) Loaded(now int64, l *Link, streamDB int, err error) (stream []byte) {
	if l != n.link || l.state != LinkLoading && err == nil {
		return nil
	}
	t := &l.transfer
	if err != nil {
		n.fail(now, "Failed trying to load the MASTER synchronization DB: %v", err)
		return nil
	}
	n.Taking(now, l)
	if l.old {
		n.History.Restart(n.opt.NewID())
	} else {
		n.History.Restart(t.id)
	}
	n.History.Offset, n.streamDB, n.cached, n.fsynced = t.offset, streamDB, true, 0
	n.Backlog.begin(t.offset, n.Settings.BacklogSize)
	n.logf(Notice, "MASTER <-> REPLICA sync: Finished with success")
	lost, early := t.lost, t.early
	l.transfer = transfer{}
	n.goOnline(now, l, true)
	if lost {
		n.LinkClosed(now, l, nil)
		return nil
	}
	n.sendAck(now, l)
	n.Backlog.write(early)
	return early
}
