package commands

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/logging"
	"ferrous/eventloop"
)

// shutdownState is where a shutdown stands.
type shutdownState struct {
	begun bool
	code  int
}

// reserveFDs is how many descriptors the server needs besides those of clients.
const reserveFDs = 64

// applySettings attaches the effects of directives that need more than their value, and applies them a first time.
func (s *Server) applySettings() {
	effects := map[string]func() error{
		"maxclients":                s.applyMaxClients,
		"maxmemory-policy":          s.applyPolicy,
		"proto-max-bulk-len":        s.applyLimits,
		"client-query-buffer-limit": s.applyLimits,
		"requirepass":               func() error { return nil },
		"loglevel":                  func() error { s.log.SetLevel(logging.Level(s.cfg.LogLevel)); return nil },
		"lfu-log-factor":            s.applyPolicy,
		"lfu-decay-time":            s.applyPolicy,
	}
	for name, fn := range effects {
		s.cfg.OnApply(func(*config.Config) error { return fn() }, name)
		if err := fn(); err != nil {
			s.logf(config.LogWarning, "%s: %v", name, err)
		}
	}
}

func (s *Server) applyLimits() error {
	s.limits.MaxBulk = s.cfg.ProtoMaxBulkLen
	s.limits.MaxBuffered = s.cfg.ClientQueryBufferLimit
	return nil
}

// applyPolicy makes access clocks count what the eviction policy wants.
func (s *Server) applyPolicy() error {
	s.lfu.LogFactor, s.lfu.DecayTime = s.cfg.LFULogFactor, s.cfg.LFUDecayTime
	if strings.HasSuffix(s.cfg.MaxMemoryPolicy.String(), "-lfu") {
		s.ks.LFU = &s.lfu
	} else {
		s.ks.LFU = nil
	}
	return nil
}

func (s *Server) applyMaxClients() error {
	want := s.cfg.MaxClients
	granted, limit, err := eventloop.AdjustOpenFiles(want, reserveFDs)
	if granted >= want {
		return nil
	}
	if s.ready {
		return fmt.Errorf("The operating system is not able to handle the specified number of clients, try with %d", granted)
	}
	s.logf(config.LogWarning, "You requested maxclients of %d requiring at least %d max file descriptors.", want, want+reserveFDs)
	s.logf(config.LogWarning, "Server can't set maximum open files to %d because of OS error: %v.", want+reserveFDs, err)
	s.logf(config.LogWarning, "Current maximum open files is %d. maxclients has been reduced to %d to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.", limit, granted)
	s.cfg.MaxClients = granted
	return nil
}

// renameCommands applies rename-command.
func (s *Server) renameCommands() error {
	for _, r := range s.cfg.Renames {
		from := strings.ToLower(r.From)
		e := s.reg.byName[from]
		if e == nil {
			return errors.New("No such command in rename-command")
		}
		delete(s.reg.byName, from)
		if r.To == "" {
			continue
		}
		to := strings.ToLower(r.To)
		if s.reg.byName[to] != nil {
			return errors.New("Target command name already exists")
		}
		s.reg.byName[to] = e
	}
	return nil
}

// Terminate asks a running server to shut down as a signal of that name does. Any goroutine may call it.
func (s *Server) Terminate(signal string) {
	s.loop.Post(func() {
		s.logf(config.LogWarning, "Received %s scheduling shutdown...", signal)
		s.beginShutdown()
	})
}

// beginShutdown ends the server in order.
func (s *Server) beginShutdown() {
	if s.shutdown.begun {
		return
	}
	s.shutdown.begun = true
	s.logf(config.LogWarning, "User requested shutdown...")
	if s.cfg.UnixSocket != "" {
		s.logf(config.LogNotice, "Removing the unix socket file.")
		os.Remove(s.cfg.UnixSocket)
	}
	s.logf(config.LogWarning, "Ferrous is now ready to exit, bye bye...")
	s.loop.Shutdown()
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
