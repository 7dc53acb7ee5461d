package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is what a client has written: any bytes. In JSON it is a string that can be shown: what is no character, cannot be seen
// or turns the direction of writing is written as an escape sequence, and long text is cut.
type Text string

// maxText is how many bytes of a Text are shown.
const maxText = 512

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.Visible()) }

// Visible returns the text as it is shown.
func (t Text) Visible() string {
	s, cut := string(t), 0
	if len(s) > maxText {
		s, cut = s[:maxText], len(s)-maxText
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case r < 0x80 && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	if cut > 0 {
		fmt.Fprintf(&b, "… (%d more bytes)", cut)
	}
	return b.String()
}
