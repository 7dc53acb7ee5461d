package commands

import (
	"bytes"

	"ferrous/commands/session"
)

// The subcommands of CLIENT that switch client-side caching; tracking.go is how it works.

var (
	clientCachingRow = session.Command{
		Name: "caching", Arity: 3, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientCaching),
		Group: session.GroupConnection, Since: "6.0.0", Complexity: "O(1)",
		Summary: "Says whether the server tracks the keys of the next command.",
		Args:    []session.Arg{session.OneOf("mode", session.TokenWord("yes", "YES", ""), session.TokenWord("no", "NO", ""))},
	}
	clientTrackingRow = session.Command{
		Name: "tracking", Arity: -3, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientTracking),
		Group: session.GroupConnection, Since: "6.0.0", Complexity: "O(1), and the number of prefixes for some options",
		Summary: "Switches the tracking of keys for client-side caching.",
		Args: []session.Arg{session.OneOf("status", session.TokenWord("on", "ON", ""), session.TokenWord("off", "OFF", "")),
			session.TokenArg("client-id", session.ArgInteger, "REDIRECT", "").Opt(),
			{Name: "prefix", Type: session.ArgString, Token: "PREFIX", Optional: true, Multiple: true, MultipleToken: true},
			session.TokenWord("BCAST", "BCAST", "").Opt(), session.TokenWord("OPTIN", "OPTIN", "").Opt(),
			session.TokenWord("OPTOUT", "OPTOUT", "").Opt(), session.TokenWord("NOLOOP", "NOLOOP", "").Opt()},
	}
	clientTrackingInfoRow = session.Command{
		Name: "trackinginfo", Arity: 2, Flags: clientSub, ACL: session.CatConnection, Handler: connected(clientTrackingInfo),
		Group: session.GroupConnection, Since: "6.2.0", Complexity: "O(1)",
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
	for i := 3; i < len(c.Args); i++ {
		switch more := i+1 < len(c.Args); {
		case more && c.Is(i, "redirect"):
			i++
			if o.redirect != 0 {
				c.Error(errRedirectTwice)
				return
			}
			var ok bool
			if o.redirect, ok = c.Int64Arg(i); !ok {
				return
			}
			if c.srv.clients[o.redirect] == nil {
				c.Error(errRedirectUnknown)
				return
			}
		case c.Is(i, "bcast"):
			o.bcast = true
		case c.Is(i, "optin"):
			o.optin = true
		case c.Is(i, "optout"):
			o.optout = true
		case c.Is(i, "noloop"):
			o.noloop = true
		case more && c.Is(i, "prefix"):
			i++
			prefixes = append(prefixes, c.Args[i])
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	switch {
	case c.Is(2, "on"):
		if msg := c.trackingConflict(&o, prefixes); msg != "" {
			c.Error(msg)
			return
		}
		c.srv.startTracking(c, o, prefixes)
	case c.Is(2, "off"):
		c.srv.stopTracking(c)
	default:
		c.Error(session.ErrSyntax)
		return
	}
	c.W.OK()
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
					return "ERR Prefix '" + session.CString(p) + "' overlaps with an existing prefix '" + session.CString([]byte(old.name)) +
						"'. Prefixes for a single client must not overlap."
				}
			}
		}
		for _, q := range prefixes[i+1:] {
			if overlap(p, q) {
				return "ERR Prefix '" + session.CString(p) + "' overlaps with another provided prefix '" + session.CString(q) +
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
		c.Error(errCachingOff)
		return
	case c.Is(2, "yes"):
		if !t.optin {
			c.Error(errCachingYes)
			return
		}
	case c.Is(2, "no"):
		if !t.optout {
			c.Error(errCachingNo)
			return
		}
	default:
		c.Error(session.ErrSyntax)
		return
	}
	t.caching = true
	c.W.OK()
}

// endCaching ends the effect of CLIENT CACHING: it lasts to the end of the next command that is no CLIENT, or of the next
// transaction.
func (c *Client) endCaching() {
	t := c.pushes.track
	if t == nil || !t.caching || c.inMulti() || c.last != nil && c.last.Parent != nil &&
		c.last.Parent.Name == "client" {
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

func clientGetRedir(c *Client) { c.W.Int(c.redirection()) }

func clientTrackingInfo(c *Client) {
	t := c.tracks()
	if t == nil {
		t = new(tracking)
	}
	c.W.Map(3)
	c.W.BulkString("flags")
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
	c.W.Set(len(flags))
	for _, f := range flags {
		c.W.BulkString(f)
	}
	c.W.BulkString("redirect")
	c.W.Int(c.redirection())
	c.W.BulkString("prefixes")
	c.W.Array(len(t.prefixes))
	for _, p := range t.prefixes {
		c.W.BulkString(p.name)
	}
}
