package secure

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Cipher suites by OpenSSL's names, in the order of its preference, with the words by which its lists choose them
// (openssl-ciphers(1)). id 0 is a suite that OpenSSL has and Go has not.

type suite struct {
	name  string
	id    uint16
	words string
}

var ciphers = []suite{
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "kEECDH kECDHE ECDHE EECDH aECDSA ECDSA AES AES256 AESGCM SHA384 TLSv1.2 HIGH"},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "kEECDH kECDHE ECDHE EECDH aRSA RSA AES AES256 AESGCM SHA384 TLSv1.2 HIGH"},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "kEECDH kECDHE ECDHE EECDH aECDSA ECDSA CHACHA20 SHA256 TLSv1.2 HIGH"},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "kEECDH kECDHE ECDHE EECDH aRSA RSA CHACHA20 SHA256 TLSv1.2 HIGH"},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "kEECDH kECDHE ECDHE EECDH aECDSA ECDSA AES AES128 AESGCM SHA256 TLSv1.2 HIGH"},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "kEECDH kECDHE ECDHE EECDH aRSA RSA AES AES128 AESGCM SHA256 TLSv1.2 HIGH"},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "kEECDH kECDHE ECDHE EECDH aECDSA ECDSA AES AES128 SHA256 TLSv1.2 HIGH"},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "kEECDH kECDHE ECDHE EECDH aRSA RSA AES AES128 SHA256 TLSv1.2 HIGH"},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "kEECDH kECDHE ECDHE EECDH aECDSA ECDSA AES AES256 SHA SHA1 TLSv1 HIGH"},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "kEECDH kECDHE ECDHE EECDH aRSA RSA AES AES256 SHA SHA1 TLSv1 HIGH"},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "kEECDH kECDHE ECDHE EECDH aECDSA ECDSA AES AES128 SHA SHA1 TLSv1 HIGH"},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "kEECDH kECDHE ECDHE EECDH aRSA RSA AES AES128 SHA SHA1 TLSv1 HIGH"},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "kRSA aRSA RSA AES AES256 AESGCM SHA384 TLSv1.2 HIGH"},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "kRSA aRSA RSA AES AES128 AESGCM SHA256 TLSv1.2 HIGH"},
	{"AES256-SHA256", 0, "kRSA aRSA RSA AES AES256 SHA256 TLSv1.2 HIGH"},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "kRSA aRSA RSA AES AES128 SHA256 TLSv1.2 HIGH"},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, "kRSA aRSA RSA AES AES256 SHA SHA1 SSLv3 HIGH"},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, "kRSA aRSA RSA AES AES128 SHA SHA1 SSLv3 HIGH"},
}

// foreign are the beginnings of names of suites that OpenSSL knows and Go has not, and words for groups of only such.
var foreign = []string{"DHE-", "EDH-", "ADH-", "AECDH-", "PSK-", "RSA-PSK-", "DHE-PSK-", "ECDHE-PSK-", "SRP-", "CAMELLIA", "ARIA", "SEED",
	"IDEA-", "RC4-", "DES-", "NULL-", "AES128-CCM", "AES256-CCM", "ECDHE-ARIA", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM",
	"ECDHE-ECDSA-ARIA", "ECDHE-ECDSA-CAMELLIA", "ECDHE-RSA-CAMELLIA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384",
	"ECDHE-ECDSA-NULL", "ECDHE-RSA-NULL", "ECDHE-ECDSA-DES", "ECDHE-RSA-DES"}

var foreignWords = []string{"COMPLEMENTOFDEFAULT", "COMPLEMENTOFALL", "aNULL", "eNULL", "NULL", "kDHE", "kEDH", "DH", "DHE", "EDH", "ADH", "AECDH", "aDSS",
	"DSS", "PSK", "kPSK", "aPSK", "SRP", "kSRP", "aSRP", "LOW", "MEDIUM", "EXP", "EXPORT", "3DES", "DES", "RC4", "RC2", "MD5", "IDEA", "GOST", "AESCCM",
	"AESCCM8", "kRSAPSK", "kECDHEPSK", "kDHEPSK", "TLSv1.0", "CBC", "ARIAGCM", "ARIA128", "ARIA256", "CAMELLIA128", "CAMELLIA256"}

