// Package acl has the users and decides which commands, keys and channels a user may use.
//
// # Terms
//
// A User has a name, passwords, and one or more selectors. A selector is a set of rights: commands, patterns of keys with
// the right to read or to write them, patterns of channels. Rules outside parentheses change the first selector of a user,
// the root. A request is allowed if one selector allows all of it. Users is the set of users of one server; it always has the
// user "default".
//
// Rules are words: "+get", "~key:*", ">password" and so on. rules.go applies them; describe.go describes a user by rules
// again, for ACL LIST and files.
//
// # How rights are stored
//
// Commands have numbers, given by the Table. A selector has a bitmap of them, so that the check of a command is the test of a
// bit however many rules there are. The selector also has the rules themselves, in order and without those that later ones
// made void, since rules cannot be derived from the bitmap. Rights without exception (all commands, keys, channels) are flags
// that are checked first.
//
// Most users may do everything. User.Limited is false for them, and dispatch checks nothing else.
//
// # Changes
//
// Users.Set changes a copy of the user and stores it only if all rules are valid, so that a change is complete or does not
// happen. The *User stays the same as long as the user exists, so clients may keep it. A client must drop a user that was
// deleted, or that Users.Replace has replaced.
//
// This package sees commands through the Table only. Servers share no state. A Users belongs to one goroutine.
package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// DefaultName is the name of a connection's user before it authenticates.
const DefaultName = "default"

// Table is the command table of a server, as this package sees it. A command has a number; subcommands are commands, too.
type Table interface {
	// Len returns the number of commands. Their numbers are 0 to Len()-1.
	Len() int
	// Find returns the command of a full name, "get" or "config|get", in any case.
	Find(name string) (id int, ok bool)
	// Name returns the full name in lower case.
	Name(id int) string
	// Subs returns the subcommands of a container, nothing for other commands.
	Subs(id int) []int
	// IsSub reports whether the command is a subcommand.
	IsSub(id int) bool
	// Category returns the bit of a category's name in any case.
	Category(name string) (bit uint32, ok bool)
	// Categories returns the categories of a command.
	Categories(id int) uint32
}

// Options has the functions of the server that a Users needs.
type Options struct {
	Table Table
	// Split splits the rules in the parentheses of a selector into words; false if quotes are unbalanced.
	Split func(line string) ([]string, bool)
	// AllChannels reports whether new users and selectors have the right to all channels (acl-pubsub-default).
	AllChannels func() bool
	// FirstArg, unless nil, is called with each rule that allows a command with one first argument only, as ACL LIST shows the
	// rule. Redis advises against such rules.
	FirstArg func(rule string)
}

// Users are the users of a server.
type Users struct {
	opts   Options
	byName map[string]*User
	def    *User

	declared map[string]bool // those that Declare made

	bytes   int  // see Bytes
	counted bool // no change since bytes was counted
}

// User is a user that may authenticate. Check tests its rights.
type User struct {
	name string
	// limited is false if the user may do everything.
	limited      bool
	on           bool
	nopass       bool
	skipSanitize bool
	passwords    []string    // SHA-256, 64 lower-case hexadecimal digits
	selectors    []*selector // the first is the root
	text         string      // the result of Describe, "" until the first call
}

// selector is a set of rights.
type selector struct {
	allCommands bool // all commands are allowed: no command was removed since +@all
	future      bool // the rules begin with +@all, so commands that are added later are allowed, too
	allKeys     bool
	allChannels bool
	commands    []uint64         // bitmap
	firstArgs   map[int][]string // commands that are allowed with these first arguments only, in lower case
	rules       []string         // of commands, behind +@all or -@all
	keys        []keyPattern
	channels    [][]byte // patterns
}

// Access is the kind of access to a key.
type Access uint8

// The kinds of access.
const (
	Read Access = 1 << iota
	Write
)

// keyPattern is a pattern of keys and the allowed kinds of access.
type keyPattern struct {
	access  Access
	pattern []byte
}

// New returns users with the default user only, which may do everything and needs no password.
func New(opts Options) *Users {
	u := &Users{opts: opts, byName: make(map[string]*User)}
	u.def = u.newDefault()
	u.byName[DefaultName] = u.def
	return u
}

// newDefault returns the default user as it is without rules.
func (us *Users) newDefault() *User {
	u := us.newUser(DefaultName)
	for _, rule := range []string{"+@all", "~*", "&*", "on", "nopass"} {
		if err := us.apply(u, rule); err != nil {
			panic("acl: " + err.Error())
		}
	}
	u.changed()
	return u
}

// newUser returns a user who may do nothing, and cannot log in.
func (us *Users) newUser(name string) *User {
	u := &User{name: name, selectors: []*selector{us.newSelector()}}
	u.changed()
	return u
}

