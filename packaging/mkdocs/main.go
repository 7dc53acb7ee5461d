// Command mkdocs writes the man pages and the shell completions from the tables that CONFIG and COMMAND DOCS answer from:
//
//	go run ./packaging/mkdocs
//
// What it writes is committed, so that a package can be built from the sources alone, and TestUpToDate compares. The pages
// are mdoc(7): a sentence begins a line, names of directives and commands are macros. What the tables do not know (options,
// signals, files, the format of the configuration file) stands as text in man.go.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"ferrous/commands"
	"ferrous/commands/config"
)

func main() {
	for path, text := range documents() {
		path = filepath.Join("packaging", path)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// documents returns the text of each document by its path below packaging.
func documents() map[string]string {
	directives := config.New().Directives()
	for i := range directives {
		if directives[i].Name == "dir" { // the folder of this process
			directives[i].Default = "the folder that the server is started in"
		}
	}
	return map[string]string{
		"man/ferrous.1":           ferrousPage(commands.List()),
		"man/ferrous.conf.5":      configPage(directives),
		"completion/ferrous.bash": bash(directives),
		"completion/ferrous.zsh":  zsh(directives),
		"completion/ferrous.fish": fish(directives),
	}
}
