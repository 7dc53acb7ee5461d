// Package process is what a server is to the operating system: a daemon or not,
// a line in the list of processes, a file with its number, somebody's child
// that has to say when it is ready, and a candidate of the kernel's out of
// memory killer. It knows nothing of the server.
//
// # Design
//
// All of it belongs to the process and not to one server, so none of it happens
// by itself: main makes a Process before anything else and hands it to the one
// server that may use it. Servers in tests have none.
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
	name       string // argument 0 as it was given
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

// SetTitle sets what lists of processes show as the command line, cut at the
// length of the arguments and the environment that the program was started
// with. It does nothing where the system has no such memory.
func (p *Process) SetTitle(title string) {
	if len(p.title) == 0 {
		return
	}
	n := copy(p.title[:len(p.title)-1], title)
	clear(p.title[n:])
}

// DefaultPIDFile is where a daemon without a configured name writes its number.
const DefaultPIDFile = "/var/run/redis.pid"

// WritePIDFile writes the number of this process to a file. The umask decides
// who may read it.
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
