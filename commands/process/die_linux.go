package process

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Die ends the process by a signal, as if nobody had ever handled it: the parent
// sees it, and a core is dumped where that is asked for. It does not return.
func Die(sig syscall.Signal) {
	// The kernel's sigaction of all zeros is the default action; os/signal would
	// only give the signal back to Go's runtime.
	var action [4]uint64
	const setSize = 8
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, setSize, 0, 0)
	syscall.Kill(os.Getpid(), sig)
	time.Sleep(time.Second)
	os.Exit(128 + int(sig))
}
