package commands

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestPropagation: nothing but propagate.go gives anything to a sink.
func TestPropagation(t *testing.T) {
	feeds := map[string]bool{"Feed": true, "FeedMessage": true, "feed": true, "feedMessage": true}
	// The append-only file is a sink, which hands on to package aof.
	allowed := map[string]bool{"propagate.go": true, "aof.go": true}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	families, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range append(files, families...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && feeds[sel.Sel.Name] {
				if found++; !allowed[name] {
					t.Errorf("%s calls %s", name, sel.Sel.Name)
				}
			}
			return true
		})
	}
	if found < 5 {
		t.Errorf("only %d calls were found", found)
	}
}
