package config

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of directives without effect into ferrous.conf")

// field returns the name of the field of Values that a directive is bound to: the only one that holds its address.
func field(c *Config, r *row) string {
	values := reflect.ValueOf(&c.Values).Elem()
	pointers := map[uintptr]bool{}
	setting := reflect.ValueOf(r.value)
	if setting.Kind() == reflect.Pointer {
		setting = setting.Elem()
	}
	for i := range setting.NumField() {
		if f := setting.Field(i); f.Kind() == reflect.Pointer {
			pointers[f.Pointer()] = true
		}
	}
	for i := range values.NumField() {
		if pointers[values.Field(i).Addr().Pointer()] && setting.Type() != reflect.TypeFor[dirSetting]() {
			return values.Type().Field(i).Name
		}
	}
	switch r.value.(type) { // bound to the Config
	case dirSetting:
		return "Dir"
	case saveSetting:
		return "Save"
	case oomSetting:
		return "OOMScoreAdjValues"
	case replicaofSetting:
		return "ReplicaOf"
	}
	return ""
}

// readFields returns the names that follow a dot anywhere in the sources, tests and the table itself left out.
func readFields(t *testing.T) map[string]bool {
	names := map[string]bool{}
	selector := regexp.MustCompile(`\.([A-Z]\w*)`)
	comment := regexp.MustCompile(`(?m)//.*$`)
	const root = "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch {
		case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"), strings.HasPrefix(rel, "tests"),
			rel == "commands/config/table.go", rel == "commands/config/special.go":
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range selector.FindAllSubmatch(comment.ReplaceAll(text, nil), -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Each directive is honoured, that is, some code reads its value, or it carries the reason why nothing follows from it.
func TestDirectivesWithoutEffectSayWhy(t *testing.T) {
	c := New()
	read := readFields(t)
	// Read only to be shown, or to be checked against each other.
	shown := []string{"locale-collate", "cluster-enabled"}
	for _, r := range c.rows {
		name := field(c, r)
		switch {
		case name == "":
			t.Errorf("%s: the field of its value is not found", r.name)
		case r.noop == "" && !read[name]:
			t.Errorf("%s: no code reads Values.%s: say with noOp why nothing follows from it", r.name, name)
		case r.noop != "" && read[name] && !slices.Contains(shown, r.name):
			t.Errorf("%s: it is said that %s, but code reads Values.%s", r.name, r.noop, name)
		}
	}
}

// The list at the end of ferrous.conf is that of the table.
func TestDirectivesWithoutEffectAreListed(t *testing.T) {
	const path = "../../ferrous.conf"
	const heading = "########################## Directives without effect ##########################\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(text), heading)
	want := `
# These directives of Redis are read, checked, reported by CONFIG GET and kept by
# CONFIG REWRITE, and nothing else follows from them here. Where one is set to
# another value than its default, the log says so.
`
	var reasons []string
	names := map[string][]string{}
	for _, n := range New().NoOps() {
		if names[n.Reason] == nil {
			reasons = append(reasons, n.Reason)
		}
		names[n.Reason] = append(names[n.Reason], n.Name)
	}
	for _, reason := range reasons {
		want += "#\n" + wrapped("# ", reason) + wrapped("#    ", strings.Join(names[reason], " "))
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.TrimRight(before, "\n")+"\n\n"+heading+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found || after != want {
		t.Errorf("write the list with go test ./commands/config -run AreListed -update; it should read\n%s", want)
	}
}

// wrapped breaks text into lines of at most 80 characters.
func wrapped(indent, text string) string {
	var out strings.Builder
	line := indent
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > 80 {
			out.WriteString(line + "\n")
			line = indent
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	return out.String() + line + "\n"
}

// Setting a directive without effect is logged, at the start and by CONFIG SET; its default is not.
func TestDirectivesWithoutEffectAreLogged(t *testing.T) {
	c := New()
	var logs []string
	c.OnLog(func(_ LogLevel, msg string) { logs = append(logs, msg) })
	if err := c.LoadString("io-threads 4\nhz 20\ndynamic-hz yes\nactivedefrag yes\n"); err != nil {
		t.Fatal(err)
	}
	c.WarnOfNoOps()
	want := []string{"WARNING: io-threads is set, and it has no effect: one goroutine serves all clients",
		"WARNING: activedefrag is set, and it has no effect: it repacks the memory of jemalloc, which is not used; Go's heap has no such thing"}
	if !slices.Equal(logs, want) {
		t.Errorf("logged %q", logs)
	}
	logs = nil
	for _, args := range [][]string{{"activedefrag", "no"}, {"activedefrag", "yes"}, {"hz", "30"}} {
		if err := c.Set(args, SetContext{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(logs) != 1 || !strings.HasPrefix(logs[0], "WARNING: activedefrag is set, and it has no effect: ") {
		t.Errorf("logged %q", logs)
	}
}
