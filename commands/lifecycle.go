package commands

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"ferrous/commands/config"
	"ferrous/commands/logging"
	"ferrous/commands/session"
	"ferrous/commands/web"
	"ferrous/datatypes/record"
	"ferrous/eventloop"
)

// shutdownState is where a shutdown stands.
type shutdownState struct {
	begun  bool
	code   int
	asked  atomic.Bool // a signal has asked for it, and it has not failed since
	signal string      // which, while DEBUG PAUSE-CRON keeps it from being obeyed
	wait   shutdownWait
}

// A refusal is an error whose text is shown to the operator unchanged, in Redis's words.
type refusal string

func (r refusal) Error() string { return string(r) }

// How many descriptors there are to be besides those of clients: leastFDs, and for more addresses to listen on and
// connections of MIGRATE reserveFDs.
const (
	reserveFDs    = 64
	minReserveFDs = 32 // Redis's number
)

// leastFDs is what the server cannot do without: its files, its poll, two descriptors and two refused connections an address,
// a log file and its second descriptor for crashes. Up to two addresses need no more than Redis keeps, so maxclients is
// lowered to the same number; with more of them it is lowered further, so that as many clients are served as it says.
func (s *Server) leastFDs() int {
	need := 22 + 4*len(s.listenAddrs())
	if s.Config.LogFile != "" {
		need += 2
	}
	if s.Config.MetricsPort != 0 || s.Config.HTTP {
		need += web.MaxFiles
	}
	if s.Config.TLSPort != 0 {
		need += 2*len(s.bindAddrs()) + eventloop.MaxIOFiles + 2 // and those of connections that leave Go's poll
	}
	return max(minReserveFDs, need)
}

