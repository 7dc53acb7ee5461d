//go:build darwin || freebsd

package eventloop

import (
	"errors"

	"github.com/tidwall/evio"
)

var errNoSlot = errors.New("eventloop: this system cannot listen elsewhere while the loop runs")

func (l *Loop) findSlots(evio.Conn) error { return errNoSlot }

func (l *Loop) relisten(old, addrs []string) error { return errNoSlot }

// stopListening does nothing here: evio closes its listeners at the end.
func (l *Loop) stopListening() {}
