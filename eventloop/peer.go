package eventloop

// The peer's address.
//
// evio keeps it with each connection twice: as the kernel gave it, which nothing reads any more once the connection is open, and
// as a net.Addr. For IPv4 that is 90 bytes, more than a tenth of what an idle connection costs, for six bytes of address and
// port, which fit into Conn. So takePeer copies those and lets evio's two go. An IPv6 address stays with evio.

import (
	"net"
	"reflect"
	"strconv"
	"syscall"
	"unsafe"
)

// evioPeer says where evio's connection type keeps the peer's address.
type evioPeer struct {
	of     reflect.Type // the connection type that was looked at
	known  bool         // it has the fields
	sa     uintptr      // offsets of the kernel's form
	remote uintptr      // and of the net.Addr
}

func (p *evioPeer) look(t reflect.Type) {
	*p = evioPeer{of: t}
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return
	}
	sa, ok := t.Elem().FieldByName("sa")
	remote, ok2 := t.Elem().FieldByName("remoteAddr")
	if ok && ok2 && sa.Type == reflect.TypeFor[syscall.Sockaddr]() && remote.Type == reflect.TypeFor[net.Addr]() {
		p.known, p.sa, p.remote = true, sa.Offset, remote.Offset
	}
}

// takePeer moves the peer's address from evio's connection to c.
func (l *Loop) takePeer(c *Conn) {
	if t := reflect.TypeOf(c.ev); t != l.evioPeer.of {
		l.evioPeer.look(t)
	}
	if !l.evioPeer.known {
		return
	}
	at := reflect.ValueOf(c.ev).UnsafePointer()
	if a, ok := c.ev.RemoteAddr().(*net.TCPAddr); ok && len(a.IP) == net.IPv4len {
		c.ip4, c.port = [4]byte(a.IP), uint16(a.Port)
		c.flags |= fPeer4
		*(*net.Addr)(unsafe.Add(at, l.evioPeer.remote)) = nil
	}
	*(*syscall.Sockaddr)(unsafe.Add(at, l.evioPeer.sa)) = nil
}

// RemoteAddr returns the peer's address as Redis writes it: "127.0.0.1:1234",
// "[::1]:1234", or the path of the unix socket and ":0".
func (c *Conn) RemoteAddr() string {
	if c.flags&fPeer4 != 0 {
		return net.JoinHostPort(net.IP(c.ip4[:]).String(), strconv.Itoa(int(c.port)))
	}
	if c.flags&(fDialled|fBeside) == fDialled {
		return peerName(syscall.Getpeername(int(c.fd)))
	}
	if ln := &c.loop.lns[c.ln]; ln.unix && c.flags&fBeside == 0 {
		return ln.path + ":0"
	}
	if a, ok := c.ev.RemoteAddr().(*net.TCPAddr); ok {
		return net.JoinHostPort(a.IP.String(), strconv.Itoa(a.Port))
	}
	return "?:0"
}
