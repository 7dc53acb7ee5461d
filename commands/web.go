package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferrous/commands/acl"
	"ferrous/commands/config"
	"ferrous/commands/web"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/replication"
)

// HTTP: what package web asks, answered on the loop; the directives http and metrics-…; and the connections of the RESP port
// that turn out to speak HTTP.
//
// Each question is a posted function, which looks up what the asker may do and copies what is to be told. Posted functions
// run in the turns of a busy script and of a loader, too. There they read counters and lists, never values: what a script
// changes may be half done. The scan of keys rests then.

// webState is what the server has of HTTP.
type webState struct {
	server *web.Server
	took   time.Duration      // of the last copyMetrics
	heads  map[*Client][]byte // first bytes of clients that may be a request
	keys   keyScan
	asker  *Client // in whose name denials are logged
}

// webSource is the web.Source of the server.
type webSource struct{ s *Server }

// webLogin is a web.User: a user, and the hash of the password that it has logged in with. It is worth nothing any more when the
// user is deleted or switched off, or does not accept that password.
type webLogin struct {
	user *acl.User
	hash string
}

var errNoAnswer = errors.New("the loop does not answer")

// newWeb makes the HTTP server and attaches its directives.
func (s *Server) newWeb() {
	s.web.server = web.New(web.Options{Source: webSource{s}})
	s.web.heads = make(map[*Client][]byte)
	s.Config.OnApply(func(*config.Config) error { return s.applyMetricsPort() }, "metrics-port", "metrics-bind")
	s.Config.OnApply(func(*config.Config) error {
		s.web.server.SetPassword(s.Config.MetricsPassword)
		return nil
	}, "metrics-password")
	s.Config.OnApply(func(*config.Config) error {
		if !s.Config.HTTP {
			s.web.server.DropAdopted()
		}
		return nil
	}, "http")
	s.web.server.SetPassword(s.Config.MetricsPassword)
}

// applyMetricsPort answers a CONFIG SET of metrics-port and metrics-bind.
func (s *Server) applyMetricsPort() error {
	if err := s.listenMetrics(); err != nil {
		s.Logf(config.LogWarning, "Could not listen on metrics-port: %v", err)
		return refusal("Unable to listen on metrics-port. Check server logs.")
	}
	return nil
}

// listenMetrics listens on metrics-port at the addresses of metrics-bind, and no longer where it did before.
func (s *Server) listenMetrics() error {
	var addrs []string
	if port := s.Config.MetricsPort; port != 0 {
		for _, b := range s.resolveBind(s.Config.MetricsBind) {
			addrs = append(addrs, net.JoinHostPort(b.host, strconv.Itoa(port)))
		}
	}
	return s.web.server.Listen(addrs)
}

// ask runs a function on the loop and returns its result. If the context ends before, the function may still run, or not.
func ask[T any](s *Server, ctx context.Context, f func() T) (T, error) {
	result := make(chan T, 1)
	s.loop.Post(func() {
		if ctx.Err() == nil {
			result <- f()
		}
	})
	select {
	case v := <-result:
		return v, nil
	case <-ctx.Done():
		var none T
		return none, errNoAnswer
	}
}

// askAs is ask for an answer that needs the right to a command, given with its arguments.
func askAs[T any](w webSource, ctx context.Context, who web.Asker, answer func(s *Server) T, command ...string) (T, error) {
	type result struct {
		v      T
		denied error
	}
	r, err := ask(w.s, ctx, func() (r result) {
		if r.denied = w.s.webRefusal(who, command); r.denied == nil {
			r.v = answer(w.s)
		}
		return r
	})
	if err != nil {
		return r.v, err
	}
	return r.v, r.denied
}

