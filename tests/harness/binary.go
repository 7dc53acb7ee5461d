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

// build holds the outcome of the one `go build` that a process makes. It caches a fact about the outside world, like
// the test binary's own flags do; nothing of a server under test lives here.
var build struct {
	once sync.Once
	path string
	err  error
}

// Ferrous returns the path of the server binary, built from the module's sources once in the life of the process, with
// the race detector when the calling process has it too. FERROUS_BIN replaces the build by a ready binary. The second
// result is an error with the compiler's output.
//
// The binary lies in a temporary folder that Cleanup removes.
func Ferrous() (string, error) {
	build.once.Do(func() {
		if bin := os.Getenv(BinaryEnv); bin != "" {
			build.path, build.err = filepath.Abs(bin)
			return
		}
		build.path, build.err = buildFerrous()
	})
	return build.path, build.err
}

func buildFerrous() (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "ferrous-bin-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "ferrous")
	args := []string{"build", "-buildvcs=false", "-o", bin}
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

// Cleanup removes what Ferrous built. A package whose tests start servers calls it at the end of its TestMain.
func Cleanup() {
	if os.Getenv(BinaryEnv) == "" && build.path != "" {
		_ = os.RemoveAll(filepath.Dir(build.path))
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
