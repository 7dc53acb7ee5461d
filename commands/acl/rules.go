package acl

import (
	"slices"
	"strings"
)

// Rules. Each is a word; later ones change what earlier ones did.
//
// Of the user: on, off, nopass, resetpass, >password, <password, #hash, !hash, sanitize-payload, skip-sanitize-payload,
// (rules of a further selector), clearselectors, reset. Of a selector, and outside parentheses of the root: allkeys,
// resetkeys, ~pattern, %R~pattern, %W~pattern, %RW~pattern, allchannels, resetchannels, &pattern, allcommands,
// nocommands, +command, -command, +container|subcommand, -container|subcommand, +command|argument, +@category,
// -@category. All is as in Redis 7.2, the texts of errors too.

// Problem is the error of a rule, in Redis's words.
type Problem string

func (p Problem) Error() string { return string(p) }

// The problems of rules.
const (
	ErrUnknown     Problem = "Unknown command or category name in ACL"
	ErrSyntax      Problem = "Syntax error"
	ErrAllKeys     Problem = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
	ErrAllChannels Problem = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
	ErrPassword    Problem = "The password you are trying to remove from the user does not exist"
	ErrHash        Problem = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
	ErrSubArg      Problem = "Allowing first-arg of a subcommand is not supported"

	// The problems of declarations in configuration files.
	ErrDuplicate Problem = "Duplicate user found. A user can only be defined once in config files"
	ErrName      Problem = "Spaces not allowed in ACL usernames"
)

// RuleError is the error of one rule.
type RuleError struct {
	Rule   string
	Reason error // a Problem
}

func (e *RuleError) Error() string {
	return "Error in ACL SETUSER modifier '" + untilZero(e.Rule) + "': " + e.Reason.Error()
}

func (e *RuleError) Unwrap() error { return e.Reason }

// SelectorError is a parenthesis that is not closed; Start is the word with it.
type SelectorError struct{ Start string }

func (e *SelectorError) Error() string {
	return "Unmatched parenthesis in acl selector starting at '" + untilZero(e.Start) + "'."
}

// untilZero returns the part of s before a zero byte: the string of C.
func untilZero(s string) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return s[:i]
	}
	return s
}

// ValidName reports whether a name or pattern is valid: it has no blanks, which separate rules.
func ValidName(s string) bool { return !strings.ContainsAny(s, " \t\n\v\f\r\x00") }

// mergeSelectors joins the words of each selector that was split into several arguments.
func mergeSelectors(words []string) ([]string, error) {
	out := make([]string, 0, len(words))
	open := -1
	for i, w := range words {
		switch {
		case open >= 0:
			out[len(out)-1] += " " + w
			if strings.HasSuffix(w, ")") {
				open = -1
			}
		case strings.HasPrefix(w, "(") && !strings.HasSuffix(w, ")"):
			open = i
			out = append(out, w)
		default:
			out = append(out, w)
		}
	}
	if open >= 0 {
		return nil, &SelectorError{words[open]}
	}
	return out, nil
}

// apply applies one rule to a user; the caller calls User.changed after the last one.
func (us *Users) apply(u *User, rule string) error {
	if rule == "" {
		return nil
	}
	switch rule[0] {
	case '>':
		u.addPassword(Hash([]byte(rule[1:])))
		return nil
	case '#':
		if !isHash(rule[1:]) {
			return ErrHash
		}
		u.addPassword(rule[1:])
		return nil
	case '<':
		return u.removePassword(Hash([]byte(rule[1:])))
	case '!':
		if !isHash(rule[1:]) {
			return ErrHash
		}
		return u.removePassword(rule[1:])
	case '(':
		if strings.HasSuffix(rule, ")") && len(rule) > 1 {
			return us.addSelector(u, rule[1:len(rule)-1])
		}
	}
	switch word := strings.ToLower(untilZero(rule)); word {
	case "on", "off":
		u.on = word == "on"
	case "skip-sanitize-payload", "sanitize-payload":
		u.skipSanitize = word == "skip-sanitize-payload"
	case "nopass", "resetpass":
		u.passwords, u.nopass = nil, word == "nopass"
	case "clearselectors":
		u.selectors = u.selectors[:1:1]
	case "reset":
		*u = *us.newUser(u.name)
	default:
		return us.applyTo(u.selectors[0], rule)
	}
	return nil
}

func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func (u *User) addPassword(h string) {
	u.nopass = false
	if !slices.Contains(u.passwords, h) {
		u.passwords = append(u.passwords, h)
	}
}

func (u *User) removePassword(h string) error {
	i := slices.Index(u.passwords, h)
	if i < 0 {
		return ErrPassword
	}
	u.passwords = slices.Delete(u.passwords, i, i+1)
	return nil
}

// addSelector adds a selector with the rules of a line to the user.
func (us *Users) addSelector(u *User, line string) error {
	words, ok := us.opts.Split(line)
	if !ok {
		return ErrSyntax
	}
	s := us.newSelector()
	for _, w := range words {
		if err := us.applyTo(s, w); err != nil {
			return err
		}
	}
	u.selectors = append(u.selectors, s)
	return nil
}

