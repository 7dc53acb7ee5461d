package lua

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Flags are what a script's shebang, or the registration of a function, asks for.
type Flags uint8

const (
	NoWrites Flags = 1 << iota
	AllowOOM
	AllowStale
	NoCluster
	AllowCrossSlotKeys
	// CompatMode is the mark of a script without a shebang: Redis checks its commands one by one.
	CompatMode
)

var flagNames = []struct {
	name string
	flag Flags
}{
	{"no-writes", NoWrites}, {"allow-oom", AllowOOM}, {"allow-stale", AllowStale}, {"no-cluster", NoCluster},
	{"allow-cross-slot-keys", AllowCrossSlotKeys},
}

func flagNamed(name string) (Flags, bool) {
	for _, f := range flagNames {
		if f.name == name {
			return f.flag, true
		}
	}
	return 0, false
}

// Names returns the flags as FUNCTION LIST shows them.
func (f Flags) Names() (names []string) {
	for _, n := range flagNames {
		if f&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// Script is a compiled script.
type Script struct {
	SHA   string
	Body  string
	Flags Flags

	fn   *glua.LFunction
	host *vm.Host
	// keep: the script came by SCRIPT LOAD or was called by its SHA1, so the cache never evicts it.
	keep bool
	// older and newer link the scripts that came by EVAL only.
	older, newer *Script
	size         int64 // in the cache
	usesKeys     bool
	usesArgs     bool
}

// Origin is the command that loaded a script.
type Origin int

const (
	FromEval Origin = iota
	FromLoad
)

// MaxEvalScripts is how many scripts that came by EVAL only the cache keeps.
const MaxEvalScripts = 500

// cache holds scripts by SHA1 and by text.
type cache struct {
	bySHA   map[string]*Script
	byText  map[string]*Script
	list    Script  // the ring of scripts that came by EVAL only; list.newer is the oldest
	found   *Script // the last one that a client named: most name the same again and again
	evals   int
	bytes   int64
	evicted int64
}

func (c *cache) init() {
	c.bySHA = make(map[string]*Script)
	c.byText = make(map[string]*Script)
	c.list.older, c.list.newer = &c.list, &c.list
	c.found, c.evals, c.bytes = nil, 0, 0
}

func (c *cache) unlink(s *Script) {
	if s.older != nil {
		s.older.newer, s.newer.older = s.newer, s.older
		s.older, s.newer = nil, nil
		c.evals--
	}
}

// scriptOverhead is about what a script costs beside its text and its code: itself, its SHA1, its places in the cache.
const scriptOverhead = 400

func (c *cache) add(s *Script, from Origin) {
	c.bySHA[s.SHA] = s
	c.byText[s.Body] = s
	s.size = int64(len(s.Body)+vm.CodeSize(s.fn)) + scriptOverhead
	c.bytes += s.size
	if from == FromLoad {
		s.keep = true
		return
	}
	last := c.list.older
	s.older, s.newer = last, &c.list
	last.newer, c.list.older = s, s
	if c.evals++; c.evals > MaxEvalScripts {
		old := c.list.newer
		c.unlink(old)
		delete(c.bySHA, old.SHA)
		delete(c.byText, old.Body)
		if c.found == old {
			c.found = nil
		}
		c.bytes -= old.size
		c.evicted++
	}
}

// Keep protects a script from eviction. The server calls it when a client has called the script by its SHA1.
func (e *Engine) Keep(s *Script) {
	if !s.keep {
		s.keep = true
		e.scripts.unlink(s)
	}
}

// Find returns the script with a SHA1 of 40 hexadecimal digits, or nil.
func (e *Engine) Find(sha []byte) *Script {
	c := &e.scripts
	if c.found != nil && string(sha) == c.found.SHA {
		return c.found
	}
	s := c.bySHA[string(sha)]
	if s == nil && len(sha) == 40 {
		s = c.bySHA[strings.ToLower(string(sha))]
	}
	if s != nil {
		c.found = s
	}
	return s
}

// FindText returns the script with this text, or nil.
func (e *Engine) FindText(body []byte) *Script {
	c := &e.scripts
	if c.found != nil && string(body) == c.found.Body {
		return c.found
	}
	s := c.byText[string(body)]
	if s != nil {
		c.found = s
	}
	return s
}

// Count returns the number of cached scripts.
func (e *Engine) Count() int { return len(e.scripts.bySHA) }

// Evicted returns how many scripts the cache has evicted since the start.
func (e *Engine) Evicted() int64 { return e.scripts.evicted }

// Memory returns about how many bytes the cached scripts occupy.
func (e *Engine) Memory() int64 { return e.scripts.bytes }

// StateMemory returns about how many bytes the state of Lua occupies: its stack and its libraries. Functions run in the same
// state as scripts.
func (e *Engine) StateMemory() int64 { return e.host.Size() }

// Flush empties the cache. Scripts that a caller still holds can be run.
func (e *Engine) Flush() { e.scripts.init() }

// ErrNoScript is the reply to a SHA1 that the cache does not hold.
const ErrNoScript = "NOSCRIPT No matching script. Please use EVAL."

// Load returns the script with this text, compiled and cached. The error is the text of a reply, behind "ERR ".
func (e *Engine) Load(body []byte, from Origin) (*Script, error) {
	if s := e.FindText(body); s != nil {
		if from == FromLoad {
			e.Keep(s)
		}
		return s, nil
	}
	sum := sha1.Sum(body)
	s := &Script{SHA: hex.EncodeToString(sum[:]), Body: string(body)}
	skip, err := s.shebang()
	if err != nil {
		return nil, err
	}
	if err := e.compile(s, skip); err != nil {
		return nil, refusalf("Error compiling script (new function): %s", oneLine(err.Error()))
	}
	e.scripts.add(s, from)
	return s, nil
}

// compile makes the function of a script whose first skip bytes are a shebang.
func (e *Engine) compile(s *Script, skip int) error {
	fn, err := e.host.Load(s.Body[skip:], "@user_script")
	if err != nil {
		return err
	}
	s.fn, s.host = fn, e.host
	s.usesKeys, s.usesArgs = names(fn.Proto)
	return nil
}

// names returns which of the tables KEYS and ARGV the code names. Code that can reach the globals in another way (by _G, or
// by compiling more code) counts as naming both.
func names(p *glua.FunctionProto) (keys, args bool) {
	for _, k := range p.Constants {
		switch k {
		case glua.LString("KEYS"):
			keys = true
		case glua.LString("ARGV"):
			args = true
		case glua.LString("_G"), glua.LString("load"), glua.LString("loadstring"):
			return true, true
		}
	}
	for _, sub := range p.FunctionPrototypes {
		k, a := names(sub)
		keys, args = keys || k, args || a
	}
	return keys, args
}

// lineEnd returns the length of the first line, or -1 if it does not end, or holds a zero byte.
func lineEnd(s string) int {
	end := strings.IndexAny(s, "\n\x00")
	if end >= 0 && s[end] == 0 {
		return -1
	}
	return end
}

// shebang reads the first line of a script that begins with "#!". It returns how many bytes the caller must hide from the
// compiler: the line without its newline, so that line numbers stay right.
func (s *Script) shebang() (skip int, err error) {
	if !strings.HasPrefix(s.Body, "#!") {
		s.Flags = CompatMode
		return 0, nil
	}
	end := lineEnd(s.Body)
	if end < 0 {
		return 0, refusal("Invalid script shebang")
	}
	parts, ok := splitArgs(s.Body[:end])
	if !ok || len(parts) == 0 {
		return 0, refusal("Invalid engine in script shebang")
	}
	if parts[0] != "#!lua" {
		return 0, refusalf("Unexpected engine in script shebang: %s", oneLine(parts[0]))
	}
	for _, part := range parts[1:] {
		list, ok := strings.CutPrefix(part, "flags=")
		if !ok {
			return 0, refusalf("Unknown lua shebang option: %s", oneLine(part))
		}
		if list == "" {
			continue
		}
		for name := range strings.SplitSeq(list, ",") {
			flag, ok := flagNamed(name)
			if !ok {
				return 0, refusalf("Unexpected flag in script shebang: %s", oneLine(name))
			}
			s.Flags |= flag
		}
	}
	return end, nil
}

// DeclaredFlags returns what the shebang of a script asks for, CompatMode where there is none or it is wrong.
func DeclaredFlags(body []byte) Flags {
	if len(body) < 2 || body[0] != '#' || body[1] != '!' {
		return CompatMode
	}
	end := bytes.IndexByte(body, '\n')
	if end < 0 {
		return CompatMode
	}
	s := Script{Body: string(body[:end+1])}
	if _, err := s.shebang(); err != nil {
		return CompatMode
	}
	return s.Flags
}

// Run calls the script and writes its result to out. The error is an *Error.
func (e *Engine) Run(s *Script, keys, args [][]byte, out Reply) error {
	if s.host != e.host {
		// The Lua state was replaced since.
		skip, _ := s.shebang()
		if err := e.compile(s, skip); err != nil {
			return &Error{Text: "ERR " + err.Error()}
		}
	}
	var k, a *glua.LTable
	if s.usesKeys {
		k = e.keys
	}
	if s.usesArgs {
		a = e.args
	}
	vm.FillStrings(k, keys, a, args)
	return e.call(s.fn, s.SHA, nil, out)
}

// splitArgs splits a line into words as Redis's sdssplitargs does: quotes, and escapes in double quotes.
func splitArgs(line string) (words []string, ok bool) {
	isSpace := func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
	i := 0
	for {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i >= len(line) || line[i] == 0 {
			return words, true
		}
		word := []byte{}
		var quote byte
		for {
			if i >= len(line) || line[i] == 0 {
				if quote != 0 {
					return nil, false
				}
				break
			}
			c := line[i]
			if quote == 0 {
				if isSpace(c) {
					break
				}
				if c == '"' || c == '\'' {
					quote = c
				} else {
					word = append(word, c)
				}
				i++
				continue
			}
			switch {
			case c == '\\' && quote == '"' && i+3 < len(line) && line[i+1] == 'x' && hexValue(line[i+2]) >= 0 && hexValue(line[i+3]) >= 0:
				word = append(word, byte(hexValue(line[i+2])<<4|hexValue(line[i+3])))
				i += 3
			case c == '\\' && quote == '"' && i+1 < len(line):
				i++
				c = line[i]
				if at := strings.IndexByte("nrtba", c); at >= 0 {
					c = "\n\r\t\b\a"[at]
				}
				word = append(word, c)
			case c == '\\' && quote == '\'' && i+1 < len(line) && line[i+1] == '\'':
				i++
				word = append(word, '\'')
			case c == quote:
				quote = 0
				if i+1 < len(line) && !isSpace(line[i+1]) {
					return nil, false
				}
			default:
				word = append(word, c)
			}
			i++
		}
		words = append(words, string(word))
	}
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// A refusal is an error whose text follows the error code in the reply. The texts are Redis's.
type refusal string

func (r refusal) Error() string { return string(r) }

func refusalf(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }
