package commands

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// The names of a locale archive are found where its head says, and damaged heads bring none.
func TestArchivedLocales(t *testing.T) {
	const names = "C.utf8\x00de_DE.utf8\x00"
	archive := func(magic, at, n uint32) []byte {
		var b bytes.Buffer
		_ = binary.Write(&b, binary.NativeEndian, []uint32{magic, 1, 56, 0, 0, at, n, 100, 0, 0, 0, 0, 0, 0})
		b.WriteString(names)
		return b.Bytes()
	}
	path := filepath.Join(t.TempDir(), "locale-archive")
	for _, x := range []struct {
		file []byte
		want string
	}{
		{archive(0xde020109, 56, uint32(len(names))), "\x00" + names + "\x00"},
		{archive(0xde020108, 56, uint32(len(names))), ""},
		{archive(0xde020109, 56, 1<<31), ""},
		{archive(0xde020109, 1<<31, uint32(len(names))), ""},
		{nil, ""},
	} {
		if err := os.WriteFile(path, x.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := archivedLocales(path); string(got) != x.want {
			t.Errorf("%q: %q, want %q", x.file, got, x.want)
		}
	}
	if archivedLocales(path+".no") != nil {
		t.Error("names of no file")
	}
	for name, want := range map[string]bool{"": true, "C": true, "POSIX": true, "C.UTF-8": true, "C.utf8": true, "nosuch": false,
		"C.nosuch": false, "../../etc": false, "LC_ALL=C": false} {
		if got := hasLocale(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
