package config

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"ferrous/rdb/vfs"
)

// Reading configuration text. As in Redis the configuration file, standard input
// and the options of the command line are joined to one text in this order, so
// that the last word wins, and an error names a line of that text.

// ParseError is the error of an invalid configuration. Error returns the message
// that the server writes to standard error before it exits with status 1.
type ParseError struct {
	Line   int    // 1-based, 0 when the text as a whole is refused
	Text   string // the line without blanks around it
	Reason string
}

func (e *ParseError) Error() string {
	head := fmt.Sprintf("\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\n", redisVersion)
	if e.Line > 0 {
		head += fmt.Sprintf("Reading the configuration file, at line %d\n>>> '%s'\n", e.Line, e.Text)
	}
	return head + e.Reason + "\n"
}

// FileError is the error of a configuration file that cannot be opened. Error
// returns the line that the server logs (level warning) before it exits with
// status 1.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string {
	return fmt.Sprintf("Fatal error, can't open config file '%s': %s", e.Path, errorText(e.Err))
}

// Unwrap returns the error of the file system.
func (e *FileError) Unwrap() error { return e.Err }

// maxInclude is the greatest depth of includes; a greater one means that a file
// includes itself.
const maxInclude = 64

// LoadString reads configuration text. The error is a *ParseError or, for an
// include that cannot be opened, a *FileError; Values may then be half changed.
func (c *Config) LoadString(text string) error {
	if c.loading >= maxInclude {
		return &ParseError{Reason: fmt.Sprintf("include is nested more than %d deep", maxInclude)}
	}
	c.loading++
	defer func() { c.loading-- }()
	for i, line := range strings.Split(text, "\n") {
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' || line[0] == 0 {
			continue
		}
		if err := c.loadLine(line); err != nil {
			// Errors of an included file have their own line number.
			var nested *ParseError
			var file *FileError
			if errors.As(err, &nested) || errors.As(err, &file) {
				return err
			}
			return &ParseError{i + 1, line, err.Error()}
		}
	}
	return c.checkLoaded()
}

// LoadFile reads a configuration file, or all files that a pattern with *, ? or
// [ matches, even if there are none. The name is resolved against Dir.
func (c *Config) LoadFile(name string) error {
	text, err := c.readFiles(name)
	if err != nil {
		return err
	}
	return c.LoadString(text)
}

func (c *Config) readFiles(name string) (string, error) {
	paths := []string{name}
	if strings.ContainsAny(name, "*?[") {
		found, err := c.fs.Glob(c.Path(name))
		if err == nil {
			paths = found
		}
	}
	var text strings.Builder
	for _, p := range paths {
		b, err := vfs.ReadFile(c.fs, c.Path(p))
		if err != nil {
			return "", &FileError{p, err}
		}
		text.Write(b)
		// The last line of a file without an end of line must not be joined with the next file.
		if len(b) > 0 && b[len(b)-1] != '\n' {
			text.WriteByte('\n')
		}
	}
	return text.String(), nil
}

// loadLine executes one line. The error is its reason.
func (c *Config) loadLine(line string) error {
	words, ok := SplitArgs(line)
	if !ok {
		return errQuotes
	}
	if len(words) == 0 {
		return nil
	}
	r, name := c.lookup(words[0])
	args := words[1:]
	if r != nil {
		if r.flags&MultiArg == 0 && len(args) != 1 {
			return errWrongArgs
		}
		// One quoted word may hold all of them: --bind "a b".
		if r.flags&MultiArg != 0 && len(args) == 1 && args[0] != "" {
			if args, ok = SplitArgs(args[0]); !ok {
				return errQuotes
			}
		}
		_, err := r.setWords(args)
		return err
	}
	switch {
	case isDeprecated(name) && len(args) == 1:
	case name == "include" && len(args) == 1:
		return c.LoadFile(args[0])
	case name == "rename-command" && len(args) == 2:
		c.Renames = append(c.Renames, Rename{args[0], args[1]})
		if c.opts.RenameCommand != nil {
			return c.opts.RenameCommand(args[0], args[1])
		}
	case name == "user" && len(args) >= 1:
		c.Users = append(c.Users, args)
		if c.opts.User != nil {
			return c.opts.User(args)
		}
	case name == "loadmodule" && len(args) >= 1:
		c.Modules = append(c.Modules, args)
	case strings.Contains(name, "."):
		if len(args) == 0 {
			return errModuleValue
		}
		c.ModuleConfigs = append(c.ModuleConfigs, words)
	case name == "sentinel" && len(args) == 0:
	case name == "sentinel":
		return errSentinel
	default:
		return errBadDirective
	}
	return nil
}

// isDeprecated reports whether a directive is one that Redis 7.2 reads and ignores.
func isDeprecated(name string) bool {
	return name == "list-max-ziplist-entries" || name == "list-max-ziplist-value" ||
		name == "lua-replicate-commands"
}

// checkLoaded checks the configuration as a whole.
func (c *Config) checkLoaded() error {
	if c.LogFile != "" && !c.asking {
		f, err := c.fs.OpenLog(c.Path(c.LogFile))
		if err != nil {
			return &ParseError{Reason: "Can't open the log file: " + errorText(err)}
		}
		f.Close()
	}
	if c.ClusterEnabled && c.ReplicaOf.Host != "" {
		return &ParseError{Reason: "replicaof directive not allowed in cluster mode"}
	}
	if c.ClusterEnabled && c.Databases > 1 {
		c.logf(LogWarning, "WARNING: Changing databases number from %d to 1 since we are in cluster mode", c.Databases)
		c.Databases = 1
	}
	return nil
}

// readAll reads all of standard input.
func readAll(r io.Reader) (string, error) {
	if r == nil {
		return "", nil
	}
	b, err := io.ReadAll(r)
	return string(b), err
}