// applyTo applies one rule to a selector.
func (us *Users) applyTo(s *selector, rule string) error {
	if rule == "" {
		return ErrSyntax
	}
	word := strings.ToLower(untilZero(rule))
	switch word {
	case "allkeys", "~*":
		s.allKeys, s.keys = true, nil
		return nil
	case "resetkeys":
		s.allKeys, s.keys = false, nil
		return nil
	case "allchannels", "&*":
		s.allChannels, s.channels = true, nil
		return nil
	case "resetchannels":
		s.allChannels, s.channels = false, nil
		return nil
	case "allcommands", "+@all":
		s.setAll(true)
		return nil
	case "nocommands", "-@all":
		s.setAll(false)
		return nil
	}
	switch rule[0] {
	case '~', '%':
		return s.addKeys(rule)
	case '&':
		return s.addChannels(rule[1:])
	case '+', '-':
		allow := rule[0] == '+'
		if len(word) > 1 && word[1] == '@' {
			return us.setCategory(s, word[1:], allow)
		}
		return us.setCommand(s, word[1:], allow)
	}
	return ErrSyntax
}

// setAll allows or forbids all commands and drops all rules of commands.
func (s *selector) setAll(allow bool) {
	s.allCommands, s.future = allow, allow
	s.rules, s.firstArgs = nil, nil
	for i := range s.commands {
		s.commands[i] = 0
		if allow {
			s.commands[i] = ^uint64(0)
		}
	}
}

// addKeys adds the pattern of a rule, ~pattern or %RW~pattern.
func (s *selector) addKeys(rule string) error {
	if s.allKeys {
		return ErrAllKeys
	}
	access, at := Access(0), 1
	if rule[0] == '~' {
		access = Read | Write
	} else {
	letters:
		for ; at < len(rule); at++ {
			switch c := rule[at]; {
			case (c == 'R' || c == 'r') && access&Read == 0:
				access |= Read
			case (c == 'W' || c == 'w') && access&Write == 0:
				access |= Write
			case c == '~' && access != 0:
				at++
				break letters
			default:
				return ErrSyntax
			}
		}
		if access == 0 || rule[at-1] != '~' {
			return ErrSyntax // Redis reads "%R" as the pattern "", which matches no key
		}
	}
	pattern := rule[at:]
	if !ValidName(pattern) {
		return ErrSyntax
	}
	for i := range s.keys {
		if string(s.keys[i].pattern) == pattern {
			s.keys[i].access |= access
			return nil
		}
	}
	s.keys = append(s.keys, keyPattern{access, []byte(pattern)})
	return nil
}

func (s *selector) addChannels(pattern string) error {
	if s.allChannels {
		return ErrAllChannels
	}
	if !ValidName(pattern) {
		return ErrSyntax
	}
	if !allowsChannel(s.channels, []byte(pattern), true) {
		s.channels = append(s.channels, []byte(pattern))
	}
	return nil
}

// setCategory applies +@category and -@category. name has the @.
func (us *Users) setCategory(s *selector, name string, allow bool) error {
	t := us.opts.Table
	bit, ok := t.Category(name[1:])
	if !ok {
		return ErrUnknown
	}
	s.remember(name, allow)
	for id := range t.Len() {
		if t.Categories(id)&bit != 0 {
			us.setOne(s, id, allow)
		}
	}
	return nil
}

// setCommand applies + and - with the name of a command, of a subcommand, or of a command and its first argument, in lower
// case.
func (us *Users) setCommand(s *selector, name string, allow bool) error {
	t := us.opts.Table
	bar := strings.LastIndexByte(name, '|')
	if bar >= 0 && allow {
		id, ok := t.Find(name[:bar])
		switch {
		case !ok:
			return ErrUnknown
		case t.IsSub(id):
			return ErrSubArg
		case bar == len(name)-1, !ValidName(name):
			return ErrSyntax // Redis accepts blanks here, and cannot write them to a file that it can load
		case len(t.Subs(id)) == 0:
			if us.opts.FirstArg != nil {
				us.opts.FirstArg("+" + name)
			}
			s.allowFirstArg(id, name[bar+1:])
			s.remember(name, true)
			return nil
		}
	}
	id, ok := t.Find(name)
	if !ok {
		return ErrUnknown
	}
	us.setOne(s, id, allow)
	s.remember(t.Name(id), allow)
	return nil
}

// setOne allows or forbids a command with all its subcommands.
func (us *Users) setOne(s *selector, id int, allow bool) {
	s.set(id, allow)
	delete(s.firstArgs, id)
	for _, sub := range us.opts.Table.Subs(id) {
		s.set(sub, allow)
	}
}

func (s *selector) set(id int, allow bool) {
	if allow {
		s.commands[id>>6] |= 1 << (id & 63)
	} else {
		s.commands[id>>6] &^= 1 << (id & 63)
		s.allCommands = false
	}
}

func (s *selector) has(id int) bool {
	return uint(id>>6) < uint(len(s.commands)) && s.commands[id>>6]&(1<<(id&63)) != 0
}

func (s *selector) allowFirstArg(id int, word string) {
	if slices.Contains(s.firstArgs[id], word) {
		return
	}
	if s.firstArgs == nil {
		s.firstArgs = make(map[int][]string)
	}
	s.firstArgs[id] = append(s.firstArgs[id], word)
}

// remember adds a rule of commands and drops those that it makes void: rules of the same command or category, and of the
// subcommands and first arguments of the command.
func (s *selector) remember(name string, allow bool) {
	s.rules = slices.DeleteFunc(s.rules, func(r string) bool {
		r, ok := strings.CutPrefix(r[1:], name)
		return ok && (r == "" || r[0] == '|')
	})
	sign := "-"
	if allow {
		sign = "+"
	}
	s.rules = append(s.rules, sign+name)
}
