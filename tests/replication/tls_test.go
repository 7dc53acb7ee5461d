package replication

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// secured is a server whose link to a master is encrypted, with a plain port for the test.
type secured struct {
	*harness.Server
	port int // with TLS
}

func startSecured(t *testing.T, kind string, ca *harness.Authority, name string, args ...string) *secured {
	t.Helper()
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	all := append(ca.ServerArgs(name, port), "--tls-replication", "yes")
	return &secured{start(t, kind, append(all, args...)...), port}
}

// clientField returns a field of CLIENT LIST of the first client that has flag, "" without one.
func clientField(t *testing.T, s *secured, flag, field string) string {
	t.Helper()
	for line := range strings.Lines(s.Dial(t).Must("CLIENT", "LIST").Str) {
		if strings.Contains(line, " flags="+flag) {
			_, value, _ := strings.Cut(line, " "+field+"=")
			value, _, _ = strings.Cut(value, " ")
			return value
		}
	}
	return ""
}

// TestTLSPairs: with tls-replication a replica of whatever kind gets the data of a master of whatever kind, through links that are
// cut anywhere, and comes back by partial synchronisations. It names its TLS port.
func TestTLSPairs(t *testing.T) {
	seed := random.Seed(t)
	for _, pair := range pairings {
		for _, diskless := range []string{"yes", "no"} {
			t.Run(pair[0]+"-"+pair[1]+"/diskless-"+diskless, func(t *testing.T) {
				t.Parallel()
				ca := harness.NewAuthority(t)
				master := startSecured(t, pair[0], ca, "master", "--repl-diskless-sync", diskless, "--repl-backlog-size", "100mb")
				replica := startSecured(t, pair[1], ca, "replica")
				p := newProxy(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(master.port)))
				w := newWriter(seed)
				c := master.Dial(t)
				c.Must("SET", "large", strings.Repeat("0123456789", 1_000_000))
				if err := w.batch(c, 1000); err != nil {
					t.Fatal(err)
				}
				// In the handshake of TLS, that of replication, and the payload.
				for _, at := range []int64{5, 1000, 3000, 10_000, 300_000} {
					p.cutAfter.Store(at)
					if at == 5 {
						follow(t, replica.Server, p.port)
					}
					until(t, "a cut in the synchronisation", func() bool {
						return p.cutAfter.Load() == 0 || field(t, replica.Server, "replication", "master_link_status") == "up"
					})
				}
				p.cutAfter.Store(0)
				linkUp(t, replica.Server)
				full := intField(t, master.Server, "stats", "sync_full")
				for range 200 { // many cuts are in a handshake, and no partial synchronisation follows
					if intField(t, master.Server, "stats", "sync_partial_ok") >= 5 {
						break
					}
					cuts := p.cuts.Load()
					p.cutAfter.Store(1 + w.Int64N(20_000))
					for i := 0; p.cuts.Load() == cuts && i < 1000; i++ {
						if err := w.batch(c, 20); err != nil {
							t.Fatal(err)
						}
					}
				}
				converge(t, master.Server, replica.Server)
				if now := intField(t, master.Server, "stats", "sync_full"); now != full {
					t.Errorf("%d full synchronisations for cuts of the stream", now-full)
				}
				if n := intField(t, master.Server, "stats", "sync_partial_ok"); n < 5 {
					t.Errorf("%d partial synchronisations", n)
				}
				if got := field(t, master.Server, "replication", "slave0"); !strings.Contains(got, fmt.Sprintf("port=%d,", replica.port)) {
					t.Errorf("the replica announces itself as %s, its TLS port is %d", got, replica.port)
				}
			})
		}
	}
}

// TestTLSReads: a replica that cannot read what comes for a while stops its master, and goes on after that; a payload that is loaded
// from the socket comes in pieces.
func TestTLSReads(t *testing.T) {
	ca := harness.NewAuthority(t)
	master := startSecured(t, "ferrous", ca, "master")
	replica := startSecured(t, "ferrous", ca, "replica", "--repl-diskless-load", "swapdb", "--key-load-delay", "-20")
	c := master.Dial(t)
	w := newWriter(random.Seed(t))
	c.Must("DEBUG", "POPULATE", "20000", "key", "1000")
	follow(t, replica.Server, master.port)
	linkUp(t, replica.Server)
	if err := w.batch(c, 500); err != nil {
		t.Fatal(err)
	}
	// A script that is busy keeps the stream from being executed.
	r := replica.Dial(t)
	r.Must("CONFIG", "SET", "busy-reply-threshold", "10")
	if err := r.Send("EVAL_RO", "while true do end", "0"); err != nil {
		t.Fatal(err)
	}
	until(t, "the script is busy", func() bool {
		v, err := replica.Dial(t).Do("PING")
		return err == nil && strings.HasPrefix(v.Str, "BUSY")
	})
	for range 50 {
		c.Must("SET", "large", strings.Repeat("v", 1<<20))
	}
	if err := w.batch(c, 500); err != nil {
		t.Fatal(err)
	}
	replica.Dial(t).Must("SCRIPT", "KILL")
	converge(t, master.Server, replica.Server)
	if n := intField(t, master.Server, "stats", "sync_full"); n != 1 {
		t.Errorf("%d full synchronisations", n)
	}
	// A link that is closed while nothing is read ends.
	if err := r.Send("EVAL_RO", "while true do end", "0"); err != nil {
		t.Fatal(err)
	}
	until(t, "the script is busy again", func() bool {
		v, err := replica.Dial(t).Do("PING")
		return err == nil && strings.HasPrefix(v.Str, "BUSY")
	})
	for range 30 {
		c.Must("SET", "large", strings.Repeat("w", 1<<20))
	}
	c.Must("CLIENT", "KILL", "TYPE", "replica")
	replica.Dial(t).Must("SCRIPT", "KILL")
	converge(t, master.Server, replica.Server)
}

