package secure

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"os"
	"time"
)

// loadPair loads a certificate with its chain and the key of it. Errors name the file and the reason; directive is the one that
// has the password. OpenSSL also takes a certificate that has expired or is not valid yet, which no client would: it is an error
// here.
func loadPair(certFile, keyFile, pass, directive string, now time.Time) (tls.Certificate, error) {
	var pair tls.Certificate
	data, err := os.ReadFile(certFile)
	if err != nil {
		return pair, problem("Failed to load certificate: %s: %w", certFile, reason(err))
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
	}
	if len(pair.Certificate) == 0 {
		return pair, problem("Failed to load certificate: %s: no certificate in PEM form is in it", certFile)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return pair, problem("Failed to load certificate: %s: %w", certFile, err)
	}
	pair.Leaf = leaf
	key, err := loadKey(keyFile, pass)
	if err == errPassword {
		err = fmt.Errorf("%w (%s)", err, directive)
	}
	if err != nil {
		return pair, problem("Failed to load private key: %s: %w", keyFile, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return pair, problem("Failed to load private key: %s: it cannot sign", keyFile)
	}
	type comparable interface{ Equal(crypto.PublicKey) bool }
	if pub, ok := leaf.PublicKey.(comparable); !ok || !pub.Equal(signer.Public()) {
		return pair, problem("Failed to load private key: %s: it does not match the certificate %s", keyFile, certFile)
	}
	pair.PrivateKey = key
	switch {
	case now.After(leaf.NotAfter):
		return pair, problem("Failed to load certificate: %s: it has expired on %s", certFile, leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return pair, problem("Failed to load certificate: %s: it is not valid before %s", certFile, leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return pair, nil
}

// reason takes the file's name out of an error of the file system.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

var errPassword = errors.New("the password is missing or wrong")

func loadKey(file, pass string) (crypto.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, reason(err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		der := block.Bytes
		encrypted := true
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY":
			if der, err = decryptPKCS8(der, pass); err != nil {
				return nil, err
			}
		//lint:ignore SA1019 old keys are encrypted so
		case x509.IsEncryptedPEMBlock(block):
			//lint:ignore SA1019 as above
			if der, err = x509.DecryptPEMBlock(block, []byte(pass)); err != nil {
				return nil, errPassword
			}
		default:
			encrypted = false
		}
		var key crypto.PrivateKey
		switch block.Type {
		case "PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(der)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(der)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(der)
		default:
			continue
		}
		if err != nil && encrypted {
			// One wrong password in 256 leaves something that ends like padding.
			err = errPassword
		}
		return key, err
	}
	return nil, errors.New("no private key in PEM form is in it")
}

// The encrypted form of PKCS #8 (RFC 5958) with PBES2 (RFC 8018), as OpenSSL writes it: PBKDF2 and a block cipher in CBC
// mode.

type encryptedKey struct {
	Algo algorithm
	Data []byte
}

type algorithm struct {
	ID     asn1.ObjectIdentifier
	Params asn1.RawValue `asn1:"optional"`
}

type pbes2 struct{ KDF, Cipher algorithm }

type pbkdf2Params struct {
	Salt   []byte
	Rounds int
	Length int       `asn1:"optional"`
	PRF    algorithm `asn1:"optional"`
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	hmacs     = map[string]func() hash.Hash{
		"":                    sha1.New,
		"1.2.840.113549.2.7":  sha1.New,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
	blocks = map[string]struct {
		key  int
		make func([]byte) (cipher.Block, error)
	}{
		"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
		"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
		"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
		"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	}
)

// maxRounds bounds the work that a key file can ask for.
const maxRounds = 100_000_000

func decryptPKCS8(der []byte, pass string) ([]byte, error) {
	if pass == "" {
		return nil, errPassword
	}
	var key encryptedKey
	var scheme pbes2
	var kdf pbkdf2Params
	var iv []byte
	if !whole(der, &key) || !key.Algo.ID.Equal(oidPBES2) || !whole(key.Algo.Params.FullBytes, &scheme) ||
		!scheme.KDF.ID.Equal(oidPBKDF2) || !whole(scheme.KDF.Params.FullBytes, &kdf) || !whole(scheme.Cipher.Params.FullBytes, &iv) {
		return nil, errors.New("its encryption is not known (PBES2 with PBKDF2 is)")
	}
	mac, known := hmacs[kdf.PRF.ID.String()]
	block, ok := blocks[scheme.Cipher.ID.String()]
	if !known || !ok || kdf.Rounds < 1 || kdf.Rounds > maxRounds {
		return nil, errors.New("its encryption is not known (AES or triple DES with HMAC-SHA are)")
	}
	secret, err := pbkdf2.Key(mac, pass, kdf.Salt, kdf.Rounds, block.key)
	if err != nil {
		return nil, err
	}
	c, err := block.make(secret)
	if err != nil {
		return nil, err
	}
	n := c.BlockSize()
	if len(iv) != n || len(key.Data) == 0 || len(key.Data)%n != 0 {
		return nil, errors.New("it is damaged")
	}
	plain := make([]byte, len(key.Data))
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(plain, key.Data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > n {
		return nil, errPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errPassword
		}
	}
	return plain[:len(plain)-pad], nil
}

// whole reads all of der into v.
func whole(der []byte, v any) bool {
	rest, err := asn1.Unmarshal(der, v)
	return err == nil && len(rest) == 0
}
