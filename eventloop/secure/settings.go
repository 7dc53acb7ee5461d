package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ClientAuth says whether clients must show a certificate (tls-auth-clients).
type ClientAuth int

// The values of tls-auth-clients.
const (
	AuthNo ClientAuth = iota
	AuthYes
	AuthOptional
)

// Settings are the directives tls-…; files are paths that can be opened, "" = not given.
type Settings struct {
	CertFile, KeyFile, KeyPass                   string
	ClientCertFile, ClientKeyFile, ClientKeyPass string
	CACertFile, CACertDir                        string
	AuthClients                                  ClientAuth
	NeedCA                                       bool // links to other servers are encrypted too
	Protocols, Ciphers                           string
	SessionCaching                               bool
}

// Context is what new connections are made with. It does not change: other settings make another one.
type Context struct {
	settings Settings
	server   *tls.Config
	client   *tls.Config
	stamps   map[string]stamp // of the files that were read
}

// stamp identifies the state of a file: if it differs, the file may have changed.
type stamp struct {
	modified time.Time
	size     int64
	sum      [sha256.Size]byte
}

// Load reads the files and checks all settings. Errors have Redis's words where it has some, and name the file and the
// reason.
func Load(s Settings, now time.Time) (*Context, error) {
	switch {
	case s.CertFile == "":
		return nil, problem("No tls-cert-file configured!")
	case s.KeyFile == "":
		return nil, problem("No tls-key-file configured!")
	case (s.AuthClients != AuthNo || s.NeedCA) && s.CACertFile == "" && s.CACertDir == "":
		return nil, problem("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or tls-auth-clients are enabled!")
	}
	c := &Context{settings: s, stamps: stamps(s)}
	lowest, highest, err := parseProtocols(s.Protocols)
	if err != nil {
		return nil, err
	}
	suites, err := parseCiphers(s.Ciphers)
	if err != nil {
		return nil, problem("Failed to configure ciphers: %w", err)
	}
	roots, err := loadRoots(s.CACertFile, s.CACertDir)
	if err != nil {
		return nil, problem("Failed to configure CA certificate(s) file/directory: %w", err)
	}
	pair, err := loadPair(s.CertFile, s.KeyFile, s.KeyPass, "tls-key-file-pass", now)
	if err != nil {
		return nil, err
	}
	own := pair
	if s.ClientCertFile != "" && s.ClientKeyFile != "" {
		if own, err = loadPair(s.ClientCertFile, s.ClientKeyFile, s.ClientKeyPass, "tls-client-key-file-pass", now); err != nil {
			return nil, err
		}
	}
	// Small records at first would help browsers; here they only cost.
	base := tls.Config{MinVersion: lowest, MaxVersion: highest, CipherSuites: suites, DynamicRecordSizingDisabled: true}
	c.server = base.Clone()
	c.server.Certificates = []tls.Certificate{pair}
	c.server.SessionTicketsDisabled = !s.SessionCaching
	c.server.ClientCAs = roots
	switch s.AuthClients {
	case AuthYes:
		c.server.ClientAuth = tls.RequireAndVerifyClientCert
	case AuthOptional:
		c.server.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.client = base.Clone()
	c.client.Certificates = []tls.Certificate{own}
	// Redis checks that the peer's certificate comes from the authority, not which host it names.
	c.client.InsecureSkipVerify = true
	c.client.VerifyConnection = func(state tls.ConnectionState) error { return verifyPeer(state, roots) }
	return c, nil
}

// verifyPeer checks the chain of a server's certificate.
func verifyPeer(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the peer has no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(opts)
	return err
}

// loadRoots reads the certificates of authorities; nil without any, which is the system's.
func loadRoots(file, dir string) (*x509.CertPool, error) {
	if file == "" && dir == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, reason(err))
		}
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s: no certificate in PEM form is in it", file)
		}
	}
	if dir == "" {
		return pool, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, reason(err))
	}
	for _, e := range entries {
		if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			pool.AppendCertsFromPEM(data) // other files may lie there
		}
	}
	return pool, nil
}

// problem is an error in the words that the operator reads in the log, Redis's where it has some.
func problem(format string, args ...any) error { return fmt.Errorf(format, args...) }

// files returns what settings name, without the folder.
func files(s Settings) []string {
	all := []string{s.CertFile, s.KeyFile, s.ClientCertFile, s.ClientKeyFile, s.CACertFile}
	return slices.DeleteFunc(all, func(f string) bool { return f == "" })
}

func stamps(s Settings) map[string]stamp {
	m := make(map[string]stamp)
	for _, f := range files(s) {
		fi, err := os.Stat(f)
		if err != nil {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		m[f] = stamp{fi.ModTime(), fi.Size(), sha256.Sum256(data)}
	}
	return m
}

// Changed reports whether one of the files has changed since Load: it compares time and size first, then the content. It may
// be called by one goroutine at a time.
func (c *Context) Changed() bool {
	changed := false
	for _, f := range files(c.settings) {
		fi, err := os.Stat(f)
		if err != nil {
			continue // it is being replaced, or stays away: the old one is served
		}
		old := c.stamps[f]
		if fi.ModTime().Equal(old.modified) && fi.Size() == old.size {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		sum := sha256.Sum256(data)
		c.stamps[f] = stamp{fi.ModTime(), fi.Size(), sum}
		changed = changed || sum != old.sum
	}
	return changed
}

// Settings returns what the context was made of.
func (c *Context) Settings() Settings { return c.settings }

// Subject returns the common name of the peer's certificate, "" without one.
func (s *Stream) Subject() string {
	if certs := s.State().PeerCertificates; len(certs) > 0 {
		return certs[0].Subject.CommonName
	}
	return ""
}
