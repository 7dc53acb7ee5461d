package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferrous/commands"
	"ferrous/commands/config"
)

// What is committed is what the tables give.
func TestUpToDate(t *testing.T) {
	for path, want := range documents() {
		got, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("packaging/%s is older than the tables: run make docs", path)
		}
	}
}

// Every directive is an item of ferrous.conf(5), every command one of ferrous(1).
func TestNothingIsLeftOut(t *testing.T) {
	items := func(page string) map[string]bool {
		found := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^\.It Ic (.*)$`).FindAllStringSubmatch(page, -1) {
			name, _, _ := strings.Cut(m[1], " Ar ")
			found[strings.NewReplacer(`\&`, "", `\-`, "-").Replace(name)] = true
		}
		return found
	}
	docs := documents()
	directives := items(docs["man/ferrous.conf.5"])
	for _, d := range config.New().Directives() {
		if !directives[d.Name] {
			t.Errorf("ferrous.conf(5) lacks %s", d.Name)
		}
	}
	names := items(docs["man/ferrous.1"])
	for _, e := range commands.List() {
		name := strings.ToUpper(e.Name)
		if len(e.Order) == 0 && !names[name] {
			t.Errorf("ferrous(1) lacks %s", name)
		}
		for _, sub := range e.Order {
			if full := name + " " + strings.ToUpper(sub.Name); sub.Name != "help" && !names[full] {
				t.Errorf("ferrous(1) lacks %s", full)
			}
		}
	}
}

func TestSentences(t *testing.T) {
	for _, c := range [][2]string{
		{"One. Two-three.", "One.\nTwo\\-three.\n"},
		{".conf is a name", "\\&.conf is a name\n"},
		{`a\b "c"`, "a\\eb \\(dqc\\(dq\n"},
	} {
		if got := sentences(c[0]); got != c[1] {
			t.Errorf("%q became %q", c[0], got)
		}
	}
}
