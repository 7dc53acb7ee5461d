package commands

import (
	"bytes"
)

// The subcommands of CLIENT that switch client-side caching; tracking.go is how it works.

var (
	clientCachingRow = Command{
		Name: "caching", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientCaching,
		Group: GroupConnection, Since: "6.0.0", Complexity: "O(1)",
		Summary: "Tells whether the keys of the next command are to be tracked.",
		Args:    []Arg{aChoice("mode", aToken("yes", "YES", ""), aToken("no", "NO", ""))},
	}
	clientTrackingRow = Command{
		Name: "tracking", Arity: -3, Flags: clientSub, ACL: CatConnection, Handler: clientTracking,
		Group: GroupConnection, Since: "6.0.0", Complexity: "O(1), and the number of prefixes for some options",
		Summary: "Switches the tracking of keys for client-side caching.",
		Args: []Arg{aChoice("status", aToken("on", "ON", ""), aToken("off", "OFF", "")),
			aTokenArg("client-id", ArgInteger, "REDIRECT", "").optional(),
			{Name: "prefix", Type: ArgString, Token: "PREFIX", Optional: true, Multiple: true, MultipleToken: true},
			aToken("BCAST", "BCAST", "").optional(), aToken("OPTIN", "OPTIN", "").optional(),
			aToken("OPTOUT", "OPTOUT", "").optional(), aToken("NOLOOP", "NOLOOP", "").optional()},
	}
	clientTrackingInfoRow = Command{
		Name: "trackinginfo", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientTrackingInfo,
		Group: GroupConnection, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Tells how the connection's keys are tracked.",
	}
)

const (
	errRedirectTwice   = "ERR A client can only redirect to a single other client"
	errRedirectUnknown = "ERR The client ID you want redirect to does not exist"
	errPrefixNoBcast   = "ERR PREFIX option requires BCAST mode to be enabled"
	errSwitchBcast     = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then " +
		"re-enabling it with a different mode."
	errBcastOpt    = "ERR OPTIN and OPTOUT are not compatible with BCAST"
	errOptinOptout = "ERR You can't specify both OPTIN mode and OPTOUT mode"
	errSwitchOptin = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then " +
		"re-enabling it with a different mode."
	errCachingOff = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT " +
		"mode enabled"
	errCachingYes = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
	errCachingNo  = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
)

func clientTracking(c *Client) {
	var o tracking
	var prefixes [][]byte
	for i := 3; i < len(c.args); i++ {
		switch more := i+1 < len(c.args); {
		case more && c.is(i, "redirect"):
			i++
			if o.redirect != 0 {
				c.error(errRedirectTwice)
				return
			}
			var ok bool
			if o.redirect, ok = c.int64Arg(i); !ok {
				return
			}
			if c.srv.clients[o.redirect] == nil {
				c.error(errRedirectUnknown)
				return
			}
		case c.is(i, "bcast"):
			o.bcast = true
		case c.is(i, "optin"):
			o.optin = true
		case c.is(i, "optout"):
			o.optout = true
		case c.is(i, "noloop"):
			o.noloop = true
		case more && c.is(i, "prefix"):
			i++
			prefixes = append(prefixes, c.args[i])
		default:
			c.error(errSyntax)
			return
		}
	}
	switch {
	case c.is(2, "on"):
		if msg := c.trackingConflict(&o, prefixes); msg != "" {
			c.error(msg)
			return
		}
		c.srv.startTracking(c, o, prefixes)
	case c.is(2, "off"):
		c.srv.stopTracking(c)
	default:
		c.error(errSyntax)
		return
	}
	c.w.OK()
}

// trackingConflict returns the error if the options do not go together or with those that are in force, or "".
func (c *Client) trackingConflict(o *tracking, prefixes [][]byte) string {
	t := c.tracks()
	switch {
	case !o.bcast && len(prefixes) > 0:
		return errPrefixNoBcast
	case t != nil && t.bcast != o.bcast:
		return errSwitchBcast
	case o.bcast && (o.optin || o.optout):
		return errBcastOpt
	case o.optin && o.optout:
		return errOptinOptout
	case t != nil && (o.optin && t.optout || o.optout && t.optin):
		return errSwitchOptin
	case o.bcast:
		return prefixConflict(t, prefixes)
	}
	return ""
}

// prefixConflict returns the error if two prefixes, of those given and of those that the client has already, may match
// the same key.
func prefixConflict(t *tracking, prefixes [][]byte) string {
	overlap := func(a, b []byte) bool { return bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a) }
	for i, p := range prefixes {
		if t != nil {
			for _, old := range t.prefixes {
				if overlap(p, []byte(old.name)) {
					return "ERR Prefix '" + cString(p) + "' overlaps with an existing prefix '" + cString([]byte(old.name)) +
						"'. Prefixes for a single client must not overlap."
				}
			}
		}
		for _, q := range prefixes[i+1:] {
			if overlap(p, q) {
				return "ERR Prefix '" + cString(p) + "' overlaps with another provided prefix '" + cString(q) +
					"'. Prefixes for a single client must not overlap."
			}
		}
	}
	return ""
}

func clientCaching(c *Client) {
	t := c.tracks()
	switch {
	case t == nil:
		c.error(errCachingOff)
		return
	case c.is(2, "yes"):
		if !t.optin {
			c.error(errCachingYes)
			return
		}
	case c.is(2, "no"):
		if !t.optout {
			c.error(errCachingNo)
			return
		}
	default:
		c.error(errSyntax)
		return
	}
	t.caching = true
	c.w.OK()
}

// endCaching ends the effect of CLIENT CACHING: it lasts to the end of the next command that is no CLIENT, or of the next
// transaction.
func (c *Client) endCaching() {
	t := c.pushes.track
	if t == nil || !t.caching || c.inMulti() || c.last != nil && c.last.parent != nil &&
		c.last.parent.Name == "client" {
		return
	}
	t.caching = false
}

// redirection is the id of the client that gets this one's messages: 0 for itself, -1 if it does not track.
func (c *Client) redirection() int64 {
	if t := c.tracks(); t != nil {
		return t.redirect
	}
	return -1
}

func clientGetRedir(c *Client) { c.w.Int(c.redirection()) }

func clientTrackingInfo(c *Client) {
	t := c.tracks()
	if t == nil {
		t = new(tracking)
	}
	c.w.Map(3)
	c.w.BulkString("flags")
	flags := []string{"off"}
	if t.on {
		flags[0] = "on"
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{t.bcast, "bcast"}, {t.optin, "optin"}, {t.optin && t.caching, "caching-yes"}, {t.optout, "optout"},
		{t.optout && t.caching, "caching-no"}, {t.noloop, "noloop"}, {t.broken, "broken_redirect"},
	} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	c.w.Set(len(flags))
	for _, f := range flags {
		c.w.BulkString(f)
	}
	c.w.BulkString("redirect")
	c.w.Int(c.redirection())
	c.w.BulkString("prefixes")
	c.w.Array(len(t.prefixes))
	for _, p := range t.prefixes {
		c.w.BulkString(p.name)
	}
}
