// Package floors holds the test that asserts the import graph of the design: a package imports only packages of lower
// floors, its own sub-packages, and the leaf packages that its floor allows.
package floors

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "ferrous"

// floor says where a top-level package stands and which others of ours it may import. "x/..." allows x and everything
// below it.
type floor struct {
	number int
	may    []string
}

// floors is the house of ARCHITECTURE.md. The root package (main), tests and the tools of packaging may import
// everything.
var floors = map[string]floor{
	"commands":    {3, []string{"aof/...", "replication/...", "rdb/...", "lua/...", "eventloop/...", "datatypes/..."}},
	"aof":         {2, []string{"rdb/...", "datatypes/..."}},
	"replication": {2, []string{"rdb/...", "datatypes/...", "eventloop/..."}},
	"rdb":         {1, []string{"datatypes/..."}},
	"lua":         {1, nil},
	"eventloop":   {1, nil},
	"datatypes":   {0, nil},
}

// leaves are sub-packages below a top-level package that import nothing of ours at all, except what is listed, so that
// other floors or tools could use them without dragging the house along.
var leaves = map[string][]string{
	"commands/glob":      nil,
	"commands/config":    {"commands/glob", "rdb/vfs"},
	"commands/logging":   {"commands/progress"},
	"commands/progress":  nil,
	"commands/acl":       {"commands/glob"},
	"commands/pubsub":    {"commands/glob"},
	"commands/process":   nil,
	"commands/latency":   nil,
	"commands/crash":     {"commands/logging", "commands/process"},
	"commands/collector": nil,
	"eventloop/clock":    nil,
	"eventloop/resp":     nil,
	"eventloop/secure":   nil,

	"commands/web":         {"commands/process"},
	"commands/histogram":   nil,
	"commands/longdouble":  nil,
	"commands/partialsort": nil,
}

// session is what the handlers of a family of commands may touch; a family imports it and the leaves of commands, and
// nothing else of that floor. Only package commands itself imports families.
const session = "commands/session"

// families are the packages of handlers.
var families = []string{"commands/introspection", "commands/strings", "commands/keys", "commands/lists", "commands/hashes", "commands/sets",
	"commands/sortedsets", "commands/streams", "commands/scripting", "commands/cluster"}

// allowedModules are the dependencies of the binary, by the path prefixes of their packages. Tests may use more.
var allowedModules = []string{
	"github.com/tidwall/evio",
	"github.com/kavu/go_reuseport", // of evio
	"github.com/yuin/gopher-lua",
	"golang.org/x/sys",
}

