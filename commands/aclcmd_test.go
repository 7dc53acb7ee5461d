package commands

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/commands/config"
	"ferrous/commands/logging"
)

// login returns a client of the user, whose password is any.
func (ts *testServer) login(t *testing.T, user, rules string) *Client {
	t.Helper()
	if got := ts.do(append([]string{"ACL", "SETUSER", user, "on", "nopass"}, strings.Fields(rules)...)...); got != ok {
		t.Fatal(got)
	}
	c := ts.client()
	if got := ts.doAs(c, "AUTH", user, "x"); got != ok {
		t.Fatal(got)
	}
	return c
}

func TestACLLog(t *testing.T) {
	ts := newTestServer(t, "acllog-max-len", "12")
	c := ts.login(t, "u", "+get ~a &c +publish +multi +exec")
	first := ts.now
	for _, line := range []string{"GET b", "GET b", "SET a 1", "PUBLISH d x", "AUTH v x", "AUTH u x", "MULTI", "GET b", "EXEC", "GET b"} {
		ts.now += 500
		ts.doAs(c, strings.Fields(line)...)
	}
	l := &ts.security.log
	var got []string
	for _, e := range l.entries {
		got = append(got, strings.Join([]string{e.why.String(), e.context, e.object, e.user}, " "))
	}
	want := "key toplevel b u; key multi b u; auth toplevel AUTH v; channel toplevel d u; command toplevel set u"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if e := l.entries[0]; e.count != 3 || e.id != 0 || e.made != first+500 || e.lastTime != ts.now || !strings.Contains(e.client, " user=u ") {
		t.Errorf("%+v", e)
	}
	// A minute later it is another entry; a millisecond earlier it was the same.
	ts.now += aclLogMergeMs
	ts.doAs(c, "GET", "b")
	if l.entries[0].count != 4 {
		t.Errorf("%+v", l.entries[0])
	}
	ts.now += aclLogMergeMs + 1
	ts.doAs(c, "GET", "b")
	if l.entries[0].count != 1 || l.entries[0].id != 5 || len(l.entries) != 6 {
		t.Errorf("%+v", l.entries[0])
	}
	// Only the latest are looked at for the same, and only so many are kept.
	for _, key := range strings.Fields("k0 k1 k2 k3 k4 k5 k6 k7 k8 k9") {
		ts.doAs(c, "GET", key)
	}
	ts.doAs(c, "GET", "b")
	if l.entries[0].count != 1 || len(l.entries) != 12 || l.entries[11].object != "b" {
		t.Errorf("%d entries, the first %+v, the last %+v", len(l.entries), l.entries[0], l.entries[len(l.entries)-1])
	}
	ts.now += 1500
	reply := ts.do("ACL", "LOG", "1")
	for _, part := range []string{"*1\r\n*20\r\n$5\r\ncount\r\n:1\r\n$6\r\nreason\r\n$3\r\nkey\r\n", "$11\r\nage-seconds\r\n$3\r\n1.5\r\n",
		"$8\r\nentry-id\r\n:16\r\n"} {
		if !strings.Contains(reply, part) {
			t.Errorf("%q is not in %q", part, reply)
		}
	}
	if got := ts.stats.denied; got[1] != 1 || got[2] != 17 || got[3] != 1 || got[4] != 1 {
		t.Errorf("counted %v", got)
	}
	info := ts.do("INFO", "stats")
	for _, field := range []string{"acl_access_denied_auth:1\r\n", "acl_access_denied_cmd:1\r\n", "acl_access_denied_key:17\r\n",
		"acl_access_denied_channel:1\r\n"} {
		if !strings.Contains(info, field) {
			t.Errorf("INFO has no %q", field)
		}
	}
	ts.doLine("CONFIG SET acllog-max-len 0")
	if got := ts.doLine("ACL LOG RESET"); got != ok || len(l.entries) != 0 {
		t.Errorf("%q, %d entries", got, len(l.entries))
	}
	ts.doAs(c, "GET", "b")
	if len(l.entries) != 0 {
		t.Error("entries are kept with acllog-max-len 0")
	}
	ts.doLine("CONFIG RESETSTAT")
	if !strings.Contains(ts.do("INFO", "stats"), "acl_access_denied_key:18\r\n") {
		t.Error("CONFIG RESETSTAT does not leave the counters, as Redis 7.2.6 does")
	}
}

func (ts *testServer) connected(c *Client) bool { return ts.clients[c.id] == c && !c.closing }

