//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package process

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ResidentMemory returns the largest resident memory that the process has had, in bytes: these systems report the present
// value only through interfaces of their own.
func ResidentMemory() int64 {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(ru.Maxrss)
	}
	return int64(ru.Maxrss) * 1024
}

// SystemMemory returns the machine's memory in bytes, 0 if it is unknown.
func SystemMemory() int64 {
	for _, name := range []string{"hw.memsize", "hw.physmem64", "hw.physmem"} {
		if n, err := unix.SysctlUint64(name); err == nil {
			return int64(n)
		}
	}
	return 0
}
