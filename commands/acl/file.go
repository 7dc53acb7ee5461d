package acl

import (
	"errors"
	"fmt"
	"strings"
)

// Files of users: a line "user name rule rule …" each, words separated by single blanks, without quotes or comments;
// empty lines are allowed.

// FileError lists all errors of a file, in one line.
type FileError string

func (e FileError) Error() string { return string(e) }

// Text returns the content of a file with all users.
func (us *Users) Text() string {
	var b strings.Builder
	for _, u := range us.Sorted() {
		b.WriteString(u.Line() + "\n")
	}
	return b.String()
}

// Parse reads a file and returns its users, with the default user as New makes it if the file does not have it. name
// is the file's, for the error, which is a FileError.
func (us *Users) Parse(name, text string) (*Users, error) {
	next := &Users{opts: us.opts, byName: make(map[string]*User)}
	var problems strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if line = strings.Trim(line, " \t\r\n"); line == "" {
			continue
		}
		words := strings.Split(line, " ")
		switch {
		case len(words) < 2 || words[0] != "user":
			fmt.Fprintf(&problems, "%s:%d should start with user keyword followed by the username. ", name, i+1)
		case !ValidName(words[1]):
			fmt.Fprintf(&problems, "'%s:%d: username '%s' contains invalid characters. ", name, i+1, words[1])
		case next.byName[words[1]] != nil:
			fmt.Fprintf(&problems, "WARNING: Duplicate user '%s' found on line %d. ", words[1], i+1)
		default:
			next.parseUser(&problems, name, i+1, words[1:])
		}
	}
	if problems.Len() > 0 {
		return nil, FileError(problems.String() +
			"WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
	}
	if next.def = next.byName[DefaultName]; next.def == nil {
		next.def = next.newDefault()
		next.byName[DefaultName] = next.def
	}
	return next, nil
}

// parseUser makes the user of a line. It reports every unknown command or category. Of other errors, whose rules may contain
// secrets, it reports only the first, without the rule: it may be the cause of the others.
func (us *Users) parseUser(problems *strings.Builder, file string, line int, words []string) {
	u := us.newUser(words[0])
	us.byName[u.name] = u
	rules, err := mergeSelectors(words[1:])
	if err != nil {
		fmt.Fprintf(problems, "%s:%d: Unmatched parenthesis in selector definition.", file, line)
		return
	}
	told := false
	for _, rule := range rules {
		rule = strings.Trim(rule, "\t\r\n")
		switch err := us.apply(u, rule); {
		case err == nil:
		case errors.Is(err, ErrUnknown):
			fmt.Fprintf(problems, "%s:%d: Error in applying operation '%s': %s. ", file, line, rule, err)
		case !told:
			fmt.Fprintf(problems, "%s:%d: %s. ", file, line, err)
			told = true
		}
	}
	u.changed()
}

// Declare creates a user from the words of a configuration file: its name and rules. The default user loses its former
// rights. The error is a *RuleError, a *SelectorError or a Problem.
func (us *Users) Declare(words []string) (*User, error) {
	name, rules := words[0], words[1:]
	switch {
	case !ValidName(name):
		return nil, ErrName
	case us.declared[name]:
		return nil, ErrDuplicate
	case name == DefaultName:
		rules = append([]string{"reset"}, rules...)
	}
	u, _, err := us.Set(name, rules)
	if err != nil {
		return nil, err
	}
	if us.declared == nil {
		us.declared = make(map[string]bool)
	}
	us.declared[name] = true
	return u, nil
}