// TestTLSRefused: the log of the replica has the reason why a link cannot be encrypted, and CONFIG SET can correct it.
func TestTLSRefused(t *testing.T) {
	ca, other := harness.NewAuthority(t), harness.NewAuthority(t)
	master := startSecured(t, "ferrous", ca, "master", "--loglevel", "verbose")
	cert, key := ca.Issue("link", "link")
	strange, strangeKey := other.Issue("link", "link")
	replica := startSecured(t, "ferrous", other, "replica", "--tls-client-cert-file", cert, "--tls-client-key-file", key,
		"--tls-auth-clients", "no")
	logs := func(line string) {
		t.Helper()
		until(t, line, func() bool { return strings.Contains(replica.Logs(), line) })
	}
	follow(t, replica.Server, master.port)
	logs("Error condition on socket for SYNC: TLS handshake: x509: certificate signed by unknown authority")
	c := replica.Dial(t)
	set := func(args ...string) { t.Helper(); c.Must(append([]string{"CONFIG", "SET"}, args...)...) }
	set("tls-ca-cert-file", ca.File)
	linkUp(t, replica.Server)
	set("tls-client-cert-file", strange, "tls-client-key-file", strangeKey)
	master.Dial(t).Must("CLIENT", "KILL", "TYPE", "replica")
	logs("remote error: tls: ")
	until(t, "the master tells", func() bool { return strings.Contains(master.Logs(), "Error accepting a client connection: ") })
	set("tls-client-cert-file", "", "tls-client-key-file", "") // its own
	set("tls-cert-file", cert, "tls-key-file", key)
	linkUp(t, replica.Server)
	// Without encryption it connects to the plain port, and not to the other one.
	set("tls-replication", "no")
	follow(t, replica.Server, master.Port)
	linkUp(t, replica.Server)
	if got := field(t, master.Server, "replication", "slave0"); !strings.Contains(got, fmt.Sprintf("port=%d,", replica.Port)) {
		t.Errorf("it announces itself as %s, its plain port is %d", got, replica.Port)
	}
	follow(t, replica.Server, master.port)
	until(t, "the link is down", func() bool { return field(t, replica.Server, "replication", "master_link_status") == "down" })
	set("tls-replication", "yes")
	linkUp(t, replica.Server)
}

// TestTLSSilent: a master that does not shake hands is given up after repl-timeout, and REPLICAOF NO ONE ends the waiting.
func TestTLSSilent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ca := harness.NewAuthority(t)
	replica := startSecured(t, "ferrous", ca, "replica", "--repl-timeout", "1")
	follow(t, replica.Server, ln.Addr().(*net.TCPAddr).Port)
	until(t, "the log tells", func() bool {
		return strings.Contains(replica.Logs(), "TLS handshake: context deadline exceeded") || strings.Contains(replica.Logs(), "Timeout connecting to the MASTER")
	})
	replica.Dial(t).Must("CONFIG", "SET", "repl-timeout", "3600")
	replica.Dial(t).Must("REPLICAOF", "NO", "ONE")
	follow(t, replica.Server, ln.Addr().(*net.TCPAddr).Port)
	until(t, "it connects", func() bool { return strings.Count(replica.Logs(), "MASTER <-> REPLICA sync started") > 1 })
	replica.Dial(t).Must("REPLICAOF", "NO", "ONE")
	if got := field(t, replica.Server, "replication", "role"); got != "master" {
		t.Errorf("it is a %s", got)
	}
}

