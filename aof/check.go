package aof

// Check looks at an append-only file without running it, as redis-check-aof does, in the same words where scripts look for
// them. Given a manifest it looks at all the files named there; given another file, at that one, which may begin with RDB.
//
// It checks more than the loader does: every number, line break and transaction must be in order, and it counts lines. What
// is wrong at the end of the last file may be cut off (Fix), bytes that are no commands included, since the tool asks the
// operator to make a copy first. With Timestamp, the last file is cut at the first annotation that is later. A transaction is
// never cut in two.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"ferrous/rdb/vfs"
)

// CheckOptions say what Check does.
type CheckOptions struct {
	FS vfs.FS // nil: the operating system's
	// Fix offers to cut off what is not in order at the end.
	Fix bool
	// In is where the answer to that offer is read from.
	In io.Reader
	// Timestamp, if not 0, is the Unix second up to which the file is kept.
	Timestamp int64
	// CheckRDB looks at an RDB file of size bytes and writes to w what it finds. n is where it ends.
	CheckRDB func(w io.Writer, r io.Reader, size int64) (n int64, ok bool)
	// Watch, if not nil, returns what a file of size bytes is read through.
	Watch func(r io.Reader, size int64) io.Reader
}

// ErrInvalid is what Check returns for files that are not in order and have not been put in order. What is wrong has been
// written.
var ErrInvalid = errors.New("the append-only file is not valid")

// checker is one run of Check.
type checker struct {
	CheckOptions
	w    io.Writer
	line int64 // line breaks seen, over all files, from 1
}

// checked is what was found of a file.
type checked int

const (
	checkedOK checked = iota
	checkedEmpty
	checkedCut
	checkedCutAtTime
)

// Check looks at the file at path and writes to w what it finds. The error is nil or ErrInvalid.
func Check(w io.Writer, path string, o CheckOptions) error {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	c := &checker{CheckOptions: o, w: w, line: 1}
	head, err := c.head(path)
	if err != nil {
		return err
	}
	if isManifest(head) {
		return c.multiPart(path)
	}
	c.printf("Start checking Old-Style AOF\n")
	got, err := c.file(path, path, true, isRDB(head[:min(6, len(head))]))
	if err != nil {
		return err
	}
	c.report(got, path, "AOF")
	return nil
}

func (c *checker) printf(format string, args ...any) { fmt.Fprintf(c.w, format, args...) }

func (c *checker) fail(format string, args ...any) error {
	c.printf(format+"\n", args...)
	return ErrInvalid
}

