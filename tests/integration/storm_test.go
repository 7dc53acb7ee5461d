package integration

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// The storm: many clients at once that block, track, subscribe, monitor, do not read, have limits, are killed, and leave
// in the middle of a request, over a keyspace of few keys of all sizes, while limits, encodings, users and persistence
// change under them. Nobody looks at replies. What is asserted:
//
//   - the server lives, and its log has no crash report;
//   - a client that does nothing but PING is answered;
//   - after each phase, when the clients are quiet, DEBUG RECOUNT of a server with the build tag invariants finds no counter
//     that contradicts what it counts: with all clients connected, with half of them, and without any;
//   - no memory is held then by what has gone.
//
// The short form takes about eight seconds. The long one runs for FERROUS_STORM_TIME (a Go duration, 5m unless it is set) when
// FERROUS_STRESS is set:
//
//	FERROUS_STRESS=1 FERROUS_STORM_TIME=1h go test ./tests/integration -run TestStorm -v -timeout 2h
//
// All that is random comes from one seed, which is printed and which FERROUS_STORM_SEED replays: the same servers, and clients
// that send the same bytes. How their requests interleave is up to the machine, so a failure may take several runs to
// come back.

const (
	stormClients = 24
	stormPhase   = 2 * time.Second // how long clients do as they like
	stormPhases  = 10              // of one server, in the long form
	stormKeys    = 5               // keys of each type
	stormMemory  = 300 << 20       // used_memory above which everything is flushed
	stormFile    = 200 << 20       // size of the append-only file above which it is rewritten
	stormSlow    = 5 * time.Second // after which DEBUG RELOAD, which saves and loads everything at once, is over
)

// A theme makes some encounters likely that are rare in a crowd of all sorts.
type theme int

const (
	mixed    theme = iota // a crowd of all sorts
	waiters               // many wait for one key with much unread output, near the limit of all clients' memory
	watchers              // many get invalidations in mode BCAST and do not read
	lone                  // one client tracks keys, and does not read
	themes
)

// settings are what a phase of the theme needs.
func (th theme) settings(r *rand.Rand) []string {
	switch th {
	case waiters:
		return []string{"maxmemory-clients", strconv.Itoa(16+r.IntN(32)) + "mb", "client-output-buffer-limit", "normal 0 0 0",
			"client-query-buffer-limit", "1gb"}
	case watchers, lone:
		return []string{"maxmemory-clients", "0", "client-output-buffer-limit", "normal 16mb 0 0 pubsub 5mb 2mb 1",
			"client-query-buffer-limit", "1gb"}
	}
	return []string{"timeout", "0"}
}

// storm is one server and its clients.
type storm struct {
	t      *testing.T
	s      *harness.Server
	opened atomic.Int64  // connections so far, which is about the highest client id
	slow   atomic.Int64  // Unix ms until which commands may be under way that hold the server for long
	limit  time.Duration // that PING may take
	theme  theme         // of the phase
	ended  sync.Once     // that the server's end was reported
}

func TestStorm(t *testing.T) {
	seed := random.Seed(t)
	if env := os.Getenv("FERROUS_STORM_SEED"); env != "" {
		var err error
		if seed, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FERROUS_STORM_SEED=%d", seed)
	bin, err := harness.CheckedFerrous()
	if err != nil {
		t.Fatal(err)
	}
	servers, phases, until := 2, 2, time.Time{}
	if *long {
		d := 5 * time.Minute
		if env := os.Getenv("FERROUS_STORM_TIME"); env != "" {
			if d, err = time.ParseDuration(env); err != nil {
				t.Fatal(err)
			}
		}
		servers, phases, until = 1<<30, stormPhases, time.Now().Add(d)
	}
	for n := range servers {
		if !until.IsZero() && time.Now().After(until) {
			break
		}
		ok := t.Run(fmt.Sprintf("server-%d", n), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			args := stormSettings(r)
			st := &storm{t: t, limit: harness.DefaultTimeout}
			if *long {
				st.limit = time.Second
			}
			t.Logf("FERROUS_STORM_SEED=%d, settings %q", seed, args)
			st.s = harness.StartWith(t, harness.Options{Binary: bin, Args: args, Seed: seed + uint64(n)})
			for phase := range phases {
				st.theme = theme((n*phases + phase) % int(themes))
				st.phase(rand.New(rand.NewPCG(seed, uint64(n)<<32|uint64(phase+1))))
				if t.Failed() {
					t.Fatalf("in phase %d (theme %d) of server %d with FERROUS_STORM_SEED=%d", phase, st.theme, n, seed)
				}
			}
			if testing.Verbose() {
				t.Log(st.summary())
			}
		})
		if !ok {
			break
		}
	}
}

