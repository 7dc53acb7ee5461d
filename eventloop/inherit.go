package eventloop

// TCP options of clients.
//
// On Linux a connection gets TCP_NODELAY and the keep-alive options of the socket that it came through. So they are set once,
// on that socket, and not on each connection: five system calls of the twenty that a client costs which connects, asks once and
// goes. They are set when the first client comes, and again when the idle time has changed (tcp-keepalive). Connections that
// were waiting to be accepted at that moment have the options of before. They are the next ones that are opened: as many as the
// kernel says, and the one that evio may have accepted before it opens this one. Their options are set one by one.

import "time"

// inherited is what a listening socket gives to its connections.
type inherited struct {
	set    bool
	idle   time.Duration // time before the first keep-alive probe, less than a second for no probes
	before int           // connections still to be opened that may have come before
}

// tune sets the options of a client that has just been accepted.
func (l *Loop) tune(c *Conn) {
	var idle time.Duration
	if l.opt.KeepAlive != nil {
		idle = l.opt.KeepAlive()
	}
	ln := &l.lns[c.ln]
	if l.poll < 0 {
		tuneTCP(int(c.fd), idle) // the listening sockets are not known
		return
	}
	if in := &ln.inherited; in.set && in.idle == idle {
		if in.before > 0 {
			in.before--
			tuneTCP(int(c.fd), idle)
		}
		return
	}
	tuneTCP(int(c.fd), idle)
	tuneTCP(ln.fd, idle)
	if n, ok := acceptQueue(ln.fd); ok {
		ln.inherited = inherited{set: true, idle: idle, before: n + 1}
	}
}
