package commands

import (
	"math/rand/v2"
	"strings"

	"ferrous/commands/session"
)

// LOLWUT: a picture by the computer, and the version. The picture is the maze of the one-line program
// 10 PRINT CHR$(205.5+RND(1)); : GOTO 10, which came with the Commodore 64 in 1982; see Montfort and others, "10 PRINT",
// MIT Press 2012.

var lolwutRow = session.Command{
	Name: "lolwut", Arity: -1, Flags: session.ReadOnly | session.Fast, Handler: connected(lolwut), Group: session.GroupServer, Since: "5.0.0",
	Summary: "Shows a picture by the computer, and the version.",
	Args:    []session.Arg{session.TokenArg("version", session.ArgInteger, "VERSION", "").Opt()},
}

// The size of the picture.
const (
	mazeColumns = 66
	mazeRows    = 16
	mazeMost    = 1000 // columns or rows
)

// lolwut replies with the picture, whose columns and rows may follow the version. The versions 5 and 6, and none, have
// one; others, as in Redis 7, have not.
func lolwut(c *Client) {
	columns, rows := int64(mazeColumns), int64(mazeRows)
	sizes := c.Args[1:]
	if len(c.Args) > 2 && c.Is(1, "version") {
		version, ok := c.Int64Arg(2)
		if !ok {
			return
		}
		sizes = c.Args[3:]
		if version != 5 && version != 6 {
			c.W.Verbatim("txt", versionLine)
			return
		}
	}
	for i, size := range []*int64{&columns, &rows} {
		if i >= len(sizes) {
			break
		}
		n, ok := c.Int64Arg(len(c.Args) - len(sizes) + i)
		if !ok {
			return
		}
		*size = min(max(n, 1), mazeMost)
	}
	var b strings.Builder
	for range rows {
		for range columns {
			b.WriteRune([2]rune{'╱', '╲'}[rand.IntN(2)])
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n10 PRINT CHR$(205.5+RND(1)); : GOTO 10 -- a maze, Commodore 64, 1982. " + versionLine)
	c.W.Verbatim("txt", b.String())
}

const versionLine = "Redis ver. " + RedisVersion + "\n"