func TestSessionsEnd(t *testing.T) {
	ts := newTestServer(t)
	const all = "+@all ~* resetchannels &a* &b"
	u, v := ts.login(t, "u", all), ts.login(t, "v", all)
	if got := ts.doLine("ACL DELUSER u nosuch"); got != ":1\r\n" || ts.connected(u) || !ts.connected(v) {
		t.Errorf("DELUSER: %q, u %v, v %v", got, ts.connected(u), ts.connected(v))
	}
	if got := ts.doAs(v, "ACL", "DELUSER", "v"); got != ":1\r\n" || ts.connected(v) || v.authed {
		t.Errorf("DELUSER of itself: %q", got)
	}

	// Clients are closed if they lose the right to a channel of theirs, others stay.
	type session struct {
		c    *Client
		stay bool
	}
	var sessions []session
	for _, s := range []struct {
		line string
		stay bool
	}{
		{"PING", true}, {"SUBSCRIBE a1", true}, {"SUBSCRIBE a1 b", false}, {"PSUBSCRIBE a*", true}, {"SSUBSCRIBE b", false},
		{"PSUBSCRIBE b", false}, {"SSUBSCRIBE a7", true},
	} {
		c := ts.login(t, "w", all)
		if got := ts.doAs(c, strings.Fields(s.line)...); strings.HasPrefix(got, "-") {
			t.Fatalf("%s: %q", s.line, got)
		}
		sessions = append(sessions, session{c, s.stay})
	}
	other := ts.login(t, "x", all)
	ts.doAs(other, "SUBSCRIBE", "b")
	ts.doLine("ACL SETUSER w &c -get")
	for i, s := range sessions {
		if !ts.connected(s.c) {
			t.Errorf("%d left though no right went", i)
		}
	}
	ts.doLine("ACL SETUSER w resetchannels &a*")
	for i, s := range sessions {
		if ts.connected(s.c) != s.stay {
			t.Errorf("%d: connected %v, want %v", i, !s.stay, s.stay)
		}
	}
	if !ts.connected(other) || ts.channels.registries[kindChannel].Find([]byte("b")).Len() != 1 {
		t.Error("another user's subscriber left")
	}
}

// newUsersServer makes a server from a configuration file in a directory of its own.
func newUsersServer(t *testing.T, conf string) (*Server, *config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "f.conf")
	if err := os.WriteFile(file, []byte("dir "+dir+"\n"+conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadServer(file)
}

func loadServer(file string) (*Server, *config.Config, error) {
	inv, err := config.ParseArgs([]string{"ferrous", file}, nil, config.Options{User: UserChecker()})
	if err != nil {
		return nil, nil, err
	}
	s, err := New(inv.Config, logging.New(logging.Options{Out: io.Discard}))
	return s, inv.Config, err
}

func TestDeclaredUsers(t *testing.T) {
	for _, tt := range []struct{ conf, want string }{
		{"", ""},
		{"user u on +get ~a (+set\nuser v on", "Error in user declaration 'u': Unmatched parenthesis in acl selector starting at '(+set'."},
		{"user u on >x foo", "Error in user declaration 'foo': Syntax error"},
		{"user u on\nuser u off", "Error in user declaration 'u': Duplicate user found."},
		{"user default on\nuser default off", "Error in user declaration 'default': Duplicate user found."},
		{"user u on +nosuch", "Critical error while loading ACLs. Exiting."},
		{"user u on -migrate +cluster|info +eval", ""}, // Redis's commands are no error
		{"aclfile users.acl", "Error loading ACLs, opening file 'users.acl': No such file or directory"},
		{"aclfile users.acl\nuser u on", "There are users in the configuration file, and aclfile names a file of users too"},
	} {
		_, _, err := newUsersServer(t, tt.conf)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: %v, want %q", tt.conf, err, tt.want)
		}
	}
}

// CONFIG REWRITE writes users so that the next start has the same.
func TestRewriteKeepsUsers(t *testing.T) {
	s, cfg, err := newUsersServer(t, "requirepass old\nuser default on >new ~* &* +@all\nuser gone on\n")
	if err != nil {
		t.Fatal(err)
	}
	users := s.security.users
	users.Delete([]byte("gone"))
	for name, rules := range map[string][]string{
		"u":    {"on", ">pw", "~a", "%R~b", "(+get ~c)", "-@all", "+@read", "-get"},
		`q"'\`: {"on", `~a"b`, `~'`, `~c\d`},
		"x":    {`(~e\\f "~g)" "&'h")`, "+select|9", `&"`},
	} {
		if _, _, err := users.Set(name, rules); err != nil {
			t.Fatal(name, err)
		}
	}
	if err := cfg.Rewrite(false); err != nil {
		t.Fatal(err)
	}
	again, _, err := loadServer(cfg.File())
	if err != nil {
		text, _ := os.ReadFile(cfg.File())
		t.Fatalf("%v\n%s", err, text)
	}
	if got, want := again.security.users.Text(), users.Text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if !again.security.users.Default().Accepts([]byte("new")) || again.security.users.Default().Accepts([]byte("old")) {
		t.Error("requirepass stands above the declared default user")
	}
}

func TestUsersFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users.acl")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("user u on nopass +@all ~* &*\n")
	ts := newTestServer(t, "dir", dir, "aclfile", "users.acl", "requirepass", "secret")
	if !ts.security.users.Default().NoPass() {
		t.Error("requirepass stands above the file without a default user")
	}
	c, d := ts.client(), ts.client()
	ts.doAs(c, "AUTH", "u", "x")
	if got := ts.doAs(c, "ACL", "SETUSER", "v", "on", ">pw", "(~a b"); !strings.HasPrefix(got, "-ERR Unmatched") {
		t.Errorf("%q", got)
	}
	ts.doLine("ACL SETUSER v on >pw +get ~a*")
	if got := ts.doLine("ACL SAVE"); got != ok {
		t.Fatalf("%q", got)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != ts.security.users.Text() {
		t.Errorf("%v %q", err, text)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode has changed: %v %v", st.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	write(string(text) + "user w on foo\n")
	if got, want := ts.doLine("ACL LOAD"), "-ERR users.acl:4: Syntax error. WARNING: ACL errors detected, no change to the "+
		"previously active ACL rules was performed\r\n"; got != want || !ts.connected(c) {
		t.Errorf("got %q, want %q", got, want)
	}
	write("user w on\nuser default on nopass ~* &* +@all -get\n")
	if got := ts.doLine("ACL LOAD"); got != ok || ts.connected(c) || !ts.connected(d) {
		t.Errorf("%q; u is connected: %v, default: %v", got, ts.connected(c), ts.connected(d))
	}
	if got := ts.doAs(d, "GET", "a"); !strings.HasPrefix(got, "-NOPERM User default has no permissions") {
		t.Errorf("the default user is not the file's: %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, want := ts.doLine("ACL LOAD"), "-ERR Error loading ACLs, opening file 'users.acl': No such file or directory\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	ts.Config.Dir = filepath.Join(dir, "nosuch")
	if got := ts.doLine("ACL SAVE"); got != "-"+errUsersNotSaved+"\r\n" {
		t.Errorf("%q", got)
	}
}

// Passwords and rules are not shown to others.
func TestSecretsOfUsers(t *testing.T) {
	ts := newTestServer(t, "slowlog-log-slower-than", "0")
	ts.doLine("ACL SETUSER u on >secret ~a")
	if got := ts.doLine("SLOWLOG GET 1"); strings.Contains(got, "secret") || strings.Count(got, "(redacted)") != 4 {
		t.Errorf("%q", got)
	}
}

// The check of limited users costs no memory either.
func TestLimitedAllocateNothing(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "u", "+@all -@dangerous ~a* %R~b*")
	ts.doAs(c, "SET", "a1", "x")
	for _, words := range []string{"GET a1", "SET a1 y", "INCR a2", "EXISTS a1 b", "MGET a1 b1 a2", "LPUSH a3 x", "RPOP a3"} {
		var args [][]byte
		for _, w := range strings.Fields(words) {
			args = append(args, []byte(w))
		}
		if n := allocations(200, func() { ts.run(c, args) }); n != 0 {
			t.Errorf("%s: %v allocations", words, n)
		}
	}
}

// A rule that allows a command with one first argument is logged, wherever it comes from and once.
func TestFirstArgIsLogged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.acl"), []byte("user u on +select|1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.New()
	if err := cfg.LoadString("dir " + dir + "\naclfile users.acl\n"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := New(cfg, logging.New(logging.Options{Out: &log, Level: logging.Warning}))
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{Server: s, now: testEpoch}
	ts.c = ts.client()
	for _, tt := range []struct{ line, offender string }{
		{"", "+select|1"},
		{"ACL SETUSER v +GET|Key", "+get|key"},
		{"ACL SETUSER v (+get|x)", "+get|x"},
		{"ACL SETUSER v +get -set|x", ""},
		{"ACL SETUSER v +config|get +@read", ""},
		{"ACL DRYRUN v get x", ""},
		{"ACL LIST", ""},
		{"ACL LOAD", "+select|1"},
	} {
		if tt.line != "" {
			log.Reset()
			ts.doLine(tt.line)
		}
		want := "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may get " +
			"disabled in the future (offender: " + tt.offender + ")\n"
		if got := log.String(); tt.offender == "" && got != "" ||
			tt.offender != "" && (!strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1) {
			t.Errorf("%q logged %q", tt.line, got)
		}
	}
}
