package eventloop

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// fillStdFDs opens /dev/null on those of the descriptors 0, 1 and 2 that are
// closed. evio interprets events of descriptor 0 as notes to itself, and a
// socket with number 1 or 2 would receive printed output.
func fillStdFDs() error {
	for {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("eventloop: %s: %w", os.DevNull, err)
		}
		if fd > 2 {
			return syscall.Close(fd)
		}
	}
}

// haveFDs reports whether n more descriptors can be opened.
func haveFDs(n int) bool {
	fds := make([]int, 0, n)
	for range n {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds {
		syscall.Close(fd)
	}
	return len(fds) == n
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }

// dialUnix connects a non-blocking descriptor to a unix socket.
func dialUnix(name string) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err = syscall.SetNonblock(fd, true); err == nil {
		// EAGAIN: other processes have filled the backlog of the abstract socket.
		for range 100 {
			if err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: name}); err != syscall.EAGAIN && err != syscall.EINTR {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}
