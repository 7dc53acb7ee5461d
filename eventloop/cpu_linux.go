package eventloop

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const knowsThreads = true

// threadUsage returns the thread that calls and the CPU time that it has used.
func threadUsage() (thread int, t threadTime) {
	var ru syscall.Rusage
	if syscall.Getrusage(unix.RUSAGE_THREAD, &ru) != nil {
		return 0, t
	}
	return syscall.Gettid(), threadTime{time.Duration(ru.Stime.Nano()), time.Duration(ru.Utime.Nano())}
}
