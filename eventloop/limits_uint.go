//go:build !freebsd

package eventloop

import "syscall"

func setNoFile(cur, hard uint64) error {
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: cur, Max: hard})
}
