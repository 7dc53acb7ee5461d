package logging

import (
	"log/syslog"
	"time"
)

// SyslogOptions describe the copy of the log for syslog.
type SyslogOptions struct {
	Ident    string // the tag of the lines, directive syslog-ident
	Facility string // user, local0 … local7, directive syslog-facility

	// Dial connects to the syslog daemon, nil = the local one.
	Dial func(priority syslog.Priority, tag string) (SyslogWriter, error)
}

// SyslogWriter is a connection to syslog, as *syslog.Writer is.
type SyslogWriter interface {
	Debug(msg string) error
	Info(msg string) error
	Notice(msg string) error
	Warning(msg string) error
	Close() error
}

// syslogRetry is the pause after a failed attempt to connect.
const syslogRetry = time.Second

// syslogSink connects with the first line, and again after the daemon was lost:
// a server must neither fail to start nor block because of syslog.
type syslogSink struct {
	opts   SyslogOptions
	conn   SyslogWriter
	failed time.Time // of the last attempt that failed
}

func newSyslogSink(o SyslogOptions) *syslogSink {
	if o.Dial == nil {
		o.Dial = func(p syslog.Priority, tag string) (SyslogWriter, error) { return syslog.New(p, tag) }
	}
	return &syslogSink{opts: o}
}

func facility(name string) syslog.Priority {
	if len(name) == len("local0") && name[:5] == "local" && name[5] >= '0' && name[5] <= '7' {
		return syslog.LOG_LOCAL0 + syslog.Priority(name[5]-'0')<<3
	}
	return syslog.LOG_USER
}

func (s *syslogSink) write(level Level, msg string, now time.Time) {
	if s.conn == nil {
		if !s.failed.IsZero() && now.Sub(s.failed) < syslogRetry {
			return
		}
		conn, err := s.opts.Dial(facility(s.opts.Facility)|syslog.LOG_NOTICE, s.opts.Ident)
		if err != nil {
			s.failed = now
			return
		}
		s.conn = conn
	}
	var err error
	switch level {
	case Debug:
		err = s.conn.Debug(msg)
	case Verbose:
		err = s.conn.Info(msg)
	case Notice:
		err = s.conn.Notice(msg)
	default:
		err = s.conn.Warning(msg)
	}
	if err != nil {
		s.failed = now
		s.close()
	}
}

func (s *syslogSink) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
