package aof

// The manifest is the list of the files that make up the append-only file, in the order in which they are loaded. One line
// a file, as Redis 7 writes it:
//
//	file appendonly.aof.2.base.rdb seq 2 type b
//	file appendonly.aof.4.incr.aof seq 4 type h
//	file appendonly.aof.5.incr.aof seq 5 type i
//
// b is the base, what the data was when the last rewrite began (at most one). i are incremental files, what happened since,
// with growing numbers; the last is the one that is written to. h is history: files that a rewrite has replaced and that
// wait for their deletion; they are never loaded. A file is part of the data only if the manifest names it, so replacing the
// manifest, which is one rename, replaces the data.
//
// Lines beginning with # are comments. Words may be quoted as in redis.conf, and a name is written in quotes when it has a
// character in it that needs them. Words are pairs of a key and a value, and unknown keys are passed over: Redis 8 writes
// more of them. Everything else is an error, with the words of Redis, since a manifest that is read wrongly loses data.
//
// A Manifest is changed by making a changed copy, writing that, and putting it in place of the old one only when it is on
// the disk (persist in folder.go).

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// FileType is what a file of the manifest is.
type FileType byte

// The types, as the manifest writes them.
const (
	TypeBase    FileType = 'b'
	TypeHistory FileType = 'h'
	TypeIncr    FileType = 'i'
)

// FileInfo is one line of the manifest.
type FileInfo struct {
	Name string // without a folder
	Seq  int64
	Type FileType
}

// Manifest is the list of files.
type Manifest struct {
	Base    *FileInfo // nil if there is none
	History []FileInfo
	Incrs   []FileInfo // oldest first

	baseSeq, incrSeq int64 // numbers used last
}

// maxManifestLine is how long a line may be, its end included.
const maxManifestLine = 1024

// maxSeq keeps the numbers that follow from overflowing.
const maxSeq = math.MaxInt64 / 2

// The errors of a manifest, in the words of Redis.
const (
	errManifestEmpty   = "Found an empty AOF manifest"
	errManifestLong    = "The AOF manifest file contains too long line"
	errManifestFormat  = "Invalid AOF manifest file format"
	errManifestPath    = "File can't be a path, just a filename"
	errManifestTwoBase = "Found duplicate base file information"
	errManifestOrder   = "Found a non-monotonic sequence number"
	errManifestType    = "Unknown AOF file type"
)

// ManifestError says what is wrong with a manifest.
type ManifestError struct {
	Line   int    // counted from 1
	Text   string // the line, "" if it could not be read
	Reason string // in the words of Redis
}

func (e *ManifestError) Error() string { return e.Reason }

// Lines returns what Redis logs of the error.
func (e *ManifestError) Lines() []string {
	lines := []string{"\n*** FATAL AOF MANIFEST FILE ERROR ***\n"}
	if e.Text != "" {
		lines = append(lines, fmt.Sprintf("Reading the manifest file, at line %d\n", e.Line), fmt.Sprintf(">>> '%s'\n", e.Text))
	}
	return append(lines, e.Reason+"\n")
}

// ParseManifest reads a manifest. The error is a *ManifestError.
func ParseManifest(data []byte) (*Manifest, error) {
	if len(data) == 0 {
		return nil, &ManifestError{Reason: errManifestEmpty}
	}
	m := new(Manifest)
	for num := 1; len(data) > 0; num++ {
		line := data[:min(len(data), maxManifestLine)]
		end := bytes.IndexByte(line, '\n')
		if end >= 0 {
			line = line[:end]
			data = data[end+1:]
		} else {
			data = data[len(line):]
		}
		if len(line) > 0 && line[0] == '#' {
			continue
		}
		if end < 0 || bytes.IndexByte(line, 0) >= 0 {
			return nil, &ManifestError{Line: num, Reason: errManifestLong}
		}
		text := strings.Trim(string(line), " \t\r\n")
		if reason := m.add(text); reason != "" {
			return nil, &ManifestError{Line: num, Text: text, Reason: reason}
		}
	}
	return m, nil
}

