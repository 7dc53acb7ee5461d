package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

// page is the whole page: markup, style and script.
//
//go:embed page.html
var page []byte

// pagePolicy lets the page run its own script and style, which it names by their hashes, and talk to this server.
var pagePolicy = "default-src 'none'; script-src '" + hashOf("script") + "'; style-src '" + hashOf("style") +
	"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// hashOf returns the hash of the page's only element of a name.
func hashOf(element string) string {
	_, rest, _ := bytes.Cut(page, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
