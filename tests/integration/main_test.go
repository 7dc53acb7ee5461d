// Package integration drives the real server over sockets: with the clients and tools that people use, and at the limits
// of connections, buffers and descriptors. No test here judges a time.
package integration

import (
	"flag"
	"os"
	"testing"
	"time"

	"ferrous/tests/harness"
)

var long = flag.Bool("long", harness.Stress(), "run the long forms: large arguments, more keys")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// eventually waits until a condition holds; patience is far beyond what a slow machine needs.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	const patience = time.Minute
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

// answers checks that the server still serves a new client.
func answers(t *testing.T, s *harness.Server) {
	t.Helper()
	if v := s.Dial(t).Must("PING"); v.Str != "PONG" {
		t.Fatalf("PING answered %q", v)
	}
}