// add reads one line. It returns the reason why it cannot be.
func (m *Manifest) add(text string) (reason string) {
	words, ok := splitWords(text)
	if !ok || len(words) < 6 || len(words)%2 != 0 {
		return errManifestFormat
	}
	var f FileInfo
	for i := 0; i < len(words); i += 2 {
		value := words[i+1]
		switch strings.ToLower(words[i]) {
		case "file":
			if strings.ContainsAny(value, `/\`) {
				return errManifestPath
			}
			f.Name = value
		case "seq":
			f.Seq = leadingInt(value)
		case "type":
			f.Type = 0
			if value != "" {
				f.Type = FileType(value[0])
			}
		}
	}
	if f.Name == "" || f.Name == "." || f.Name == ".." || f.Seq == 0 || f.Seq > maxSeq || f.Type == 0 || strings.IndexByte(f.Name, 0) >= 0 {
		return errManifestFormat
	}
	switch f.Type {
	case TypeBase:
		if m.Base != nil {
			return errManifestTwoBase
		}
		m.Base, m.baseSeq = &f, f.Seq
	case TypeHistory:
		m.History = append(m.History, f)
	case TypeIncr:
		if f.Seq <= m.incrSeq {
			return errManifestOrder
		}
		m.Incrs = append(m.Incrs, f)
		m.incrSeq = f.Seq
	default:
		return errManifestType
	}
	return ""
}

// leadingInt is atoll(3): the number that s begins with, 0 if there is none, bounded where it is too large.
func leadingInt(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	n, _ := strconv.ParseInt(s[:i], 10, 64) // of a number out of range it returns the bound
	return n
}

// Append appends the manifest as it stands in the file.
func (m *Manifest) Append(b []byte) []byte {
	if m.Base != nil {
		b = m.Base.append(b)
	}
	for i := range m.History {
		b = m.History[i].append(b)
	}
	for i := range m.Incrs {
		b = m.Incrs[i].append(b)
	}
	return b
}

func (f *FileInfo) append(b []byte) []byte {
	b = append(b, "file "...)
	if needsQuotes(f.Name) {
		b = appendQuoted(b, f.Name)
	} else {
		b = append(b, f.Name...)
	}
	b = append(b, " seq "...)
	b = strconv.AppendInt(b, f.Seq, 10)
	b = append(b, " type "...)
	return append(b, byte(f.Type), '\n')
}

// Empty reports whether there is nothing to load.
func (m *Manifest) Empty() bool { return m.Base == nil && len(m.Incrs) == 0 }

// files returns what is loaded, in order.
func (m *Manifest) files() []FileInfo {
	var all []FileInfo
	if m.Base != nil {
		all = append(all, *m.Base)
	}
	return append(all, m.Incrs...)
}

func (m *Manifest) clone() *Manifest {
	c := *m
	if m.Base != nil {
		base := *m.Base
		c.Base = &base
	}
	c.History, c.Incrs = slices.Clone(m.History), slices.Clone(m.Incrs)
	return &c
}

// nextBase makes room for a new base, the old one becoming history, and returns its name.
func (m *Manifest) nextBase(filename string, preamble bool) string {
	if m.Base != nil {
		old := *m.Base
		old.Type = TypeHistory
		m.History = slices.Insert(m.History, 0, old)
	}
	format := ".aof"
	if preamble {
		format = ".rdb"
	}
	name := ""
	for name == "" || m.inHistory(name) {
		m.baseSeq = max(m.baseSeq, 0) + 1
		name = filename + "." + strconv.FormatInt(m.baseSeq, 10) + ".base" + format
	}
	m.Base = &FileInfo{Name: name, Seq: m.baseSeq, Type: TypeBase}
	return name
}

// nextIncr adds a new incremental file at the end and returns its name.
func (m *Manifest) nextIncr(filename string) string {
	name := ""
	for name == "" || m.inHistory(name) {
		m.incrSeq++
		name = filename + "." + strconv.FormatInt(m.incrSeq, 10) + ".incr.aof"
	}
	m.Incrs = append(m.Incrs, FileInfo{Name: name, Seq: m.incrSeq, Type: TypeIncr})
	return name
}

// inHistory reports whether a name belongs to a file that is going to be deleted.
func (m *Manifest) inHistory(name string) bool {
	return slices.ContainsFunc(m.History, func(f FileInfo) bool { return f.Name == name })
}

// listed reports whether a file is an incremental file that is loaded.
func (m *Manifest) listed(name string) bool {
	return slices.ContainsFunc(m.Incrs, func(f FileInfo) bool { return f.Name == name })
}

// retire makes history of the incremental files before the one named keep, of all if it is "".
func (m *Manifest) retire(keep string) {
	n := slices.IndexFunc(m.Incrs, func(f FileInfo) bool { return f.Name == keep })
	if n < 0 {
		n = len(m.Incrs)
	}
	old := slices.Clone(m.Incrs[:n])
	for i := range old {
		old[i].Type = TypeHistory
	}
	m.History = slices.Concat(old, m.History)
	m.Incrs = slices.Clone(m.Incrs[n:])
}

// needsQuotes reports whether a word would not be read back as it stands.
func needsQuotes(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' {
			return true
		}
	}
	// Redis does not look for these, but reads them as the beginning of a quoted part.
	return strings.IndexByte(s, '\'') >= 0 || s != "" && s[0] == '#'
}

func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\a':
			b = append(b, `\a`...)
		case '\b':
			b = append(b, `\b`...)
		default:
			if c < ' ' || c >= 0x7f {
				b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// splitWords cuts a line into words as redis.conf does: "…" with escapes, '…' with \' only, else up to a blank. A
// closing quote must be followed by a blank. ok is false for quotes that are not closed so.
func splitWords(s string) (words []string, ok bool) {
	for i := 0; ; {
		for i < len(s) && isBlank(s[i]) {
			i++
		}
		if i == len(s) {
			return words, true
		}
		var word []byte
		for done := false; i < len(s) && !done; {
			switch c := s[i]; c {
			case ' ', '\n', '\r', '\t':
				done = true
			case '"', '\'':
				part, n, closed := quotedPart(s[i:])
				if !closed {
					return nil, false
				}
				word = append(word, part...)
				i += n
				done = true
			default:
				word = append(word, c)
				i++
			}
		}
		words = append(words, string(word))
	}
}

// quotedPart reads a part in quotes at the beginning of s. n is its length with the quotes.
func quotedPart(s string) (part []byte, n int, ok bool) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return part, i + 1, i+1 == len(s) || isBlank(s[i+1])
		case c == '\\' && quote == '\'' && i+1 < len(s) && s[i+1] == '\'':
			part = append(part, '\'')
			i++
		case c == '\\' && quote == '"' && i+3 < len(s) && s[i+1] == 'x' && isHex(s[i+2]) && isHex(s[i+3]):
			v, _ := strconv.ParseUint(s[i+2:i+4], 16, 8)
			part = append(part, byte(v))
			i += 3
		case c == '\\' && quote == '"' && i+1 < len(s):
			i++
			if at := strings.IndexByte("nrtba", s[i]); at >= 0 {
				part = append(part, "\n\r\t\b\a"[at])
			} else {
				part = append(part, s[i])
			}
		default:
			part = append(part, c)
		}
	}
	return nil, 0, false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