// webRefusal returns why an asker may not know what a command tells, nil if it may.
func (s *Server) webRefusal(who web.Asker, command []string) error {
	def := s.security.users.Default()
	open := def.NoPass() && def.Enabled()
	if who.Port && s.Config.ProtectedMode && open && s.Config.MetricsPassword == "" && !isLoopback(who.From) {
		return web.ErrProtected
	}
	login, _ := who.User.(webLogin)
	u := login.user
	switch {
	case u != nil && (s.security.users.Get([]byte(u.Name())) != u || !u.AcceptsHash(login.hash)):
		return web.ErrEnded
	case u != nil && u.NoPass() && who.Port && s.Config.MetricsPassword != "":
		return web.ErrLogin // it would stand for metrics-password
	case u != nil:
	case who.Scraper && command[0] == "info":
		return nil
	case !open:
		return web.ErrLogin
	default:
		u = def
	}
	args := make([][]byte, len(command))
	for i, word := range command {
		args[i] = []byte(word)
	}
	e, _ := s.Registry.Lookup(args)
	if e == nil {
		return fmt.Errorf("%w: rename-command has removed %s", web.ErrForbidden, strings.ToUpper(command[0]))
	}
	if why, _ := s.check(u, e, args); why != acl.Allowed {
		s.logWebDenial(who, why, e.Full, u.Name())
		return fmt.Errorf("%w: +%s", web.ErrForbidden, e.Full)
	}
	if command[0] == "scan" {
		r := &s.security.request
		if r.begin(e, args); !u.CheckAndReadAll(r) {
			return fmt.Errorf("%w: all keys (~*)", web.ErrForbidden)
		}
	}
	return nil
}

