package compat

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A case file is a list of commands with directives between them, one a line.
//
// A command is written as redis-cli takes it: words separated by blanks, "double quotes" with \n \r \t \b \a \\ \" \xHH,
// 'single quotes' with \'. A line that begins with # is a comment. Within a line, but for @expect, these are replaced:
//
//	%{x*5000}   the text x 5000 times
//	%{s+100}    unix time in seconds, plus 100; %{ms-5} in milliseconds
//	%{id:b}     client id of connection b on the server that the command goes to; %{addr:b} its address
//	${V}        the value of the loop variable V
//
// Directives that stand alone:
//
//	@case TITLE        a new case: empty databases, new connections. Every case runs in RESP2 and in RESP3
//	@server ARGS       this case runs on a pair of servers that were started with these arguments
//	@only 2 | 3        this case runs in one protocol only
//	@long              this case runs in the long form only (-long, make stress)
//	@each V a b c      the lines up to @end are repeated with ${V} set to each word in turn; loops nest
//	@end
//	@conn NAME         the following commands use this connection, opened when it is new (a case begins with "a")
//	@connraw NAME      the same without HELLO, for cases about the first command of a connection
//	@sleep 20ms
//	@blocks            the next command leaves its connection waiting on both servers: goes on when both say so
//	@reply             reads a reply of the current connection that came outside its turn, and compares it; directives for
//	                   commands may stand before it
//	@fresh             empties all databases
//	@check             compares the whole state now (done at the end of each case anyway)
//	@raw BYTES         sends bytes as they are and compares everything that comes back, until the server closes or answers a
//	                   request that is appended; needs a new connection afterwards
//	@half BYTES        the same without the appended request: the sending side is closed instead
//	@closed            both servers must have closed the connection
//
// Directives for the next command:
//
//	@unordered         elements of the reply, and of the aggregates in it, in any order
//	@approx N          numbers of the reply may differ by N
//	@shape             only the kinds and the numbers of elements are compared
//	@re REGEXP         both replies must match, instead of being equal (in raw form; . matches everything)
//	@mask NAME         a named difference between Redis 7.0 and 7.2, see masks_test.go
//	@expect BYTES      the oracle does not know this command: the raw reply that Ferrous must give
//	@expect3 BYTES     the same in RESP3 where it differs (stands after @expect)
//	@as COMMAND        the oracle gets this command in its place; with @expect its reply is not compared
//	@until REGEXP      the command is repeated on each server until its reply matches (in raw form), for what takes a time
//	@replies N         how many replies the command has (1)

// step is one command or stand-alone directive, with everything that was said for it.
type step struct {
	line    int
	verb    string // "" for a command, else the directive's name
	text    string // the command line or the directive's rest, loop variables replaced
	compare compareMode
	approx  int64
	pattern string
	masks   []string
	expect  [2]*string // RESP2, RESP3
	as      string
	replies int
	blocks  bool
	until   string // regular expression
}

type compareMode int

const (
	exact compareMode = iota
	unordered
	approximate
	sameShape
	matching
)

// script is one case.
type script struct {
	file   string
	line   int
	title  string
	server []string
	only   int // protocol, 0 = both
	long   bool
	steps  []step
}

// readScripts reads a case file.
func readScripts(path string) ([]script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &scriptParser{file: path}
	lines := strings.Split(string(data), "\n")
	if err := p.block(lines, 0, len(lines), nil); err != nil {
		return nil, err
	}
	if p.pending != nil {
		return nil, fmt.Errorf("%s: directives at the end belong to no command", path)
	}
	return p.scripts, nil
}

type scriptParser struct {
	file    string
	scripts []script
	pending *step
}

func (p *scriptParser) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, line+1, fmt.Sprintf(format, args...))
}

