package config

import (
	"strings"
	"testing"
)

// Each directive has a summary of whole sentences, and no summary is left over.
func TestDirectivesHaveSummaries(t *testing.T) {
	known := map[string]bool{}
	for _, d := range New().Directives() {
		known[d.Name] = true
		if d.Summary == "" || d.Section == "" {
			t.Errorf("%s: say in summaries.go what it is for", d.Name)
		} else if first := d.Summary[0]; first < 'A' || first > 'Z' || !strings.HasSuffix(d.Summary, ".") {
			t.Errorf("%s: %q is no sentence", d.Name, d.Summary)
		}
	}
	for name := range summaries {
		if !known[name] {
			t.Errorf("summaries.go has %s, which is no directive", name)
		}
	}
}