type pkg struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func listPackages(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-pgo=off", "-json=ImportPath,Standard,Imports,TestImports,XTestImports"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var list []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// ours cuts the module's name off an import path: "ferrous/a/b" is "a/b", the root package "".
func ours(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

// violation returns why package from must not import package to, or "".
func violation(from, to string) string {
	if from == "" || from == "tests" || strings.HasPrefix(from, "tests/") || strings.HasPrefix(from, "packaging/") {
		return ""
	}
	top, _, _ := strings.Cut(from, "/")
	toTop, _, _ := strings.Cut(to, "/")
	f, known := floors[top]
	if !known {
		return "the design knows no top-level package " + top
	}
	if may, leaf := leaves[from]; leaf {
		if slices.Contains(may, to) {
			return ""
		}
		return "it is a leaf package"
	}
	_, toLeaf := leaves[to]
	inRoom := from == session || slices.Contains(families, from)
	switch {
	case inRoom && toTop == top && to != session && !toLeaf:
		return "handlers see package session and leaves only"
	case slices.Contains(families, to) && from != top:
		return "only package commands imports a family of handlers"
	}
	if toTop == top {
		if strings.HasPrefix(from+"/", to+"/") {
			return "a sub-package imports what stands above it"
		}
		return ""
	}
	if slices.Contains(f.may, toTop+"/...") {
		return ""
	}
	return "the floors do not allow it"
}

func TestImportFloors(t *testing.T) {
	packages := listPackages(t, module+"/...")
	if len(packages) < 5 {
		t.Fatalf("go list knows only %d packages", len(packages))
	}
	for _, p := range packages {
		from, ok := ours(p.ImportPath)
		if !ok {
			t.Errorf("%s is not of this module", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, ok := ours(imp)
			if !ok {
				continue
			}
			if why := violation(from, to); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
			if to == "tests" || strings.HasPrefix(to, "tests/") {
				if !strings.HasPrefix(from, "tests/") {
					t.Errorf("%s imports %s: the product needs no test code", p.ImportPath, imp)
				}
			}
		}
	}
}

// Tests of a package may use a lower floor, as its code may, and nothing above it.
func TestImportFloorsOfTests(t *testing.T) {
	for _, p := range listPackages(t, module+"/...") {
		from, _ := ours(p.ImportPath)
		for _, imp := range append(slices.Clone(p.TestImports), p.XTestImports...) {
			to, ok := ours(imp)
			if !ok || to == from || strings.HasPrefix(to, "tests/harness") || to == "tests/random" {
				continue
			}
			if _, leaf := leaves[from]; leaf {
				// A leaf's tests may look at its neighbours.
				continue
			}
			if why := violation(from, to); why != "" {
				t.Errorf("a test of %s imports %s: %s", p.ImportPath, imp, why)
			}
		}
	}
}

// The shipped packages depend on the agreed modules only.
func TestDependencies(t *testing.T) {
	for _, p := range listPackages(t, "-deps", module+"/...") {
		if _, mine := ours(p.ImportPath); mine || p.Standard {
			continue
		}
		if slices.ContainsFunc(allowedModules, func(m string) bool {
			return p.ImportPath == m || strings.HasPrefix(p.ImportPath, m+"/")
		}) {
			continue
		}
		t.Errorf("%s is a dependency that was not agreed on", p.ImportPath)
	}
}

// The rules themselves: what the design allows and forbids.
func TestViolation(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"", "commands", true},
		{"tests/compat", "tests/harness", true},
		{"commands", "datatypes/keyspace", true},
		{"commands", "commands/config", true},
		{"commands", "eventloop", true},
		{"commands/config", "commands/glob", true},
		{"commands/config", "datatypes", false},
		{"commands", "commands/lists", true},
		{"commands/lists", "commands/session", true},
		{"commands/lists", "commands/glob", true},
		{"commands/lists", "datatypes/list", true},
		{"commands/lists", "commands/sets", false},
		{"commands/lists", "commands", false},
		{"commands/session", "commands/lists", false},
		{"commands/session", "commands/config", true},
		{"commands/config", "commands/session", false},
		{"commands/config", "commands", false},
		{"commands/glob", "commands/config", false},
		{"aof", "rdb", true},
		{"aof", "replication", false},
		{"aof", "commands", false},
		{"replication", "eventloop/resp", true},
		{"rdb", "datatypes/listpack", true},
		{"rdb", "eventloop", false},
		{"lua", "datatypes", false},
		{"eventloop", "eventloop/resp", true},
		{"eventloop", "datatypes", false},
		{"datatypes/keyspace", "datatypes/table", true},
		{"datatypes/keyspace", "datatypes", false},
		{"datatypes", "eventloop", false},
		{"surprise", "datatypes", false},
	} {
		if why := violation(c.from, c.to); (why == "") != c.allowed {
			t.Errorf("%s imports %s: %q", c.from, c.to, why)
		}
	}
}

// maxRootFiles bounds package commands. What grows beyond moves to a room of its own.
const maxRootFiles = 45

// The root of the commands stays small enough to be read.
func TestRootIsSmall(t *testing.T) {
	files, err := filepath.Glob("../../commands/*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	if len(files) == 0 || len(files) > maxRootFiles {
		t.Errorf("package commands has %d files, at most %d are allowed", len(files), maxRootFiles)
	}
}
