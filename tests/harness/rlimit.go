//go:build !freebsd && !dragonfly

package harness

import (
	"fmt"
	"syscall"
)

func setOpenFiles(limit *syscall.Rlimit, n uint64) error {
	have := limit.Cur
	limit.Cur = n
	limit.Max = max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, limit); err != nil {
		return fmt.Errorf("raising the limit of open files from %d to %d: %w", have, n, err)
	}
	return nil
}
