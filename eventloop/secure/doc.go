// Package secure is TLS for the loop: certificates and settings (Load), the streams that the loop serves (Stream), and the
// listeners that accept, shake hands and hand over (Port). All cryptography is crypto/tls's.
//
// Handshakes and records are the work of goroutines, see eventloop's beside.go: the loop sees plain bytes. A peer that has
// connected and says nothing costs a goroutine that waits and no memory of TLS; it is given up after handshakeTime.
package secure
