package integration

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// secured is a server with a TLS port beside the plain one.
type secured struct {
	*harness.Server
	ca        *harness.Authority
	addr      string
	cert, key string // of a client
	plain     *harness.Conn
}

func startSecured(t *testing.T, args ...string) *secured {
	t.Helper()
	return startSecuredWith(t, harness.NeedFerrous(t), args...)
}

func startSecuredWith(t *testing.T, binary string, args ...string) *secured {
	t.Helper()
	s := &secured{ca: harness.NewAuthority(t)}
	s.cert, s.key = s.ca.Issue("client", "client")
	port := freePort(t)
	s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s.Server = harness.StartWith(t, harness.Options{Binary: binary,
		Args: append(append(s.ca.ServerArgs("server", port), "--enable-debug-command", "yes"), args...)})
	s.plain = s.Dial(t)
	return s
}

// dial connects with a client's certificate, or without for nil.
func (s *secured) dial(t *testing.T, cfg *tls.Config) (*harness.Conn, error) {
	t.Helper()
	if cfg == nil {
		cfg = s.ca.Client(s.cert, s.key)
	}
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: harness.DefaultTimeout}, "tcp", s.addr, cfg)
	if err != nil {
		return nil, err
	}
	c := harness.NewConn(nc, harness.DefaultTimeout)
	t.Cleanup(func() { _ = c.Close() })
	return c, nil
}