// head returns how a file begins.
func (c *checker) head(path string) ([]byte, error) {
	f, err := c.FS.Open(path)
	if err != nil {
		return nil, c.fail("Cannot open file %s: %s", path, vfs.Text(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, c.fail("Cannot read file: %s", path)
	}
	return b, nil
}

// isManifest reports whether the first line that is no comment begins with file.
func isManifest(head []byte) bool {
	for line := range strings.Lines(string(head)) {
		if !strings.HasPrefix(line, "#") {
			return strings.HasPrefix(line, "file")
		}
	}
	return false
}

// multiPart looks at all files of a manifest.
func (c *checker) multiPart(path string) error {
	c.printf("Start checking Multi Part AOF\n")
	data, err := readAll(c.FS, path)
	if err != nil {
		return c.fail("Fatal error: can't open the AOF manifest file %s for reading: %s", path, vfs.Text(err))
	}
	m, err := ParseManifest(data)
	if err != nil {
		for _, line := range err.(*ManifestError).Lines() {
			c.printf("%s\n", line)
		}
		return ErrInvalid
	}
	dir := filepath.Dir(path)
	files := m.files()
	last := 0 // as Load has it: what stands behind is empty
	for i, f := range files {
		if size, err := c.FS.Size(filepath.Join(dir, f.Name)); err != nil || size > 0 {
			last = i
		}
	}
	for i, f := range files {
		name := filepath.Join(dir, f.Name)
		kind, rdb := "INCR AOF", false
		if f.Type == TypeBase {
			kind = "BASE AOF"
			head, err := c.head(name)
			if err != nil {
				return err
			}
			rdb = isRDB(head[:min(6, len(head))])
			format := "RESP"
			if rdb {
				format = "RDB"
			}
			c.printf("Start to check BASE AOF (%s format).\n", format)
		} else if i == 0 || files[i-1].Type == TypeBase {
			c.printf("Start to check INCR files.\n")
		}
		got, err := c.file(f.Name, name, i >= last, rdb)
		if err != nil {
			return err
		}
		c.report(got, f.Name, kind)
	}
	c.printf("All AOF files and manifest are valid\n")
	return nil
}

func (c *checker) report(got checked, name, kind string) {
	switch got {
	case checkedOK:
		c.printf("%s %s is valid\n", kind, name)
	case checkedEmpty:
		c.printf("%s %s is empty\n", kind, name)
	case checkedCut:
		c.printf("Successfully truncated AOF %s\n", name)
	case checkedCutAtTime:
		c.printf("Successfully truncated AOF %s to timestamp %d\n", name, c.Timestamp)
	}
}

// file looks at one file.
func (c *checker) file(name, path string, last, rdb bool) (checked, error) {
	f, err := c.FS.Open(path)
	if err != nil {
		return 0, c.fail("Cannot open file %s: %s, aborting...", path, vfs.Text(err))
	}
	defer f.Close()
	size, err := c.FS.Size(path)
	if err != nil {
		return 0, c.fail("Cannot stat file: %s, aborting...", name)
	}
	if size == 0 {
		return checkedEmpty, nil
	}
	var in io.Reader = f
	if c.Watch != nil {
		in = c.Watch(f, size)
	}
	var start int64
	if rdb {
		ok := c.CheckRDB != nil
		if ok {
			start, ok = c.CheckRDB(c.w, in, size)
		}
		if !ok || start <= 0 || start > size {
			return 0, c.fail("RDB preamble of AOF file is not sane, aborting.")
		}
		if _, err := f.Seek(start, io.SeekStart); err != nil {
			return 0, c.fail("Failed to fseek in AOF %s: %s", name, vfs.Text(err))
		}
		c.printf("RDB preamble is OK, proceeding with AOF tail...\n")
		if in = f; c.Watch != nil { // anew: the reader of the preamble has read ahead
			in = c.Watch(f, size-start)
		}
	}
	src := &source{r: in}
	s := &scan{c: c, r: bufio.NewReaderSize(src, 64<<10), pos: start, name: path, size: size, valid: start}
	err = s.run()
	var late *lateError
	switch {
	case src.err != nil:
		// The bytes may be there all the same: nothing is known of them, and nothing is cut off.
		return 0, c.fail("Failed to read from AOF %s: %s", path, vfs.Text(src.err))
	case errors.As(err, &late):
		return c.cutAtTime(name, path, last, late.offset)
	case errors.Is(err, errNotStamp):
		return 0, c.fail("Invalid timestamp annotation")
	case err != nil:
		c.printf("%s\n", err)
	}
	left := size - s.valid
	if left == 0 && c.Timestamp != 0 {
		c.printf("Truncate nothing in AOF %s to timestamp %d\n", name, c.Timestamp)
		return checkedOK, nil
	}
	c.printf("AOF analyzed: filename=%s, size=%d, ok_up_to=%d, ok_up_to_line=%d, diff=%d\n", name, size, s.valid, c.line, left)
	if left <= 0 {
		return checkedOK, nil
	}
	if !c.Fix {
		return 0, c.fail("AOF %s is not valid. Use the --fix option to try fixing it.", name)
	}
	if !last {
		return 0, c.fail("Failed to truncate AOF %s because it is not the last file", name)
	}
	c.printf("This will shrink the AOF %s from %d bytes, with %d bytes, to %d bytes\n", name, size, left, s.valid)
	c.printf("Continue? [y/N]: ")
	if !c.yes() {
		return 0, c.fail("Aborting...")
	}
	if err := c.cut(path, s.valid); err != nil {
		return 0, c.fail("Failed to truncate AOF %s: %s", name, vfs.Text(err))
	}
	return checkedCut, nil
}

func (c *checker) yes() bool {
	if c.In == nil {
		return false
	}
	var answer [1]byte
	n, _ := io.ReadFull(c.In, answer[:])
	return n == 1 && answer[0]|0x20 == 'y'
}

// cut truncates a file and has that on the disk.
func (c *checker) cut(path string, size int64) error {
	if err := c.FS.Truncate(path, size); err != nil {
		return err
	}
	f, err := c.FS.Append(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (c *checker) cutAtTime(name, path string, last bool, offset int64) (checked, error) {
	if offset == 0 {
		return 0, c.fail("AOF %s has nothing before timestamp %d, aborting...", path, c.Timestamp)
	}
	if !last {
		c.printf("Failed to truncate AOF %s to timestamp %d to offset %d because it is not the last file.\n", path, c.Timestamp, offset)
		return 0, c.fail("If you insist, please delete all files after this file according to the manifest " +
			"file and delete the corresponding records in manifest file manually. Then check the file again.")
	}
	if err := c.cut(path, offset); err != nil {
		return 0, c.fail("Failed to truncate AOF %s to timestamp %d", path, c.Timestamp)
	}
	return checkedCutAtTime, nil
}

// source distinguishes a file that ends from one that cannot be read.
type source struct {
	r   io.Reader
	err error // of reading, the end is none
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// scan reads one file.
type scan struct {
	c     *checker
	r     *bufio.Reader
	pos   int64 // of what is read next
	valid int64 // where the last command or transaction that is in order ends
	size  int64
	name  string
	multi bool
}

// scanError is a line of the report.
type scanError struct {
	offset int64
	text   string
}

func (e *scanError) Error() string { return fmt.Sprintf("0x%16x: %s", e.offset, e.text) }

// lateError says that what begins at an offset is later than was asked for.
type lateError struct{ offset int64 }

func (e *lateError) Error() string { return "later than the timestamp" }

var errNotStamp = errors.New("invalid timestamp annotation")

func bad(offset int64, format string, args ...any) error {
	return &scanError{offset, fmt.Sprintf(format, args...)}
}

// run reads to the end, or to what is not in order. An error of the source is an end here.
func (s *scan) run() error {
	for {
		if !s.multi {
			s.valid = s.pos
		}
		kind, err := s.r.Peek(1)
		if err != nil {
			if s.multi {
				return bad(s.pos, "Reached EOF before reading EXEC for MULTI")
			}
			return nil
		}
		switch kind[0] {
		case '#':
			err = s.annotation()
		case '*':
			err = s.command()
		default:
			err = bad(s.pos, "AOF %s format error", s.name)
		}
		if err != nil {
			return err
		}
	}
}

// read reads a line of at most limit bytes, its end included.
func (s *scan) read(limit int) (string, error) {
	from := s.pos
	var line []byte
	for len(line) < limit {
		b, err := s.r.ReadByte()
		if err != nil {
			return "", bad(from, "Expected a line, got %d bytes and the end of the file", len(line))
		}
		s.pos++
		if line = append(line, b); b == '\n' {
			return string(line), nil
		}
	}
	return "", bad(from, "Expected the end of a line within %d bytes", limit)
}

func (s *scan) annotation() error {
	from := s.pos
	line, err := s.read(maxAnnotation)
	if err != nil {
		return err
	}
	text, ok := strings.CutPrefix(line, "#TS:")
	if s.c.Timestamp == 0 || !ok {
		return nil
	}
	text, ok = strings.CutSuffix(text, "\r\n")
	at, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return errNotStamp
	}
	if at > s.c.Timestamp {
		if s.multi {
			from = s.valid
		}
		return &lateError{from}
	}
	return nil
}

// number reads a line of a prefix and a number.
func (s *scan) number(prefix byte) (int64, error) {
	from := s.pos
	line, err := s.read(maxHeadLine)
	if err != nil {
		return 0, err
	}
	if line[0] != prefix {
		return 0, bad(from, "Expected prefix '%c', got: '%c'", prefix, line[0])
	}
	i := 1
	for i < len(line) && '0' <= line[i] && line[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(line[1:i], 10, 64)
	if err != nil {
		return 0, bad(from, "Expected a number, got %q", line[1:i])
	}
	if line[i:] != "\r\n" {
		return 0, bad(from, "Expected \\r\\n, got: %02x%02x", line[i], (line[i:] + "\x00")[1])
	}
	s.c.line++
	return n, nil
}

// command reads a command without keeping it.
func (s *scan) command() error {
	from := s.pos
	argc, err := s.number('*')
	if err != nil {
		return err
	}
	if argc < 1 {
		return bad(from, "Expected a command of at least one word, got %d", argc)
	}
	for i := int64(0); i < argc; i++ {
		length, err := s.number('$')
		if err != nil {
			return err
		}
		if length+2 < 0 || length+2 > s.size-s.pos {
			return bad(s.pos, "Expected to read %d bytes, got %d bytes", length+2, s.size-s.pos)
		}
		var verb []byte
		if i == 0 && length < 8 {
			verb, _ = s.r.Peek(int(length))
			verb = append([]byte(nil), verb...)
		}
		at := s.pos
		n, err := io.CopyN(io.Discard, s.r, length)
		s.pos += n
		var end [2]byte
		if err == nil {
			var k int
			k, err = io.ReadFull(s.r, end[:])
			s.pos += int64(k)
			n += int64(k)
		}
		if err != nil {
			return bad(at, "Expected to read %d bytes, got %d bytes", length+2, n)
		}
		if end != [2]byte{'\r', '\n'} {
			return bad(at, "Expected \\r\\n, got: %02x%02x", end[0], end[1])
		}
		s.c.line++
		switch {
		case isWord(verb, "multi"):
			if s.multi {
				return bad(at, "Unexpected MULTI in AOF %s", s.name)
			}
			s.multi = true
		case isWord(verb, "exec"):
			if !s.multi {
				return bad(at, "Unexpected EXEC in AOF %s", s.name)
			}
			s.multi = false
		}
	}
	return nil
}
