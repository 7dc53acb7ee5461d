package keys

import (
	"fmt"
	"strings"
	"testing"

	"ferrous/commands/session"
)

func TestSortKeys(t *testing.T) {
	for line, want := range map[string]string{
		"SORT a":                           "[{1 RO}]",
		"SORT a STORE b":                   "[{1 RO} {3 OW}]",
		"SORT a STORE b STORE c":           "[{1 RO} {5 OW}]",
		"SORT a GET STORE BY STORE":        "[{1 RO}]",
		"SORT a LIMIT 0 STORE STORE STORE": "[{1 RO} {6 OW}]",
		"SORT a ALPHA STORE":               "[{1 RO}]",
		"SORT_RO a BY b":                   "[{1 RO}]",
	} {
		var args [][]byte
		for _, w := range strings.Fields(line) {
			args = append(args, []byte(w))
		}
		row := &sortCommands[0]
		if args[0][len(args[0])-1] == 'O' {
			row = &sortCommands[1]
		}
		var got []string
		for _, k := range row.FindKeys(nil, args) {
			mode := "RO"
			if k.Flags&session.KeyOW != 0 {
				mode = "OW"
			}
			got = append(got, fmt.Sprintf("{%d %s}", k.Pos, mode))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: keys %v, want %s", line, got, want)
		}
	}
}

func TestSortScore(t *testing.T) {
	for _, c := range []struct {
		s    string
		f    float64
		ok   bool
		what string
	}{
		{"", 0, true, "C reads nothing as 0"},
		{"\x00abc", 0, true, "what follows a zero byte does not count"},
		{"12\x00abc", 12, true, "what follows a zero byte does not count"},
		{" \t\n\v\f\r12", 12, true, "strtod skips blanks in front"},
		{"12 ", 0, false, "and not behind"},
		{"  ", 0, false, "blanks alone are no number"},
		{"-1.5e2", -150, true, ""},
		{"0x10", 16, true, ""},
		{"1e400", 0, false, "out of range"},
		{"1e-400", 0, false, "out of range"},
		{"1e-310", 0, false, "a denormal number loses digits, a range error too"},
		{"nan", 0, false, ""},
		{"abc", 0, false, ""},
	} {
		if f, ok := sortScore([]byte(c.s)); ok != c.ok || ok && f != c.f {
			t.Errorf("sortScore(%q) = %v, %v, want %v, %v (%s)", c.s, f, ok, c.f, c.ok, c.what)
		}
	}
}
