package config

import (
	"io"
	"path/filepath"
	"strings"
)

// Mode is the function of the program that a command line selects.
type Mode int

// The modes. All but ModeServe and ModePing leave Invocation.Config at its defaults.
const (
	ModeServe       Mode = iota
	ModeVersion          // -v, --version
	ModeHelp             // -h, --help
	ModeTestMemory       // --test-memory <megabytes>
	ModeCheckSystem      // --check-system
	ModeCheckRDB         // --check-rdb, or started as redis-check-rdb
	ModeCheckAOF         // --check-aof, or started as redis-check-aof
	ModeSentinel         // --sentinel, or started as redis-sentinel
	ModePing             // --ping, then the command line of the server to be asked; Config is its configuration
)

// Invocation is a parsed command line.
type Invocation struct {
	Mode     Mode
	ModeArgs []string // the words after the one that chose the mode
	Config   *Config  // never nil
	// NoConfig says that neither a file nor an option was given: the server warns
	// that it runs with defaults.
	NoConfig bool
}

// ParseArgs reads the command line of a server, argv[0] being the program, and
// the configuration that it names: a file as first word, "-" as first or last
// word for standard input, and options "--name value…", which win over both.
// Its forms are Redis's: name and value may be one word ("--port 7000"), a value may
// begin with "--" if its option has none yet, and --save may have no value. The
// error is a *ParseError or a *FileError; the Invocation is returned, too, so that
// the caller can log with the configuration so far.
func ParseArgs(argv []string, stdin io.Reader, opts Options) (*Invocation, error) {
	c := NewWith(opts)
	inv := &Invocation{Config: c, NoConfig: len(argv) < 2}
	if mode, args, ok := specialMode(argv); ok {
		inv.Mode, inv.ModeArgs = mode, args
		return inv, nil
	}
	if len(argv) > 1 && argv[1] == "--ping" {
		inv.Mode, argv, c.asking = ModePing, argv[1:], true
	}
	if len(argv) < 2 {
		return inv, nil
	}
	rest := argv[1:]
	if !strings.HasPrefix(rest[0], "-") {
		c.file = filepath.Clean(c.Path(strings.Trim(rest[0], " \r\n\t")))
		rest = rest[1:]
	}
	options, fromStdin := joinOptions(rest, c.file == "")

	var text string
	if c.file != "" {
		var err error
		if text, err = c.readFiles(c.file); err != nil {
			return inv, err
		}
	}
	if fromStdin {
		c.logf(LogNotice, "Reading config from stdin")
		in, err := readAll(stdin)
		if err != nil {
			return inv, &FileError{"-", err}
		}
		text += in
	}
	return inv, c.LoadString(text + "\n" + options)
}

// specialMode recognizes command lines that do not start a server. Redis checks the
// name of the program and the first word only; for --sentinel it checks all words.
func specialMode(argv []string) (Mode, []string, bool) {
	if len(argv) == 0 {
		return ModeServe, nil, false
	}
	program := filepath.Base(argv[0])
	switch {
	case strings.Contains(program, "redis-check-rdb"):
		return ModeCheckRDB, argv[1:], true
	case strings.Contains(program, "redis-check-aof"):
		return ModeCheckAOF, argv[1:], true
	case strings.Contains(program, "redis-sentinel"):
		return ModeSentinel, argv[1:], true
	}
	if len(argv) > 1 {
		modes := map[string]Mode{
			"-v": ModeVersion, "--version": ModeVersion, "-h": ModeHelp, "--help": ModeHelp,
			"--test-memory": ModeTestMemory, "--check-system": ModeCheckSystem,
			"--check-rdb": ModeCheckRDB, "--check-aof": ModeCheckAOF,
		}
		if m, ok := modes[argv[1]]; ok {
			return m, argv[2:], true
		}
	}
	for _, a := range argv[1:] {
		if a == "--sentinel" {
			return ModeSentinel, argv[1:], true
		}
	}
	return ModeServe, nil, false
}

// joinOptions turns the words of a command line into configuration text, one line
// for each option, and reports whether standard input is to be read. first says that
// words[0] is the first word of all.
func joinOptions(words []string, first bool) (text string, stdin bool) {
	var out strings.Builder
	// An option that has no value yet takes the next word even if it begins with
	// "--", so that --requirepass "--x" works.
	hasValue := true
	for i, w := range words {
		last := i == len(words)-1
		switch {
		case w == "-" && (first && i == 0 || last):
			stdin = true
		case hasValue && strings.HasPrefix(w, "--"):
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(w[2:])
			out.WriteByte(' ')
			split, _ := SplitArgs(w)
			hasValue = len(split) != 1
			if !hasValue && strings.EqualFold(w, "--save") {
				// Scripts that build the words from an empty list pass --save without a value.
				if last || strings.HasPrefix(words[i+1], "--") {
					out.WriteString(`""`)
					hasValue = !last
				}
			}
		default:
			out.WriteString(Quote(w))
			out.WriteByte(' ')
			hasValue = true
		}
	}
	return out.String(), stdin
}
