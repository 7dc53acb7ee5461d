package commands

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
)

// Which locales the host has. Strings are compared by their bytes in any case, but locale-collate refuses what setlocale(3)
// would refuse: a name that is mistyped must not be answered OK.

// localeFolders are where hosts keep locales: one folder each, with a file LC_COLLATE in it.
var localeFolders = []string{"/usr/lib/locale", "/usr/share/locale"}

// localeArchive is where glibc keeps most of them, in one file.
const localeArchive = "/usr/lib/locale/locale-archive"

// hasLocale reports whether the host has a locale.
func hasLocale(name string) bool {
	base, codeset, _ := strings.Cut(name, ".")
	codeset, modifier, modified := strings.Cut(codeset, "@")
	// Codesets are compared without regard to case and punctuation.
	codeset = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(codeset))
	switch {
	case name == "" || name == "C" || name == "POSIX" || base == "C" && codeset == "utf8" && !modified:
		return true // every C library has these
	case strings.ContainsAny(name, "/=;"):
		return false
	}
	normal := base
	if codeset != "" {
		normal += "." + codeset
	}
	if modified {
		normal += "@" + modifier
	}
	archived := archivedLocales(localeArchive)
	for _, n := range []string{name, normal} {
		for _, folder := range localeFolders {
			if _, err := os.Stat(filepath.Join(folder, n, "LC_COLLATE")); err == nil {
				return true
			}
		}
		if bytes.Contains(archived, []byte("\x00"+n+"\x00")) {
			return true
		}
	}
	return false
}

// archivedLocales returns the names of a locale archive, each between zero bytes; nil if there is none. Its head is 32-bit
// numbers in the order of the machine: magic, serial, offset, number and size of the table of names, then offset and bytes
// used of the strings (struct locarhead of glibc's locarchive.h).
func archivedLocales(path string) []byte {
	const magic, most = 0xde020109, 4 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var head [7]uint32
	if binary.Read(f, binary.NativeEndian, &head) != nil || head[0] != magic || head[6] > most {
		return nil
	}
	names := make([]byte, 1+head[6]) // a zero byte before the first
	if _, err := f.ReadAt(names[1:], int64(head[5])); err != nil {
		return nil
	}
	return append(names, 0)
}