// parseCiphers reads a list of OpenSSL's: names and words with "+" between words that must all hold, and before them "-"
// (taken out), "!" (never) or "+" (moved to the end). "" is DEFAULT. The order is of no use to Go, which has its own. The
// suites are those of TLS 1.2 and below.
func parseCiphers(list string) ([]uint16, error) {
	var chosen, never []int
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		op, name := byte(0), item
		if strings.IndexByte("-!+", item[0]) >= 0 {
			op, name = item[0], item[1:]
		} else if item[0] == '@' { // @STRENGTH, @SECLEVEL=n
			if item == "@STRENGTH" || strings.HasPrefix(item, "@SECLEVEL=") {
				continue
			}
			return nil, fmt.Errorf("unknown command '%s'", item)
		}
		set, err := matchCiphers(name)
		if err != nil {
			return nil, err
		}
		for _, i := range set {
			switch op {
			case '-', '!':
				chosen = slices.DeleteFunc(chosen, func(c int) bool { return c == i })
				if op == '!' {
					never = append(never, i)
				}
			case 0:
				if !slices.Contains(chosen, i) && !slices.Contains(never, i) {
					chosen = append(chosen, i)
				}
			}
		}
	}
	if strings.TrimSpace(list) == "" {
		chosen, _ = matchCiphers("DEFAULT")
	}
	var ids []uint16
	for _, i := range chosen {
		if ciphers[i].id != 0 {
			ids = append(ids, ciphers[i].id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("no cipher of '%s' is available", list)
	}
	return ids, nil
}

func matchCiphers(name string) ([]int, error) {
	var set []int
	if name == "DEFAULT" || name == "ALL" {
		for i := range ciphers {
			set = append(set, i)
		}
		return set, nil
	}
	words := strings.Split(name, "+")
	for i, c := range ciphers {
		has := strings.Fields(c.words)
		if c.name == name || !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(has, w) }) {
			set = append(set, i)
		}
	}
	if len(set) > 0 {
		return set, nil
	}
	for _, w := range words {
		known := slices.Contains(foreignWords, w) ||
			slices.ContainsFunc(foreign, func(f string) bool { return strings.HasPrefix(w, f) }) ||
			slices.ContainsFunc(ciphers, func(c suite) bool { return slices.Contains(strings.Fields(c.words), w) })
		if !known {
			return nil, fmt.Errorf("unknown cipher '%s'", name)
		}
	}
	return nil, nil
}

// suiteName returns OpenSSL's name of a suite.
func suiteName(id uint16) string {
	for _, c := range ciphers {
		if c.id == id {
			return c.name
		}
	}
	return tls.CipherSuiteName(id) // TLS 1.3: OpenSSL has the same names
}

// parseProtocols reads tls-protocols: names of versions with blanks between, "" for TLS 1.2 and 1.3. Go has a lowest and a
// highest version; a gap between them cannot be.
func parseProtocols(list string) (lowest, highest uint16, err error) {
	if strings.TrimSpace(list) == "" {
		return tls.VersionTLS12, tls.VersionTLS13, nil
	}
	names := []string{"tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"}
	var has [4]bool
	for name := range strings.FieldsSeq(list) {
		i := slices.Index(names, strings.ToLower(name))
		if i < 0 {
			return 0, 0, problem("Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.")
		}
		has[i] = true
	}
	first := slices.Index(has[:], true)
	last := 3
	for !has[last] {
		last--
	}
	if slices.Contains(has[first:last+1], false) {
		return 0, 0, fmt.Errorf("tls-protocols must not leave out a version between others")
	}
	return tls.VersionTLS10 + uint16(first), tls.VersionTLS10 + uint16(last), nil
}
