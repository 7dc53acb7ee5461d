package commands

import (
	"net"
	"os"
	"strconv"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/eventloop"
)

// bindAddr is one address to listen on.
type bindAddr struct{ network, host string }

// bindAddrs resolves the directive bind: "*" and "::*" are all interfaces of IPv4 and IPv6, and an address that begins
// with "-" may be missing on this host.
func (s *Server) bindAddrs() []bindAddr { return s.resolveBind(s.Config.Bind) }

// resolveBind is bindAddrs for the words of a directive.
func (s *Server) resolveBind(words []string) []bindAddr {
	var out []bindAddr
	for _, b := range words {
		optional := strings.HasPrefix(b, "-")
		b = strings.TrimPrefix(b, "-")
		var a bindAddr
		switch {
		case b == "*":
			a = bindAddr{"tcp4", "0.0.0.0"}
		case b == "::*":
			a = bindAddr{"tcp6", "::"}
		case strings.Contains(b, ":"):
			a = bindAddr{"tcp6", b}
		default:
			a = bindAddr{"tcp4", b}
		}
		if optional {
			// Only an attempt reports whether the address exists here.
			l, err := net.Listen(a.network, net.JoinHostPort(a.host, "0"))
			if err != nil {
				s.Logf(config.LogVerbose, "Not listening on %s: %v", a.host, err)
				continue
			}
			l.Close()
		}
		out = append(out, a)
	}
	return out
}

// warnOfBacklog logs that the kernel cuts tcp-backlog.
func (s *Server) warnOfBacklog() {
	const path = "/proc/sys/net/core/somaxconn" // of Linux
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	if most, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && most > 0 && most < s.Config.TCPBacklog {
		s.Logf(config.LogWarning, "WARNING: The TCP backlog setting of %d cannot be enforced because %s is set to the lower value of %d.",
			s.Config.TCPBacklog, path, most)
	}
}

// socketFile is the unix socket of the server in the file system.
type socketFile struct {
	path string
	info os.FileInfo // nil without
}

// made remembers the file, which has just been made.
func (f *socketFile) made(cfg *config.Config) {
	if cfg.UnixSocket != "" {
		f.path = cfg.Path(cfg.UnixSocket)
		f.info, _ = os.Lstat(f.path)
	}
}

// remove removes it where it was made, or where it is since its folder was moved; not the file of another server.
func (f *socketFile) remove(cfg *config.Config) {
	for _, path := range []string{f.path, cfg.Path(cfg.UnixSocket)} {
		if info, err := os.Lstat(path); err == nil && f.info != nil && os.SameFile(info, f.info) {
			os.Remove(path)
		}
	}
}

// errProtectedMode explains protected mode to a client of another host. Clients recognise the code.
const errProtectedMode = "DENIED Redis is running in protected mode because protected mode is enabled and no password " +
	"is set for the default user. In this mode connections are only accepted from the loopback interface. To connect " +
	"from another host do one of these: 1) send 'CONFIG SET protected-mode no' from the host that the server runs on " +
	"(and 'CONFIG REWRITE' to keep it), having made sure that the server cannot be reached from the internet; 2) set " +
	"'protected-mode no' in the configuration file and restart; 3) start the server with '--protected-mode no'; 4) set " +
	"a password for the default user."

// refuseByProtectedMode answers a connection from another host while nothing but protected mode guards the data.
func (s *Server) refuseByProtectedMode(conn *eventloop.Conn) bool {
	if !s.Config.ProtectedMode || !s.security.users.Default().NoPass() || isLocal(conn) {
		return false
	}
	conn.Send([]byte("-" + errProtectedMode + "\r\n"))
	return true
}

// isLocal reports whether the peer is on this host: a unix socket or a loopback address.
func isLocal(conn *eventloop.Conn) bool {
	if conn.IsUnix() {
		return true
	}
	host, _, err := net.SplitHostPort(conn.RemoteAddr())
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// protectedRefusal returns the error of a command that enable-debug-command or enable-module-command forbids, or "".
func (s *Server) protectedRefusal(c *Client, e *session.Entry) string {
	row := e
	if e.Parent != nil {
		row = e.Parent
	}
	guard, option := s.Config.EnableDebugCommand, "enable-debug-command"
	if row.Name == "module" {
		guard, option = s.Config.EnableModuleCommand, "enable-module-command"
	}
	if guard.Allows(c.conn == nil || isLocal(c.conn)) {
		return ""
	}
	return "ERR " + strings.ToUpper(row.Name) + " command not allowed. If the " + option +
		" option is set to \"local\", you can run it from a local connection, otherwise you need to set this option " +
		"in the configuration file, and then restart the server."
}
