//go:build freebsd || dragonfly

package harness

import (
	"fmt"
	"syscall"
)

// These systems count the limits in signed numbers.
func setOpenFiles(limit *syscall.Rlimit, n uint64) error {
	have := limit.Cur
	limit.Cur = int64(n)
	limit.Max = max(limit.Max, int64(n))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, limit); err != nil {
		return fmt.Errorf("raising the limit of open files from %d to %d: %w", have, n, err)
	}
	return nil
}
