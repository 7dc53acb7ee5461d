package commands

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/eventloop/secure"
)

// MIGRATE: keys move to another server.
//
// The server is a client of the target: it sends one RESTORE a key, all in one pipeline, reads the replies, and deletes the
// keys that the target has accepted. As in Redis this happens within the command: no client of this server sees a state in
// between, and all of them wait. The timeout of the command bounds the wait; it applies to each connect, each write of 64 KiB
// and each reply.
//
// Payloads are made one after another and written as they come, so that beside the data there is never more than one of
// them in memory, however many keys are moved.
//
// A connection is kept for further keys and closed ten seconds after its last use. It is reused only for the same target and
// the same credentials, so that a MIGRATE without AUTH does not get an authenticated connection. The target may have closed it
// meanwhile: after an error before the first reply, unless it is a timeout, MIGRATE tries once more over a new connection.
//
// All of it belongs to the loop.

const (
	migrateChunk   = 64 << 10             // bytes of one write
	migrateLine    = 1024                 // bytes of a reply that are looked at
	migrateDefault = time.Second          // for a timeout that is not positive
	migrateLongest = 365 * 24 * time.Hour // so that no deadline overflows
	migrateIdle    = 10 * 1000            // ms that a connection is kept
	migrateLinks   = 64                   // connections that are kept
	migrateFirst   = 6                    // the first option among the arguments
	migrateTarget  = "ERR Target instance replied with error: "
	errMigrateKeys = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
	errMigrateDial = "IOERR error or timeout connecting to the client" // Redis's words: no address, no route, a timeout
	errMigrateIn   = "IOERR error or timeout reading to target instance"
	errMigrateOut  = "IOERR error or timeout writing to target instance"
)

var migrateCommands = []session.Command{
	{Name: "migrate", Arity: -6, Flags: session.Write | session.MovableKeys, ACL: session.CatKeyspace | session.CatDangerous, Handler: connected(migrate),
		GetKeys: migrateKeys, Group: session.GroupGeneric, Since: "2.6.0",
		Complexity: "What DUMP and DEL take here and RESTORE takes there, and the transfer of N bytes.",
		Summary:    "Moves keys to another server.",
		History: []session.Change{{"3.0.0", "The options `COPY` and `REPLACE`."}, {"3.0.6", "The option `KEYS`."},
			{"4.0.7", "The option `AUTH`."}, {"6.0.0", "The option `AUTH2`."}},
		Hints: []string{"nondeterministic_output"},
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 3, Step: 1},
			{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete | session.KeyIncomplete, Keyword: "KEYS", StartFrom: -2, Last: -1, Step: 1}},
		Args: []session.Arg{session.StringArg("host"), session.IntArg("port"),
			session.OneOf("key-selector", session.KeyArg("key"), session.TokenWord("empty-string", `""`, "")),
			session.IntArg("destination-db"), session.IntArg("timeout"),
			session.TokenWord("copy", "COPY", "3.0.0").Opt(), session.TokenWord("replace", "REPLACE", "3.0.0").Opt(),
			session.OneOf("authentication",
				session.Arg{Name: "auth", Display: "password", Type: session.ArgString, Token: "AUTH", Since: "4.0.7"},
				session.Arg{Name: "auth2", Type: session.ArgBlock, Token: "AUTH2", Since: "6.0.0",
					Args: []session.Arg{session.StringArg("username"), session.StringArg("password")}}).Opt(),
			session.Arg{Name: "keys", Display: "key", Type: session.ArgKey, Key: 1, Token: "KEYS", Since: "3.0.6", Optional: true,
				Multiple: true}}},
}

// migrateOptions calls fn for each option, with its place among the arguments and the number of arguments that belong to
// it, until fn returns false. All behind KEYS belongs to it. Without the option that a word should be, n is -1.
func migrateOptions(args [][]byte, fn func(i, n int) bool) {
	for i := migrateFirst; i < len(args); i++ {
		n := -1
		switch {
		case session.EqualFold(args[i], "copy"), session.EqualFold(args[i], "replace"):
			n = 0
		case session.EqualFold(args[i], "auth"):
			n = 1
		case session.EqualFold(args[i], "auth2"):
			n = 2
		case session.EqualFold(args[i], "keys"):
			n = len(args) - i - 1
		}
		if !fn(i, n) {
			return
		}
		i += max(n, 0)
	}
}

