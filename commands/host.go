package commands

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/logging"
	"ferrous/commands/process"
)

// The process that the server runs in: title, pid file, supervisor, out of memory score. Only the server that main passes the
// process to changes these; other servers (in tests) do not.

// LogOptions are the settings of the log that a configuration asks for.
func LogOptions(cfg *config.Config) logging.Options {
	o := logging.Options{
		Level:  logging.Level(cfg.LogLevel),
		Format: logging.Format(cfg.LogFormat),
		File:   cfg.Path(cfg.LogFile),
	}
	if cfg.SyslogEnabled {
		o.Syslog = &logging.SyslogOptions{Ident: cfg.SyslogIdent, Facility: cfg.SyslogFacility.String()}
	}
	return o
}

// Supervise finds the supervisor of this process (directive supervised) and notifies it that the server has started.
func Supervise(cfg *config.Config, p *process.Process, log *logging.Logger) {
	by := process.Nobody
	switch cfg.Supervised {
	case config.SupervisedAuto:
		if by = process.Detect(); by != process.Nobody {
			log.Logf(logging.Verbose, "Supervised by %s, as the environment says.", by)
		}
	case config.SupervisedSystemd:
		by = process.Systemd
	case config.SupervisedUpstart:
		by = process.Upstart
	}
	switch by {
	case process.Nobody:
		return
	case process.Upstart:
		log.Log(logging.Notice, "supervised by upstart, will stop to signal readiness.")
	}
	if err := p.Supervise(by); err != nil {
		log.Logf(logging.Warning, "%s supervision requested, but %v!", by, err)
		return
	}
	if by == process.Systemd {
		log.Log(logging.Notice, "Supervised by systemd: TimeoutStartSec and TimeoutStopSec of the unit must leave time "+
			"for loading and saving the data.")
		notifySystemd(p, log.Logf, "STATUS=Ferrous is loading...")
	}
}

func notifySystemd(p *process.Process, logf func(logging.Level, string, ...any), state ...string) {
	if err := p.Notify(state...); err != nil {
		logf(logging.Warning, "systemd supervision error: %v", err)
	}
}

// UseProcess gives the server the process that it runs in, to be called once, before Serve.
func (s *Server) UseProcess(p *process.Process) {
	s.host = p
	s.Config.OnApply(func(*config.Config) error { return s.setOOMScore() }, "oom-score-adj", "oom-score-adj-values")
	s.Config.OnApply(func(*config.Config) error { s.setTitle(); return nil }, "proc-title-template")
	s.setTitle()
	_ = s.setOOMScore() // it has logged
}

// tellSupervisor sends systemd a state; see process.Notify.
func (s *Server) tellSupervisor(state ...string) {
	if s.host != nil {
		notifySystemd(s.host, s.Log.Logf, state...)
	}
}

// supervisor is the name of the process's supervisor.
func (s *Server) supervisor() string {
	if s.host == nil {
		return process.Nobody.String()
	}
	return s.host.Supervisor().String()
}

// setTitle writes the process title that the configuration describes.
func (s *Server) setTitle() {
	if s.host != nil && s.Config.SetProcTitle {
		s.host.SetTitle(s.Config.ProcTitle(s.host.Name()))
	}
}

const errOOMScore = refusal("Failed to set current oom_score_adj. Check server logs.")

// setOOMScore applies oom-score-adj. The values for replicas and for background processes are kept only: there are neither.
func (s *Server) setOOMScore() error {
	var err error
	if s.Config.OOMScoreAdj == config.OOMScoreNo {
		err = s.host.RestoreOOMScore()
	} else {
		err = s.host.AdjustOOMScore(s.Config.OOMScoreAdjValues[0], s.Config.OOMScoreAdj == config.OOMScoreRelative)
	}
	if err != nil {
		s.Logf(config.LogWarning, "%v", err)
		return errOOMScore
	}
	return nil
}

// attachCrash makes the server's crash reports, and the directives about them take effect.
func (s *Server) attachCrash() {
	r := &s.crash
	r.Log, r.Product = s.Log, fmt.Sprintf("Ferrous %s (Redis %s)", Version, RedisVersion)
	r.State = s.crashState
	r.Post = func(fn func()) { s.loop.Post(fn) }
	r.ExitOnPanic = func() bool { return s.Config.UseExitOnPanic }
	r.CleanUp = func() {
		if s.host != nil && s.host.Daemon() && s.Config.PidFile != "" {
			os.Remove(s.Config.Path(s.Config.PidFile))
		}
	}
	enable := func(*config.Config) error { r.Enabled.Store(s.Config.CrashLogEnabled); return nil }
	s.Config.OnApply(enable, "crash-log-enabled")
	_ = enable(s.Config)
	s.Config.OnApply(func(*config.Config) error {
		if s.loop != nil {
			s.watchLoop()
		}
		return nil
	}, "watchdog-period")
}

// watchLoop runs the watchdog that is configured.
func (s *Server) watchLoop() {
	s.crash.Watch(time.Duration(s.Config.WatchdogPeriodMs) * time.Millisecond)
}

// CrashBy ends the process as the signal, one of crash.Signals, does, having written the crash report if it is enabled. Any
// goroutine may call it. It does not return.
func (s *Server) CrashBy(sig syscall.Signal) { s.crash.BySignal(sig) }

// crashState is the part of a crash report that describes the server. A section that panics leaves the others whole: data
// may be damaged.
func (s *Server) crashState() string {
	var b strings.Builder
	section := func(title string, write func()) {
		defer func() {
			if v := recover(); v != nil {
				fmt.Fprintf(&b, "(cannot be told: %v)\n", v)
			}
		}()
		b.WriteString("\n------ " + title + " ------\n")
		write()
	}
	section("INFO OUTPUT", func() { b.WriteString(s.infoReport([][]byte{[]byte("everything")})) })
	section("CLIENT LIST OUTPUT", func() { b.Write(s.clientLines(&clientFilter{})) })
	if c := s.current; c != nil {
		section("CURRENT CLIENT INFO", func() { c.crashInfo(&b) })
	}
	section("CONFIG DEBUG OUTPUT", func() { b.WriteString(s.Config.DebugInfo()) })
	return b.String()
}

// crashInfo writes the request that a client runs: the beginning of each argument that is not secret.
func (c *Client) crashInfo(b *strings.Builder) {
	const longest = 128
	fmt.Fprintf(b, "%s\nargc: '%d'\n", c.describe(), len(c.Args))
	var secret func(int) bool
	if c.Cmd != nil {
		secret = c.secrets()
	}
	for i, a := range c.Args {
		text := "(redacted)"
		if secret == nil || !secret(i) {
			text = string(appendRepr(nil, a[:min(len(a), longest)]))
		}
		fmt.Fprintf(b, "argv[%d]: '%s'\n", i, text)
	}
	if len(c.Args) > 1 {
		if r := c.DB.PeekStale(c.Args[1]); r != nil {
			fmt.Fprintf(b, "the second argument is a key: a %s in database %d\n", r.Type(), c.DB.ID)
		}
	}
}
