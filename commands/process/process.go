// Package process handles the process of a server: running as a daemon, the process title, the pid file, notifications to the
// service manager, and the out of memory score. It does not depend on the server.
//
// # Design
//
// All of this belongs to the process and not to one server, so a server does nothing of it by itself: main makes a Process
// first and passes it to the one server that may use it. Servers in tests have none.
//
// A program must call Take before anything else, because the title overwrites the
// arguments (title_linux.go), and strings that share memory with os.Args would change.
//
// Go cannot fork: a daemon is a second process that runs the same program with the same arguments in a session of its own
// (daemon.go); an environment variable marks it.
package process

import (
	"os"
	"strconv"
	"strings"
)

// Process is the process that the program runs in.
type Process struct {
	name       string // argument 0 of the process
	title      []byte // the memory that the title is written to
	supervisor Supervisor
	notify     string // address of systemd's socket
	oom        oomScore
	daemon     bool
}

// Take makes the Process of this program. It moves os.Args out of the memory
// that SetTitle writes to.
func Take() *Process {
	p := &Process{title: titleMemory(os.Args), daemon: isDaemon()}
	for i, a := range os.Args {
		os.Args[i] = strings.Clone(a)
	}
	if len(os.Args) > 0 {
		p.name = os.Args[0]
	}
	return p
}

// Name is argument 0, which the title shows for {title}.
func (p *Process) Name() string { return p.name }

// SetTitle sets the command line that lists of processes show, truncated to the length of the arguments and the environment
// at the start. It does nothing on systems without such memory.
func (p *Process) SetTitle(title string) {
	if len(p.title) == 0 {
		return
	}
	n := copy(p.title[:len(p.title)-1], title)
	clear(p.title[n:])
}

// DefaultPIDFile is the pid file of a daemon without a configured one.
const DefaultPIDFile = "/var/run/redis.pid"

// WritePIDFile writes the pid of this process to a file. Its mode is 0666 without the bits of the umask.
func WritePIDFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
