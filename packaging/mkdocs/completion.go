package main

import (
	"fmt"
	"slices"
	"strings"

	"ferrous/commands/config"
)

// forms are the options that start no server, and those of --check-aof, with what they are for.
var forms = []named{
	{"check-aof", "look at an append-only file"},
	{"check-rdb", "look at a snapshot"},
	{"fix", "with --check-aof: cut off what is wrong"},
	{"help", "print the forms of the command line"},
	{"ping", "is the server ready?"},
	{"truncate-to-timestamp", "with --check-aof: cut off what is younger"},
	{"version", "print the version"},
}

// words returns the values of a directive that is a switch or one of a few words.
func words(d config.Directive) []string {
	if d.Type == "yes/no" {
		return []string{"yes", "no"}
	}
	for _, prefix := range []string{"one of ", "some of "} {
		if list, ok := strings.CutPrefix(d.Type, prefix); ok {
			return strings.Split(list, ", ")
		}
	}
	return nil
}

// options lists the directives that a command line would name: all but the hidden ones and those without effect.
func options(directives []config.Directive) []config.Directive {
	list := slices.DeleteFunc(slices.Clone(directives), func(d config.Directive) bool {
		return d.NoOp != "" || d.Flags&config.Hidden != 0
	})
	slices.SortFunc(list, func(a, b config.Directive) int { return strings.Compare(a.Name, b.Name) })
	return list
}

const generated = "# Written by packaging/mkdocs; change that and run make docs.\n"

func bash(directives []config.Directive) string {
	var names []string
	var cases strings.Builder
	for _, f := range forms {
		names = append(names, "--"+f.name)
	}
	for _, d := range options(directives) {
		names = append(names, "--"+d.Name)
		if w := words(d); w != nil {
			fmt.Fprintf(&cases, "    --%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", d.Name, strings.Join(w, " "))
		}
	}
	return generated + `_ferrous() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  case $before in
` + cases.String() + `  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W '` + strings.Join(names, " ") + `' -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _ferrous ferrous
`
}

// first is the first sentence of a summary without its full stop, for one line.
func first(summary string) string {
	if i := strings.Index(summary, ". "); i >= 0 {
		summary = summary[:i]
	}
	return strings.TrimSuffix(summary, ".")
}

func zsh(directives []config.Directive) string {
	var b strings.Builder
	b.WriteString("#compdef ferrous\n" + generated + "_arguments -S \\\n")
	escape := strings.NewReplacer("'", "'\\''", "[", "\\[", "]", "\\]", ":", "\\:").Replace
	for _, f := range forms {
		fmt.Fprintf(&b, "  '--%s[%s]' \\\n", f.name, escape(f.summary))
	}
	for _, d := range options(directives) {
		action := "_files"
		if w := words(d); w != nil {
			action = "(" + strings.Join(w, " ") + ")"
		}
		fmt.Fprintf(&b, "  '--%s[%s]:value:%s' \\\n", d.Name, escape(first(d.Summary)), action)
	}
	b.WriteString("  '*:file:_files'\n")
	return b.String()
}

func fish(directives []config.Directive) string {
	var b strings.Builder
	b.WriteString(generated)
	escape := strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace
	for _, f := range forms {
		fmt.Fprintf(&b, "complete -c ferrous -l %s -d '%s'\n", f.name, escape(f.summary))
	}
	for _, d := range options(directives) {
		fmt.Fprintf(&b, "complete -c ferrous -l %s -d '%s'", d.Name, escape(first(d.Summary)))
		if w := words(d); w != nil {
			fmt.Fprintf(&b, " -x -a '%s'", strings.Join(w, " "))
		} else {
			b.WriteString(" -r")
		}
		b.WriteString("\n")
	}
	return b.String()
}
