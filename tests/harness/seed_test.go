package harness

import (
	"os"
	"testing"

	"ferrous/tests/random"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Cleanup()
	os.Exit(code)
}

// filled returns what a server with a seed answers when the order of its tables and its draws show.
func filled(t *testing.T, binary string, seed uint64) string {
	t.Helper()
	c := StartWith(t, Options{Binary: binary, Seed: seed, Args: []string{"--enable-debug-command", "yes"}}).Dial(t)
	c.Must("DEBUG", "POPULATE", "2000")
	for range 200 {
		c.Must("SADD", "set", c.Must("RANDOMKEY").Str)
	}
	return c.Must("KEYS", "*").String() + c.Must("SRANDMEMBER", "set", "-100").String()
}

// Servers of tests with the same seed do the same; the server that is shipped draws its own.
func TestSeed(t *testing.T) {
	if os.Getenv(BinaryEnv) != "" {
		t.Skip(BinaryEnv + " names a binary without the build tag")
	}
	seed := random.Seed(t)
	bin := NeedFerrous(t)
	first := filled(t, bin, seed)
	if filled(t, bin, seed) != first {
		t.Error("two servers with one seed differ")
	}
	if filled(t, bin, seed+2) == first {
		t.Error("two servers with different seeds do the same")
	}
	shipped, err := Ferrous()
	if err != nil {
		t.Fatal(err)
	}
	if one := filled(t, shipped, seed); one == filled(t, shipped, seed) {
		t.Error("FERROUS_SEED decides what the shipped server does")
	}
}
