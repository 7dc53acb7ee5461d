package commands

import (
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"ferrous/commands/session"
)

var update = flag.Bool("update", false, "write the table of packaging/manual/commands.md")

// The manual's table of commands is made from the rows.
func TestReadmeCommands(t *testing.T) {
	const path, from, to = "../packaging/manual/commands.md", "-update -->\n", "<!-- /commands -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	i, j := strings.Index(readme, from), strings.Index(readme, to)
	if i < 0 || j < 0 {
		t.Fatal("the markers of the command table are missing")
	}
	i += len(from)
	table := commandTable()
	if readme[i:j] == table {
		return
	}
	if !*update {
		t.Fatal("packaging/manual/commands.md does not list the commands that exist: run go test ./commands -run Readme -update")
	}
	if err := os.WriteFile(path, []byte(readme[:i]+table+readme[j:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commandTable() string {
	groups := map[session.Group][]string{}
	for _, e := range newRegistry().List {
		name := strings.ToUpper(e.Name)
		if len(e.Order) > 0 {
			var subs []string
			for _, s := range e.Order {
				subs = append(subs, strings.ToUpper(s.Name))
			}
			sort.Strings(subs)
			name += " (" + strings.Join(subs, " ") + ")"
		}
		groups[e.Group] = append(groups[e.Group], name)
	}
	var order []string
	for g := range groups {
		order = append(order, string(g))
	}
	sort.Strings(order)
	var b strings.Builder
	b.WriteString("\n| group | commands |\n| --- | --- |\n")
	for _, g := range order {
		names := groups[session.Group(g)]
		sort.Strings(names)
		fmt.Fprintf(&b, "| %s | %s |\n", g, strings.Join(names, ", "))
	}
	b.WriteString("\n")
	return b.String()
}
