package eventloop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func setKeepAlive(fd, idle, interval, count int) {
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, unix.TCP_KEEPCNT, count)
}
