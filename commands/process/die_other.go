//go:build !linux

package process

import (
	"os"
	"syscall"
)

// Die ends the process with the exit code that shells show for a signal. It does
// not return.
func Die(sig syscall.Signal) { os.Exit(128 + int(sig)) }
