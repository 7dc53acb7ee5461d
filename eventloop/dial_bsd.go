//go:build darwin || freebsd

package eventloop

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/tidwall/evio"
)

// dupCloseOnExec duplicates a descriptor.
func dupCloseOnExec(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dup, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(dup)
	}
	return dup, err
}

// listen does nothing here: Data is called for all bytes of the peer.
func (c *Conn) listen(bool) {}

// replace keeps the inner connection. Two goroutines copy the bytes between its dialled end and the socket: evio's kqueue
// does not accept another socket under a number that it has.
func (l *Loop) replace(_ evio.Conn, fd int, a *adoption) error {
	closeOnExec(fd)
	outer, err := connOf(a.fd)
	if err != nil {
		syscall.Close(a.inner)
		return err
	}
	inner, err := connOf(a.inner)
	if err != nil {
		outer.Close()
		return err
	}
	carry := func(to, from net.Conn) {
		io.Copy(to, from)
		to.Close()
		from.Close()
	}
	go carry(outer, inner)
	go carry(inner, outer)
	return nil
}

// connOf makes a net.Conn of a descriptor and closes the descriptor.
func connOf(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f)
}
