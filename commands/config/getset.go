package config

import (
	"slices"
	"strings"
	"sync"

	"ferrous/commands/glob"
)

// Pair is a parameter and its value in the reply of CONFIG GET.
type Pair struct{ Name, Value string }

// Get is CONFIG GET: it returns the parameters that match any of the patterns,
// each once. A name without [, * or ? also finds hidden parameters and is
// returned as the client wrote it, in case and alias; a pattern matches names
// and aliases, in the order of the table.
func (c *Config) Get(patterns ...string) []Pair {
	var out []Pair
	seen := make(map[string]bool)
	add := func(name, shown string, r *row) {
		if !seen[name] {
			seen[name] = true
			out = append(out, Pair{shown, r.value.get()})
		}
	}
	match := func(p, name string) bool { return glob.Match([]byte(p), []byte(name), true) }
	for _, p := range patterns {
		if !strings.ContainsAny(p, "[*?") {
			if r, name := c.lookup(p); r != nil {
				add(name, p, r)
			}
			continue
		}
		for _, r := range c.rows {
			if r.flags&Hidden != 0 {
				continue
			}
			if match(p, r.name) {
				add(r.name, r.name, r)
			}
			for _, a := range r.aliases {
				if match(p, a) {
					add(a, a, r)
				}
			}
		}
	}
	return out
}

// Value returns the value of one directive as CONFIG GET prints it; name may be
// an alias and in any case.
func (c *Config) Value(name string) (string, bool) {
	r, _ := c.lookup(name)
	if r == nil {
		return "", false
	}
	return r.value.get(), true
}

// defaultValues are the values of all directives in a new configuration, in the order of the table.
var defaultValues = sync.OnceValue(func() []string {
	var out []string
	for _, r := range New().rows {
		out = append(out, r.value.get())
	}
	return out
})

// Changed returns the directives whose values are not the defaults, in the order of the table. The values of sensitive ones
// are left out: they are "(redacted)".
func (c *Config) Changed() []Pair {
	var out []Pair
	defaults := defaultValues()
	for i, r := range c.rows {
		value := r.value.get()
		if value == defaults[i] {
			continue
		}
		if r.flags&Sensitive != 0 || strings.HasSuffix(r.name, "-pass") {
			value = "(redacted)"
		}
		out = append(out, Pair{r.name, value})
	}
	return out
}

// SetContext is the state of server and client for CONFIG SET.
type SetContext struct {
	Loading bool // data is being loaded
	Local   bool // the client is connected from this host
}

// Set is CONFIG SET: args are names and values alternately. All of them take
// effect, or none does and the error is the reply. The caller must redact values
// of Sensitive directives when it shows the command.
func (c *Config) Set(args []string, ctx SetContext) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return ErrSyntax
	}
	rows := make([]*row, 0, len(args)/2)
	names := make([]string, 0, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		r, name := c.lookup(args[i])
		switch {
		case r == nil:
			return errUnknownParameter(args[i])
		case r.flags&Immutable != 0:
			return errSet(args[i], errImmutable)
		case r.flags&Protected != 0 && !c.EnableProtectedConfigs.Allows(ctx.Local):
			return errSet(args[i], errProtected)
		case r.flags&DenyLoading != 0 && ctx.Loading:
			return ErrLoading
		}
		// As in Redis a name and its alias count as two parameters.
		for _, other := range names {
			if other == name {
				return errSet(args[i], errDuplicate)
			}
		}
		rows = append(rows, r)
		names = append(names, name)
	}

	c.Dir = c.WorkDir() // the folder to restore must exist
	old := c.Values
	type effect struct {
		*apply
		name string // the parameter in the error text
	}
	var effects []effect
	for i, r := range rows {
		changed, err := r.assign(args[2*i+1])
		if err != nil {
			c.Values = old
			return errSet(names[i], err)
		}
		if !changed {
			continue
		}
	applies:
		for _, a := range r.applies {
			for _, e := range effects {
				if e.apply == a {
					continue applies
				}
			}
			effects = append(effects, effect{a, names[i]})
		}
	}
	slices.SortStableFunc(effects, func(a, b effect) int {
		switch {
		case a.last == b.last:
			return 0
		case a.last:
			return 1
		}
		return -1
	})
	for i, e := range effects {
		err := e.fn(c)
		if err == nil {
			continue
		}
		c.logf(LogWarning, "Failed applying new configuration. Possibly related to new %s setting. Restoring previous settings.", e.name)
		c.Values = old
		for _, undo := range effects[:i+1] {
			if err := undo.fn(c); err != nil {
				c.logf(LogWarning, "Failed applying restored failed CONFIG SET command: %s", err)
			}
		}
		return errSet(e.name, err)
	}
	c.warnOfNoOps(rows)
	return nil
}

// assign gives a directive the value of a CONFIG SET. Several words are
// separated by single blanks, without quoting.
func (r *row) assign(value string) (changed bool, err error) {
	words := []string{value}
	if r.flags&MultiArg != 0 {
		words = nil
		if value != "" {
			words = strings.Split(value, " ")
		}
	}
	return r.setWords(words)
}

func (r *row) setWords(words []string) (changed bool, err error) {
	changed, err = r.value.set(words)
	if err == nil && r.after != nil {
		r.after()
	}
	return changed || r.flags&volatile != 0, err
}