// DEBUG RECOUNT is there with the build tag only.
func TestRecount(t *testing.T) {
	bin, err := harness.CheckedFerrous()
	if err != nil {
		t.Fatal(err)
	}
	s := harness.StartWith(t, harness.Options{Binary: bin, Args: []string{"--enable-debug-command", "yes"}})
	if v := s.Dial(t).Must("DEBUG", "RECOUNT"); v.Kind != '*' || len(v.Elems) != 0 {
		t.Errorf("a new server with the tag answers %v", v)
	}
	if os.Getenv(harness.CheckedEnv) != "" || os.Getenv(harness.BinaryEnv) != "" {
		return
	}
	s = harness.StartFerrous(t, "--enable-debug-command", "yes")
	if v, err := s.Dial(t).Do("DEBUG", "RECOUNT"); err != nil || v.Kind != '-' {
		t.Errorf("without the tag: %v, %v", v, err)
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// stormSettings draws the directives of a server.
func stormSettings(r *rand.Rand) []string {
	args := []string{"--enable-debug-command", "yes", "--databases", "4",
		"--hz", pick(r, "10", "100"),
		"--appendonly", pick(r, "no", "yes"),
		"--appendfsync", pick(r, "always", "everysec", "no"),
		"--notify-keyspace-events", pick(r, "", "KEA", "KEAn"),
		"--maxmemory-clients", pick(r, "0", "2mb", "10mb", "60mb"),
		"--tracking-table-max-keys", pick(r, "3", "20", "1000000"),
		"--client-query-buffer-limit", pick(r, "2mb", "1gb"),
		"--client-output-buffer-limit", pick(r, "normal 0 0 0 pubsub 32mb 8mb 60", "normal 8mb 0 0 pubsub 2mb 1mb 1",
			"normal 24mb 4mb 1 pubsub 16mb 0 0")}
	if r.IntN(3) == 0 {
		args = append(args, "--save", "1 100")
	}
	return append(args, encodingLimits(r, "--")...)
}

// encodingLimits draws the limits of compact encodings, as pairs of names and values.
func encodingLimits(r *rand.Rand, prefix string) []string {
	var pairs []string
	for _, name := range []string{"hash-max-listpack-entries", "set-max-listpack-entries", "set-max-intset-entries",
		"zset-max-listpack-entries"} {
		pairs = append(pairs, prefix+name, pick(r, "0", "4", "128"))
	}
	return append(pairs, prefix+"list-max-listpack-size", pick(r, "-2", "-1", "3"), prefix+"hash-max-listpack-value", pick(r, "8", "64"))
}

// phase lets the clients loose for a time and then counts.
func (st *storm) phase(r *rand.Rand) {
	if !st.do("settings", func(v harness.Value) bool { return v.Str == "OK" }, append([]string{"CONFIG", "SET"}, st.theme.settings(r)...)...) {
		return
	}
	end := time.Now().Add(stormPhase)
	var clients []*stormClient
	var wg sync.WaitGroup
	for i := range stormClients {
		c := &stormClient{st: st, first: i == 0, r: rand.New(rand.NewPCG(r.Uint64(), uint64(i)))}
		clients = append(clients, c)
		wg.Go(func() { c.run(end) })
	}
	stop := make(chan struct{})
	var watchers sync.WaitGroup
	watchers.Go(func() { st.ping(stop) })
	watchers.Go(func() { st.bound(stop) })
	wg.Wait()
	st.recount("with all clients")
	for _, c := range clients[:stormClients/2] {
		c.leave()
	}
	st.recount("with half of the clients")
	for _, c := range clients {
		c.leave()
	}
	st.recount("without clients")
	close(stop)
	watchers.Wait()
	st.empty()
}

// alive reports whether the server runs; if it does not, the test has failed.
func (st *storm) alive() bool {
	if st.t.Failed() {
		return false
	}
	if !st.s.Alive() {
		st.ended.Do(func() { st.t.Errorf("the server has ended%s", crashReport(st.s.Logs())) })
		return false
	}
	return true
}

// crashReport is the beginning of the crash report in a log, with some lines before it; nothing if there is none.
func crashReport(log string) string {
	at := strings.Index(log, "REDIS BUG REPORT START")
	if at < 0 {
		if at = strings.Index(log, "panic:"); at < 0 {
			return ""
		}
	}
	return ":\n" + log[max(at-1000, 0):min(at+6000, len(log))]
}

// do sends a command of the test's own on a new connection, which the clients may kill, and tries until it is answered.
// ok reports whether the answer will do. It returns false if the test has failed.
func (st *storm) do(what string, ok func(harness.Value) bool, cmd ...string) bool {
	var last any
	for deadline := time.Now().Add(harness.DefaultTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !st.alive() {
			return false
		}
		c, err := st.s.Connect()
		st.opened.Add(1)
		if err != nil {
			last = err
			continue
		}
		v, err := c.Do(cmd...)
		_ = c.Close()
		if err != nil {
			last = err
		} else if last = v; ok(v) {
			return true
		}
		if st.t.Failed() {
			return false
		}
	}
	st.t.Errorf("%s: not within %v: %q answers %v", what, harness.DefaultTimeout, cmd, last)
	return false
}

// recount asks for contradictions until there are none. Those that were recorded before are a failure at once.
func (st *storm) recount(when string) {
	st.do(when, func(v harness.Value) bool {
		for _, e := range v.Elems {
			if strings.HasPrefix(e.Str, "recorded: ") {
				st.t.Errorf("%s: %s", when, e.Str)
			}
		}
		return v.Kind == '*' && len(v.Elems) == 0
	}, "DEBUG", "RECOUNT")
}

// empty flushes everything, and looks for memory that is still held. What the clients had sent before they left comes first.
func (st *storm) empty() {
	gone := func(v harness.Value) bool {
		return infoInt(v.Str, "connected_clients") == 1 && infoInt(v.Str, "blocked_clients") == 0
	}
	if !st.do("end of all clients", gone, "INFO", "clients") {
		return
	}
	if !st.do("flush", func(v harness.Value) bool { return v.Str == "OK" }, "FLUSHALL") {
		return
	}
	st.do("memory of an empty server", func(v harness.Value) bool {
		used, startup := infoInt(v.Str, "used_memory"), infoInt(v.Str, "used_memory_startup")
		return used-startup < 100<<10
	}, "INFO", "memory")
	if report := crashReport(st.s.Logs()); report != "" {
		st.t.Errorf("the log has a crash report%s", report)
	}
}

// infoInt returns a number from a text of INFO, -1 if it is not there.
func infoInt(info, field string) int64 {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// ping sees to it that the server answers. A late answer counts only if the machine has not kept this process waiting too.
func (st *storm) ping(stop chan struct{}) {
	var starved atomic.Int64 // longest that a sleep was late since the last PING, nanoseconds
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			const nap = 10 * time.Millisecond
			began := time.Now()
			time.Sleep(nap)
			if late := int64(time.Since(began) - nap); late > starved.Load() {
				starved.Store(late)
			}
		}
	}()
	var c *harness.Conn
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for {
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if !st.alive() {
			return
		}
		if c == nil {
			var err error
			st.opened.Add(1)
			if c, err = st.s.Connect(); err != nil {
				c = nil
				continue
			}
		}
		starved.Store(0)
		began := time.Now()
		_, err := c.Do("PING")
		took := time.Since(began)
		slow := st.slow.Load() > began.UnixMilli()
		switch {
		case took > st.limit && (!slow || took >= harness.DefaultTimeout) && time.Duration(starved.Load()) < st.limit/4:
			st.t.Errorf("PING took %v (%v)", took, err)
			return
		case err != nil: // somebody has killed it
			_ = c.Close()
			c = nil
		}
	}
}

// bound keeps the data and the file small.
func (st *storm) bound(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
		if !st.alive() {
			return
		}
		c, err := st.s.Connect()
		st.opened.Add(1)
		if err != nil {
			continue
		}
		if v, err := c.Do("INFO", "memory", "persistence"); err == nil {
			if infoInt(v.Str, "used_memory") > stormMemory {
				_, _ = c.Do("FLUSHALL")
				_, _ = c.Do("CLIENT", "KILL", "TYPE", "normal")
			}
			if infoInt(v.Str, "aof_current_size") > stormFile {
				_, _ = c.Do("BGREWRITEAOF")
			}
		}
		_ = c.Close()
	}
}

