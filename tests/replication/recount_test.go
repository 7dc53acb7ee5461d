package replication

import (
	"testing"

	"ferrous/tests/harness"
)

// A recount agrees with the counters of both sides of a link: while the stream comes, after the link was cut, and without it.
func TestRecountOfLinks(t *testing.T) {
	binary, err := harness.CheckedFerrous()
	if err != nil {
		t.Fatal(err)
	}
	checked := func() *harness.Server {
		return harness.StartWith(t, harness.Options{Binary: binary, Args: []string{"--enable-debug-command", "yes",
			"--repl-diskless-sync-delay", "0"}})
	}
	master, replica := checked(), checked()
	recount := func(when string) {
		t.Helper()
		for _, s := range []*harness.Server{master, replica} {
			if v := s.Dial(t).Must("DEBUG", "RECOUNT"); len(v.Elems) != 0 {
				t.Errorf("%s: port %d: %v", when, s.Port, v)
			}
		}
	}
	follow(t, replica, master.Port)
	linkUp(t, replica)
	master.Dial(t).Must("SET", "key", "value")
	recount("with a link")
	replica.Dial(t).Must("CLIENT", "KILL", "TYPE", "master")
	recount("while it is cut")
	linkUp(t, replica)
	recount("with another link")
	replica.Dial(t).Must("REPLICAOF", "NO", "ONE")
	recount("without one")
}
