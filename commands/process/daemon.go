package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// daemonMark is the environment variable by which the second process knows that
// it is the daemon.
const daemonMark = "FERROUS_DAEMON"

// isDaemon reports whether this process was made by Daemonize, once: the mark is
// taken away, so that nobody inherits it.
func isDaemon() bool {
	if os.Getenv(daemonMark) == "" {
		return false
	}
	os.Unsetenv(daemonMark)
	return true
}

// Daemon reports whether this process was made by Daemonize.
func (p *Process) Daemon() bool { return p.daemon }

// Daemonize starts the program anew, with the same arguments, in a session of
// its own without a terminal and with its standard files on /dev/null. stdin,
// unless empty, is what it finds on its standard input. The caller ends after
// that.
func (p *Process) Daemonize(stdin []byte) error {
	path, err := p.program()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd := exec.Cmd{
		Path: path, Args: os.Args,
		Env:   append(os.Environ(), daemonMark+"=1"),
		Stdin: null, Stdout: null, Stderr: null,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if len(stdin) == 0 {
		err = cmd.Start()
	} else {
		err = startWith(&cmd, stdin)
	}
	if err != nil {
		return fmt.Errorf("cannot start the daemon: %w", err)
	}
	return cmd.Process.Release()
}

// startWith starts cmd and writes input to its standard input. It returns when
// all of it is in the pipe, whose reader is then left with it.
func startWith(cmd *exec.Cmd, input []byte) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdin = r
	err = cmd.Start()
	r.Close()
	if err == nil {
		_, err = w.Write(input)
	}
	if e := w.Close(); err == nil {
		err = e
	}
	return err
}

// program finds the file to run. The path that the program was called by is
// preferred to the file that it leads to: lists of processes show its name.
func (p *Process) program() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	called, err := exec.LookPath(p.name)
	if err != nil {
		return exe, nil
	}
	a, errA := os.Stat(exe)
	b, errB := os.Stat(called)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return called, nil
	}
	return exe, nil
}

// CloseStdin puts /dev/null in the place of standard input, whose end a daemon
// that read its configuration there has seen.
func CloseStdin() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return dup2(int(null.Fd()), 0)
}