// logWebDenial logs what was denied to an asker in the ACL log.
func (s *Server) logWebDenial(who web.Asker, why acl.Denial, object, user string) {
	if s.web.asker == nil {
		s.web.asker = s.newClient(&s.w, &s.repl)
	}
	c := s.web.asker
	c.created, c.lastActive = s.Keyspace.Now, s.Keyspace.Now
	c.startAs(s.security.users.Default())
	c.ident = &identity{name: "http-" + who.From}
	s.logDenialOf(c, why, object, user)
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // a unix socket
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Login implements web.Source.
func (w webSource) Login(ctx context.Context, name, password, from string) (web.User, error) {
	s := w.s
	hash := acl.Hash([]byte(password))
	u, err := ask(s, ctx, func() *acl.User {
		u := s.security.users.Get([]byte(name))
		if u == nil || !u.AcceptsHash(hash) {
			s.logWebDenial(web.Asker{From: from}, acl.DeniedAuth, "AUTH", name)
			return nil
		}
		return u
	})
	switch {
	case err != nil:
		return nil, err
	case u == nil:
		return nil, web.ErrLogin
	}
	return webLogin{u, hash}, nil
}

// Metrics implements web.Source.
func (w webSource) Metrics(ctx context.Context, who web.Asker) ([]web.Metric, error) {
	return askAs(w, ctx, who, (*Server).copyMetrics, "info")
}

// webSlow is how many entries of the slow log are told, webClients how many clients.
const (
	webSlow    = 128
	webClients = 200
)

// SlowLog implements web.Source. The newest entry comes first.
func (w webSource) SlowLog(ctx context.Context, who web.Asker) ([]web.SlowEntry, error) {
	return askAs(w, ctx, who, func(s *Server) []web.SlowEntry {
		entries := s.SlowLog.Entries()
		out := make([]web.SlowEntry, 0, min(len(entries), webSlow))
		for i := len(entries) - 1; i >= 0 && len(out) < webSlow; i-- {
			e := &entries[i]
			x := web.SlowEntry{ID: e.ID, Unix: e.Unix, Seconds: float64(e.Micros) / 1e6, Addr: e.Addr, Name: web.Text(e.Name)}
			for _, a := range e.Args {
				x.Args = append(x.Args, web.Text(a))
			}
			out = append(out, x)
		}
		return out
	}, "slowlog", "get")
}

// Clients implements web.Source.
func (w webSource) Clients(ctx context.Context, who web.Asker) (web.ClientList, error) {
	return askAs(w, ctx, who, func(s *Server) web.ClientList {
		list := web.ClientList{Total: len(s.order), Lines: []web.Text{}}
		for _, c := range s.order[:min(len(s.order), webClients)] {
			list.Lines = append(list.Lines, web.Text(c.info()))
		}
		return list
	}, "client", "list")
}

// Settings implements web.Source.
func (w webSource) Settings(ctx context.Context, who web.Asker) ([]web.Setting, error) {
	return askAs(w, ctx, who, func(s *Server) []web.Setting {
		out := []web.Setting{}
		for _, p := range s.Config.Changed() {
			out = append(out, web.Setting{Name: p.Name, Value: web.Text(p.Value)})
		}
		return out
	}, "config", "get", "*")
}

// Log implements web.Source.
func (w webSource) Log(ctx context.Context, who web.Asker) ([]web.Text, error) {
	return askAs(w, ctx, who, func(s *Server) []web.Text {
		out := []web.Text{}
		for _, line := range s.Log.Last() {
			out = append(out, web.Text(line))
		}
		return out
	}, "config", "get", "*")
}

// Keys implements web.Source.
func (w webSource) Keys(ctx context.Context, who web.Asker, start bool) (web.KeyReport, error) {
	return askAs(w, ctx, who, func(s *Server) web.KeyReport {
		k := &s.web.keys
		k.asked = s.nanos()
		if start && !k.report.Running {
			s.startKeyScan()
		}
		return k.tell(s)
	}, "scan", "0")
}

// keyScan is the search for the biggest keys. It goes over the databases with cursors, keyStep keys at a time, with pauses in
// which clients are served, so that it holds the loop for a twentieth of the time at most. It sees keyMost keys, and ends when
// nobody has asked for keyPatience.
type keyScan struct {
	report   web.KeyReport
	asked    int64 // when somebody asked last, ns
	db       int
	cursor   uint64
	biggest  []web.BigKey // the biggest first
	prefixes map[string]*web.Prefix
}

const (
	keyStep     = 256
	keyPause    = 5 * time.Millisecond
	keyMost     = 10_000_000
	keyPatience = 15 * time.Second
	keysShown   = 20
	maxPrefixes = 1000
	maxPrefix   = 64 // bytes of a prefix; keys that have none so short count as "(others)"
	others      = "(others)"
)

func (s *Server) startKeyScan() {
	k := &s.web.keys
	*k = keyScan{asked: k.asked, prefixes: make(map[string]*web.Prefix)}
	k.report.Started, k.report.Running = true, true
	s.loop.AfterFunc(0, s.scanKeys)
}

// scanKeys takes a step.
func (s *Server) scanKeys() {
	k := &s.web.keys
	switch {
	case !k.report.Running:
		return
	case s.nanos()-k.asked > int64(keyPatience), k.report.Scanned >= keyMost:
		k.report.Running, k.report.Cut = false, true
		return
	case s.busy.on || s.persist.loading != nil:
		s.loop.AfterFunc(keyPause, s.scanKeys)
		return
	}
	dbs := s.Keyspace.DBs()
	for k.db < len(dbs) && dbs[k.db].Len() == 0 {
		k.db, k.cursor = k.db+1, 0
	}
	if k.db >= len(dbs) {
		k.report.Running = false
		return
	}
	db := dbs[k.db]
	k.cursor = db.Scan(k.cursor, keyStep, func(r *record.Record) { k.see(db.ID, r) })
	if k.cursor == 0 {
		k.db++
	}
	s.loop.AfterFunc(keyPause, s.scanKeys)
}

// see takes one key into account.
func (k *keyScan) see(db int, r *record.Record) {
	k.report.Scanned++
	key, size := r.Key(), int64(keyspace.Size(r))
	if n := len(k.biggest); n < keysShown || size > k.biggest[n-1].Bytes {
		x := web.BigKey{DB: db, Key: web.Text(key[:min(len(key), 1024)]), Type: r.Type().String(), Bytes: size}
		at, _ := slices.BinarySearchFunc(k.biggest, x, func(a, b web.BigKey) int { return cmp.Compare(b.Bytes, a.Bytes) })
		k.biggest = slices.Insert(k.biggest, at, x)
		k.biggest = k.biggest[:min(len(k.biggest), keysShown)]
	}
	prefix := others
	if i := slices.Index(key[:min(len(key), maxPrefix)], ':'); i >= 0 {
		prefix = string(key[:i+1])
	}
	p := k.prefixes[prefix]
	if p == nil && len(k.prefixes) >= maxPrefixes {
		prefix = others
		p = k.prefixes[prefix]
	}
	if p == nil {
		p = &web.Prefix{Prefix: web.Text(prefix)}
		k.prefixes[prefix] = p
	}
	p.Keys++
	p.Bytes += size
}

// tell copies what the scan has found.
func (k *keyScan) tell(s *Server) web.KeyReport {
	out := k.report
	out.Total = int64(s.keys())
	out.Keys = slices.Clone(k.biggest)
	out.Prefixes = []web.Prefix{}
	for _, p := range k.prefixes {
		out.Prefixes = append(out.Prefixes, *p)
	}
	slices.SortFunc(out.Prefixes, func(a, b web.Prefix) int { return cmp.Compare(b.Bytes, a.Bytes) })
	out.Prefixes = out.Prefixes[:min(len(out.Prefixes), keysShown)]
	return out
}

// database is a database with keys, for metricRows.
type database struct {
	*keyspace.DB
	name string
}

// eachDB calls a function for each database that has keys.
func (s *Server) eachDB(f func(*database)) {
	for _, db := range s.Keyspace.DBs() {
		if db.Len() > 0 {
			f(&database{db, "db" + strconv.Itoa(db.ID)})
		}
	}
}

func replicaName(r *replication.Replica) string {
	return net.JoinHostPort(r.IP(), strconv.Itoa(r.ListeningPort))
}

// maxHead is how long the first line of a request may be that is waited for. What is longer is no request.
const maxHead = 4 << 10

// sniff looks at the first bytes of a connection with http yes. It returns the bytes that are RESP's, nil if there are none yet:
// the connection is handed to the web server, or its first line is not whole.
func (s *Server) sniff(c *Client, in []byte) []byte {
	head, waited := s.web.heads[c]
	if waited {
		in = append(head, in...)
	}
	switch isHTTP(in) {
	case surelyHTTP:
		in = slices.Clone(in)
		handed := c.conn.Detach(func(f *os.File) {
			conn, err := net.FileConn(f)
			f.Close()
			if err == nil {
				s.web.server.Adopt(conn, in)
			}
		})
		if handed {
			c.sniffs = false
			c.stopped = true
			delete(s.web.heads, c)
			return nil
		}
		c.conn.Send([]byte(noHTTPHere))
		c.conn.CloseAfterSend()
		c.stopped = true
		return nil
	case mayBeHTTP:
		if !waited {
			in = slices.Clone(in)
		}
		s.web.heads[c] = in
		return nil
	}
	c.sniffs = false
	delete(s.web.heads, c)
	return in
}

// noHTTPHere answers a request on tls-port, whose connections stay with the loop.
const noHTTPHere = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
	"HTTP is not served on tls-port: use metrics-port, or a proxy that speaks TLS in front of it.\n"

// httpness is what isHTTP makes of first bytes.
type httpness uint8

const (
	notHTTP httpness = iota
	mayBeHTTP
	surelyHTTP
)

// isHTTP reports whether bytes begin with the first line of a GET as a browser or Prometheus sends it: GET, a path and the
// version. GET with a key that begins with a slash, as a line of Redis's inline protocol, has no version.
func isHTTP(in []byte) httpness {
	const start = "GET /"
	if n := min(len(in), len(start)); string(in[:n]) != start[:n] {
		return notHTTP
	}
	end := slices.Index(in, '\n')
	switch {
	case end < 0 && len(in) < maxHead:
		return mayBeHTTP
	case end < 0:
		return notHTTP
	}
	words := strings.Split(strings.TrimSuffix(string(in[:end]), "\r"), " ")
	if len(words) == 3 && (words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0") {
		return surelyHTTP
	}
	return notHTTP
}
