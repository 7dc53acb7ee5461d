package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Authority makes certificates for tests of TLS, in files of a folder.
type Authority struct {
	Dir  string
	File string // its own certificate

	fatal  func(...any)
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
	once   sync.Once
	both   [2]string // files of pair
}

// NewAuthority makes an authority with a folder of its own. An error ends the test.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	return NewAuthorityIn(tb.TempDir(), tb.Fatal)
}

// NewAuthorityIn is NewAuthority for others than tests: it calls fatal, which must not return, with an error.
func NewAuthorityIn(dir string, fatal func(...any)) *Authority {
	a := &Authority{Dir: dir, fatal: fatal}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		fatal(err)
	}
	tmpl := a.template("Authority", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &a.key.PublicKey, a.key)
	if err != nil {
		fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		fatal(err)
	}
	a.File = a.write("ca.crt", "CERTIFICATE", der)
	return a
}

func (a *Authority) template(name string, from, to time.Time) *x509.Certificate {
	a.serial++
	return &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to}
}

func (a *Authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.Dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.fatal(err)
	}
	return path
}

// Issue writes a certificate for a common name and its key to file.crt and file.key, valid now.
func (a *Authority) Issue(file, name string) (cert, key string) {
	return a.IssueFor(file, name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// pair is a certificate for the servers that have this authority, and for their clients.
func (a *Authority) pair() (cert, key string) {
	a.once.Do(func() { a.both[0], a.both[1] = a.Issue("both", "both") })
	return a.both[0], a.both[1]
}

// IssueEncrypted is Issue for a key that needs a password.
func (a *Authority) IssueEncrypted(file, name, password string) (cert, key string) {
	cert, key = a.Issue(file, name)
	data, err := os.ReadFile(key)
	if err != nil {
		a.fatal(err)
	}
	block, _ := pem.Decode(data)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		a.fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private.(*ecdsa.PrivateKey))
	if err != nil {
		a.fatal(err)
	}
	//lint:ignore SA1019 servers take this form, too
	block, err = x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(password), x509.PEMCipherAES128)
	if err != nil {
		a.fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		a.fatal(err)
	}
	return cert, key
}

// IssueFor is Issue for another time.
func (a *Authority) IssueFor(file, name string, from, to time.Time) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.template(name, from, to), a.cert, &private.PublicKey, a.key)
	if err != nil {
		a.fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.fatal(err)
	}
	return a.write(file+".crt", "CERTIFICATE", der), a.write(file+".key", "PRIVATE KEY", secret)
}

// ToolArgs are the arguments of redis-cli and redis-benchmark with a certificate.
func (a *Authority) ToolArgs(cert, key string) []string {
	return []string{"--tls", "--cert", cert, "--key", key, "--cacert", a.File}
}

// ServerArgs are the arguments of a server with a TLS port and a certificate of its own, which it shows masters, too.
func (a *Authority) ServerArgs(name string, port int) []string {
	cert, key := a.Issue(name, name)
	return []string{"--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.File}
}

// Client returns the settings of a client that shows a certificate, or none for "". It believes the authority, and does not
// look for which host a certificate is.
func (a *Authority) Client(cert, key string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	cfg := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			a.fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}