func (s *secured) mustDial(t *testing.T, cfg *tls.Config) *harness.Conn {
	t.Helper()
	c, err := s.dial(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// served reports whether a client with these settings is answered.
func (s *secured) served(t *testing.T, cfg *tls.Config) bool {
	t.Helper()
	c, err := s.dial(t, cfg)
	if err != nil {
		return false
	}
	v, err := c.Do("PING")
	return err == nil && v.Str == "PONG"
}

// Everything is as on the plain port: values of all sizes, transactions, waiting, messages, CLIENT LIST, the end.
func TestTLS(t *testing.T) {
	s := startSecured(t)
	c, d := s.mustDial(t, nil), s.mustDial(t, nil)
	for _, n := range []int{0, 1, 1000, 16_384, 100_000, 20 << 20} {
		v := strings.Repeat("v", n)
		c.Must("SET", "k", v)
		if got := c.Must("GET", "k"); got.Str != v {
			t.Fatalf("%d bytes: %d come back", n, len(got.Str))
		}
		if got := s.plain.Must("GET", "k"); got.Str != v {
			t.Fatalf("%d bytes: %d are there", n, len(got.Str))
		}
	}
	replies(t, c, "MULTI", "OK", "SET a 1", "QUEUED", "EXEC", "[OK]")
	if err := c.Send("BLPOP", "list", "0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return strings.Contains(info(t, s.plain, "clients"), "\nblocked_clients:1\r") })
	replies(t, d, "RPUSH list x", "1")
	if v, err := c.Read(); err != nil || v.String() != "[list x]" {
		t.Errorf("%v, %v", v, err)
	}
	replies(t, d, "SUBSCRIBE news", "[subscribe news 1]")
	for i := range 100 {
		replies(t, s.plain, fmt.Sprint("PUBLISH news ", i), "1")
		if v, err := d.Read(); err != nil || v.String() != fmt.Sprintf("[message news %d]", i) {
			t.Fatalf("%v, %v", v, err)
		}
	}
	list := s.plain.Must("CLIENT", "LIST").Str
	if n := strings.Count(list, " laddr="+s.addr+" "); n != 2 {
		t.Errorf("%d clients at the TLS port in\n%s", n, list)
	}
	if in := info(t, c, "server"); !strings.Contains(in, "\nlistener2:name=tls,bind=127.0.0.1,port="+s.addr[strings.LastIndexByte(s.addr, ':')+1:]+"\r") {
		t.Error(in)
	}
	eventually(t, "the log tells of the port", func() bool { return strings.Contains(s.Logs(), "Ready to accept connections tls") })
	replies(t, s.plain, "CLIENT KILL TYPE pubsub", "1")
	if v, err := d.Read(); err == nil {
		t.Errorf("killed, it reads %v", v)
	}
	if err := c.Send("QUIT"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.ReadAll(); err != nil || string(got) != "+OK\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	eventually(t, "the plain client is the only one", func() bool { return strings.Contains(info(t, s.plain, "clients"), "\nconnected_clients:1\r") })
	// A pipeline of more than the sockets hold, which nobody reads meanwhile.
	c = s.mustDial(t, nil)
	c.Must("SET", "k", strings.Repeat("v", 10_000))
	const n = 3000
	if _, err := c.Write([]byte(strings.Repeat("GET k\r\n", n))); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if v, err := c.Read(); err != nil || len(v.Str) != 10_000 {
			t.Fatalf("reply %d: %v", i, err)
		}
	}
	// And a client that reads nothing at all comes to its limit.
	replies(t, s.plain, "CONFIG SET client-output-buffer-limit normal", "ERR", "CONFIG GET maxclients", "[maxclients 10000]")
	s.plain.Must("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
	c = s.mustDial(t, nil)
	if _, err := c.Write([]byte(strings.Repeat("GET k\r\n", 3*n))); err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
		t.Fatal(err)
	}
	eventually(t, "it is closed", func() bool {
		return strings.Contains(info(t, s.plain, "stats"), "\nclient_output_buffer_limit_disconnections:1\r")
	})
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Errorf("exit code %d, %v", code, err)
	}
}

// tls-auth-clients, protocols and the port can change at run time; what cannot be used is refused and leaves all as it was.
func TestTLSSettings(t *testing.T) {
	s := startSecured(t)
	bare := s.ca.Client("", "")
	for _, tt := range []struct {
		value        string
		with, nobody bool
	}{{"yes", true, false}, {"no", true, true}, {"optional", true, true}, {"yes", true, false}} {
		s.plain.Must("CONFIG", "SET", "tls-auth-clients", tt.value)
		if with, nobody := s.served(t, nil), s.served(t, bare); with != tt.with || nobody != tt.nobody {
			t.Errorf("tls-auth-clients %s: with a certificate %v, without %v", tt.value, with, nobody)
		}
	}
	old := s.ca.Client(s.cert, s.key)
	old.MaxVersion = tls.VersionTLS12
	s.plain.Must("CONFIG", "SET", "tls-protocols", "TLSv1.3")
	if s.served(t, old) || !s.served(t, nil) {
		t.Error("TLS 1.2 is not refused")
	}
	s.plain.Must("CONFIG", "SET", "tls-protocols", "")
	chosen := s.ca.Client(s.cert, s.key)
	chosen.MaxVersion, chosen.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	s.plain.Must("CONFIG", "SET", "tls-ciphers", "DEFAULT:!AES128")
	if s.served(t, chosen) {
		t.Error("a cipher that is not wanted is taken")
	}
	s.plain.Must("CONFIG", "SET", "tls-ciphers", "DEFAULT")
	if !s.served(t, chosen) {
		t.Error("a cipher is not taken")
	}
	_, otherKey := s.ca.Issue("other", "other")
	for _, set := range [][2]string{{"tls-cert-file", "/nosuch"}, {"tls-key-file", otherKey}, {"tls-ciphers", "NOSUCH"}, {"tls-protocols", "x"},
		{"tls-ca-cert-file", ""}, {"tls-ca-cert-dir", "/nosuch"}} {
		before := s.plain.Must("CONFIG", "GET", set[0]).String()
		v, err := s.plain.Do("CONFIG", "SET", set[0], set[1])
		want := "ERR CONFIG SET failed (possibly related to argument '" + set[0] + "') - Unable to update TLS configuration. Check server logs."
		if err != nil || v.Str != want {
			t.Errorf("%s: %v, %v", set[0], v, err)
		}
		if after := s.plain.Must("CONFIG", "GET", set[0]).String(); after != before {
			t.Errorf("%s is %s, it was %s", set[0], after, before)
		}
		if !s.served(t, nil) {
			t.Fatalf("after %s nobody is served", set[0])
		}
	}
	// A change of ports: who is connected stays.
	c := s.mustDial(t, nil)
	s.plain.Must("CONFIG", "SET", "tls-port", "0")
	if s.served(t, nil) {
		t.Error("the port is still open")
	}
	replies(t, c, "PING", "PONG", "CONFIG SET port 0", "OK")
	_, port, _ := net.SplitHostPort(s.addr)
	c.Must("CONFIG", "SET", "tls-port", port)
	if !s.served(t, nil) {
		t.Error("nobody is served at the port that was opened again")
	}
	// Plain bytes are no handshake.
	if v, err := harness.DialConn("tcp", s.addr, harness.DefaultTimeout); err != nil {
		t.Error(err)
	} else if _, err := v.Do("PING"); err == nil {
		t.Error("PING without TLS is answered")
	}
	eventually(t, "INFO counts it", func() bool { return number(t, info(t, s.plain, "stats"), "tls_handshake_failures") > 0 })
	eventually(t, "the log tells of failures", func() bool { return strings.Contains(s.Logs(), "# Error accepting a client connection: tls: ") })
	s.plain.Must("CONFIG", "RESETSTAT")
	if n := number(t, info(t, s.plain, "stats"), "tls_handshake_failures"); n != 0 {
		t.Errorf("after CONFIG RESETSTAT it counts %v", n)
	}
}

// A certificate names its user with tls-auth-clients-user, and files that change are loaded.
func TestTLSUsersAndReload(t *testing.T) {
	s := startSecured(t, "--tls-auth-clients-user", "CN", "--tls-auto-reload-interval", "1")
	who := func() string {
		c := s.mustDial(t, nil)
		v := c.Must("ACL", "WHOAMI").Str
		_ = c.Close()
		return v
	}
	if got := who(); got != "default" {
		t.Errorf("without such a user it is %s", got)
	}
	if stats := info(t, s.plain, "stats"); !strings.Contains(stats, "\nacl_access_denied_tls_cert:1\r") {
		t.Error("INFO does not count it")
	}
	if v := s.plain.Must("ACL", "LOG").String(); !strings.Contains(v, "reason tls-cert") || !strings.Contains(v, "username client") {
		t.Errorf("ACL LOG says %s", v)
	}
	s.plain.Must("ACL", "SETUSER", "client", "on", ">x", "+@all", "~*")
	if got := who(); got != "client" {
		t.Errorf("it is %s", got)
	}
	s.plain.Must("ACL", "SETUSER", "client", "off")
	if got := who(); got != "default" {
		t.Errorf("with a user that is off it is %s", got)
	}
	// The certificate is replaced, first by one without its key.
	subject := func() string {
		nc, err := tls.Dial("tcp", s.addr, s.ca.Client(s.cert, s.key))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		return nc.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	stays := s.mustDial(t, nil)
	_, key := s.ca.Issue("server", "renewed")
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log tells", func() bool {
		return strings.Contains(s.Logs(), "The changed TLS files are not used: Failed to load private key: ")
	})
	if got := subject(); got != "server" {
		t.Errorf("the certificate is that of %s", got)
	}
	if err := os.WriteFile(key, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new certificate is shown", func() bool { return subject() == "renewed" })
	replies(t, stays, "PING", "PONG")
}

// A start that cannot encrypt ends with the reason.
func TestTLSStartErrors(t *testing.T) {
	ca := harness.NewAuthority(t)
	cert, key := ca.Issue("server", "server")
	port := strconv.Itoa(freePort(t))
	for want, args := range map[string][]string{
		"No tls-cert-file configured!":                                 {},
		"Failed to load private key: /nosuch: no such file":            {"--tls-cert-file", cert, "--tls-key-file", "/nosuch", "--tls-ca-cert-file", ca.File},
		"Either tls-ca-cert-file or tls-ca-cert-dir must be specified": {"--tls-cert-file", cert, "--tls-key-file", key},
	} {
		_, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Args: append([]string{"--tls-port", port}, args...)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Failed to configure TLS. Check logs for more info.") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Connections that have not shaken hands are bounded by maxclients: they take no descriptor that a client needs.
func TestTLSHalfOpen(t *testing.T) {
	s := startSecured(t, "--maxclients", "20")
	eventually(t, "there is one client", func() bool { return number(t, info(t, s.plain, "clients"), "connected_clients") == 1 })
	var open []net.Conn
	for range 60 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		open = append(open, c)
	}
	// One client is there, so 19 may wait; the others are closed at once, and count as refused.
	closed := 0
	for _, c := range open[19:] {
		_ = c.SetReadDeadline(time.Now().Add(harness.DefaultTimeout))
		if _, err := c.Read(make([]byte, 1)); err != nil && !os.IsTimeout(err) {
			closed++
		}
	}
	if closed != 41 {
		t.Errorf("%d of 41 connections too many are closed", closed)
	}
	if stats := info(t, s.plain, "stats"); !strings.Contains(stats, "\nrejected_connections:41\r") {
		t.Error("INFO does not count them")
	}
	for range 15 {
		replies(t, s.Dial(t), "PING", "PONG")
	}
	for _, c := range open {
		_ = c.Close()
	}
	eventually(t, "a client with TLS is served again", func() bool { return s.served(t, nil) })
}