// summary returns the counters of what has happened to the server.
func (st *storm) summary() string {
	info, err := st.s.Info("stats")
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, field := range []string{"total_connections_received", "total_commands_processed", "total_error_replies", "evicted_clients",
		"client_output_buffer_limit_disconnections", "client_query_buffer_limit_disconnections", "expired_keys", "expired_subkeys",
		"total_forks"} {
		parts = append(parts, field+" "+info[field])
	}
	return strings.Join(parts, ", ")
}

// stormClient is one client, or rather one after the other.
type stormClient struct {
	st    *storm
	r     *rand.Rand
	first bool     // of all
	conn  net.Conn // the last one, which stays open at the end of a phase
}

// run connects, sends something and leaves, again and again. The last connection stays.
func (c *stormClient) run(end time.Time) {
	for c.st.alive() {
		conn, err := net.DialTimeout("tcp", c.st.s.Addr, 5*time.Second)
		c.st.opened.Add(1)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c.conn = conn
		c.session()
		if time.Now().After(end) {
			return
		}
		c.leave()
	}
}

// leave closes the connection, at times without a farewell.
func (c *stormClient) leave() {
	if c.conn == nil {
		return
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok && c.r.IntN(2) == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.Close()
	c.conn = nil
}

// session is what one connection does.
func (c *stormClient) session() {
	r := c.r
	reads := r.IntN(3) > 0
	if c.st.theme == lone && c.first {
		reads = false
	}
	if reads {
		conn := c.conn
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	} else if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	var out []byte
	add := func(args ...string) { out = harness.AppendCommand(out, args...) }
	send := func() bool {
		_ = c.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, err := c.conn.Write(out)
		out = out[:0]
		return err == nil
	}
	if r.IntN(4) > 0 {
		add("HELLO", "3")
	}
	if r.IntN(4) == 0 {
		add("SELECT", strconv.Itoa(r.IntN(4)))
	}
	if cmds := c.role(reads); cmds != nil {
		for _, cmd := range cmds {
			add(cmd...)
		}
		again := out
		for range 1 + r.IntN(10) {
			out = again
			if !send() || reads {
				break
			}
			time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
			if c.st.theme != lone {
				again = nil // only its client says everything again: what was modified is tracked once more
			}
		}
		if !reads {
			return
		}
	}
	for range r.IntN(4) {
		for _, cmd := range c.state() {
			add(cmd...)
		}
	}
	for range 1 + r.IntN(6) {
		for range 1 + r.IntN(8) {
			add(c.command()...)
		}
		if !send() {
			return
		}
		if r.IntN(3) == 0 {
			time.Sleep(time.Duration(r.IntN(15)) * time.Millisecond)
		}
	}
	switch r.IntN(6) {
	case 0: // half a request
		add(c.command()...)
		out = out[:r.IntN(len(out))]
		send()
	case 1: // a large argument is announced and does not come
		out = append(out, "*2\r\n$3\r\nGET\r\n$1000000\r\nxxxx"...)
		send()
	case 2, 3: // a request that waits
		add(c.blocking()...)
		send()
	}
	time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
}

// role is what the theme makes of a client, nil for one of all sorts.
func (c *stormClient) role(reads bool) (cmds [][]string) {
	r, th := c.r, c.st.theme
	if th == mixed {
		th = theme(r.IntN(2 * int(themes))) // a little of each, and as often none
	}
	add := func(args ...string) { cmds = append(cmds, args) }
	switch {
	case th == waiters && !reads:
		add("SETRANGE", "big:0", strconv.Itoa(1<<20+r.IntN(2<<20)), "x")
		for range 2 + r.IntN(5) {
			add("GET", "big:0") // more than the socket takes
		}
		add("BLPOP", "l:0", "l:1", "0")
	case th == watchers && !reads:
		add("HELLO", "3")
		if r.IntN(2) == 0 {
			add("SUBSCRIBE", c.key("ch"))
		}
		add("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", c.prefix())
	case th == lone && c.first:
		add("HELLO", "3")
		add("SUBSCRIBE", "ch:0")
		add("CLIENT", "TRACKING", "ON")
		for i := range stormKeys {
			add("GET", fmt.Sprint("a:", i))
		}
		add("GET", hugeKey)
	case r.IntN(6) > 0 || !reads:
	case th == waiters:
		add("RPUSH", "feed", strings.Repeat("F", 1<<20+r.IntN(3<<20)), "1", "2", "3")
		add("RENAME", "feed", "l:0")
	case th == watchers:
		name := pick(r, "a:", "b:", "l:", "a:kk")
		for range 1 + r.IntN(6) {
			add("SET", name+strings.Repeat("k", 1<<19+r.IntN(1<<20)), "1", "PX", "50")
		}
	case th == lone:
		for _, i := range r.Perm(stormKeys) {
			add("PUBLISH", "ch:0", strings.Repeat("m", 1<<20+r.IntN(3<<20)))
			add("SET", pick(r, fmt.Sprint("a:", i), hugeKey), "1")
		}
	}
	return cmds
}

// hugeKey is a key with a name that is seen in the accounts.
var hugeKey = "a:" + strings.Repeat("K", 1<<20)

func (c *stormClient) key(kind string) string { return kind + ":" + strconv.Itoa(c.r.IntN(stormKeys)) }

// prefix is one for BCAST. There are many, so that most are one client's only.
func (c *stormClient) prefix() string {
	return pick(c.r, "a", "b", "l", "big", "h:") + pick(c.r, "", ":", ":"+strings.Repeat("k", c.r.IntN(20)))
}

// any is a key of any type.
func (c *stormClient) any() string {
	return c.key(pick(c.r, "l", "l", "z", "s", "h", "x", "a", "b", "big"))
}

// value is a string that is mostly small, at times very large.
func (c *stormClient) value() string {
	switch n := c.r.IntN(400); {
	case n == 0:
		return strings.Repeat("V", 1+c.r.IntN(3<<20))
	case n < 10:
		return strings.Repeat("v", 1+c.r.IntN(20_000))
	case n < 150:
		return strconv.Itoa(c.r.IntN(1000))
	}
	return strings.Repeat("v", 1+c.r.IntN(80))
}

func (c *stormClient) values(n int) []string {
	var v []string
	for range n {
		v = append(v, c.value())
	}
	return v
}

func (c *stormClient) num(n int) string { return strconv.Itoa(c.r.IntN(n)) }

// id is the id of a client that has come lately.
func (c *stormClient) id() string {
	return strconv.FormatInt(max(c.st.opened.Load()-int64(c.r.IntN(2*stormClients)), 1), 10)
}

// timeout is that of a command that waits.
func (c *stormClient) timeout() string { return pick(c.r, "0", "0", "0.01", "0.1", "1") }

// state are commands that make the client a special one.
func (c *stormClient) state() [][]string {
	r := c.r
	kind := r.IntN(12)
	if c.st.theme == lone {
		kind = 6 + r.IntN(6) // none that tracks
	}
	switch kind {
	case 0:
		return [][]string{{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", c.prefix()}}
	case 1:
		return [][]string{{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", c.prefix(), "PREFIX", "z:", "NOLOOP"}}
	case 2:
		return [][]string{{"CLIENT", "TRACKING", "ON"}, {"GET", c.key("a")}, {"GET", c.key("b")}, {"LRANGE", c.key("l"), "0", "1"}}
	case 3:
		return [][]string{{"CLIENT", "TRACKING", "ON", "OPTIN"}, {"CLIENT", "CACHING", "YES"}, {"MGET", c.key("a"), c.key("x")}}
	case 4:
		return [][]string{{"CLIENT", "TRACKING", "ON", "OPTOUT", "NOLOOP"}, {"HGET", c.key("h"), "f"}, {"CLIENT", "CACHING", "NO"}}
	case 5:
		return [][]string{{"CLIENT", "TRACKING", "ON", "REDIRECT", c.id()}, {"GET", c.key("a")}, {"TYPE", c.any()}}
	case 6:
		return [][]string{{"SUBSCRIBE", c.key("ch"), "__redis__:invalidate", "__keyevent@0__:" + pick(r, "set", "del", "lpush")}}
	case 7:
		return [][]string{{"PSUBSCRIBE", pick(r, "*", "__key*__:*", "ch*")}, {"SSUBSCRIBE", c.key("shard")}}
	case 8:
		return [][]string{{"MONITOR"}}
	case 9:
		return [][]string{{"CLIENT", "NO-EVICT", pick(r, "on", "off")}, {"CLIENT", "SETNAME", c.key("name")}}
	case 10:
		return [][]string{{"CLIENT", "REPLY", pick(r, "OFF", "SKIP", "ON")}}
	}
	return [][]string{{"AUTH", c.key("storm"), "x"}, {"CLIENT", "NO-TOUCH", "on"}}
}

// blocking is a command that may wait.
func (c *stormClient) blocking() []string {
	r := c.r
	switch r.IntN(11) {
	case 9:
		return []string{"XREAD", "BLOCK", pick(r, "0", "0", "10", "100", "1000"), "COUNT", "2", "STREAMS", c.key("x"), c.key("none"), "$", "0"}
	case 10:
		return append([]string{"XREADGROUP", "GROUP", "g", pick(r, "a", "b"), "BLOCK", pick(r, "0", "0", "10", "100", "1000")},
			append(pick(r, []string{"NOACK"}, []string{"CLAIM", c.num(50)}, nil), "STREAMS", c.key("x"), ">")...)
	case 0, 1:
		return []string{"BLPOP", c.key("l"), c.key("l"), c.timeout()}
	case 2:
		return []string{"BRPOP", c.key("l"), c.key("none"), c.timeout()}
	case 3:
		return []string{"BLMOVE", c.key("l"), c.key("l"), "LEFT", "RIGHT", c.timeout()}
	case 4:
		return []string{"BLMPOP", c.timeout(), "2", c.key("l"), c.key("none"), "LEFT", "COUNT", "3"}
	case 5:
		return []string{"BZPOPMIN", c.key("z"), c.key("none"), c.timeout()}
	case 6:
		return []string{"BZMPOP", c.timeout(), "2", c.key("z"), c.key("z"), "MAX", "COUNT", "2"}
	case 7:
		return []string{"BRPOPLPUSH", c.key("l"), c.key("l"), c.timeout()}
	}
	return []string{"WAITAOF", pick(r, "0", "1"), pick(r, "0", "0", "1"), pick(r, "0", "50")}
}

// command is any command.
func (c *stormClient) command() []string {
	r := c.r
	switch n := r.IntN(1000); {
	case n < 600:
		return c.data()
	case n < 660:
		return c.blocking()
	case n < 730:
		cmds := c.state()
		return cmds[r.IntN(len(cmds))]
	case n < 800:
		return c.message()
	case n < 860:
		return c.transaction()
	case n < 920:
		return c.unkind()
	case n < 960:
		return c.bulk()
	}
	return c.admin()
}

// data is a command on keys.
func (c *stormClient) data() []string {
	r := c.r
	switch r.IntN(48) {
	case 44:
		return []string{"XADD", c.key("x"), "MAXLEN", "~", "100", "*", "f", c.value()}
	case 45:
		return append([]string{"XGROUP"}, pick(r, []string{"CREATE", c.key("x"), "g", "0", "MKSTREAM"}, []string{"DESTROY", c.key("x"), "g"},
			[]string{"DELCONSUMER", c.key("x"), "g", "a"})...)
	case 46:
		return pick(r, []string{"XREADGROUP", "GROUP", "g", "b", "STREAMS", c.key("x"), "0"}, []string{"XAUTOCLAIM", c.key("x"), "g", "a", "10", "0"},
			[]string{"XPENDING", c.key("x"), "g"}, []string{"XINFO", "STREAM", c.key("x"), "FULL"})
	case 47:
		return pick(r, []string{"XTRIM", c.key("x"), "MAXLEN", c.num(50), "DELREF"}, []string{"XRANGE", c.key("x"), "-", "+", "COUNT", c.num(20)},
			[]string{"XLEN", c.key("x")})
	case 0:
		return append([]string{pick(r, "LPUSH", "RPUSH"), c.key("l")}, c.values(1+r.IntN(5))...)
	case 1:
		return append([]string{pick(r, "LPUSH", "RPUSH", "LPUSHX"), c.key("l")}, c.values(1)...)
	case 2:
		return []string{pick(r, "LPOP", "RPOP"), c.key("l"), c.num(5)}
	case 3:
		return []string{pick(r, "LMOVE"), c.key("l"), c.key("l"), "LEFT", "RIGHT"}
	case 4:
		return []string{"LTRIM", c.key("l"), c.num(3), c.num(20)}
	case 5:
		return []string{"LRANGE", c.key("l"), "0", c.num(50)}
	case 6:
		return []string{pick(r, "LINSERT"), c.key("l"), "BEFORE", c.num(1000), c.value()}
	case 7:
		return []string{pick(r, "LSET"), c.key("l"), c.num(3), c.value()}
	case 8:
		return []string{"LREM", c.key("l"), "0", c.num(1000)}
	case 9, 10:
		return []string{"ZADD", c.key("z"), c.num(100), c.value(), c.num(100), c.num(50)}
	case 11:
		return []string{pick(r, "ZPOPMIN", "ZPOPMAX"), c.key("z"), c.num(5)}
	case 12:
		return []string{"ZREM", c.key("z"), c.num(50), c.num(50)}
	case 13:
		return []string{pick(r, "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"), c.key("z"), "2", c.key("z"), c.key("z")}
	case 14:
		return []string{"ZREMRANGEBYRANK", c.key("z"), "20", "-1"}
	case 15, 16:
		return append([]string{"SADD", c.key("s")}, c.values(1+r.IntN(5))...)
	case 17:
		return []string{"SPOP", c.key("s"), c.num(4)}
	case 18:
		return []string{"SMOVE", c.key("s"), c.key("s"), c.num(1000)}
	case 19:
		return []string{pick(r, "SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"), c.key("s"), c.key("s"), c.key("s")}
	case 20, 21:
		return []string{"HSET", c.key("h"), c.num(200), c.value(), c.value(), c.num(9)}
	case 22:
		return []string{"HDEL", c.key("h"), c.num(200), c.num(200)}
	case 23:
		return []string{"HPEXPIRE", c.key("h"), c.num(300), "FIELDS", "2", c.num(200), c.num(200)}
	case 24:
		return []string{pick(r, "HPERSIST"), c.key("h"), "FIELDS", "1", c.num(200)}
	case 25:
		return []string{"HINCRBY", c.key("h"), c.num(200), "1"}
	case 26, 27:
		return []string{"SET", pick(r, c.key("a"), c.key("b"), c.key("x")), c.value()}
	case 28:
		return []string{"SET", c.key("a"), c.value(), "PX", strconv.Itoa(1 + r.IntN(500))}
	case 29:
		return []string{"GETEX", c.key("a"), "PX", strconv.Itoa(1 + r.IntN(500))}
	case 30:
		return []string{"APPEND", c.key("x"), c.num(1000)}
	case 31:
		return []string{pick(r, "SETRANGE"), c.key("x"), c.num(5000), "abc"}
	case 32:
		return []string{"MGET", c.key("a"), c.key("b"), c.key("x")}
	case 33:
		return []string{pick(r, "DEL", "UNLINK"), c.any(), c.any()}
	case 34, 35:
		return []string{pick(r, "RENAME", "RENAMENX"), c.any(), c.any()}
	case 36:
		return []string{"COPY", c.any(), c.any(), "REPLACE"}
	case 37:
		return []string{"COPY", c.any(), c.any(), "DB", c.num(4), "REPLACE"}
	case 38:
		return []string{"MOVE", c.any(), c.num(4)}
	case 39:
		return []string{"SORT", pick(r, c.key("l"), c.key("s"), c.key("z")), "ALPHA", "STORE", c.key("l")}
	case 40:
		return []string{"PEXPIRE", c.any(), strconv.Itoa(1 + r.IntN(1000))}
	case 41:
		return []string{pick(r, "PERSIST", "TOUCH", "DUMP", "TYPE"), c.any()}
	case 42:
		return []string{"PFADD", c.key("p"), c.num(1000), c.num(1000)}
	}
	return []string{"SETBIT", c.key("x"), c.num(40_000), "1"}
}

// bulk is a command with, or for, much data.
func (c *stormClient) bulk() []string {
	r := c.r
	big := func(what string) string { return strings.Repeat(what, 1<<19+r.IntN(2<<20)) }
	switch r.IntN(10) {
	case 0, 1:
		return []string{"SET", c.key("big"), big("B")}
	case 2:
		return []string{"RPUSH", c.key("l"), big("L"), "1", "2"}
	case 3:
		return []string{"SET", pick(r, "a:", "b:", "l:", "h:") + big("k"), "1", "PX", "100"}
	case 4:
		return []string{"PUBLISH", c.key("ch"), big("m")}
	case 5:
		args := []string{"SADD", c.key("s")}
		for range 300 {
			args = append(args, c.num(100_000))
		}
		return args
	case 6:
		args := []string{"HSET", c.key("h")}
		for range 300 {
			args = append(args, c.num(2000), c.num(10))
		}
		return args
	case 7:
		args := []string{"ZADD", c.key("z")}
		for range 300 {
			args = append(args, c.num(100), c.num(2000))
		}
		return args
	case 8:
		return []string{"LMOVE", c.key("l"), c.key("l"), "RIGHT", "LEFT"}
	}
	return []string{"GET", c.key("big")}
}

func (c *stormClient) message() []string {
	r := c.r
	switch r.IntN(6) {
	case 0, 1:
		return []string{"PUBLISH", c.key("ch"), c.value()}
	case 2:
		return []string{"SPUBLISH", c.key("shard"), c.value()}
	case 3:
		return []string{pick(r, "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "RESET")}
	case 4:
		return []string{"SUBSCRIBE", c.key("ch"), c.key("ch"), c.key("ch")}
	}
	return []string{"CLIENT", "TRACKING", "OFF"}
}

func (c *stormClient) transaction() []string {
	switch c.r.IntN(7) {
	case 0, 1:
		return []string{"WATCH", c.any(), c.any(), c.any()}
	case 2:
		return []string{"UNWATCH"}
	case 3, 4:
		return []string{"MULTI"}
	case 5:
		return []string{"DISCARD"}
	}
	return []string{"EXEC"}
}

// unkind is a command against other clients.
func (c *stormClient) unkind() []string {
	r := c.r
	switch r.IntN(16) {
	case 0:
		return []string{"CLIENT", "KILL", "ID", c.id(), c.id(), "SKIPME", pick(r, "yes", "no")}
	case 1:
		return []string{"CLIENT", "KILL", "TYPE", "pubsub"}
	case 2:
		return []string{"CLIENT", "KILL", "USER", c.key("storm")}
	case 3:
		return []string{"CLIENT", "KILL", "NAME", c.key("name")}
	case 4:
		return []string{"CLIENT", "KILL", "FLAGS", pick(r, "b", "t", "O", "x")}
	case 5:
		return []string{"CLIENT", "KILL", "DB", "3", "MAXAGE", "0"}
	case 6:
		return []string{"CLIENT", "KILL", "NOT-ID", c.id(), "NOT-USER", "default"}
	case 7, 8, 9:
		return []string{"CLIENT", "UNBLOCK", c.id(), pick(r, "TIMEOUT", "ERROR")}
	case 10:
		return []string{"CLIENT", "PAUSE", c.num(40), "WRITE"}
	case 11:
		return []string{"CLIENT", "PAUSE", c.num(20), "ALL"}
	case 12:
		return []string{"CLIENT", "UNPAUSE"}
	case 13:
		return []string{"CLIENT", "LIST"}
	case 14:
		return []string{"ACL", "SETUSER", c.key("storm"), "on", "nopass", "+@all", "~*", pick(r, "resetchannels", "allchannels")}
	}
	return []string{"ACL", "DELUSER", c.key("storm")}
}

// admin is a command that changes the server.
func (c *stormClient) admin() []string {
	r := c.r
	set := func(pairs ...string) []string { return append([]string{"CONFIG", "SET"}, pairs...) }
	what := r.IntN(24)
	if c.st.theme != mixed && what >= 20 {
		what = 7 // the theme has set the limits of clients
	}
	switch what {
	case 0:
		return []string{"FLUSHALL"}
	case 1:
		return []string{"FLUSHDB"}
	case 2, 3:
		return []string{"SWAPDB", c.num(4), c.num(4)}
	case 4, 5:
		return []string{"BGSAVE"}
	case 6:
		return []string{"BGREWRITEAOF"}
	case 7:
		return []string{"INFO"}
	case 8:
		return set("appendonly", pick(r, "yes", "no"))
	case 9:
		return set("appendfsync", pick(r, "always", "everysec", "no"))
	case 10:
		return set("notify-keyspace-events", pick(r, "", "KEA", "KEAn", "Kl"))
	case 11, 12:
		return set(encodingLimits(r, "")...)
	case 13:
		return set("tracking-table-max-keys", pick(r, "1", "10", "1000000"))
	case 14:
		return set("maxmemory-policy", pick(r, "noeviction", "allkeys-lru", "allkeys-lfu"))
	case 15:
		return set("timeout", pick(r, "0", "0", "1"))
	case 16:
		return set("list-compress-depth", pick(r, "0", "1"))
	case 17:
		return set("hz", pick(r, "10", "100"))
	case 20, 21:
		return set("maxmemory-clients", pick(r, "0", "1mb", "4mb", "16mb", "64mb"))
	case 22, 23:
		return set("client-output-buffer-limit", pick(r, "normal 0 0 0", "normal 4mb 1mb 1", "normal 30mb 0 0", "pubsub 1mb 0 0",
			"pubsub 8mb 1mb 1"))
	}
	if r.IntN(3) > 0 {
		return []string{"RANDOMKEY"}
	}
	c.st.slow.Store(time.Now().Add(stormSlow).UnixMilli())
	return []string{"DEBUG", "RELOAD"}
}
