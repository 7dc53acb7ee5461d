package commands

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/commands/config"
	"ferrous/commands/logging"
	"ferrous/rdb"
)

// Files of old writers with one odd key. The tests of package rdb check what is corrected; this one checks which setting
// decides.
func TestOddFiles(t *testing.T) {
	for _, x := range []struct{ name, key, warning, refusal string }{
		{"hash-field-twice", "h", `The key "h" in DB 0 was put right while it was loaded: a field comes twice; its first value is kept`,
			"Duplicate hash fields detected"},
		{"stream-length-3-of-1", "s", `The key "s" in DB 0 was put right while it was loaded: ` +
			"the stream is said to have 3 entries and has 1; these are counted", ""},
	} {
		file, err := os.ReadFile("../rdb/testdata/" + x.name + ".rdb")
		if err != nil {
			t.Fatal(err)
		}
		for _, sanitize := range []string{"no", "clients", "yes"} {
			cfg := config.New()
			dir := t.TempDir()
			if err := cfg.LoadString("save \"\"\ndir " + dir + "\nsanitize-dump-payload " + sanitize + "\n"); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s, err := New(cfg, logging.New(logging.Options{Out: &log}))
			if err != nil {
				t.Fatal(err)
			}
			s.activeOff = true
			if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), file, 0o600); err != nil {
				t.Fatal(err)
			}
			s.Keyspace.Now = testEpoch
			err = s.reload(rdb.Loader{DropExpired: true})
			if sanitize == "yes" && x.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), x.refusal) || strings.Contains(log.String(), "put right") {
					t.Errorf("%s, sanitize-dump-payload %s: %v, log:\n%s", x.name, sanitize, err, log.String())
				}
				continue
			}
			if n := strings.Count(log.String(), x.warning); err != nil || n != 1 || s.Keyspace.DBs()[0].Len() != 3 {
				t.Errorf("%s, sanitize-dump-payload %s: %v, warned %d times, log:\n%s", x.name, sanitize, err, n, log.String())
			}
		}
	}
}

// A payload of a client that is odd is refused whatever is configured.
func TestOddPayloads(t *testing.T) {
	for _, sanitize := range []string{"no", "clients", "yes"} {
		s := newTestServer(t, "sanitize-dump-payload", sanitize)
		s.SkipChecksum = true
		for name, body := range map[string]string{
			"a field twice":                "\x04\x02\x01f\x011\x01f\x012",
			"a field twice in a listpack":  "\x10\x13\x13\x00\x00\x00\x04\x00\x81f\x02\x01\x01\x81f\x02\x02\x01\xff",
			"a member twice in a listpack": "\x14\x0d\x0d\x00\x00\x00\x02\x00\x81a\x02\x81a\x02\xff",
			"an intset out of order":       "\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x01\x00",
			"a stream of one entry, not 3": "\x0f\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00\x0a\x00" +
				"\x01\x01\x00\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81b\x02\x04\x01\xff\x03\x01\x01\x00",
		} {
			if got := s.do("RESTORE", "k", "0", body+"\x09\x00"+strings.Repeat("\x00", 8)); got != "-ERR Bad data format\r\n" {
				t.Errorf("sanitize-dump-payload %s: %s: %q", sanitize, name, got)
			}
		}
	}
}

// A set in a listpack stays one when it is dumped and restored, saved and loaded: Redis looks at its length only.
func TestLongMembersStayPacked(t *testing.T) {
	s := newTestServer(t)
	long := strings.Repeat("L", 65)
	encoding := func(key, want string) {
		t.Helper()
		if got := s.do("OBJECT", "ENCODING", key); got != "$"+want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	const packed, table = "8\r\nlistpack\r\n", "9\r\nhashtable\r\n"
	s.Config.SetMaxListpackValue = 1000
	s.do("SADD", "big", "a", long, "b")
	s.do("SADD", "small", "a", "b")
	s.Config.SetMaxListpackValue = 64
	dump := func(key string) string {
		reply := s.do("DUMP", key)
		_, payload, _ := strings.Cut(reply, "\r\n")
		return strings.TrimSuffix(payload, "\r\n")
	}
	if version := dump("small"); version[len(version)-10] != 10 {
		t.Errorf("a set that comes back as it is is dumped in version %d", version[len(version)-10])
	}
	s.do("RESTORE", "copy", "0", dump("big"))
	encoding("big", packed)
	encoding("copy", packed)
	s.do("SADD", "copy", "c")
	encoding("copy", packed)
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s.emptyAll(false)
	if err := s.reload(rdb.Loader{DropExpired: true}); err != nil {
		t.Fatal(err)
	}
	encoding("big", packed)
	encoding("copy", packed)
	encoding("small", packed)
	s.do("SADD", "copy", long+"2")
	encoding("copy", table)
	// More members than are configured are no listpack, however short.
	s.Config.SetMaxListpackEntries = 2
	s.do("RESTORE", "many", "0", dump("big"))
	encoding("many", table)
}
