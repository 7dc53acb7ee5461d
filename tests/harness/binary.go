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

var plain, checked build

// Ferrous returns the path of the server binary, built from the module's sources once in the life of the process, with
// the race detector when the calling process has it too. FERROUS_BIN replaces the build by a ready binary,
// FERROUS_INVARIANTS makes it that of CheckedFerrous. The second result is an error with the compiler's output.
//
// The binary lies in a temporary folder that Cleanup removes.
func Ferrous() (string, error) {
	plain.once.Do(func() {
		if bin := os.Getenv(BinaryEnv); bin != "" {
			plain.path, plain.err = filepath.Abs(bin)
			return
		}
		if os.Getenv(CheckedEnv) != "" {
			plain.path, plain.err = CheckedFerrous()
			return
		}
		plain.path, plain.err = buildFerrous()
	})
	return plain.path, plain.err
}

// CheckedFerrous is Ferrous for a binary with the build tag invariants, which checks its own counters. It is always built
// from the sources.
func CheckedFerrous() (string, error) {
	checked.once.Do(func() { checked.path, checked.err = buildFerrous("-tags", "invariants") })
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
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("go build of the server in %s: %w\n%s", root, err, out)
	}
	return bin, nil
}

// Cleanup removes what Ferrous, CheckedFerrous and the authority of TLSEnv made. A package whose tests start servers calls it at the end of its TestMain.
func Cleanup() {
	if os.Getenv(BinaryEnv) == "" && plain.path != "" && plain.path != checked.path {
		_ = os.RemoveAll(filepath.Dir(plain.path))
	}
	if checked.path != "" {
		_ = os.RemoveAll(filepath.Dir(checked.path))
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
