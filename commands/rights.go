package commands

import (
	"errors"
	"slices"
	"strings"

	"ferrous/commands/acl"
	"ferrous/commands/config"
	"ferrous/commands/session"
)

// ACL checks of requests. Package acl has the users and their rights; the ACL command is in aclcmd.go.
//
// Dispatch asks Server.forbidden before it runs or queues a request of a client that is not logged in or whose user is
// limited; EXEC asks once more for each queued command, since rights may have changed; requests that were held back or
// have waited pass admission again. Clients that are not connections (Client.user is nil) may do everything.
//
// The checked keys are those that the handler uses: the function behind COMMAND GETKEYS finds them (session/keyspecs.go), and
// Command.Channels finds the channels. The keys of BY and GET of SORT are not known beforehand, so its handler calls
// Client.ReadsAll.

// security is what a server has of users.
type security struct {
	users   *acl.Users
	log     aclLog
	request aclRequest // scratch of check
}

// aclTable shows the command table to package acl.
type aclTable struct {
	entries []*session.Entry
	names   []string
	subs    [][]int
	isSub   []bool
	ids     map[string]int
}

func newACLTable(g *session.Registry) *aclTable {
	t := &aclTable{ids: make(map[string]int)}
	add := func(name string, e *session.Entry) {
		if _, known := t.ids[name]; known {
			return
		}
		id := len(t.names)
		t.ids[name] = id
		t.names = append(t.names, name)
		t.entries = append(t.entries, e)
		t.subs = append(t.subs, nil)
		parent, _, isSub := strings.Cut(name, "|")
		t.isSub = append(t.isSub, isSub)
		if isSub {
			p := t.ids[parent]
			t.subs[p] = append(t.subs[p], id)
		}
	}
	for _, e := range g.Shown {
		add(e.Full, e)
		e.ID = t.ids[e.Full]
	}
	return t
}

func (t *aclTable) Len() int { return len(t.names) }
func (t *aclTable) Find(name string) (int, bool) {
	id, ok := t.ids[strings.ToLower(name)]
	return id, ok
}
func (t *aclTable) Name(id int) string { return t.names[id] }
func (t *aclTable) Subs(id int) []int  { return t.subs[id] }
func (t *aclTable) IsSub(id int) bool  { return t.isSub[id] }
func (t *aclTable) Category(name string) (uint32, bool) {
	cat := session.CategoryNamed([]byte(name))
	return uint32(cat), cat != 0
}
func (t *aclTable) Categories(id int) uint32 {
	return uint32(t.entries[id].Cats)
}

// newUsers returns the users of a server at its start. firstArg is acl.Options.FirstArg.
func newUsers(reg *session.Registry, allChannels func() bool, firstArg func(rule string)) *acl.Users {
	return acl.New(acl.Options{Table: newACLTable(reg), Split: config.SplitArgs, AllChannels: allChannels, FirstArg: firstArg})
}

// warnOfFirstArg logs what Redis logs of such a rule.
func (s *Server) warnOfFirstArg(rule string) {
	s.Logf(config.LogWarning, "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of "+
		"ACL and may get disabled in the future (offender: %s)", rule)
}

// aclRequest is a request as package acl sees it.
type aclRequest struct {
	e        *session.Entry
	args     [][]byte
	found    bool // keys and channels are
	refs     []session.KeyRef
	keys     []acl.Key
	channels []acl.Channel
}

func (r *aclRequest) begin(e *session.Entry, args [][]byte) {
	r.e, r.args, r.found = e, args, false
}

func (r *aclRequest) Command() (id int, free bool) { return r.e.ID, r.e.Flags&session.NoAuth != 0 }
func (r *aclRequest) Args() [][]byte               { return r.args }

func (r *aclRequest) Keys() []acl.Key {
	r.find()
	return r.keys
}

func (r *aclRequest) Channels() []acl.Channel {
	r.find()
	return r.channels
}

