package aof

import (
	"strings"
	"testing"
)

func TestParseManifest(t *testing.T) {
	long := strings.Repeat("x", 1100)
	for _, c := range []struct {
		name, text, want string // want: the manifest as written, or "!" and the error
		line             int
	}{
		{"one", "file a.1.base.rdb seq 1 type b\n", "file a.1.base.rdb seq 1 type b\n", 0},
		{"all", "# c\nfile a.4 seq 4 type i\nfile h seq 9 type h\nfile b seq 2 type b\n#\n",
			"file b seq 2 type b\nfile h seq 9 type h\nfile a.4 seq 4 type i\n", 0},
		{"words", "  type incr FILE 'a b' Seq 7x extra \"q\\x41\\n\" \r\n", "file \"a b\" seq 7 type i\n", 0},
		{"escapes", `file "a\"\x01\t\n\r\a\b\xff" seq 1 type i` + "\n", `file "a\"\x01\t\n\r\a\b\xff" seq 1 type i` + "\n", 0},
		{"single", `file 'a\'b' seq 1 type i` + "\n", `file "a'b" seq 1 type i` + "\n", 0},
		{"comments", "# nothing\n# else\n", "", 0},
		{"empty", "", "!" + errManifestEmpty, 0},
		{"blank", "file a seq 1 type i\n\nfile b seq 2 type i\n", "!" + errManifestFormat, 2},
		{"blanks", " \t \n", "!" + errManifestFormat, 1},
		{"no end", "file a seq 1 type i", "!" + errManifestLong, 1},
		{"long", "file " + long + " seq 1 type i\n", "!" + errManifestLong, 1},
		{"NUL", "file a\x00 seq 1 type i\n", "!" + errManifestLong, 1},
		{"few", "file a seq 1\n", "!" + errManifestFormat, 1},
		{"odd", "file a seq 1 type i more\n", "!" + errManifestFormat, 1},
		{"key", "name a seq 1 type i\n", "!" + errManifestFormat, 1},
		{"seq", "file a seq x type i\n", "!" + errManifestFormat, 1},
		{"huge seq", "file a seq 99999999999999999999 type i\n", "!" + errManifestFormat, 1},
		{"no type", "file a seq 1 type \"\"\n", "!" + errManifestFormat, 1},
		{"no name", "file \"\" seq 1 type i\n", "!" + errManifestFormat, 1},
		{"dots", "file .. seq 1 type i\n", "!" + errManifestFormat, 1},
		{"NUL name", `file "a\x00b" seq 1 type i` + "\n", "!" + errManifestFormat, 1},
		{"quotes", "file \"a seq 1 type i\n", "!" + errManifestFormat, 1},
		{"quotes end", "file \"a\"b seq 1 type i\n", "!" + errManifestFormat, 1},
		{"single open", "file 'a seq 1 type i\n", "!" + errManifestFormat, 1},
		{"path", "file d/a seq 1 type i\n", "!" + errManifestPath, 1},
		{"path \\", `file d\a seq 1 type i` + "\n", "!" + errManifestPath, 1},
		{"two bases", "file a seq 1 type b\nfile b seq 2 type b\n", "!" + errManifestTwoBase, 2},
		{"order", "file a seq 2 type i\nfile b seq 2 type i\n", "!" + errManifestOrder, 2},
		{"negative", "file a seq -2 type i\n", "!" + errManifestOrder, 1},
		{"type", "file a seq 1 type x\n", "!" + errManifestType, 1},
	} {
		m, err := ParseManifest([]byte(c.text))
		if want, bad := strings.CutPrefix(c.want, "!"); bad {
			e, ok := err.(*ManifestError)
			if !ok || e.Reason != want || e.Line != c.line {
				t.Errorf("%s: %+v, want %q in line %d", c.name, err, want, c.line)
			} else if lines := e.Lines(); !strings.Contains(lines[0], "FATAL AOF MANIFEST") || !strings.Contains(lines[len(lines)-1], want) {
				t.Errorf("%s: %q", c.name, lines)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := string(m.Append(nil)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestManifestNames(t *testing.T) {
	m, err := ParseManifest([]byte("file a.1.base.aof seq 1 type b\nfile a.3.base.rdb seq 3 type h\nfile a.2.incr.aof seq 2 type h\n" +
		"file a.1.incr.aof seq 1 type i\n"))
	if err != nil {
		t.Fatal(err)
	}
	old := m.clone()
	incr := m.nextIncr("a") // 2 is history
	if got := m.nextBase("a", true); got != "a.2.base.rdb" || incr != "a.3.incr.aof" {
		t.Errorf("next names %s, %s", got, incr)
	}
	m.retire(incr)
	m.nextIncr("a")
	m.nextBase("a", true) // 3 is history
	want := "file a.4.base.rdb seq 4 type b\nfile a.2.base.rdb seq 2 type h\nfile a.1.incr.aof seq 1 type h\nfile a.1.base.aof seq 1 type h\n" +
		"file a.3.base.rdb seq 3 type h\nfile a.2.incr.aof seq 2 type h\nfile a.3.incr.aof seq 3 type i\nfile a.4.incr.aof seq 4 type i\n"
	if got := string(m.Append(nil)); got != want {
		t.Errorf("after two rewrites:\n%swant\n%s", got, want)
	}
	if got := old.Incrs[0].Type; got != TypeIncr || len(old.History) != 2 {
		t.Error("a copy was changed")
	}
	m.retire("")
	if len(m.Incrs) != 0 || m.Empty() {
		t.Error("retire all")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"))
	f.Add([]byte("# c\nfile \"a\\x01 b\" seq 2 type h k v\n"))
	f.Add([]byte("file 'a\\'' seq -1 type b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			if e := err.(*ManifestError); e.Reason == "" {
				t.Fatal("no reason")
			}
			return
		}
		if m.Empty() && len(m.History) == 0 {
			return
		}
		text := m.Append(nil)
		for line := range strings.Lines(string(text)) {
			if len(line) > maxManifestLine {
				return // names that grow when they are quoted
			}
		}
		again, err := ParseManifest(text)
		if err != nil || string(again.Append(nil)) != string(text) {
			t.Fatalf("%q is read back as %v, %v", text, again, err)
		}
		m.nextBase("appendonly.aof", true)
		m.retire(m.nextIncr("appendonly.aof"))
		if _, err := ParseManifest(m.Append(nil)); err != nil && len(text) < maxManifestLine {
			t.Fatalf("%q: %v", m.Append(nil), err)
		}
	})
}