func (us *Users) newSelector() *selector {
	return &selector{
		allChannels: us.opts.AllChannels(),
		commands:    make([]uint64, (us.opts.Table.Len()+63)/64),
	}
}

// changed updates the fields that depend on the rights.
func (u *User) changed() {
	u.text = ""
	u.limited = true
	for _, s := range u.selectors {
		if s.allCommands && s.allKeys && s.allChannels {
			u.limited = false
		}
	}
}

// copyFrom copies everything but the name from other to u.
func (u *User) copyFrom(other *User) {
	name := u.name
	*u = *other
	u.name = name
	u.passwords = slices.Clone(other.passwords)
	u.selectors = make([]*selector, len(other.selectors))
	for i, s := range other.selectors {
		u.selectors[i] = s.clone()
	}
	u.changed()
}

func (s *selector) clone() *selector {
	c := *s
	c.commands = slices.Clone(s.commands)
	c.rules = slices.Clone(s.rules)
	c.keys = slices.Clone(s.keys)
	c.channels = slices.Clone(s.channels)
	c.firstArgs = maps.Clone(s.firstArgs)
	for id, words := range c.firstArgs {
		c.firstArgs[id] = slices.Clone(words)
	}
	return &c
}

// Default returns the default user, which is always the same one.
func (us *Users) Default() *User { return us.def }

// Len returns the number of users.
func (us *Users) Len() int { return len(us.byName) }

// Get returns the user of a name, nil if there is none.
func (us *Users) Get(name []byte) *User { return us.byName[string(name)] }

// Sorted returns all users in the order of their names.
func (us *Users) Sorted() []*User {
	all := make([]*User, 0, len(us.byName))
	for _, u := range us.byName {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *User) int { return strings.Compare(a.name, b.name) })
	return all
}

// Set changes a user by rules, or creates it. If one of the rules is invalid nothing changes, and the error is a *RuleError
// or *SelectorError. lost reports whether an existing user may have lost the right to a channel.
func (us *Users) Set(name string, rules []string) (u *User, lost bool, err error) {
	rules, err = mergeSelectors(rules)
	if err != nil {
		return nil, false, err
	}
	old := us.byName[name]
	next := us.newUser(name)
	if old != nil {
		next.copyFrom(old)
	}
	for _, rule := range rules {
		if err := us.apply(next, rule); err != nil {
			return nil, false, &RuleError{rule, err}
		}
	}
	next.changed()
	us.counted = false
	if old == nil {
		us.byName[name] = next
		return next, false, nil
	}
	lost = !next.hasChannelsOf(old)
	*old = *next
	return old, lost, nil
}

// SetDefaultPassword sets the only password of the default user; with "" the user needs no password.
func (us *Users) SetDefaultPassword(password string) {
	us.def.passwords = nil
	us.def.nopass = password == ""
	if password != "" {
		us.def.passwords = []string{Hash([]byte(password))}
	}
	us.def.changed()
}

// Delete removes a user and returns it, nil if there is none of that name. The default user must not be deleted.
func (us *Users) Delete(name []byte) *User {
	u := us.byName[string(name)]
	if u == us.def {
		return nil
	}
	delete(us.byName, string(name))
	us.counted = false
	return u
}

// Replace replaces all users by those of other, which must not be used any more. The default user keeps its *User and gets
// the rights of other's default user. Replace returns the other former users.
func (us *Users) Replace(other *Users) (gone []*User) {
	for _, u := range us.Sorted() {
		if u != us.def {
			gone = append(gone, u)
		}
	}
	us.def.copyFrom(other.def)
	other.byName[DefaultName] = us.def
	us.byName, us.counted = other.byName, false
	return gone
}

// Name returns the user's name.
func (u *User) Name() string { return u.name }

// Limited reports whether there are commands, keys or channels that the user may not use.
func (u *User) Limited() bool { return u.limited }

// Enabled reports whether the user may authenticate (rule on).
func (u *User) Enabled() bool { return u.on }

// NoPass reports whether every password is accepted.
func (u *User) NoPass() bool { return u.nopass }

// Passwords returns the passwords' SHA-256 in hexadecimal digits.
func (u *User) Passwords() []string { return u.passwords }

// Accepts reports whether the user may authenticate with the password. Its time does not depend on the passwords.
func (u *User) Accepts(password []byte) bool { return u.AcceptsHash(Hash(password)) }

// AcceptsHash is Accepts for a password of which only the Hash is known.
func (u *User) AcceptsHash(h string) bool {
	if !u.on {
		return false
	}
	if u.nopass {
		return true
	}
	given, good := []byte(h), 0
	for _, p := range u.passwords {
		good |= subtle.ConstantTimeCompare(given, []byte(p))
	}
	return good == 1
}

// Hash returns the SHA-256 of a password in lower-case hexadecimal digits.
func Hash(password []byte) string {
	sum := sha256.Sum256(password)
	return hex.EncodeToString(sum[:])
}
