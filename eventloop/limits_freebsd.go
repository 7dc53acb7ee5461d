package eventloop

import "syscall"

func setNoFile(cur, hard uint64) error {
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: int64(cur), Max: int64(hard)})
}