// migrateKeys finds the keys: the third argument, which is none if it is empty and there is KEYS, and those behind KEYS. (With
// both, MIGRATE is refused and Redis finds no keys; the check of rights must not depend on that.)
func migrateKeys(args [][]byte) (refs []session.KeyRef, ok bool) {
	if len(args) < migrateFirst {
		return nil, false
	}
	const flags = session.KeyRW | session.KeyAccess | session.KeyDelete
	refs = []session.KeyRef{{Pos: 3, Flags: flags}}
	migrateOptions(args, func(i, n int) bool {
		if !session.EqualFold(args[i], "keys") {
			return true
		}
		if len(args[3]) == 0 {
			refs = refs[:0]
		}
		for j := i + 1; j < len(args); j++ {
			refs = append(refs, session.KeyRef{Pos: j, Flags: flags})
		}
		return false
	})
	return refs, true
}

// migrateSecrets reports which arguments are names and passwords.
func migrateSecrets(args [][]byte) func(int) bool {
	return func(arg int) (secret bool) {
		migrateOptions(args, func(i, n int) bool {
			if session.EqualFold(args[i], "keys") {
				return false
			}
			secret = secret || arg > i && arg <= i+n
			return true
		})
		return secret
	}
}

// A migrationTarget is what a kept connection is good for.
type migrationTarget struct {
	host, port     string
	user, password string
	named, login   bool // user and password are given
	secure         bool // the connection is encrypted (tls-cluster, as in Redis)
}

// migrationLink is a connection to a target.
type migrationLink struct {
	conn net.Conn
	in   *bufio.Reader
	db   int64 // selected there, -1 if that is not known
	used int64 // Unix ms
}

// migrations are the connections that are kept.
type migrations struct {
	links map[migrationTarget]*migrationLink
}