// applySettings attaches the effects of directives that need more than their value, and applies them a first time.
func (s *Server) applySettings() {
	effects := map[string]func() error{
		"maxmemory-policy":           s.applyPolicy,
		"maxmemory-samples":          s.applyPolicy,
		"proto-max-bulk-len":         s.applyLimits,
		"client-query-buffer-limit":  s.applyLimits,
		"client-output-buffer-limit": s.applyOutputLimits,
		"maxmemory":                  s.applyMemoryLimit,
		"maxmemory-clients":          s.applyClientLimit,
		"loglevel":                   func() error { s.Log.SetLevel(logging.Level(s.Config.LogLevel)); return nil },
		"lfu-log-factor":             s.applyPolicy,
		"lfu-decay-time":             s.applyPolicy,
		"lazyfree-lazy-expire":       s.applyLaziness,
		"lazyfree-lazy-eviction":     s.applyLaziness,
		"lazyfree-lazy-server-del":   s.applyLaziness,
		"log-format":                 func() error { s.Log.SetFormat(logging.Format(s.Config.LogFormat)); return nil },
		"slowlog-log-slower-than":    s.applyThresholds,
		"slowlog-max-len":            s.applyThresholds,
		"latency-monitor-threshold":  s.applyThresholds,
		"requirepass":                s.setDefaultPassword,
		"notify-keyspace-events":     func() error { s.hearOfKeys(); return nil },
		"rdb-key-save-delay":         func() error { s.persist.delay.Store(int64(s.Config.RDBKeySaveDelayUs)); return nil },
		"locale-collate":             s.checkLocale,
		"port":                       s.rebind("Unable to listen on this port. Check server logs."),
		"bind":                       s.rebind("Failed to bind to specified addresses."),
	}
	for name, fn := range effects {
		s.Config.OnApply(func(*config.Config) error { return fn() }, name)
		if err := fn(); err != nil {
			s.Logf(config.LogWarning, "%s: %v", name, err)
		}
	}
	s.Config.OnApply(func(*config.Config) error { return s.applyTLSPort() }, "tls-port")
	s.Config.OnApply(func(*config.Config) error { return s.applyTLS() }, "tls-replication", "tls-cluster", "tls-auth-clients",
		"tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-client-cert-file", "tls-client-key-file",
		"tls-client-key-file-pass", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-protocols", "tls-ciphers", "tls-session-caching")
}

// rebind listens where port and bind say; problem is what CONFIG SET answers when that fails.
func (s *Server) rebind(problem refusal) func() error {
	return func() error {
		if s.loop == nil {
			return nil // New opens them
		}
		if err := s.loop.Rebind(s.tcpAddrs()); err != nil {
			s.Logf(config.LogWarning, "Could not listen on another address: %v", err)
			return problem
		}
		if err := s.listenTLS(); err != nil { // at the addresses of bind too
			s.Logf(config.LogWarning, "Could not listen on another address: %v", err)
			return problem
		}
		s.setTitle()
		return nil
	}
}

// checkLocale refuses a locale that the host does not have.
func (s *Server) checkLocale() error {
	if !hasLocale(s.Config.LocaleCollate) {
		return refusal("Invalid locale name")
	}
	return nil
}

func (s *Server) applyLimits() error {
	s.limits.MaxBulk = s.Config.ProtoMaxBulkLen
	s.limits.MaxBuffered = s.Config.ClientQueryBufferLimit
	return nil
}

func (s *Server) applyOutputLimits() error {
	if s.current != nil {
		s.limitReply(s.current)
	}
	return nil
}

// reserveFiles raises the limit of open files at the start to what maxclients needs, or lowers maxclients.
func (s *Server) reserveFiles() error {
	want, least := s.Config.MaxClients, s.leastFDs()
	granted, limit, err := eventloop.AdjustOpenFiles(want, reserveFDs, least)
	s.fewFiles = limit > 0 && limit < uint64(granted)+reserveFDs
	switch {
	case err != nil && limit > 0:
		return refusal(fmt.Sprintf("Your current 'ulimit -n' of %d is not enough for the server to start. "+
			"Please increase your open file limit to at least %d. Exiting.", limit, want+least))
	case err != nil:
		s.Logf(config.LogWarning, "%v", err)
	case granted < want:
		s.Logf(config.LogWarning, "You requested maxclients of %d requiring at least %d max file descriptors.", want, want+least)
		s.Logf(config.LogWarning, "Server can't set maximum open files to %d because the operating system allows no more.", want+least)
		s.Logf(config.LogWarning, "Current maximum open files is %d. maxclients has been reduced to %d to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.", limit, granted)
		s.Config.MaxClients = granted
	}
	s.Config.OnApply(func(*config.Config) error { return s.applyMaxClients() }, "maxclients")
	return nil
}

// applyMaxClients raises the limit of open files for a maxclients that CONFIG SET gives.
func (s *Server) applyMaxClients() error {
	granted, _, err := eventloop.AdjustOpenFiles(s.Config.MaxClients, reserveFDs, s.leastFDs())
	if err != nil || granted < s.Config.MaxClients {
		return refusal(fmt.Sprintf("The operating system is not able to handle the specified number of clients, try with %d", granted))
	}
	s.countRoom()
	return nil
}

// renameCommands applies rename-command.
func (s *Server) renameCommands() error {
	for _, r := range s.Config.Renames {
		if err := rename(s.Registry, r.From, r.To); err != nil {
			return err
		}
	}
	return nil
}

// rename gives a command another name, or removes it where that is "".
func rename(reg *session.Registry, from, to string) error {
	from, to = strings.ToLower(from), strings.ToLower(to)
	e := reg.ByName[from]
	if e == nil {
		return refusal("No such command in rename-command")
	}
	delete(reg.ByName, from)
	if to == "" {
		reg.List = slices.DeleteFunc(reg.List, func(x *session.Entry) bool { return x == e })
		return nil
	}
	if reg.ByName[to] != nil {
		return refusal("Target command name already exists")
	}
	reg.ByName[to] = e
	e.Renamed = true
	return nil
}

// RenameChecker returns a function that checks the rename-command directives of one configuration: it is given the names
// of each in turn.
func RenameChecker() func(from, to string) error {
	var reg *session.Registry
	return func(from, to string) error {
		if reg == nil {
			reg = newRegistry()
		}
		return rename(reg, from, to)
	}
}

// checkServed refuses a configuration that needs what this server does not have or cannot load (modules, TLS files), and logs
// which directives have no effect.
func (s *Server) checkServed() error {
	if len(s.Config.Modules) > 0 {
		path := s.Config.Modules[0][0]
		s.Logf(config.LogWarning, "Module %s failed to load: this server does not run modules", path)
		return refusal("Can't load module from " + path + ": server aborting")
	}
	if err := s.loadTLS(); err != nil {
		s.Logf(config.LogWarning, "%v", err)
		return refusal("Failed to configure TLS. Check logs for more info.")
	}
	if len(s.listenAddrs()) == 0 && s.Config.TLSPort == 0 {
		return refusal("Configured to not listen anywhere, exiting.")
	}
	s.Config.WarnOfNoOps()
	return nil
}

var shutdownCommand = session.Command{
	Name: "shutdown", Arity: -1, Flags: session.Admin | session.NoScript | session.Loading | session.Stale | session.NoMulti | session.AllowBusy, Handler: connected(shutdown),
	Group: session.GroupServer, Since: "1.0.0", Complexity: "O(N) in the number of keys when they are saved, else O(1)",
	Summary: "Ends the server.",
	History: []session.Change{{"7.0.0", "The modifiers `NOW`, `FORCE` and `ABORT`."}},
	Args: []session.Arg{
		session.OneOf("save-selector", session.TokenWord("nosave", "NOSAVE", ""), session.TokenWord("save", "SAVE", "")).Opt(),
		session.TokenWord("now", "NOW", "7.0.0").Opt(),
		session.TokenWord("force", "FORCE", "7.0.0").Opt(),
		session.TokenWord("abort", "ABORT", "7.0.0").Opt()},
}

const (
	errNoShutdown = "ERR No shutdown in progress."
	errShutdown   = "ERR Errors trying to SHUTDOWN. Check logs."
)

// shutdown ends the server, or begins to wait for its replicas before.
func shutdown(c *Client) {
	var how config.ShutdownFlags
	abort := false
	for i := range c.Args[1:] {
		switch i++; {
		case c.Is(i, "save"):
			how |= config.ShutdownSave
		case c.Is(i, "nosave"):
			how |= config.ShutdownNoSave
		case c.Is(i, "now"):
			how |= config.ShutdownNow
		case c.Is(i, "force"):
			how |= config.ShutdownForce
		case c.Is(i, "abort"):
			abort = true
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	const both = config.ShutdownSave | config.ShutdownNoSave
	switch {
	case abort && how != 0, how&both == both:
		c.Error(session.ErrSyntax)
	case abort && c.srv.abortShutdown():
		c.W.OK()
	case abort:
		c.Error(errNoShutdown)
	case c.srv.busy.on && how&config.ShutdownNoSave == 0:
		c.Error(c.srv.busyText())
	case c.srv.waitForReplicas(c, how):
	case !c.srv.finishShutdown(how):
		c.Error(errShutdown)
	default:
		c.stopped = true
	}
}

// Terminate asks a running server to shut down as a signal of that name does. It returns true when the caller should end
// the process at once: an operator at a terminal presses Ctrl-C again during the shutdown. Any goroutine may call it.
func (s *Server) Terminate(signal string) (insists bool) {
	if s.shutdown.asked.Swap(true) && signal == "SIGINT" {
		return true
	}
	s.loop.Post(func() {
		if s.persist.loading != nil {
			s.Logf(config.LogWarning, "Received shutdown signal during loading, scheduling shutdown.")
		} else {
			s.Logf(config.LogWarning, "Received %s scheduling shutdown...", signal)
		}
		s.shutdown.signal = signal
		s.obeySignal()
	})
	return false
}

// obeySignal begins the shutdown that a signal has asked for, if any. As Redis it obeys where cron does its work: not while a
// script is busy, half of whose changes would be saved. What is being loaded is not saved, so that may end anywhere.
func (s *Server) obeySignal() {
	signal := s.shutdown.signal
	if signal == "" || s.cronPaused || s.busy.on && s.persist.loading == nil {
		return
	}
	s.shutdown.signal = ""
	how := s.Config.ShutdownOnSigterm
	if signal == "SIGINT" {
		how = s.Config.ShutdownOnSigint
	}
	if !s.waitForReplicas(nil, how) && !s.finishShutdown(how) {
		s.shutdown.asked.Store(false)
		s.Logf(config.LogWarning, "Errors trying to shut down the server. Check the logs for more information.")
	}
}

// abortShutdown takes back a shutdown that waits for replicas, or that a signal has asked for and nobody has begun.
func (s *Server) abortShutdown() bool {
	if s.shutdown.signal == "" && !s.shutdown.wait.on {
		return false
	}
	s.shutdown.signal = ""
	s.shutdown.asked.Store(false)
	s.Logf(config.LogNotice, "Shutdown manually aborted.")
	s.endShutdownWait()
	return true
}

// finishShutdown ends the server in order, having saved its data if there are save points or how says so. It returns false,
// and the server goes on, if that failed: up to then nothing has ended that a server needs. Else no request is executed any
// more.
func (s *Server) finishShutdown(how config.ShutdownFlags) bool {
	if s.shutdown.begun {
		return true
	}
	s.reportReplicas()
	forced := how&config.ShutdownForce != 0
	if s.writingInitialFile(forced) {
		return false
	}
	if !s.syncFile() {
		return true // it ends for another reason
	}
	wanted := how&config.ShutdownSave != 0 || len(s.Config.Save) > 0 && how&config.ShutdownNoSave == 0
	if wanted && s.persist.loading == nil && !s.saveFinally(forced) { // half of the data must not replace all of it
		return false
	}
	// The point of no return.
	s.shutdown.begun = true
	s.tellSupervisor("STOPPING=1") // systemd kills a process that does not end in time after this
	s.endSave()
	s.closeFile()
	s.migrations.closeAll()
	s.flushReplicas()
	if path := s.Config.PidFile; path != "" && s.host != nil {
		s.Logf(config.LogNotice, "Removing the pid file.")
		os.Remove(s.Config.Path(path))
	}
	if s.Config.UnixSocket != "" {
		s.Logf(config.LogNotice, "Removing the unix socket file.")
		s.socket.remove(s.Config)
	}
	s.Logf(config.LogWarning, "Ferrous is now ready to exit, bye bye...")
	s.Abandon() // what a canceled save is still busy with
	s.loop.Shutdown()
	return true
}

// saveFinally writes the last dump. It returns false if that failed and the shutdown is not forced. A background save, which
// would replace the dump later, ends before; it is begun again if the server continues.
func (s *Server) saveFinally(forced bool) bool {
	s.Logf(config.LogNotice, "Saving the final RDB snapshot before exiting.")
	s.tellSupervisor("STATUS=Saving the final RDB snapshot")
	b := s.endSave()
	switch {
	case s.save() == nil:
	case forced:
		s.Logf(config.LogWarning, "Error trying to save the DB. It is lost: the shutdown is forced.")
	default:
		s.Logf(config.LogWarning, "Error trying to save the DB, can't exit.")
		s.tellSupervisor("STATUS=Error trying to save the DB, can't exit.")
		if b != nil && errors.Is(b.err, errCanceled) {
			s.persist.scheduled = true
		}
		return false
	}
	return true
}

// endSave ends a background save and returns it, nil if there is none.
func (s *Server) endSave() *saving {
	b := s.persist.saving
	if b != nil {
		s.Logf(config.LogNotice, "A background save is in progress and is ended.")
		s.cancelSave()
	}
	return b
}

// ExitCode is what the process should end with after Serve has returned.
func (s *Server) ExitCode() int { return s.shutdown.code }

// Logo is the banner that always-show-logo prints at start, with the process id that tools look for.
func Logo(port int) string {
	return fmt.Sprintf(`
   ___
  | __|__ _ _ _ _ ___ _  _ ___     Ferrous %s
  | _/ -_) '_| '_/ _ \ || (_-<     compatible with Redis %s
  |_|\___|_| |_| \___/\_,_/__/
                                   Port: %d
                                   PID: %d

`, Version, RedisVersion, port, os.Getpid())
}

// keys returns the number of keys of all databases.
func (s *Server) keys() int {
	n := 0
	for _, db := range s.Keyspace.DBs() {
		n += db.Len()
	}
	return n
}

// A shutdown waits up to shutdown-timeout seconds until replicas have acknowledged the whole stream, so that one of them can be
// promoted without losing a write, and all of them can continue after a restart. Meanwhile writes are paused, and the client
// that sent SHUTDOWN is blocked.

// shutdownWait is a shutdown that waits for replicas.
type shutdownWait struct {
	on       bool
	how      config.ShutdownFlags
	deadline int64     // replNow
	clients  []*Client // that sent SHUTDOWN
}

// waitForReplicas begins to wait if there is anybody to wait for. c has asked for it, nil for a signal.
func (s *Server) waitForReplicas(c *Client, how config.ShutdownFlags) bool {
	w := &s.shutdown.wait
	if !w.on {
		s.Logf(config.LogNotice, "User requested shutdown...")
		if how&config.ShutdownNow != 0 || s.Config.ShutdownTimeoutSec == 0 || s.isReplica() || s.inSync() {
			return false
		}
		w.on, w.how, w.deadline = true, how, s.replNow()+int64(s.Config.ShutdownTimeoutSec)*1000
		s.pauseWrites(pauseShutdown)
		s.Logf(config.LogNotice, "Waiting for replicas before shutting down.")
		s.tellSupervisor("STATUS=Waiting for replicas before shutting down.")
	}
	if c != nil && c.MayBlock() {
		c.Block(record.String, nil, 0)
		c.blocked.answer = func(c *Client) { c.Error(errShutdown) }
		w.clients = append(w.clients, c)
	}
	return true
}

// inSync reports whether all replicas have acknowledged all of the stream.
func (s *Server) inSync() bool {
	for _, r := range s.sync.node.Replicas() {
		if r.AckOffset != s.sync.node.History.Offset && !r.RDBOnly {
			return false
		}
	}
	return true
}

// checkShutdown ends the wait of a shutdown if replicas have everything, or it has lasted too long.
func (s *Server) checkShutdown() {
	w := &s.shutdown.wait
	if !w.on || !s.inSync() && s.replNow() < w.deadline {
		return
	}
	how := w.how
	if !s.finishShutdown(how) {
		s.Logf(config.LogWarning, "Errors trying to shut down the server. Check the logs for more information.")
		s.endShutdownWait()
		s.shutdown.asked.Store(false)
	}
}

// endShutdownWait lets the server go on.
func (s *Server) endShutdownWait() {
	w := &s.shutdown.wait
	clients := w.clients
	*w = shutdownWait{}
	s.resumeWrites(pauseShutdown)
	for _, c := range clients {
		if c.blocked != nil && s.clients[c.id] == c {
			s.endWait(c, errShutdown)
		}
	}
}

// reportReplicas logs which replicas do not have all of the stream as the server ends.
func (s *Server) reportReplicas() {
	n := s.sync.node
	replicas, synced := n.Replicas(), 0
	for _, r := range replicas {
		if r.AckOffset == n.History.Offset {
			synced++
			continue
		}
		s.Logf(config.LogNotice, "Lagging replica %s reported offset %d behind master, lag=%d, state=%s.", r.Name(),
			n.History.Offset-r.AckOffset, r.Lag(s.replNow()), r.State)
	}
	if len(replicas) > 0 {
		s.Logf(config.LogNotice, "%d of %d replicas are in sync when shutting down.", synced, len(replicas))
	}
}
