package memfs

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// TestLoss: what each kind of crash leaves of a file with 2 bytes on the disk and 4 more written, in a folder that is there.
func TestLoss(t *testing.T) {
	m := New()
	m.Mkdir("d")
	f, err := m.Append("d/f")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("ab"))
	f.Sync()
	if _, err := m.After(Power).ReadFile("d/f"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a name is there without SyncDir", err)
	}
	m.SyncDir(".")
	m.SyncDir("d")
	f.Write([]byte("cdef"))
	m.Rename("d/f", "d/g")
	for _, c := range []struct {
		loss       Loss
		name, want string
	}{{Kill, "d/g", "abcdef"}, {Power, "d/f", "ab"}, {Torn, "d/f", "abcd"}} {
		if b, err := m.After(c.loss).ReadFile(c.name); err != nil || string(b) != c.want {
			t.Errorf("%d: %q %v", c.loss, b, err)
		}
	}
}

// TestLostPages: a Sync that fails has lost what it was to write, whatever a later one says.
func TestLostPages(t *testing.T) {
	m := New()
	f, _ := m.Create("f")
	m.SyncDir(".")
	f.Write([]byte("ab"))
	m.Inject = func(op Op, name string, size int) *Fault { return &Fault{Err: syscall.EIO} }
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	m.Inject = nil
	f.Write([]byte("cd"))
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if b, _ := m.After(Power).ReadFile("f"); string(b) != "\x00\x00cd" {
		t.Errorf("%q", b)
	}
	if b, _ := m.ReadFile("f"); string(b) != "abcd" {
		t.Errorf("%q", b)
	}
}

func TestCrashAtAndSpace(t *testing.T) {
	m := New()
	m.SetSpace(3)
	f, _ := m.Create("f")
	if n, err := f.Write([]byte("abcd")); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Error(n, err)
	}
	m.SetSpace(-1)
	m.CrashAt = m.Steps() + 2
	f.Write([]byte("d"))
	if n, err := f.Write([]byte("e")); n != 0 || err != ErrCrashed || !m.Crashed() {
		t.Error(n, err)
	}
	if _, err := m.Open("f"); err != ErrCrashed {
		t.Error(err)
	}
	if m.Remove("f") != ErrCrashed || f.Sync() != ErrCrashed {
		t.Error("it goes on after the crash")
	}
	if b, err := m.After(Kill).ReadFile("f"); string(b) != "abcd" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if got := strings.Join(m.Log(), ","); got != "create f,write f,write f" {
		t.Error(got)
	}
}