// TestTLSCertificateUser: a replica logs in by its certificate, whose key is encrypted.
func TestTLSCertificateUser(t *testing.T) {
	ca := harness.NewAuthority(t)
	master := startSecured(t, "ferrous", ca, "master", "--tls-auth-clients-user", "CN", "--user", "replicator", "on", "nopass", "+psync", "+replconf", "+ping")
	cert, key := ca.IssueEncrypted("link", "replicator", "secret")
	replica := startSecured(t, "ferrous", ca, "replica", "--tls-client-cert-file", cert, "--tls-client-key-file", key,
		"--tls-client-key-file-pass", "secret")
	follow(t, replica.Server, master.port)
	linkUp(t, replica.Server)
	if got := clientField(t, master, "S", "user"); got != "replicator" {
		t.Errorf("the replica is user %s", got)
	}
	v, err := replica.Dial(t).Do("CONFIG", "SET", "tls-client-key-file-pass", "wrong")
	if want := "ERR CONFIG SET failed (possibly related to argument 'tls-client-key-file-pass') - Unable to update TLS configuration. Check server logs."; err != nil || v.Str != want {
		t.Errorf("a wrong password: %v, %v", v, err)
	}
	want := key + ": the password is missing or wrong (tls-client-key-file-pass)"
	until(t, "the log says "+want, func() bool { return strings.Contains(replica.Logs(), want) })
}

// TestTLSFailover: roles change by FAILOVER, which names the TLS port.
func TestTLSFailover(t *testing.T) {
	for _, pair := range [][2]string{{"ferrous", "ferrous"}, {"ferrous", "redis"}, {"redis", "ferrous"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			t.Parallel()
			ca := harness.NewAuthority(t)
			a, b := startSecured(t, pair[0], ca, "a"), startSecured(t, pair[1], ca, "b")
			follow(t, b.Server, a.port)
			linkUp(t, b.Server)
			w := newWriter(random.Seed(t))
			for range 4 {
				if err := w.batch(a.Dial(t), 200); err != nil {
					t.Fatal(err)
				}
				until(t, "the replica is online", func() bool {
					return strings.Contains(field(t, a.Server, "replication", "slave0"), "state=online")
				})
				full := intField(t, a.Server, "stats", "sync_full") + intField(t, b.Server, "stats", "sync_full")
				a.Dial(t).Must("FAILOVER", "TO", "127.0.0.1", strconv.Itoa(b.port))
				until(t, "the roles have changed", func() bool {
					return field(t, b.Server, "replication", "role") == "master" && field(t, a.Server, "replication", "role") == "slave"
				})
				linkUp(t, a.Server)
				if err := w.batch(b.Dial(t), 200); err != nil {
					t.Fatal(err)
				}
				converge(t, b.Server, a.Server)
				if now := intField(t, a.Server, "stats", "sync_full") + intField(t, b.Server, "stats", "sync_full"); now != full {
					t.Errorf("%d full synchronisations for a change of roles", now-full)
				}
				a, b = b, a
			}
		})
	}
}

// TestTLSSentinel: a Sentinel that speaks nothing but TLS finds the replica by the master's INFO, promotes it when the master is
// killed, and makes the old master its replica when it comes back.
func TestTLSSentinel(t *testing.T) {
	ca := harness.NewAuthority(t)
	dir := t.TempDir()
	a := startSecured(t, "ferrous", ca, "a", "--dir", dir)
	b := startSecured(t, "ferrous", ca, "b")
	follow(t, b.Server, a.port)
	linkUp(t, b.Server)
	w := newWriter(random.Seed(t))
	if err := w.batch(a.Dial(t), 200); err != nil {
		t.Fatal(err)
	}
	converge(t, a.Server, b.Server)
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	// A busy machine may keep a server from answering for a second: Sentinel would change the master again.
	text := fmt.Sprintf("tls-replication yes\nsentinel monitor m 127.0.0.1 %d 1\nsentinel down-after-milliseconds m 5000\n", a.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, err := harness.Redis()
	if err != nil {
		t.Fatal(err)
	}
	sentinel := harness.StartWith(t, harness.Options{Binary: bin, Wrap: []string{"sh", "-c", `bin=$1; shift; exec "$bin" "$0" --sentinel "$@"`, conf},
		Args: ca.ServerArgs("sentinel", port)})
	see := sentinel.Dial(t)
	master := func() string { return see.Must("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m").String() }
	until(t, "Sentinel knows the replica", func() bool {
		return strings.Contains(see.Must("SENTINEL", "REPLICAS", "m").String(), fmt.Sprintf("127.0.0.1:%d", b.port))
	})
	if got, want := master(), fmt.Sprintf("[127.0.0.1 %d]", a.port); got != want {
		t.Errorf("the master is %s, want %s", got, want)
	}
	a.Kill()
	until(t, "Sentinel has promoted the replica", func() bool {
		return master() == fmt.Sprintf("[127.0.0.1 %d]", b.port) && field(t, b.Server, "replication", "role") == "master"
	})
	if err := w.batch(b.Dial(t), 200); err != nil {
		t.Fatal(err)
	}
	// The old master restarts at its port as a master, and Sentinel makes it a replica.
	args := ca.ServerArgs("a", a.port)
	a = &secured{start(t, "ferrous", append(args, "--tls-replication", "yes")...), a.port}
	until(t, "Sentinel has made the old master a replica", func() bool { return field(t, a.Server, "replication", "role") == "slave" })
	converge(t, b.Server, a.Server)
}
