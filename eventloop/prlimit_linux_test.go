package eventloop

import "golang.org/x/sys/unix"

// raiseChildLimit sets the limit of open files of another process.
func raiseChildLimit(pid int, n uint64) error {
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}, nil)
}
