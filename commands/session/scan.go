package session

import (
	"math"
	"strconv"

	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// ParseCursor reads a cursor as C's strtoul does, which Redis uses: a sign is allowed (a negative number counts from
// 2^64 downwards), so is nothing at all, and a zero byte ends it. White space before it is refused.
func ParseCursor(b []byte) (uint64, bool) {
	s := CString(b)
	if s == "" {
		return 0, true
	}
	negative := s[0] == '-'
	if negative || s[0] == '+' {
		s = s[1:]
	}
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// scanOptions are the options of SCAN and its relatives.
type scanOptions struct {
	Count   int
	Pattern []byte // nil: everything
	Typ     ScanType

	NoValues bool // HSCAN's
}

// ScanType is what TYPE asks for.
type ScanType int8

const (
	AnyType     ScanType = -1
	unknownType ScanType = -2 // the option was given, with a name that no type has
)

const (
	defaultScanCount = 10
	// maxScanCount keeps products of a count from overflowing; no collection has as many elements.
	maxScanCount = 1 << 40
)

// ScanOptions parses the options from argument i on; TYPE is one only where keys are scanned. On failure it has
// replied.
func (c *Client) ScanOptions(i int, keys bool) (o scanOptions, ok bool) {
	o = scanOptions{Count: defaultScanCount, Typ: AnyType}
	for ; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "count"):
			n, ok := resp.ParseInt(c.Args[i+1])
			if !ok {
				c.Error(ErrNotInteger)
				return o, false
			}
			if n < 1 {
				c.Error(ErrSyntax)
				return o, false
			}
			o.Count = int(min(n, maxScanCount, math.MaxInt/64))
		case more && c.Is(i, "match"):
			o.Pattern = c.Args[i+1]
			if len(o.Pattern) == 1 && o.Pattern[0] == '*' {
				o.Pattern = nil
			}
		case c.Cmd.Name == "hscan" && c.Is(i, "novalues"):
			o.NoValues = true
			i-- // it takes no argument
		case more && keys && c.Is(i, "type"):
			o.Typ = unknownType
			for t := range record.NumTypes {
				if t != record.Module && EqualFold([]byte(CString(c.Args[i+1])), t.String()) { // no key is a module's
					o.Typ = ScanType(t)
				}
			}
		default:
			c.Error(ErrSyntax)
			return o, false
		}
	}
	return o, true
}
