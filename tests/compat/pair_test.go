package compat

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// side numbers the two servers of a pair.
const (
	oracle  = 0
	subject = 1
)

var sideNames = [2]string{"redis  ", "ferrous"}

// pair is the two servers that are compared, with a connection to each for the suite's own housekeeping.
type pair struct {
	servers [2]*harness.Server
	admin   [2]*harness.Conn
}

// newPair starts both servers. DEBUG is allowed on both: the cases use DEBUG SET-ACTIVE-EXPIRE and its like.
func newPair(tb testing.TB, args ...string) *pair {
	tb.Helper()
	return newPairOf(tb, harness.NeedFerrous(tb), args...)
}

// newPairOf is newPair for a binary of Ferrous.
func newPairOf(tb testing.TB, ferrous string, args ...string) *pair {
	tb.Helper()
	redis, err := harness.Redis()
	if err != nil {
		tb.Fatal(err)
	}
	password := ""
	for i, a := range args {
		if a == "--requirepass" && i+1 < len(args) {
			password = args[i+1]
		}
	}
	args = append([]string{"--enable-debug-command", "yes"}, args...)
	p := &pair{}
	p.servers[oracle] = harness.StartWith(tb, harness.Options{Binary: redis, Args: args, Password: password})
	p.servers[subject] = harness.StartWith(tb, harness.Options{Binary: ferrous, Args: args, Password: password})
	for side, s := range p.servers {
		p.admin[side] = s.Dial(tb)
	}
	return p
}

// flush empties all databases of both servers.
func (p *pair) flush() error {
	for side, c := range p.admin {
		if v, err := c.Do("FLUSHALL"); err != nil || v.IsError() {
			return fmt.Errorf("%s: FLUSHALL: %v %v", sideNames[side], v, err)
		}
	}
	return nil
}

// link is one connection of a case: a connection to each server.
type link struct {
	conns [2]*harness.Conn
	ids   [2]string
	addrs [2]string
}

func (p *pair) connect(proto int, hello bool) (*link, error) {
	l := &link{}
	for side, s := range p.servers {
		// Without AUTH: cases about passwords send it themselves.
		c, err := s.Open(harness.DefaultTimeout)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns[side] = c
		l.addrs[side] = c.Net().LocalAddr().String()
		if !hello {
			continue
		}
		if proto == 3 {
			if v, err := c.Do("HELLO", "3"); err != nil || v.IsError() {
				l.close()
				return nil, fmt.Errorf("%s: HELLO 3: %v %v", sideNames[side], v, err)
			}
		}
		v, err := c.Do("CLIENT", "ID")
		if err != nil || v.Kind != ':' {
			l.close()
			return nil, fmt.Errorf("%s: CLIENT ID: %v %v", sideNames[side], v, err)
		}
		l.ids[side] = v.Str
	}
	return l, nil
}

