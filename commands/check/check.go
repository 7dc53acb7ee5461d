// Package check is ferrous --check-rdb and --check-aof: it checks a file as redis-check-rdb and redis-check-aof do, without a
// server.
package check

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"ferrous/aof"
	"ferrous/commands/config"
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
	if mode == config.ModeCheckRDB {
		if !rdb.Check(os.Stdout, args[0]) {
			return 1
		}
		return 0
	}
	o.In = os.Stdin
	o.CheckRDB = func(w io.Writer, r io.Reader, size int64) (int64, bool) {
		rest, ok := rdb.CheckReader(w, r, size)
		if !ok {
			return 0, false
		}
		left, err := io.Copy(io.Discard, rest)
		return size - left, err == nil
	}
	if aof.Check(os.Stdout, args[0], o) != nil {
		return 1
	}
	return 0
}
