package secure

import (
	"crypto/ecdsa"
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

func TestCiphers(t *testing.T) {
	names := func(ids []uint16) string {
		var out []string
		for _, id := range ids {
			out = append(out, suiteName(id))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	all, err := parseCiphers("DEFAULT")
	if empty, err2 := parseCiphers(""); err != nil || err2 != nil || !slices.Equal(all, empty) || len(all) != len(ciphers)-1 {
		t.Errorf("DEFAULT: %v, %v, %v", names(all), err, err2)
	}
	for _, tt := range []struct{ list, want, err string }{
		{"AES128-SHA256", "AES128-SHA256", ""},
		{"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"CHACHA20", "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"ECDHE+aRSA+AESGCM", "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384", ""},
		{"kRSA:-AES128:!SHA384", "AES256-SHA", ""},
		{"!AES256:kRSA:!SHA,AES256-SHA", "AES128-GCM-SHA256 AES128-SHA256", ""},
		{"HIGH:!aNULL:!MD5:!kRSA:!aECDSA:!SHA1:!AES", "ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"CHACHA20:@STRENGTH:@SECLEVEL=2", "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"AES256-SHA256", "", "no cipher of 'AES256-SHA256' is available"},
		{"DHE-RSA-AES256-SHA256:CAMELLIA", "", "no cipher of"},
		{"DEFAULT:NOSUCH-CIPHER", "", "unknown cipher 'NOSUCH-CIPHER'"},
		{"AES128-sha256", "", "unknown cipher 'AES128-sha256'"},
		{"@NOSUCH", "", "unknown command '@NOSUCH'"},
	} {
		ids, err := parseCiphers(tt.list)
		if err == nil != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || names(ids) != tt.want {
			t.Errorf("%s: %q, %v", tt.list, names(ids), err)
		}
	}
	// Each suite of Go that can be chosen has its name here.
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		weak := strings.Contains(s.Name, "RC4") || strings.Contains(s.Name, "3DES")
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && !weak && !strings.Contains(suiteName(s.ID), "-") {
			t.Errorf("%s has no name", s.Name)
		}
	}
}

func TestProtocols(t *testing.T) {
	for _, tt := range []struct {
		list      string
		low, high uint16
		err       string
	}{
		{"", tls.VersionTLS12, tls.VersionTLS13, ""},
		{"TLSv1.2", tls.VersionTLS12, tls.VersionTLS12, ""},
		{" tlsv1.3  TLSv1.2", tls.VersionTLS12, tls.VersionTLS13, ""},
		{"TLSv1 TLSv1.1 TLSv1.2", tls.VersionTLS10, tls.VersionTLS12, ""},
		{"TLSv1.1 TLSv1.3", 0, 0, "must not leave out"},
		{"TLSv1.4", 0, 0, "Invalid tls-protocols specified"},
		{"TLSv1.2,TLSv1.3", 0, 0, "Invalid tls-protocols specified"},
	} {
		low, high, err := parseProtocols(tt.list)
		if low != tt.low || high != tt.high || err == nil != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %x, %x, %v", tt.list, low, high, err)
		}
	}
}

func TestKeys(t *testing.T) {
	plain, err := loadKey("testdata/ec.key", "")
	if err != nil {
		t.Fatal(err)
	}
	// What the listed wrong password decrypts ends like padding by chance.
	for name, lucky := range map[string]string{"aes256-sha256": "426", "aes128-sha512": "705", "des3-sha1": "603", "sec1-dek": "100"} {
		file := "testdata/" + name + ".key"
		key, err := loadKey(file, "1234")
		if err != nil || !key.(*ecdsa.PrivateKey).Equal(plain) {
			t.Errorf("%s: %v", name, err)
		}
		for _, pass := range []string{"", "12345", lucky} {
			if _, err := loadKey(file, pass); err != errPassword {
				t.Errorf("%s with the password %q: %v", name, pass, err)
			}
		}
	}
	for name, want := range map[string]string{
		"testdata/scrypt.key": "its encryption is not known", "testdata/nosuch": "no such file", "testdata/ec.crt": "no private key in PEM form",
	} {
		if _, err := loadKey(name, "1234"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, name := range []string{"aes256-sha256", "des3-sha1", "scrypt"} {
		data, err := os.ReadFile("testdata/" + name + ".key")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = loadKey(file, "1234")
	})
}

// Each error names the file and the reason.
func TestLoadErrors(t *testing.T) {
	ca := harness.NewAuthority(t)
	cert, key := ca.Issue("a", "a")
	_, otherKey := ca.Issue("b", "b")
	now := time.Now()
	oldCert, oldKey := ca.IssueFor("old", "old", now.Add(-2*time.Hour), now.Add(-time.Hour))
	newCert, newKey := ca.IssueFor("new", "new", now.Add(time.Hour), now.Add(2*time.Hour))
	good := Settings{CertFile: cert, KeyFile: key, CACertFile: ca.File, AuthClients: AuthYes}
	if _, err := Load(good, now); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Settings){
		"No tls-cert-file configured!":                                   func(s *Settings) { s.CertFile = "" },
		"No tls-key-file configured!":                                    func(s *Settings) { s.KeyFile = "" },
		"Either tls-ca-cert-file or tls-ca-cert-":                        func(s *Settings) { s.CACertFile = "" },
		"Failed to load certificate: /nosuch: no such file or directory": func(s *Settings) { s.CertFile = "/nosuch" },
		"a.key: no certificate in PEM form is in it":                     func(s *Settings) { s.CertFile = key },
		"b.key: it does not match the certificate":                       func(s *Settings) { s.KeyFile = otherKey },
		"Failed to load private key: /nosuch: no such":                   func(s *Settings) { s.KeyFile = "/nosuch" },
		"the password is missing or wrong":                               func(s *Settings) { s.KeyFile = "testdata/aes256-sha256.key" },
		"old.crt: it has expired on":                                     func(s *Settings) { s.CertFile, s.KeyFile = oldCert, oldKey },
		"new.crt: it is not valid before":                                func(s *Settings) { s.CertFile, s.KeyFile = newCert, newKey },
		"CA certificate(s) file/directory: /nosuch: no such":             func(s *Settings) { s.CACertFile = "/nosuch" },
		"file/directory: /nosuch: no such":                               func(s *Settings) { s.CACertDir = "/nosuch" },
		"Failed to configure ciphers: unknown cipher 'x'":                func(s *Settings) { s.Ciphers = "x" },
		"Invalid tls-protocols specified":                                func(s *Settings) { s.Protocols = "x" },
		"Failed to load certificate: " + oldCert:                         func(s *Settings) { s.ClientCertFile, s.ClientKeyFile = oldCert, oldKey },
	} {
		s := good
		change(&s)
		if _, err := Load(s, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	withDir := good
	withDir.CACertFile, withDir.CACertDir = "", ca.Dir
	if _, err := Load(withDir, now); err != nil {
		t.Error(err)
	}
}