func (l *link) close() {
	for _, c := range l.conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// exchange sends a request and reads its replies; what came until an error is kept.
func exchange(c *harness.Conn, request []byte, replies int) ([]harness.Value, error) {
	if _, err := c.Write(request); err != nil && !closedByPeer(err) {
		return nil, err
	}
	var values []harness.Value
	for range replies {
		v, err := c.Read()
		if err != nil {
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func rawOf(values []harness.Value) string {
	var all strings.Builder
	for _, v := range values {
		all.Write(v.Raw)
	}
	return all.String()
}

// differ compares the replies of the two servers as a step asks for and describes the difference, "" for none.
func differ(s *step, args []string, a, b []harness.Value) string {
	rawA, rawB := rawOf(a), rawOf(b)
	rawA = applyMasks(s.masks, args, rawA)
	switch s.compare {
	case matching:
		re, err := regexp.Compile(`(?s)\A(?:` + s.pattern + `)\z`)
		if err != nil {
			return err.Error()
		}
		for side, raw := range []string{rawA, rawB} {
			if !re.MatchString(raw) {
				return fmt.Sprintf("%s: %s does not match %s", strings.TrimSpace(sideNames[side]), quote(raw), s.pattern)
			}
		}
		return ""
	case unordered:
		if len(a) == len(b) {
			same := true
			for i := range a {
				same = same && canonical(a[i]) == canonical(b[i])
			}
			if same {
				return ""
			}
		}
	case approximate:
		if len(a) == len(b) {
			same := true
			for i := range a {
				same = same && near(a[i], b[i], s.approx)
			}
			if same {
				return ""
			}
		}
	case sameShape:
		if len(a) == len(b) {
			same := true
			for i := range a {
				same = same && shapeOf(a[i]) == shapeOf(b[i])
			}
			if same {
				return ""
			}
		}
	default:
		if rawA == rawB {
			return ""
		}
	}
	return fmt.Sprintf("\n\t%s %s\n\t%s %s", sideNames[oracle], quote(rawA), sideNames[subject], quote(rawB))
}

// quote shows a raw reply, long ones in part.
func quote(raw string) string {
	const most = 600
	if len(raw) <= most {
		return strconv.Quote(raw)
	}
	return fmt.Sprintf("%q … (%d bytes)", raw[:most], len(raw))
}

// canonical writes a value with the elements of every aggregate sorted (pairs stay together in maps).
func canonical(v harness.Value) string {
	if v.Elems == nil {
		return fmt.Sprintf("%c%v%q", v.Kind, v.Null, v.Str)
	}
	parts := make([]string, 0, len(v.Elems))
	width := 1
	if v.Kind == '%' {
		width = 2
	}
	for i := 0; i < len(v.Elems); i += width {
		part := ""
		for _, e := range v.Elems[i:min(i+width, len(v.Elems))] {
			part += canonical(e)
		}
		parts = append(parts, part)
	}
	slices.Sort(parts)
	return fmt.Sprintf("%c[%s]", v.Kind, strings.Join(parts, " "))
}

func near(a, b harness.Value, tolerance int64) bool {
	if a.Kind != b.Kind || a.Null != b.Null || len(a.Elems) != len(b.Elems) {
		return false
	}
	for i := range a.Elems {
		if !near(a.Elems[i], b.Elems[i], tolerance) {
			return false
		}
	}
	if a.Str == b.Str {
		return true
	}
	x, errX := strconv.ParseFloat(a.Str, 64)
	y, errY := strconv.ParseFloat(b.Str, 64)
	// -1 and -2 are answers, not durations.
	return errX == nil && errY == nil && (x < 0) == (y < 0) && math.Abs(x-y) <= float64(tolerance)
}

func shapeOf(v harness.Value) string {
	if v.Elems == nil {
		return string(v.Kind)
	}
	parts := make([]string, len(v.Elems))
	for i, e := range v.Elems {
		parts[i] = shapeOf(e)
	}
	return string(v.Kind) + "[" + strings.Join(parts, " ") + "]"
}

// stateKeyLimit bounds the keys of a database that are compared one by one.
const stateKeyLimit = 300

// compareState compares all databases: their keys, and of each key type, encoding, value and deadline. slack is how far
// deadlines may lie apart: the time that the commands took, since relative ones count from different instants.
func (p *pair) compareState(slack time.Duration) ([]string, error) {
	var problems []string
	var dbs [2]map[string]string
	for side, c := range p.admin {
		info, err := c.Info("keyspace")
		if err != nil {
			return nil, err
		}
		dbs[side] = info
	}
	for db := range 16 {
		name := "db" + strconv.Itoa(db)
		if dbs[oracle][name] == "" && dbs[subject][name] == "" {
			continue
		}
		found, err := p.compareDatabase(db, slack)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
		for _, c := range p.admin {
			if _, err := c.Do("SELECT", "0"); err != nil {
				return nil, err
			}
		}
	}
	return problems, nil
}

func (p *pair) compareDatabase(db int, slack time.Duration) (problems []string, err error) {
	var keys, sizes [2]harness.Value
	for side, c := range p.admin {
		if _, err := c.Do("SELECT", strconv.Itoa(db)); err != nil {
			return nil, err
		}
		// DBSIZE counts keys that are past their deadline until somebody finds them, which is a matter of time. A scan
		// finds them all.
		for cursor := "0"; ; {
			v, err := c.Do("SCAN", cursor, "COUNT", "10000")
			if err != nil || len(v.Elems) != 2 {
				return nil, fmt.Errorf("%s: SCAN: %v %v", sideNames[side], v, err)
			}
			if cursor = v.Elems[0].Str; cursor == "0" {
				break
			}
		}
		if keys[side], err = c.Do("KEYS", "*"); err != nil {
			return nil, err
		}
		if sizes[side], err = c.Do("DBSIZE"); err != nil {
			return nil, err
		}
	}
	if a, b := canonical(keys[oracle]), canonical(keys[subject]); a != b {
		return []string{fmt.Sprintf("db %d: keys differ:\n\t%s %s\n\t%s %s", db, sideNames[oracle], quote(a), sideNames[subject], quote(b))}, nil
	}
	if a, b := sizes[oracle].Str, sizes[subject].Str; a != b {
		problems = append(problems, fmt.Sprintf("db %d: DBSIZE is %s and %s", db, a, b))
	}
	list := keys[oracle].Elems
	if len(list) > stateKeyLimit {
		list = list[:stateKeyLimit]
	}
	for _, key := range list {
		kind := ""
		for _, q := range [][]string{{"TYPE"}, {"OBJECT", "ENCODING"}, {"PEXPIRETIME"}, {"GET"}, {"DEBUG", "DIGEST-VALUE"}} {
			if q[0] == "DEBUG" && kind == "string" {
				continue // GET has shown it
			}
			q = append(q, key.Str)
			if q[0] == "DEBUG" && kind == "zset" {
				q = []string{"ZRANGE", key.Str, "0", "-1", "WITHSCORES"} // 7.0 takes scores into digests in another form
			}
			var v [2]harness.Value
			for side, c := range p.admin {
				if v[side], err = c.Do(q...); err != nil {
					return nil, err
				}
			}
			if q[0] == "TYPE" {
				kind = v[subject].Str
			}
			if string(v[oracle].Raw) == string(v[subject].Raw) {
				continue
			}
			if q[0] == "OBJECT" && newEncoding(v[oracle].Str, v[subject].Str) {
				continue
			}
			if q[0] == "ZRANGE" && near(v[oracle], v[subject], 0) {
				continue // 7.2 writes scores in fewer digits
			}
			if q[0] == "PEXPIRETIME" && near(v[oracle], v[subject], slack.Milliseconds()) {
				continue
			}
			problems = append(problems, fmt.Sprintf("db %d: %q:\n\t%s %s\n\t%s %s", db, q,
				sideNames[oracle], quote(string(v[oracle].Raw)), sideNames[subject], quote(string(v[subject].Raw))))
		}
	}
	return problems, nil
}

// newEncoding reports whether the encodings differ as those of 7.0 and 7.2 do: small sets and short lists are listpacks.
func newEncoding(oracle, subject string) bool {
	return subject == "listpack" && (oracle == "hashtable" || oracle == "quicklist")
}

// newReply reports whether the replies to a random command differ as 7.0 and 7.2 do.
func newReply(args []string, oracle, subject string) bool {
	return args[0] == "object" && newEncoding(oracle, subject) || newRank(args, subject)
}

// newRank reports whether a reply is the error of 7.2 to the least RANK of LPOS, which 7.0 takes (lists.txt).
func newRank(args []string, subject string) bool {
	return args[0] == "lpos" && slices.Contains(args, "-9223372036854775808") &&
		subject == "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
}

// readToEnd reads everything a server sends until it closes the connection, or until the sentinel's reply has come.
func readToEnd(c *harness.Conn, sentinel string) (got string, closed bool, err error) {
	var all []byte
	buf := make([]byte, 64<<10)
	deadline := time.Now().Add(time.Minute)
	for {
		if err := c.Net().SetReadDeadline(deadline); err != nil {
			return string(all), false, err
		}
		n, err := c.Net().Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			if closedByPeer(err) {
				return string(all), true, nil
			}
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return string(all), false, fmt.Errorf("neither closed nor answered; until then: %q", all)
			}
			return string(all), false, err
		}
		if sentinel != "" && strings.HasSuffix(string(all), sentinel) {
			return strings.TrimSuffix(string(all), sentinel), false, nil
		}
	}
}
