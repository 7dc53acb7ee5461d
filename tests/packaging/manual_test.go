package packaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ferrous/commands/config"
	"ferrous/tests/harness"
)

// notRun are the command lines of the manual and the README that no test runs as they stand there, and why.
var notRun = map[string]string{
	"make run":                         "it serves until somebody ends it",
	"make test":                        "this test is a part of it",
	"make deb":                         "TestDebianPackage runs what it runs",
	"sudo dpkg -i build/ferrous_*.deb": "TestDebianPackage installs the package",
}

// pages returns the README and the pages of the manual by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(root, "packaging/manual/*.md"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no manual", err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// Every command line of the manual and the README does what the page says, on a machine with the package.
func TestManual(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	throwaway(t, "manual.sh", filepath.Join(packages(t), "new.deb"), filepath.Join(root, "README.md"))
}

// No command line stands in a block that TestManual does not run, but for those of notRun.
func TestManualHasNoOtherCommands(t *testing.T) {
	block := regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	program := regexp.MustCompile(`^(\$ |sudo |make |\./|ferrous |redis-|systemctl |dpkg |apt|cd |cp |install |go )`)
	seen := map[string]bool{}
	for path, text := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			if m[1] == "console" {
				if !strings.HasPrefix(m[2], "$ ") {
					t.Errorf("%s: a console block begins with no command:\n%s", path, m[2])
				}
				continue
			}
			for line := range strings.Lines(m[2]) {
				command, _, _ := strings.Cut(line, "#")
				command = strings.TrimSpace(command)
				if notRun[command] != "" {
					seen[command] = true
				} else if program.MatchString(command) {
					t.Errorf("%s: nothing runs %q: mark the block as console, or name it in notRun", path, command)
				}
			}
		}
	}
	for command := range notRun {
		if !seen[command] {
			t.Errorf("notRun names %q, which is nowhere", command)
		}
	}
}

// What a page links to is there.
func TestManualLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for path, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// inward are environment variables of Ferrous that no operator sets, and what they are.
var inward = map[string]string{
	"FERROUS_DAEMON": "the server sets it for the process in the background",
	"FERROUS_SEED":   "read with the build tag seeded only",
}

// ferrous(1) has the environment variables of Ferrous that the program reads.
func TestEnvironmentIsDescribed(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	man, err := os.ReadFile(filepath.Join(root, "packaging/man/ferrous.1"))
	if err != nil {
		t.Fatal(err)
	}
	variable, found := regexp.MustCompile(`"(FERROUS_[A-Z_]+)"`), 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == filepath.Join(root, "tests") || path == filepath.Join(root, ".git")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range variable.FindAllStringSubmatch(string(text), -1) {
			found++
			if inward[m[1]] == "" && !strings.Contains(string(man), "\n.It Ev "+m[1]+"\n") {
				t.Errorf("ferrous(1) lacks %s of %s", m[1], path)
			}
		}
		return err
	})
	if err != nil || found < len(inward) {
		t.Errorf("%d variables, %v", found, err)
	}
}

// All that CONFIG GET * shows is in ferrous.conf(5), and what Redis does not know in the manual as well.
func TestEveryDirectiveIsDescribed(t *testing.T) {
	root, err := harness.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer(`\&`, "", `\-`, "-").Replace(string(text))
	}
	page, own := read("packaging/man/ferrous.conf.5"), read("packaging/manual/directives.md")
	directives := config.New().Directives()
	s := harness.StartFerrous(t)
	v, err := s.Dial(t).Do("CONFIG", "GET", "*")
	if err != nil || len(v.Elems) < 300 {
		t.Fatal(len(v.Elems), err)
	}
	for i := 0; i < len(v.Elems); i += 2 {
		name := v.Elems[i].Str
		aka := slices.IndexFunc(directives, func(d config.Directive) bool { return slices.Contains(d.Aliases, name) })
		if aka >= 0 {
			name = directives[aka].Name
		}
		if !strings.Contains(page, "\n.It Ic "+name+" ") {
			t.Errorf("ferrous.conf(5) lacks %s", name)
		}
	}
	for _, d := range directives {
		if strings.Contains(d.Summary, "Redis 7.2 does not know it.") && !strings.Contains(own, "| `"+d.Name+"` |") {
			t.Errorf("packaging/manual/directives.md lacks %s", d.Name)
		}
	}
}
