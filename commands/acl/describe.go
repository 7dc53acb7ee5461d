package acl

import "strings"

// Users as rules, for ACL LIST, ACL GETUSER and files.

// Flags returns the words of the user's state, in Redis's order.
func (u *User) Flags() []string {
	flags := make([]string, 0, 3)
	if u.on {
		flags = append(flags, "on")
	} else {
		flags = append(flags, "off")
	}
	if u.nopass {
		flags = append(flags, "nopass")
	}
	if u.skipSanitize {
		return append(flags, "skip-sanitize-payload")
	}
	return append(flags, "sanitize-payload")
}

// Describe returns rules that give a new user the same rights as this one.
func (u *User) Describe() string {
	if u.text != "" {
		return u.text
	}
	var b strings.Builder
	for _, f := range u.Flags() {
		b.WriteString(f + " ")
	}
	for _, p := range u.passwords {
		b.WriteString("#" + p + " ")
	}
	for i, s := range u.Selectors() {
		if i > 0 {
			s = s.quoted()
		}
		text := s.Commands
		if s.Channels != "&*" {
			text = strings.TrimRight("resetchannels "+s.Channels, " ") + " " + text
		} else {
			text = "&* " + text
		}
		if s.Keys != "" {
			text = s.Keys + " " + text
		}
		if i > 0 {
			text = " (" + text + ")"
		}
		b.WriteString(text)
	}
	u.text = b.String()
	return u.text
}

// Line returns the user's line in a file.
func (u *User) Line() string { return "user " + u.name + " " + u.Describe() }

// Selector is a selector as rules.
type Selector struct{ Commands, Keys, Channels string }

// quoted returns the selector with quotes around words that could not be read back otherwise: within parentheses, unlike
// outside, words may be quoted, and a parenthesis at the end of a word closes the selector. (Redis writes such words without
// quotes, and refuses or misreads them when it loads the file.)
func (s Selector) quoted() Selector {
	for _, text := range []*string{&s.Commands, &s.Keys, &s.Channels} {
		words := strings.Split(*text, " ")
		for i, w := range words {
			if strings.HasSuffix(w, ")") || strings.ContainsAny(w, "\"'\\") {
				words[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
			}
		}
		*text = strings.Join(words, " ")
	}
	return s
}

// Selectors returns the user's selectors, the root first.
func (u *User) Selectors() []Selector {
	out := make([]Selector, len(u.selectors))
	for i, s := range u.selectors {
		out[i] = Selector{s.commandRules(), s.keyRules(), s.channelRules()}
	}
	return out
}

func (s *selector) commandRules() string {
	all := "-@all"
	if s.future {
		all = "+@all"
	}
	return strings.Join(append([]string{all}, s.rules...), " ")
}

func (s *selector) keyRules() string {
	if s.allKeys {
		return "~*"
	}
	words := make([]string, len(s.keys))
	for i, k := range s.keys {
		words[i] = [...]string{Read: "%R~", Write: "%W~", Read | Write: "~"}[k.access] + string(k.pattern)
	}
	return strings.Join(words, " ")
}

func (s *selector) channelRules() string {
	if s.allChannels {
		return "&*"
	}
	words := make([]string, len(s.channels))
	for i, c := range s.channels {
		words[i] = "&" + string(c)
	}
	return strings.Join(words, " ")
}
