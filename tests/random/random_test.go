package random

import (
	"strings"
	"testing"
)

// A seed depends on the process's, the test, and how many the test has had, and on nothing else.
func TestSeed(t *testing.T) {
	first, second := Seed(t), Seed(t)
	if first == second {
		t.Error("a test gets the same seed twice")
	}
	t.Run("other", func(t *testing.T) {
		if Seed(t) == first {
			t.Error("two tests get the same seed")
		}
		if d := byName[t.Name()]; d.runs != 1 || d.seeds != 1 {
			t.Errorf("%d runs, %d seeds", d.runs, d.seeds)
		}
	})
	delete(byName, t.Name())
	if Seed(t) != first || Seed(t) != second {
		t.Error("seeds cannot be had again")
	}
	if d := byName[t.Name()]; d.runs != 1 || d.seeds != 2 {
		t.Errorf("%d runs, %d seeds", d.runs, d.seeds)
	}
	if got := replay("TestA/b c", 3); !strings.HasSuffix(got, " go test -count=3 -run '^TestA$/^b c$'") {
		t.Error(got)
	}
}