// find finds keys and channels.
func (r *aclRequest) find() {
	if r.found {
		return
	}
	r.found = true
	r.keys, r.channels = r.keys[:0], r.channels[:0]
	r.refs = r.e.EveryKey(r.refs[:0], r.args)
	for _, k := range r.refs {
		access := acl.Access(0)
		if k.Flags&session.KeyAccess != 0 {
			access |= acl.Read
		}
		if k.Flags&(session.KeyInsert|session.KeyUpdate|session.KeyDelete) != 0 {
			access |= acl.Write
		}
		r.keys = append(r.keys, acl.Key{Pos: k.Pos, Access: access})
	}
	spec := &r.e.Channels
	if spec.Flags&(session.ChannelPublish|session.ChannelSubscribe) == 0 {
		return
	}
	for i := spec.Index; i < len(r.args) && (spec.Rest || i == spec.Index); i++ {
		r.channels = append(r.channels, acl.Channel{Pos: i, Pattern: spec.Flags&session.ChannelPattern != 0})
	}
}

// check decides whether a user may send a request, whose arguments begin with the command's name.
func (s *Server) check(u *acl.User, e *session.Entry, args [][]byte) (why acl.Denial, pos int) {
	r := &s.security.request
	r.begin(e, args)
	return u.Check(r)
}

// bounded reports whether there is something that the client may not do: it is not logged in, or its user is limited.
func (c *Client) bounded() bool { return !c.authed || c.user != nil && c.user.Limited() }

// mustAuthenticate reports whether a client that is not logged in may not do anything.
func (s *Server) mustAuthenticate() bool {
	def := s.security.users.Default()
	return !def.NoPass() || !def.Enabled()
}

// mustLogIn reports whether the client must authenticate before it may do anything else. Until then the memory of its requests
// (resp.Limits) and of the replies to them (freeReply) is bounded.
func (c *Client) mustLogIn() bool { return !c.authed && c.srv.mustAuthenticate() }

// startAs makes the client what a new connection is.
func (c *Client) startAs(def *acl.User) {
	c.user = def
	c.authed = def.NoPass() && def.Enabled()
}

// userName returns the name of the client's user as CLIENT LIST shows it.
func (c *Client) userName() string {
	if c.user == nil {
		return "(superuser)"
	}
	return c.user.Name()
}

// forbidden returns the error if the client may not send the request, or "". It is to be asked of clients that are
// bounded. queued says that the request is a queued one, which was allowed when it came.
func (s *Server) forbidden(c *Client, e *session.Entry, queued bool) string {
	if e.Flags&session.NoAuth == 0 && c.mustLogIn() {
		return session.ErrNoAuth
	}
	if c.user == nil {
		return ""
	}
	why, pos := s.check(c.user, e, c.Args)
	switch {
	case why == acl.Allowed:
		return ""
	case why == acl.DeniedCommand:
		s.logDenial(c, why, e.Full)
	default:
		s.logDenial(c, why, string(c.Args[pos]))
	}
	if queued {
		return errRightsChanged + [...]string{
			acl.DeniedCommand: "no permission to execute the command or subcommand",
			acl.DeniedKey:     "no permission to touch the specified keys",
			acl.DeniedChannel: "no permission to access one of the channels used as arguments",
		}[why]
	}
	return "NOPERM " + errDenied(why, c.user, e)
}

const errRightsChanged = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC " +
	"call. This command is no longer allowed for the following reason: "

// errDenied returns the error of a denied request: why it is denied, and no more than that.
func errDenied(why acl.Denial, u *acl.User, e *session.Entry) string {
	switch why {
	case acl.DeniedKey:
		return "No permissions to access a key"
	case acl.DeniedChannel:
		return "No permissions to access a channel"
	}
	return "User " + u.Name() + " has no permissions to run the '" + e.Full + "' command"
}

// ReadsAll reports whether the client may send the command that runs and besides read any key.
func (c *Client) ReadsAll() bool {
	if c.user == nil || !c.user.Limited() {
		return true
	}
	r := &c.srv.security.request
	r.begin(c.Cmd, c.Args)
	return c.user.CheckAndReadAll(r)
}

