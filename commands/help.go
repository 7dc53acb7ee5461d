package commands

import "strings"

// help replies to the HELP subcommand of a container: a first line that names the command, then lines by turns of a
// subcommand's form and, indented, what it does.
func (c *Client) help(lines ...string) {
	c.w.Array(len(lines) + 3)
	c.w.Status(strings.ToUpper(cString(c.args[0])) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, l := range lines {
		c.w.Status(l)
	}
	c.w.Status("HELP")
	c.w.Status("    Print this help.")
}

// cString returns the bytes up to the first zero, as texts that C's printf makes end there.
func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
