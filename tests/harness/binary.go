package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// BinaryEnv names the environment variable that makes Ferrous answer with a binary that was built elsewhere.
const BinaryEnv = "FERROUS_BIN"

// CheckedEnv names the environment variable that has all tests run servers with the build tag invariants.
const CheckedEnv = "FERROUS_INVARIANTS"

// build is the outcome of a `go build`, made once in the life of a process. It caches a fact about the outside world, like
// the test binary's own flags do; nothing of a server under test lives here.
type build struct {
	once sync.Once
	path string
	err  error
}

var plain, seeded, checked build

// Ferrous returns the path of the server binary as it is shipped, built from the module's sources once in the life of the
// process, with the race detector when the calling process has it too. FERROUS_BIN replaces the build by a ready binary. The
// second result is an error with the compiler's output.
//
// The binary lies in a temporary folder that Cleanup removes.
func Ferrous() (string, error) {
	plain.once.Do(func() {
		if bin := os.Getenv(BinaryEnv); bin != "" {
			plain.path, plain.err = filepath.Abs(bin)
			return
		}
		plain.path, plain.err = buildFerrous()
	})
	return plain.path, plain.err
}

// SeededFerrous is Ferrous for a binary with the build tag seeded, which takes its seed from the harness (Options.Seed).
// FERROUS_BIN replaces it too, FERROUS_INVARIANTS makes it that of CheckedFerrous.
func SeededFerrous() (string, error) {
	switch {
	case os.Getenv(BinaryEnv) != "":
		return Ferrous()
	case os.Getenv(CheckedEnv) != "":
		return CheckedFerrous()
	}
	seeded.once.Do(func() { seeded.path, seeded.err = buildFerrous("-pgo=off", "-tags", "seeded") })
	return seeded.path, seeded.err
}

// CheckedFerrous is SeededFerrous for a binary that has the build tag invariants besides, and checks its own counters. It is
// always built from the sources.
func CheckedFerrous() (string, error) {
	checked.once.Do(func() { checked.path, checked.err = buildFerrous("-pgo=off", "-tags", "seeded,invariants") })
	return checked.path, checked.err
}

func buildFerrous(flags ...string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "ferrous-bin-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "ferrous")
	args := append([]string{"build", "-buildvcs=false", "-o", bin}, flags...)
	if RaceEnabled {
		args = append(args, "-race", "-pgo=off")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("go build of the server in %s: %w\n%s", root, err, out)
	}
	return bin, nil
}

// Cleanup removes what this package built, and the authority of TLSEnv. A package whose tests start servers calls it at the
// end of its TestMain.
func Cleanup() {
	for _, b := range []*build{&plain, &seeded, &checked} {
		if b.path != "" && (b != &plain || os.Getenv(BinaryEnv) == "") {
			_ = os.RemoveAll(filepath.Dir(b.path))
		}
	}
	if everywhere.authority != nil {
		_ = os.RemoveAll(everywhere.authority.Dir)
	}
}

// Redis returns the path of the redis-server that serves as oracle: the one on the PATH.
func Redis() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errors.New("redis-server is not installed: make deps-test installs it")
	}
	return path, nil
}

// ModuleRoot returns the folder that holds the module's go.mod, looked for upwards from the working directory (which
// `go test` sets to the tested package's folder).
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// Stress reports whether the long forms of the tests were asked for (make stress).
func Stress() bool { return os.Getenv("FERROUS_STRESS") != "" }