// endSessions closes the connections of deleted users.
func (s *Server) endSessions(gone ...*acl.User) {
	if len(gone) == 0 {
		return
	}
	for _, c := range s.byID() {
		if c.user != nil && slices.Contains(gone, c.user) {
			// It runs nothing any more; should it do so all the same, it is nobody.
			c.user, c.authed = s.security.users.Default(), false
			s.endSession(c)
		}
	}
}

// endSession closes a client at once, or after the reply if the client is running a command.
func (s *Server) endSession(c *Client) {
	if c == s.current {
		c.closeAfterReply()
	} else {
		s.doom(c)
	}
}

// endSubscribers ends the sessions of a user that are subscribed to what the user has no right to any more.
func (s *Server) endSubscribers(u *acl.User) {
	if s.channels.clients == 0 {
		return
	}
	for _, c := range s.byID() {
		if c.user == u && c.subscribed() && c.hearsForbidden() {
			s.endSession(c)
		}
	}
}

// hearsForbidden reports whether the client is subscribed to something that its user has no right to.
func (c *Client) hearsForbidden() bool {
	for kind := range c.pushes.subs {
		for x := range c.pushes.subs[kind].Channels() {
			if !c.user.AllowsChannel(x.Name(), channelKind(kind) == kindPattern) {
				return true
			}
		}
	}
	return false
}

// setDefaultPassword is the effect of requirepass.
func (s *Server) setDefaultPassword() error {
	s.security.users.SetDefaultPassword(s.Config.RequirePass)
	return nil
}

// UserChecker returns a function that checks the user directives of one configuration: it is given the words behind
// "user" of each in turn. Commands that it does not know are no error yet.
func UserChecker() func(words []string) error {
	var users *acl.Users
	return func(words []string) error {
		if users == nil {
			users = newUsers(newRegistry(), func() bool { return false }, nil)
		}
		_, err := users.Declare(words)
		var rule *acl.RuleError
		switch {
		case err == nil, errors.Is(err, acl.ErrUnknown):
			return nil
		case errors.As(err, &rule):
			return refusal("Error in user declaration '" + rule.Rule + "': " + rule.Reason.Error())
		}
		return refusal("Error in user declaration '" + words[0] + "': " + err.Error())
	}
}

// loadUsers makes the users that the configuration declares, or those of its file.
func (s *Server) loadUsers() error {
	if s.Config.ACLFile != "" && len(s.Config.Users) > 0 {
		return refusal("There are users in the configuration file, and aclfile names a file of users too: which of them " +
			"count? Declare all users in one place.")
	}
	users := s.security.users
	for _, words := range s.Config.Users {
		u, err := users.Declare(words)
		if err != nil {
			s.Logf(config.LogWarning, "Error loading the ACL rules of the user '%s': %v", words[0], err)
			return refusal("Critical error while loading ACLs. Exiting.")
		}
		if !u.Enabled() {
			s.Logf(config.LogNotice, "The user '%s' is disabled (there is no 'on' modifier in the user description). "+
				"Make sure this is not a configuration error.", u.Name())
		}
	}
	s.Config.RewriteUsers = func() []string {
		var lines []string
		for _, u := range users.Sorted() {
			words := strings.Split(u.Line(), " ")
			for i, w := range words {
				if w == "" || strings.ContainsAny(w, "\"'") {
					words[i] = config.Quote(w) // in a configuration file quotes count, unlike in the file of users
				}
			}
			lines = append(lines, strings.Join(words, " "))
		}
		return lines
	}
	if s.Config.ACLFile != "" {
		if err := s.readUsers(); err != nil {
			return refusal("Aborting Ferrous startup because of ACL errors: " + err.Error())
		}
	}
	return nil
}

// readUsers replaces all users by those of the ACL file. On errors nothing changes. It closes the clients of all former users
// but the default one, also of users that are in the file.
func (s *Server) readUsers() error {
	text, err := s.Config.ReadFile(s.Config.Path(s.Config.ACLFile))
	if err != nil {
		return refusal("Error loading ACLs, opening file '" + s.Config.ACLFile + "': " + config.ErrorText(err))
	}
	users, err := s.security.users.Parse(s.Config.ACLFile, text)
	if err != nil {
		return err
	}
	s.endSessions(s.security.users.Replace(users)...)
	return nil
}