// link returns a connection to the target, a new one if none is kept. ctx is what to encrypt it with where it is secure.
func (m *migrations) link(to migrationTarget, ctx *secure.Context, timeout time.Duration, now int64) (*migrationLink, error) {
	if l := m.links[to]; l != nil {
		l.used = now
		return l, nil
	}
	if len(m.links) >= migrateLinks {
		var oldest migrationTarget
		at := int64(1<<63 - 1)
		for t, l := range m.links {
			if l.used < at {
				oldest, at = t, l.used
			}
		}
		m.close(oldest)
	}
	port := migratePort(to.port)
	if port < 0 || to.host == "" { // Go would take no host for this one
		return nil, errors.New("no address")
	}
	d := net.Dialer{Timeout: timeout}
	conn, err := d.Dial("tcp", net.JoinHostPort(to.host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	if to.secure {
		if conn, err = ctx.Client(conn, timeout); err != nil {
			return nil, err
		}
	}
	l := &migrationLink{conn: conn, in: bufio.NewReaderSize(conn, migrateLine), db: -1, used: now}
	if m.links == nil {
		m.links = make(map[migrationTarget]*migrationLink)
	}
	m.links[to] = l
	return l, nil
}

// migratePort reads a port as Redis does: the digits in front, 0 if there are none, cut to 32 bits; of these what is negative
// is no port (-1), and of the rest the lower 16 bits count.
func migratePort(text string) int {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	for end < len(text) && ('0' <= text[end] && text[end] <= '9' || end == 0 && (text[0] == '-' || text[0] == '+')) {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64) // of what is out of range it returns the nearest
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	if int32(n) < 0 {
		return -1
	}
	return int(uint16(n))
}

// dialFailure returns the error of a connect that failed. To Redis, which connects without blocking, a target that refuses is
// one that cannot be written to.
func dialFailure(err error) string {
	for _, later := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH} {
		if errors.Is(err, later) {
			return errMigrateOut
		}
	}
	return errMigrateDial
}

func (m *migrations) close(to migrationTarget) {
	if l := m.links[to]; l != nil {
		l.conn.Close()
		delete(m.links, to)
	}
}

// closeIdle closes what has not been used for long.
func (m *migrations) closeIdle(now int64) {
	for to, l := range m.links {
		if now-l.used > migrateIdle {
			m.close(to)
		}
	}
}

func (m *migrations) closeAll() {
	for to := range m.links {
		m.close(to)
	}
}

// write sends b, in pieces that each have the timeout.
func (l *migrationLink) write(b []byte, timeout time.Duration) error {
	for len(b) > 0 {
		n := min(len(b), migrateChunk)
		if err := l.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := l.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// line reads a reply, which is a line, without its end and cut to migrateLine bytes.
func (l *migrationLink) line(timeout time.Duration) (string, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	b, err := l.in.ReadSlice('\n')
	text := string(bytes.TrimRight(b, "\r\n"))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.in.ReadSlice('\n')
	}
	if err == nil && text == "" {
		err = errors.New("an empty reply")
	}
	return text, err
}

// migration is one MIGRATE.
type migration struct {
	c             *Client
	to            migrationTarget
	keys          [][]byte // those that there are
	db            int64
	timeout       time.Duration
	copy, replace bool

	sent  [][]byte // keys whose RESTORE was sent
	taken [][]byte // of these, those that were deleted here
}

func migrate(c *Client) {
	m := migration{c: c, keys: c.Args[3:4]}
	bad := ""
	migrateOptions(c.Args, func(i, n int) bool {
		switch {
		case n < 0, i+n >= len(c.Args):
			bad = session.ErrSyntax
		case c.Is(i, "copy"):
			m.copy = true
		case c.Is(i, "replace"):
			m.replace = true
		case c.Is(i, "auth"):
			m.to.login, m.to.password = true, c.Arg(i+1)
		case c.Is(i, "auth2"):
			m.to.login, m.to.password = true, c.Arg(i+2)
			m.to.named, m.to.user = true, c.Arg(i+1)
		case len(c.Args[3]) != 0:
			bad = errMigrateKeys
		default:
			m.keys = c.Args[i+1:]
		}
		return bad == ""
	})
	if bad != "" {
		c.Error(bad)
		return
	}
	timeout, ok := c.Int64Arg(5)
	if !ok {
		return
	}
	if m.db, ok = c.Int64Arg(4); !ok {
		return
	}
	switch m.timeout = migrateDefault; {
	case timeout > int64(migrateLongest/time.Millisecond):
		m.timeout = migrateLongest
	case timeout > 0:
		m.timeout = time.Duration(timeout) * time.Millisecond
	}
	m.to.secure = c.srv.Config.TLSCluster
	m.to.host, m.to.port = session.CString(c.Args[1]), session.CString(c.Args[2])
	asked := m.keys
	m.keys = nil
	for _, key := range asked {
		if c.Read(key) != nil {
			m.keys = append(m.keys, key)
		}
	}
	if len(m.keys) == 0 {
		c.W.Status("NOKEY")
		return
	}
	if failure := m.run(); failure != "" {
		c.Error(failure)
	} else {
		c.W.OK()
	}
	if len(m.taken) > 0 {
		c.Rewrite(append([][]byte{session.WordDel}, m.taken...)...)
	}
}

// run moves the keys, with a second attempt where that may help. It returns the error to reply with, "" if all went well.
func (m *migration) run() string {
	links := &m.c.srv.migrations
	for attempt := 1; ; attempt++ {
		l, err := links.link(m.to, m.c.srv.tls.ctx, m.timeout, m.c.srv.Keyspace.Now)
		if err != nil {
			if m.to.secure {
				m.c.srv.Logf(config.LogVerbose, "MIGRATE could not connect to %s:%s with TLS: %v", m.to.host, m.to.port, err)
				return errMigrateDial
			}
			return dialFailure(err)
		}
		selects := l.db != m.db
		failure := errMigrateOut
		refused, err := m.send(l, selects)
		if err == nil {
			var answered bool
			if failure, answered, err = m.receive(l, selects); err != nil {
				if !answered {
					failure = "" // an error of AUTH or SELECT is replied only with that of a key
				} else { // some of it is done: not again
					attempt = 2
				}
				failure = cmp.Or(failure, errMigrateIn)
			}
		}
		switch {
		case err == nil && failure == "" && refused == nil:
			l.db = m.db
			return ""
		case err == nil:
			l.db = -1
			if failure == "" {
				failure = "ERR " + refused.Error()
			}
			return failure
		}
		links.close(m.to)
		if attempt > 1 || errors.Is(err, os.ErrDeadlineExceeded) {
			return failure
		}
	}
}

// send writes the requests. err is of the connection; refused is why a key has no payload of the version that is
// configured: those before it have been sent.
func (m *migration) send(l *migrationLink, selects bool) (refused, err error) {
	c, s := m.c, m.c.srv
	m.sent = m.sent[:0]
	var buf, payload []byte
	if m.to.login {
		if m.to.named {
			buf = appendRequest(buf, "AUTH", []byte(m.to.user), []byte(m.to.password))
		} else {
			buf = appendRequest(buf, "AUTH", []byte(m.to.password))
		}
	}
	if selects {
		buf = appendRequest(buf, "SELECT", session.Decimal(m.db))
	}
	for _, key := range m.keys {
		r := c.DB.Peek(key)
		if r == nil {
			continue
		}
		ttl := int64(0)
		if when := r.Expiry(); when != record.NoExpiry {
			ttl = max(when-s.Keyspace.Now, 1)
		}
		if payload, refused = s.Dumper.Dump(payload[:0], r, s.Config.RDBVersion, s.Config.RDBCompression); refused != nil {
			break
		}
		words := int64(4)
		if m.replace {
			words = 5
		}
		buf = appendCount(buf, '*', words)
		buf = appendWord(buf, []byte("RESTORE"))
		buf = appendWord(buf, key)
		buf = appendWord(buf, session.Decimal(ttl))
		buf = appendCount(buf, '$', int64(len(payload)))
		if len(buf)+len(payload) > migrateChunk { // the payload is not copied
			if err = l.write(buf, m.timeout); err == nil {
				err = l.write(payload, m.timeout)
			}
			if err != nil {
				return nil, err
			}
			buf = buf[:0]
		} else {
			buf = append(buf, payload...)
		}
		buf = append(buf, "\r\n"...)
		if m.replace {
			buf = appendWord(buf, []byte("REPLACE"))
		}
		m.sent = append(m.sent, key)
	}
	return refused, l.write(buf, m.timeout)
}

// receive reads the replies and deletes the keys that the target has. failure is its first error; err is of the
// connection, and answered whether a key was answered before.
func (m *migration) receive(l *migrationLink, selects bool) (failure string, answered bool, err error) {
	refused := func(line string) bool {
		if line[0] != '-' {
			return false
		}
		failure = cmp.Or(failure, migrateTarget+line[1:])
		return true
	}
	whole := false // all of it is refused
	for _, asked := range [...]bool{m.to.login, selects} {
		if !asked {
			continue
		}
		line, err := l.line(m.timeout)
		if err != nil {
			return failure, false, err
		}
		whole = refused(line) || whole
	}
	for _, key := range m.sent {
		line, err := l.line(m.timeout)
		if err != nil {
			return failure, answered, err
		}
		answered = true
		if refused(line) || whole || m.copy {
			continue
		}
		if m.c.DeleteKey(key) {
			m.taken = append(m.taken, key)
		}
	}
	return failure, answered, nil
}

// appendRequest appends a command and its arguments as clients send them.
func appendRequest(b []byte, name string, args ...[]byte) []byte {
	b = appendWord(appendCount(b, '*', int64(1+len(args))), []byte(name))
	for _, a := range args {
		b = appendWord(b, a)
	}
	return b
}

func appendCount(b []byte, kind byte, n int64) []byte {
	return append(resp.AppendInt(append(b, kind), n), "\r\n"...)
}

func appendWord(b, word []byte) []byte {
	return append(append(appendCount(b, '$', int64(len(word))), word...), "\r\n"...)
}
