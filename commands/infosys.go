package commands

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// systemName returns the operating system's name, release and machine.
var systemName = sync.OnceValue(func() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " +
		unix.ByteSliceToString(u.Machine[:])
})
