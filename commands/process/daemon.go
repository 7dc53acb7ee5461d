package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// daemonMark is the environment variable that marks the second process as the
// daemon.
const daemonMark = "FERROUS_DAEMON"

// isDaemon reports whether Daemonize started this process. It removes the mark,
// so that child processes do not inherit it; a second call returns false.
func isDaemon() bool {
	if os.Getenv(daemonMark) == "" {
		return false
	}
	os.Unsetenv(daemonMark)
	return true
}

// Daemon reports whether Daemonize started this process.
func (p *Process) Daemon() bool { return p.daemon }

// Daemonize starts the program again, with the same arguments, in a session of
// its own without a terminal and with its standard files on /dev/null. stdin,
// unless empty, is the content of its standard input. The caller exits
// afterwards.
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

// startWith starts cmd and writes input to its standard input, a pipe. It
// returns when all of it is in the pipe.
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

// program finds the file to run. It prefers the path by which the program was
// called to the resolved file, since lists of processes show the name of the
// path.
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

// CloseStdin replaces standard input by /dev/null, after a daemon has read its
// configuration from it.
func CloseStdin() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return dup2(int(null.Fd()), 0)
}
