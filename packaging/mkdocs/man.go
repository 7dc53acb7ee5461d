package main

import (
	"fmt"
	"slices"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/session"
)

// date is the day of the last change of the texts below, as mdoc wants it.
const date = "November 28, 2026"

// roff escapes text that is printed as it is. A dot or quote at the beginning of a line would be a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// sentences escapes text and begins a line with each sentence.
func sentences(text string) string {
	var out strings.Builder
	for rest := text; rest != ""; {
		end := strings.Index(rest, ". ")
		if end < 0 {
			out.WriteString(roff(rest) + "\n")
			break
		}
		out.WriteString(roff(rest[:end+1]) + "\n")
		rest = rest[end+2:]
	}
	return out.String()
}

// full gives text the full stop that it may lack.
func full(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// macro escapes the words of a macro's line: a word that is a macro's name, or a delimiter, is printed as it is.
func macro(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = `\&` + roff(w)
	}
	return strings.Join(words, " ")
}

// groups are the headings of COMMAND DOCS's groups, in the order of the page.
var groups = []struct {
	group session.Group
	title string
}{
	{"string", "Strings"}, {"bitmap", "Bitmaps"}, {"hyperloglog", "HyperLogLogs"}, {"generic", "Keys of any type"},
	{"list", "Lists"}, {"hash", "Hashes"}, {"set", "Sets"}, {"sorted-set", "Sorted sets"}, {"geo", "Places"}, {"stream", "Streams"},
	{"pubsub", "Channels"}, {"transactions", "Transactions"}, {"scripting", "Scripts and functions"},
	{"connection", "Connections"}, {"server", "The server"}, {"cluster", "Cluster"},
}

// ferrousPage is ferrous(1).
func ferrousPage(entries []*session.Entry) string {
	var b strings.Builder
	b.WriteString(strings.Replace(ferrousHead, "DATE", date, 1))
	for _, g := range groups {
		fmt.Fprintf(&b, ".Ss %s\n.Bl -tag -width Ds\n", g.title)
		for _, name := range groupNames(entries, g.group) {
			fmt.Fprintf(&b, ".It Ic %s\n%s", macro(strings.ToUpper(name.name)), sentences(full(name.summary)))
		}
		b.WriteString(".El\n")
	}
	b.WriteString(ferrousTail)
	return b.String()
}

type named struct{ name, summary string }

