package process

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// Supervisor is the service manager that started the process and expects notifications from it.
type Supervisor int

// The supervisors.
const (
	Nobody Supervisor = iota
	Systemd
	Upstart
)

// String returns the name for INFO.
func (s Supervisor) String() string {
	switch s {
	case Systemd:
		return "systemd"
	case Upstart:
		return "upstart"
	}
	return "no"
}

const (
	notifySocket = "NOTIFY_SOCKET" // systemd's datagram socket: a path, or @ and an abstract name
	upstartJob   = "UPSTART_JOB"
)

// Detect finds the supervisor of this process from the environment.
func Detect() Supervisor {
	switch {
	case os.Getenv(upstartJob) != "":
		return Upstart
	case os.Getenv(notifySocket) != "":
		return Systemd
	}
	return Nobody
}

// Errors of Supervise: the configured supervisor was not found.
var (
	ErrNoNotifySocket = errors.New(notifySocket + " not found")
	ErrNoUpstartJob   = errors.New(upstartJob + " not found")
)

// Supervise sets the supervisor of this process. Upstart wants the process to stop itself when it is ready: that happens here,
// before the server listens, as in Redis.
func (p *Process) Supervise(by Supervisor) error {
	switch by {
	case Systemd:
		if p.notify = os.Getenv(notifySocket); p.notify == "" {
			return ErrNoNotifySocket
		}
	case Upstart:
		if os.Getenv(upstartJob) == "" {
			return ErrNoUpstartJob
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			return err
		}
		os.Unsetenv(upstartJob)
	}
	p.supervisor = by
	return nil
}

// Supervisor returns the supervisor of this process.
func (p *Process) Supervisor() Supervisor { return p.supervisor }

// Notify sends systemd a state: one or more lines of sd_notify(3), such as "READY=1". It does nothing under another supervisor
// or none.
func (p *Process) Notify(state ...string) error {
	if p.supervisor != Systemd {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: p.notify, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(strings.Join(state, "\n") + "\n"))
	return err
}