func (p *scriptParser) block(lines []string, from, to int, vars []string) error {
	for i := from; i < to; i++ {
		line := strings.TrimRight(lines[i], " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		line = strings.NewReplacer(vars...).Replace(line)
		if line[0] != '@' {
			s := p.take(i)
			s.text = line
			if err := p.add(s); err != nil {
				return err
			}
			continue
		}
		verb, rest, _ := strings.Cut(line[1:], " ")
		rest = strings.TrimSpace(rest)
		if verb == "each" {
			end := matchingEnd(lines, i, to)
			if end < 0 {
				return p.errorf(i, "@each without @end")
			}
			words, err := rawWords(rest)
			if err != nil || len(words) < 2 {
				return p.errorf(i, "@each needs a name and words")
			}
			for _, w := range words[1:] {
				if err := p.block(lines, i+1, end, append(vars[:len(vars):len(vars)], "${"+words[0]+"}", w)); err != nil {
					return err
				}
			}
			i = end
			continue
		}
		if err := p.directive(i, verb, rest); err != nil {
			return err
		}
	}
	return nil
}

func matchingEnd(lines []string, at, to int) int {
	depth := 0
	for i := at; i < to; i++ {
		switch {
		case strings.HasPrefix(lines[i], "@each "):
			depth++
		case strings.TrimSpace(lines[i]) == "@end":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// take returns the step that directives have prepared, or a new one.
func (p *scriptParser) take(line int) step {
	s := step{replies: 1}
	if p.pending != nil {
		s = *p.pending
		p.pending = nil
	}
	s.line = line + 1
	return s
}

func (p *scriptParser) add(s step) error {
	if len(p.scripts) == 0 {
		return p.errorf(s.line-1, "a command before the first @case")
	}
	c := &p.scripts[len(p.scripts)-1]
	c.steps = append(c.steps, s)
	return nil
}

func (p *scriptParser) directive(line int, verb, rest string) error {
	switch verb {
	case "case":
		if p.pending != nil {
			return p.errorf(line, "directives before @case belong to no command")
		}
		p.scripts = append(p.scripts, script{file: p.file, line: line + 1, title: rest})
		return nil
	case "server", "only", "long":
		if len(p.scripts) == 0 {
			return p.errorf(line, "@%s before the first @case", verb)
		}
		c := &p.scripts[len(p.scripts)-1]
		if verb == "long" {
			c.long = true
			return nil
		}
		if verb == "only" {
			if rest != "2" && rest != "3" {
				return p.errorf(line, "@only takes 2 or 3")
			}
			c.only = int(rest[0] - '0')
			return nil
		}
		args, err := splitArgs(rest)
		if err != nil {
			return p.errorf(line, "%v", err)
		}
		c.server = args
		return nil
	case "conn", "connraw", "sleep", "fresh", "check", "raw", "half", "closed", "reply":
		if p.pending != nil && verb != "raw" && verb != "half" && verb != "reply" {
			return p.errorf(line, "directives before @%s belong to no command", verb)
		}
		s := p.take(line)
		s.verb, s.text = verb, rest
		return p.add(s)
	}
	if p.pending == nil {
		p.pending = &step{replies: 1}
	}
	s := p.pending
	var err error
	switch verb {
	case "unordered":
		s.compare = unordered
	case "shape":
		s.compare = sameShape
	case "approx":
		s.compare = approximate
		s.approx, err = strconv.ParseInt(rest, 10, 64)
	case "re":
		s.compare, s.pattern = matching, rest
	case "mask":
		if _, known := differences[rest]; !known {
			return p.errorf(line, "no difference is named %q", rest)
		}
		s.masks = append(s.masks, rest)
	case "expect", "expect3":
		var words []string
		if words, err = splitArgs(rest); err == nil && len(words) != 1 {
			err = fmt.Errorf("@%s takes one quoted word", verb)
		}
		if err == nil {
			if s.expect[1] = &words[0]; verb == "expect" {
				s.expect[0] = &words[0]
			}
		}
	case "blocks":
		s.blocks, s.replies = true, 0
	case "as":
		s.as = rest
	case "until":
		s.until = rest
		_, err = regexp.Compile(rest)
	case "replies":
		s.replies, err = strconv.Atoi(rest)
	default:
		return p.errorf(line, "unknown directive @%s", verb)
	}
	if err != nil {
		return p.errorf(line, "%v", err)
	}
	return nil
}

// rawWords splits a line into words and leaves quotes and escapes in them.
func rawWords(line string) ([]string, error) {
	var words []string
	for i := 0; i < len(line); {
		if line[i] == ' ' {
			i++
			continue
		}
		start := i
		var quote byte
		for i < len(line) && (quote != 0 || line[i] != ' ') {
			switch {
			case quote != 0 && line[i] == '\\':
				i++
			case quote != 0 && line[i] == quote:
				quote = 0
			case quote == 0 && (line[i] == '"' || line[i] == '\''):
				quote = line[i]
			}
			i++
		}
		if quote != 0 || i > len(line) {
			return nil, fmt.Errorf("unbalanced quotes in %q", line)
		}
		words = append(words, line[start:i])
	}
	return words, nil
}

// splitArgs splits a line into arguments and resolves quotes and escapes.
func splitArgs(line string) ([]string, error) {
	words, err := rawWords(line)
	if err != nil {
		return nil, err
	}
	for i, w := range words {
		var out strings.Builder
		var quote byte
		for j := 0; j < len(w); j++ {
			c := w[j]
			switch {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			case quote == '\'' && c == '\\' && j+1 < len(w) && w[j+1] == '\'':
				out.WriteByte('\'')
				j++
			case quote == '"' && c == '\\' && j+1 < len(w):
				j++
				switch w[j] {
				case 'n':
					out.WriteByte('\n')
				case 'r':
					out.WriteByte('\r')
				case 't':
					out.WriteByte('\t')
				case 'a':
					out.WriteByte('\a')
				case 'b':
					out.WriteByte('\b')
				case 'x':
					if j+2 >= len(w) {
						return nil, fmt.Errorf("bad \\x escape in %q", w)
					}
					n, err := strconv.ParseUint(w[j+1:j+3], 16, 8)
					if err != nil {
						return nil, fmt.Errorf("bad \\x escape in %q", w)
					}
					out.WriteByte(byte(n))
					j += 2
				default:
					out.WriteByte(w[j])
				}
			default:
				out.WriteByte(c)
			}
		}
		words[i] = out.String()
	}
	return words, nil
}

// expand replaces %{…} in a resolved argument. lookup answers what depends on the server: "id:b", "addr:b".
func expand(arg string, now time.Time, lookup func(what string) (string, error)) (string, error) {
	if !strings.Contains(arg, "%{") {
		return arg, nil
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(arg, "%{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		what, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%%{ without } in %q", arg)
		}
		arg = after
		switch {
		case strings.Contains(what, "*"):
			at := strings.LastIndexByte(what, '*')
			n, err := strconv.Atoi(what[at+1:])
			if err != nil {
				return "", fmt.Errorf("bad repetition %q", what)
			}
			out.WriteString(strings.Repeat(what[:at], n))
		case strings.HasPrefix(what, "ms+"), strings.HasPrefix(what, "ms-"), strings.HasPrefix(what, "s+"), strings.HasPrefix(what, "s-"):
			unit := strings.TrimRight(what, "0123456789")
			n, err := strconv.ParseInt(what[len(unit)-1:], 10, 64)
			if err != nil {
				return "", fmt.Errorf("bad time %q", what)
			}
			base := now.Unix()
			if unit[0] == 'm' {
				base = now.UnixMilli()
			}
			out.WriteString(strconv.FormatInt(base+n, 10))
		default:
			text, err := lookup(what)
			if err != nil {
				return "", err
			}
			out.WriteString(text)
		}
	}
}
