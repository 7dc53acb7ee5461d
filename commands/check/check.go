// Package check is ferrous --check-rdb and --check-aof, which check a file as redis-check-rdb and redis-check-aof do, and
// ferrous --ping, which asks a server whether it is ready. None of them starts a server.
package check

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"ferrous/aof"
	"ferrous/commands/config"
	"ferrous/commands/progress"
	"ferrous/rdb"
)

const usage = `Usage: ferrous --check-rdb <file>
       ferrous --check-aof [--fix|--truncate-to-timestamp <unix second>] <file.manifest|file.aof>
`

// File checks a file: mode is config.ModeCheckRDB or ModeCheckAOF, args are the words behind the option. It writes to
// standard output and returns the exit code.
func File(mode config.Mode, args []string) int {
	var o aof.CheckOptions
	if mode == config.ModeCheckAOF {
		for len(args) > 1 {
			switch {
			case args[0] == "--fix":
				o.Fix = true
				args = args[1:]
				continue
			case args[0] == "--truncate-to-timestamp" && len(args) > 2:
				n, err := strconv.ParseInt(args[1], 10, 64)
				if err != nil || n <= 0 {
					fmt.Fprintf(os.Stderr, "Invalid timestamp: %q\n", args[1])
					return 1
				}
				o.Timestamp = n
				args = args[2:]
				continue
			}
			break
		}
	}
	if len(args) != 1 {
		fmt.Fprint(os.Stderr, usage)
		return 1
	}
	out, watch := watched()
	if mode == config.ModeCheckRDB {
		if !rdb.Check(out, args[0], watch) {
			return 1
		}
		return 0
	}
	o.In, o.Watch = os.Stdin, watch
	o.CheckRDB = func(w io.Writer, r io.Reader, size int64) (int64, bool) {
		rest, ok := rdb.CheckReader(w, r, size)
		if !ok {
			return 0, false
		}
		left, err := io.Copy(io.Discard, rest)
		return size - left, err == nil
	}
	if aof.Check(out, args[0], o) != nil {
		return 1
	}
	return 0
}

// watched returns where the report goes, and what files are read through so that a person sees how far the check has come: on
// the terminal that the report goes to, else as lines on the standard error, which leave the report as tools expect it.
func watched() (out io.Writer, watch func(r io.Reader, size int64) io.Reader) {
	to := progress.Output{Log: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	out = os.Stdout
	if screen := progress.Terminal(os.Stdout); screen != nil {
		out, to.Show = screen, screen.Show
	}
	return out, func(r io.Reader, size int64) io.Reader { return progress.Start("Checking", to).Reader(r, size) }
}
