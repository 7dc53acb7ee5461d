package acl

import (
	"bytes"
	"slices"

	"ferrous/commands/glob"
)

// The check of a request. A selector allows a request if it allows the command, the access to each key, and each channel. A
// user may make a request if one of its selectors allows it; rights of several selectors are not combined.

// Denial is the reason why a request is not allowed.
type Denial uint8

// The reasons. If no selector of a user allows a request, Check returns the greatest reason of all selectors. DeniedAuth and
// DeniedCert are reasons of ACL LOG only.
const (
	Allowed Denial = iota
	DeniedCommand
	DeniedKey
	DeniedAuth
	DeniedChannel
	DeniedCert
)

// String returns the reason as ACL LOG has it.
func (d Denial) String() string {
	return [...]string{"", "command", "key", "auth", "channel", "tls-cert"}[d]
}

// Key is a key among the arguments of a request, and the access to it.
type Key struct {
	Pos    int
	Access Access
}

// Channel is a channel among the arguments of a request, or a pattern of channels to subscribe to.
type Channel struct {
	Pos     int
	Pattern bool
}

// Request is the request to check.
type Request interface {
	// Command returns the number of the command, and whether every client may run it (AUTH, QUIT).
	Command() (id int, free bool)
	// Args returns the arguments with the command's name.
	Args() [][]byte
	// Keys and Channels find the keys and channels among the arguments. Check calls them only if it needs them, perhaps
	// several times.
	Keys() []Key
	Channels() []Channel
}

// Check decides whether the user may make a request. pos is the argument that is not allowed, 0 if it is the command.
func (u *User) Check(r Request) (d Denial, pos int) {
	if !u.limited {
		return Allowed, 0
	}
	d = DeniedCommand
	for _, s := range u.selectors {
		why, at := s.check(r)
		if why == Allowed {
			return Allowed, 0
		}
		if why > d || why == d && at > pos {
			d, pos = why, at
		}
	}
	return d, pos
}

// CheckAndReadAll reports whether one of the user's selectors allows the request and also the reading of any key.
func (u *User) CheckAndReadAll(r Request) bool {
	return !u.limited || slices.ContainsFunc(u.selectors, func(s *selector) bool {
		why, _ := s.check(r)
		return why == Allowed && s.readsAll()
	})
}

func (s *selector) check(r Request) (Denial, int) {
	if !s.allCommands {
		if id, free := r.Command(); !free && !s.has(id) && !s.allowsFirstArg(id, r.Args()) {
			return DeniedCommand, 0
		}
	}
	if !s.allKeys {
		for _, k := range r.Keys() {
			if !s.allowsKey(r.Args()[k.Pos], k.Access) {
				return DeniedKey, k.Pos
			}
		}
	}
	if !s.allChannels {
		for _, c := range r.Channels() {
			if !allowsChannel(s.channels, r.Args()[c.Pos], c.Pattern) {
				return DeniedChannel, c.Pos
			}
		}
	}
	return Allowed, 0
}

func (s *selector) allowsFirstArg(id int, args [][]byte) bool {
	if len(args) < 2 {
		return false
	}
	for _, word := range s.firstArgs[id] {
		if equalFold(args[1], word) {
			return true
		}
	}
	return false
}

// equalFold compares with a lower-case word, in any case. A zero byte ends b, as in the comparisons of commands.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) && (len(b) < len(word) || b[len(word)] != 0) {
		return false
	}
	for i, x := range b[:len(word)] {
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if x != word[i] {
			return false
		}
	}
	return true
}

func (s *selector) allowsKey(key []byte, access Access) bool {
	for i := range s.keys {
		if k := &s.keys[i]; k.access&access == access && glob.Match(k.pattern, key, false) {
			return true
		}
	}
	return false
}

func (s *selector) readsAll() bool {
	return s.allKeys || slices.ContainsFunc(s.keys, func(k keyPattern) bool {
		return k.access&Read != 0 && string(k.pattern) == "*"
	})
}

// allowsChannel reports whether one of the patterns allows a channel. A pattern to subscribe to must be equal to one of them,
// since it cannot be decided whether another pattern matches all of its channels.
func allowsChannel(patterns [][]byte, channel []byte, isPattern bool) bool {
	for _, p := range patterns {
		if isPattern && bytes.Equal(p, channel) || !isPattern && glob.Match(p, channel, false) {
			return true
		}
	}
	return false
}

// AllowsChannel reports whether one of the user's selectors allows a channel, or a pattern of channels.
func (u *User) AllowsChannel(channel []byte, isPattern bool) bool {
	return slices.ContainsFunc(u.selectors, func(s *selector) bool {
		return s.allChannels || allowsChannel(s.channels, channel, isPattern)
	})
}

// hasChannelsOf reports whether the user has each right to channels that old has.
func (u *User) hasChannelsOf(old *User) bool {
	var have [][]byte
	for _, s := range u.selectors {
		if s.allChannels {
			return true
		}
		have = append(have, s.channels...)
	}
	for _, s := range old.selectors {
		if s.allChannels {
			return false
		}
		for _, c := range s.channels {
			if !allowsChannel(have, c, true) {
				return false
			}
		}
	}
	return true
}
