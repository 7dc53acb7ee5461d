package harness

import "syscall"

// childAttributes makes the kernel kill a server whose test process has died, for example by the test timeout's panic.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
