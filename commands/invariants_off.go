//go:build !invariants

package commands

import (
	"ferrous/commands/introspection"
	"ferrous/commands/session"
)

// The checks of invariants.go are compiled in by the build tag invariants only.

//lint:ignore U1000 Server has a field of it
type invariants struct{}

func (*Server) checkCommand(*Client, *session.Entry) {}
func (*Server) checkPacket()                         {}
func (*Server) checkRoom(bool)                       {}

func invariantForms() []introspection.DebugForm { return nil }
