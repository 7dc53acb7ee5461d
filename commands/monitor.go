package commands

import (
	"slices"
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/session"
)

// MONITOR: a client that sent it gets every command that any client executes.
//
// A line is made when the command has run, once for all monitors: time, database and address of the client, and the
// arguments in quotes. Commands that administer the server are not shown, nor are passwords. Without monitors it costs
// dispatch a comparison (Server.observed).

var monitorCommand = session.Command{
	Name: "monitor", Arity: 1, Flags: session.Admin | session.NoScript | session.Loading | session.Stale, Handler: connected(monitor),
	Group: session.GroupServer, Since: "1.0.0", Summary: "Shows all commands that the server executes.",
}

const (
	errMonitorInMulti = "ERR MONITOR isn't allowed for DENY BLOCKING client"
	errNoKeyspace     = "ERR Replica can't interact with the keyspace" // of monitors, too, which to Redis are a kind of replica
)

// monitors reports whether the client has sent MONITOR.
func (c *Client) monitors() bool { return c.pushes != nil && c.pushes.monitor }

func monitor(c *Client) {
	switch {
	case c.inMulti():
		c.Error(errMonitorInMulti)
	case c.monitors():
		// There is no reply to the second time.
	default:
		c.ensurePushes().monitor = true
		c.srv.monitors = append(c.srv.monitors, c)
		c.srv.observe()
		c.W.OK()
	}
}

// stopMonitor ends MONITOR for a client.
func (s *Server) stopMonitor(c *Client) {
	if !c.monitors() {
		return
	}
	c.pushes.monitor = false
	if i := slices.Index(s.monitors, c); i >= 0 {
		s.monitors = slices.Delete(s.monitors, i, i+1)
	}
	s.observe()
}

// observe brings Server.observed up to date: whether executed commands are to be reported (MONITOR, tracking).
func (s *Server) observe() { s.observed = len(s.monitors) > 0 || s.tracking.clients > 0 }

// showCommand shows the command that the client has executed to the monitors.
func (s *Server) showCommand(c *Client) {
	if len(s.monitors) == 0 || c.Cmd.Flags&(session.SkipMonitor|session.Admin) != 0 {
		return
	}
	s.show(c)
}

// show shows it whatever it is.
func (s *Server) show(c *Client) {
	s.relieveOutbox()
	b := s.appendShown(append(s.outbox.event[:0], '+'), c)
	b = append(b, "\r\n"...)
	m := message{raw: b}
	for _, o := range s.monitors {
		if !o.replyOff { // these are replies, and no pushes
			s.queueMessage(o, &m)
		}
	}
	s.outbox.event = reusable(b)
}

// appendShown appends the line.
func (s *Server) appendShown(b []byte, c *Client) []byte {
	us := s.wall + s.nanos()/1000
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for div := int64(100_000); div > 0; div /= 10 {
		b = append(b, byte('0'+us/div%10))
	}
	b = append(b, " ["...)
	b = strconv.AppendInt(b, int64(c.DB.ID), 10)
	switch {
	case c.conn == nil:
		b = append(b, " lua"...)
	case c.conn.IsUnix():
		b = append(b, " unix:"...)
		b = append(b, s.Config.UnixSocket...)
	default:
		b = append(b, ' ')
		b = append(b, c.conn.RemoteAddr()...)
	}
	b = append(b, ']')
	secret := c.secrets()
	for i, a := range c.Args {
		b = append(b, ' ')
		if secret != nil && secret(i) {
			b = append(b, `"(redacted)"`...)
		} else {
			b = appendRepr(b, a)
		}
	}
	return b
}

// appendRepr appends bytes in quotes, what cannot be printed as an escape sequence.
func appendRepr(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, x := range s {
		switch x {
		case '\\', '"':
			b = append(b, '\\', x)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\a':
			b = append(b, '\\', 'a')
		case '\b':
			b = append(b, '\\', 'b')
		default:
			if x >= ' ' && x <= '~' {
				b = append(b, x)
			} else {
				b = append(b, '\\', 'x', hex[x>>4], hex[x&15])
			}
		}
	}
	return append(b, '"')
}

// secrets returns a function that reports which arguments of the client's command must not be shown to others, nil if all may.
func (c *Client) secrets() func(i int) bool {
	switch c.Cmd.Full {
	case "acl|setuser":
		return func(i int) bool { return i > 1 }
	case "auth":
		return func(i int) bool { return i > 0 }
	case "hello":
		for i := 2; i+2 < len(c.Args); i++ {
			if c.Is(i, "auth") {
				return func(j int) bool { return j == i+1 || j == i+2 }
			}
		}
	case "migrate":
		return migrateSecrets(c.Args)
	case "config|set":
		return func(i int) bool { return i > 2 && i%2 == 1 && c.srv.Config.HasFlag(c.Arg(i-1), config.Sensitive) }
	}
	return nil
}
