package compat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// Files of users: what both servers make of the same text, by ACL LOAD's reply, ACL LIST, and the file that ACL SAVE writes
// of it, which must be read again as the same users. (Redis 7.0 leaves out rules of commands that change nothing, 7.2 keeps them: there
// are none here.)

var userFiles = []struct{ name, text string }{
	{"empty", ""},
	{"blank lines", "\n  \n\t\n\r\n"},
	{"users", "user u on nopass ~a* &c* +@all -get\nuser v off #e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"},
	{"no newline at the end", "user u on >pw +get"},
	{"carriage returns and tabs around", "\tuser u on nopass +get\t\r\n \tuser v on\r\n"},
	{"several blanks", "user u  on   nopass +get\n"},
	{"selectors", "user u on nopass -@all +get ~a (~b +set) (%R~c* &d +@read -mget)\n"},
	{"the default user", "user default on >secret ~* &* +@all\nuser u on\n"},
	{"first argument", "user u on nopass ~* +select|1\n"}, // one: the order of several is a matter of Redis's random seed
	{"subcommand", "user u on nopass ~* +config|get\n"},
	{"resets", "user u on >a >b <a ~x resetkeys ~y allchannels +@all reset on nopass\n"},
	{"empty name", "user  on\n"},
	{"no keyword", "u on\n"},
	{"keyword only", "user\nuser u on\n"},
	{"keyword in capitals", "USER u on\n"},
	{"comment", "# users\nuser u on\n"},
	{"twice", "user u on\nuser u off\n"},
	{"default twice", "user default on nopass ~* &* +@all\nuser default off\n"},
	{"vertical tab in the name", "user a\vb on\n"},
	{"unknown rule", "user u on foo\n"},
	{"unknown command", "user u on +nosuch\nuser v +@nosuch\nuser w +nosuch|x\n"},
	{"several bad rules of a line", "user u foo bar +nosuch baz\n"},
	{"bad lines", "user u on foo\nx\nuser v +nosuch\nuser u\n"},
	{"short hash", "user u #abc\n"},
	{"password to remove", "user u <nosuch\n"},
	{"pattern behind all", "user u ~* ~a\nuser v &* &a\n"},
	{"argument of a subcommand", "user u +config|get|x\n"},
	{"bad rule in a selector", "user u (+nosuch) (foo)\n"},
	{"quotes in a selector", "user u (\"~a\n\nuser v (\"~b\" +get)\n"},
	{"rules in capitals", "user u ON NOPASS ~A +@READ ALLCHANNELS\n"},
}

func TestUserFiles(t *testing.T) {
	redis, err := harness.Redis()
	if err != nil {
		t.Fatal(err)
	}
	var files [2]string
	var conns [2]*harness.Conn
	for side, binary := range [2]string{redis, harness.NeedFerrous(t)} {
		files[side] = filepath.Join(t.TempDir(), "users.acl")
		if err := os.WriteFile(files[side], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		conns[side] = harness.StartWith(t, harness.Options{Binary: binary, Args: []string{"--aclfile", files[side]}}).Dial(t)
	}
	// same compares replies, arrays as lines. Redis 7.0 does not name the state that 7.2 has in every description.
	same := func(t *testing.T, args ...string) string {
		t.Helper()
		var out [2]string
		for side, c := range conns {
			v, err := c.Do(args...)
			if err != nil {
				t.Fatalf("%s: %q: %v", sideNames[side], args, err)
			}
			lines := []string{v.Str}
			for _, e := range v.Elems {
				lines = append(lines, e.Str)
			}
			out[side] = strings.ReplaceAll(strings.Join(lines, "\n"), files[side], "FILE")
			out[side] = strings.ReplaceAll(out[side], " sanitize-payload", "")
		}
		if out[oracle] != out[subject] {
			t.Errorf("%q:\n\t%s %q\n\t%s %q", args, sideNames[oracle], out[oracle], sideNames[subject], out[subject])
		}
		return out[subject]
	}
	for _, f := range userFiles {
		t.Run(f.name, func(t *testing.T) {
			for _, file := range files {
				if err := os.WriteFile(file, []byte(f.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			loaded := same(t, "ACL", "LOAD") == "OK"
			list := same(t, "ACL", "LIST")
			if same(t, "ACL", "SAVE") != "OK" {
				t.Error("not saved")
			}
			if !loaded {
				return
			}
			if same(t, "ACL", "LOAD") != "OK" || same(t, "ACL", "LIST") != list {
				t.Error("what was saved reads otherwise")
			}
		})
	}
}