// groupNames lists the commands of a group by name. A container is its subcommands.
func groupNames(entries []*session.Entry, group session.Group) []named {
	var out []named
	for _, e := range entries {
		if e.Group != group {
			continue
		}
		for _, sub := range e.Order {
			if sub.Name != "help" {
				out = append(out, named{e.Name + " " + sub.Name, sub.Summary})
			}
		}
		if len(e.Order) == 0 {
			out = append(out, named{e.Name, e.Summary})
		}
	}
	slices.SortFunc(out, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return out
}

// configPage is ferrous.conf(5).
func configPage(directives []config.Directive) string {
	var b strings.Builder
	b.WriteString(strings.Replace(configHead, "DATE", date, 1))
	section := ""
	for _, d := range directives {
		if d.Section != section {
			if section != "" {
				b.WriteString(".El\n")
			}
			section = d.Section
			fmt.Fprintf(&b, ".Ss %s\n.Bl -tag -width Ds\n", section)
		}
		writeDirective(&b, d)
	}
	b.WriteString(".El\n")
	b.WriteString(configTail)
	return b.String()
}

func writeDirective(b *strings.Builder, d config.Directive) {
	kind := d.Type
	if kind == "yes/no" {
		kind = "yes or no"
	}
	fmt.Fprintf(b, ".It Ic %s Ar %s\n", macro(d.Name), macro(kind))
	b.WriteString(sentences(d.Summary))
	if d.Default == "" {
		b.WriteString("The default is empty.\n")
	} else {
		fmt.Fprintf(b, "The default is %s.\n", roff(strings.ReplaceAll(d.Default, "\n", " ")))
	}
	if d.NoOp != "" {
		b.WriteString(sentences("It has no effect: " + d.NoOp + "."))
	}
	if d.Flags&config.Immutable != 0 {
		b.WriteString("CONFIG SET cannot change it.\n")
	}
	if d.Flags&config.Protected != 0 {
		b.WriteString(sentences("CONFIG SET changes it only as enable-protected-configs allows."))
	}
	if d.Flags&config.Hidden != 0 {
		b.WriteString("CONFIG GET shows it only by its whole name.\n")
	}
	if len(d.Aliases) > 0 {
		b.WriteString(sentences("Another name of it is " + strings.Join(d.Aliases, ", ") + "."))
	}
}

const ferrousHead = `.\" Written by packaging/mkdocs; change that and run make docs.
.Dd DATE
.Dt FERROUS 1
.Os Ferrous
.Sh NAME
.Nm ferrous
.Nd an in-memory data store that speaks the Redis protocol
.Sh SYNOPSIS
.Nm
.Op Ar file
.Op Fl \-directive Ar value ...
.Op Fl
.Nm
.Fl \-ping
.Op Ar file
.Op Fl \-directive Ar value ...
.Nm
.Fl \-check\-rdb Ar dump
.Nm
.Fl \-check\-aof
.Op Fl \-fix | Fl \-truncate\-to\-timestamp Ar second
.Ar manifest
.Nm
.Fl v | Fl \-version
.Nm
.Fl h | Fl \-help
.Sh DESCRIPTION
.Nm
serves the commands of Redis 7.2 and reads its configuration and its files.
It runs in the foreground unless
.Ic daemonize
says otherwise, and logs to the standard output unless
.Ic logfile
names a file.
.Pp
.Ar file
is a configuration file in the format of
.Xr ferrous.conf 5 .
Each directive may be given as an option, too, which wins over the file.
A lone
.Fl
at the end reads more of the configuration from the standard input.
.Pp
The other forms start no server:
.Bl -tag -width Ds
.It Fl \-ping
Connects to the server that the same configuration would start, by TLS where only
.Ic tls\-port
is set, logs in where
.Ic requirepass
is set or as
.Ev FERROUS_PING_AUTH
says, sends PING and says what came back.
It is meant for health checks.
.It Fl \-check\-rdb
Reads a snapshot to its end and says what is wrong with it.
.It Fl \-check\-aof
Reads an append-only file (its manifest, or a single file) to its end.
With
.Fl \-fix
it cuts off what does not belong to it, after a question; with
.Fl \-truncate\-to\-timestamp
all that is younger than the given Unix time.
.It Fl v , Fl \-version
Prints the version.
.It Fl h , Fl \-help
Prints the forms of the command line.
.El
.Sh SIGNALS
.Bl -tag -width Ds
.It Dv SIGTERM , Dv SIGINT
Shut the server down, as
.Ic shutdown\-on\-sigterm
and
.Ic shutdown\-on\-sigint
say.
A second
.Dv SIGINT
ends it at once.
.It Dv SIGHUP
Opens the log file again.
.El
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev GOMEMLIMIT
The most memory of the process, in bytes or as 2GiB.
.Ic maxmemory
is at most 0.8 of it.
.It Ev GOMAXPROCS
How many processors run the server at a time.
.It Ev NOTIFY_SOCKET
The socket of systemd, which is told when the server is ready.
.It Ev FERROUS_PING_AUTH
What
.Fl \-ping
logs in with, instead of
.Ic requirepass :
a password, or the name of a user, a blank and its password.
.It Ev FERROUS_CPUPROFILE
A file that a CPU profile of the whole run is written to.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/ferrous/ferrous.conf
The configuration of the Debian package.
.It Pa /var/lib/ferrous
Its data.
.It Pa /var/log/ferrous/ferrous.log
Its log.
.It Pa /run/ferrous/ferrous.sock
Its socket for local clients.
.El
.Sh EXIT STATUS
The server exits 0 after SHUTDOWN or a signal, and 1 when it could not start or save.
.Fl \-ping
exits 0 when the server answered that it is ready, and 1 otherwise, also while it loads its data.
.Fl \-check\-rdb
and
.Fl \-check\-aof
exit 0 for a sound file and 1 otherwise.
.Sh EXAMPLES
A server on port 7000 that keeps nothing on disk:
.Pp
.Dl ferrous --port 7000 --save \(dq\(dq --appendonly no
.Pp
Is the server of this configuration ready?
.Pp
.Dl ferrous --ping /etc/ferrous/ferrous.conf
.Sh COMMANDS
COMMAND DOCS tells the arguments of each command.
`

const ferrousTail = `.Sh SEE ALSO
.Xr ferrous.conf 5
.Pp
The manual in
.Pa /usr/share/doc/ferrous/manual :
security, tuning, backup and restore, the way from Redis, limits and differences, replication, TLS.
`

const configHead = `.\" Written by packaging/mkdocs; change that and run make docs.
.Dd DATE
.Dt FERROUS.CONF 5
.Os Ferrous
.Sh NAME
.Nm ferrous.conf
.Nd configuration of ferrous
.Sh DESCRIPTION
The format is that of redis.conf, and so are the names: a file of Redis works here, and one of Ferrous works there as long as
it uses no directive that Redis does not know.
.Pp
A line is a directive and its arguments, separated by blanks.
Lines that begin with # are comments.
An argument with blanks stands in quotes; in double quotes \en, \et and \ex41 stand for bytes.
What comes last wins.
.Pp
Sizes may have a unit in any case: 1k is 1000 bytes, 1kb is 1024; likewise m, mb, g and gb.
.Pp
The command line wins over the file.
CONFIG GET shows the values, CONFIG SET changes them while the server runs, and CONFIG REWRITE writes them back to the file,
where it keeps comments and order.
.Pp
Besides the directives below a file may have these lines:
.Bl -tag -width Ds
.It Ic include Ar path
Reads another file here.
A name with * may match none.
.It Ic rename-command Ar command name
Gives a command another name, or takes it away with an empty one.
.It Ic user Ar name rules
Makes a user, with the rules of ACL SETUSER.
.It Ic loadmodule Ar path
Is refused: there are no modules.
.El
.Sh DIRECTIVES
`

const configTail = `.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/ferrous/ferrous.conf
The configuration of the Debian package.
.El
.Sh EXAMPLES
A cache of at most 2 GiB for programs of this host:
.Bd -literal -offset indent
bind 127.0.0.1 \-::1
maxmemory 2gb
maxmemory\-policy allkeys\-lru
save ""
.Ed
.Sh SEE ALSO
.Xr ferrous 1
`
