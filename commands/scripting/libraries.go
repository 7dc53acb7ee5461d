// Package scripting has the parts of EVAL, FCALL and their families that do not need the server: the function libraries, and
// the conversion of a script's result to a reply. The handlers are in package commands, since a script runs commands through
// the dispatch there.
package scripting

import (
	"errors"
	"slices"
	"strings"

	"ferrous/commands/glob"
	"ferrous/commands/session"
	"ferrous/lua"
)

// Libraries are function libraries, in the order in which they were loaded. As in Redis 7.2, names of libraries are
// case-sensitive, names of functions are not.
type Libraries struct {
	engine    *lua.Engine
	list      []*lua.Library
	functions map[string]*lua.Function // by lower-case name
}

// NewLibraries makes an empty set of libraries that are run by an engine.
func NewLibraries(engine *lua.Engine) *Libraries {
	return &Libraries{engine: engine, functions: make(map[string]*lua.Function)}
}

// Load adds the library with this code; if replace is set it replaces one of the same name. On an error, which is the text of
// a reply behind "ERR ", nothing has changed.
func (l *Libraries) Load(code []byte, replace bool) (name string, err error) {
	if name, err = lua.ParseLibrary(code); err != nil {
		return "", err
	}
	old := l.find(name)
	if old >= 0 && !replace {
		return "", errors.New("Library '" + name + "' already exists")
	}
	lib, err := l.engine.LoadLibrary(code)
	if err != nil {
		return "", err
	}
	for _, f := range lib.Functions {
		if other := l.functions[strings.ToLower(f.Name)]; other != nil && other.Library.Name != name {
			return "", errors.New("Function " + f.Name + " already exists")
		}
	}
	if old >= 0 {
		l.remove(old)
	}
	l.link(lib)
	return name, nil
}

// Join adds all libraries of another set, or nothing: the error is the text of a reply behind "ERR ".
func (l *Libraries) Join(from *Libraries, replace bool) error {
	for _, lib := range from.list {
		if l.find(lib.Name) >= 0 && !replace {
			return errors.New("Library " + lib.Name + " already exists")
		}
	}
	for _, lib := range from.list {
		for _, f := range lib.Functions {
			other := l.functions[strings.ToLower(f.Name)]
			if other != nil && from.find(other.Library.Name) < 0 {
				return errors.New("Function " + f.Name + " already exists")
			}
		}
	}
	for _, lib := range from.list {
		if i := l.find(lib.Name); i >= 0 {
			l.remove(i)
		}
	}
	for _, lib := range from.list {
		l.link(lib)
	}
	return nil
}

// Delete removes a library and reports whether it existed.
func (l *Libraries) Delete(name string) bool {
	i := l.find(name)
	if i >= 0 {
		l.remove(i)
	}
	return i >= 0
}

// Function returns the function of a name in any case, or nil.
func (l *Libraries) Function(name []byte) *lua.Function {
	var buf [64]byte
	key := buf[:0]
	for _, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		key = append(key, b)
	}
	return l.functions[string(key)]
}

// Count returns the numbers of libraries and of functions.
func (l *Libraries) Count() (libraries, functions int) { return len(l.list), len(l.functions) }

// Bytes returns about how many bytes of memory the libraries need.
func (l *Libraries) Bytes() (n int) {
	for _, lib := range l.list {
		n += len(lib.Code) + lib.CodeSize + len(lib.Name) + 64
		for _, f := range lib.Functions {
			n += len(f.Name) + len(f.Description) + 64
		}
	}
	return n
}

// Codes returns the code of all libraries, for files.
func (l *Libraries) Codes() [][]byte {
	if len(l.list) == 0 {
		return nil
	}
	codes := make([][]byte, len(l.list))
	for i, lib := range l.list {
		codes[i] = []byte(lib.Code)
	}
	return codes
}

func (l *Libraries) find(name string) int {
	return slices.IndexFunc(l.list, func(lib *lua.Library) bool { return lib.Name == name })
}

func (l *Libraries) remove(i int) {
	for _, f := range l.list[i].Functions {
		delete(l.functions, strings.ToLower(f.Name))
	}
	l.list = slices.Delete(l.list, i, i+1)
}

func (l *Libraries) link(lib *lua.Library) {
	for _, f := range lib.Functions {
		l.functions[strings.ToLower(f.Name)] = f
	}
	l.list = append(l.list, lib)
}

// List is FUNCTION LIST.
func (l *Libraries) List(c *session.Client) {
	var pattern []byte
	named, code := false, false
	for i := 2; i < len(c.Args); i++ {
		switch {
		case !code && c.Is(i, "withcode"):
			code = true
		case !named && c.Is(i, "libraryname"):
			if i++; i == len(c.Args) {
				c.Error("ERR library name argument was not given")
				return
			}
			named, pattern = true, c.Args[i]
		default:
			c.Error("ERR Unknown argument " + session.CString(c.Args[i]))
			return
		}
	}
	m := c.W.BeginArray()
	n := 0
	for _, lib := range l.list {
		if named && !glob.Match(pattern, []byte(lib.Name), true) {
			continue
		}
		n++
		replyLibrary(c, lib, code)
	}
	c.W.EndArray(m, n)
}

func replyLibrary(c *session.Client, lib *lua.Library, code bool) {
	if code {
		c.W.Map(4)
	} else {
		c.W.Map(3)
	}
	c.W.BulkString("library_name")
	c.W.BulkString(lib.Name)
	c.W.BulkString("engine")
	c.W.BulkString(lua.EngineName)
	c.W.BulkString("functions")
	c.W.Array(len(lib.Functions))
	for _, f := range lib.Functions {
		c.W.Map(3)
		c.W.BulkString("name")
		c.W.BulkString(f.Name)
		c.W.BulkString("description")
		if f.Described {
			c.W.BulkString(f.Description)
		} else {
			c.W.Null()
		}
		c.W.BulkString("flags")
		flags := f.Flags.Names()
		c.W.Set(len(flags))
		for _, name := range flags {
			c.W.Status(name)
		}
	}
	if code {
		c.W.BulkString("library_code")
		c.W.BulkString(lib.Code)
	}
}
