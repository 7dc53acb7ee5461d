package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// setting is the typed part of a directive: it parses words into a field of Values and formats the field as text.
type setting interface {
	// set parses args and stores the value. changed says whether the directive's effect must run; the error is Redis's
	// reason. A failed set may leave the field partly changed: the caller restores Values.
	set(args []string) (changed bool, err error)
	// get returns the value as CONFIG GET prints it.
	get() string
	// lines returns the directive as lines of a configuration file; none if a file without the directive has this value.
	lines(name string) []fileLine
}

// fileLine is a line of a rewritten configuration file. One that is not forced (it has the default value) is written only if
// the file has the directive already.
type fileLine struct {
	text  string
	force bool
}

func oneLine(name, value string, force bool) []fileLine {
	return []fileLine{{name + " " + value, force}}
}

// yesnoSetting is a switch.
type yesnoSetting struct {
	p   *bool
	def bool
}

func (s *yesnoSetting) set(args []string) (bool, error) {
	var v bool
	switch {
	case strings.EqualFold(args[0], "yes"):
		v = true
	case strings.EqualFold(args[0], "no"):
	default:
		return false, errYesNo
	}
	changed := *s.p != v
	*s.p = v
	return changed, nil
}

func (s *yesnoSetting) get() string {
	if *s.p {
		return "yes"
	}
	return "no"
}

func (s *yesnoSetting) lines(name string) []fileLine {
	return oneLine(name, s.get(), *s.p != s.def)
}

// textSetting is a string. If optional, the empty string means "not set", and the directive is not in the file then.
type textSetting struct {
	p        *string
	def      string
	optional bool
	check    func(string) error
}

func (s *textSetting) set(args []string) (bool, error) {
	if s.check != nil {
		if err := s.check(args[0]); err != nil {
			return false, err
		}
	}
	changed := *s.p != args[0]
	*s.p = args[0]
	return changed, nil
}

func (s *textSetting) get() string { return *s.p }

func (s *textSetting) lines(name string) []fileLine {
	if s.optional && *s.p == "" {
		return nil
	}
	return oneLine(name, Quote(*s.p), *s.p != s.def)
}

// enumSetting is one word of a list, or several of them if flags is set.
type enumSetting[E ~int] struct {
	p     *E
	def   E
	names []enumName[E]
	flags bool
	check func(E) error
	newer int // number of last names that Redis 7.2 does not have: its error text does not list them
}

func (s *enumSetting[E]) set(args []string) (bool, error) {
	v, ok := s.parse(args)
	if !ok {
		words := make([]string, len(s.names)-s.newer)
		for i, n := range s.names[:len(words)] {
			words[i] = n.name
		}
		return false, errors.New("argument(s) must be one of the following: " + strings.Join(words, ", "))
	}
	if s.check != nil {
		if err := s.check(v); err != nil {
			return false, err
		}
	}
	changed := *s.p != v
	*s.p = v
	return changed, nil
}

func (s *enumSetting[E]) parse(args []string) (v E, ok bool) {
	if len(args) == 0 || len(args) > 1 && !s.flags {
		return 0, false
	}
	for _, a := range args {
		known := false
		for _, n := range s.names {
			if strings.EqualFold(a, n.name) {
				v |= n.val
				known = true
				break
			}
		}
		if !known {
			return 0, false
		}
	}
	return v, true
}

func (s *enumSetting[E]) get() string { return enumText(s.names, *s.p, s.flags) }

func (s *enumSetting[E]) lines(name string) []fileLine {
	return oneLine(name, s.get(), *s.p != s.def)
}

// numberForm is the form in which a number is read and written.
type numberForm int

const (
	plain   numberForm = iota // 300
	memory                    // 64mb
	percent                   // 64mb or 5%, the latter kept as -5
	octal                     // 755
)

// number is a Go integer type of numeric directives.
type number interface{ ~int | ~int64 | ~uint64 }

type numberSetting[T number] struct {
	p           *T
	lo, hi, def T
	form        numberForm
	check       func(T) error
}

func (s *numberSetting[T]) set(args []string) (bool, error) {
	v, err := s.parse(args[0])
	if err != nil {
		return false, err
	}
	if s.check != nil {
		if err := s.check(v); err != nil {
			return false, err
		}
	}
	changed := *s.p != v
	*s.p = v
	return changed, nil
}

func (s *numberSetting[T]) parse(text string) (T, error) {
	switch s.form {
	case memory, percent:
		if mag, ok := ParseMemory(text); ok {
			// If the size does not fit into a signed T, v is negative.
			if v := T(mag); v >= 0 && uint64(v) == mag {
				return v, s.inRange(v)
			}
			return 0, s.rangeError()
		}
		if s.form == memory {
			return 0, errMemory
		}
		if digits, ok := strings.CutSuffix(text, "%"); ok {
			if n, ok := parseInt(digits); ok && n >= 0 {
				v := -T(n)
				if v < s.lo {
					return 0, fmt.Errorf("percentage argument must be less or equal to %d", -s.lo)
				}
				return v, nil
			}
		}
		return 0, errMemoryOrPercent
	case octal:
		n, ok := parseLoose(text, 8)
		if !ok {
			return 0, errOctal
		}
		return s.fromInt(n)
	}
	n, ok := parseInt(text)
	if !ok {
		return 0, errInteger
	}
	return s.fromInt(n)
}

func (s *numberSetting[T]) fromInt(n int64) (T, error) {
	v := T(n)
	if int64(v) != n || (n < 0) != (v < 0) {
		return 0, s.rangeError()
	}
	return v, s.inRange(v)
}

func (s *numberSetting[T]) inRange(v T) error {
	if v < s.lo || v > s.hi {
		return s.rangeError()
	}
	return nil
}

func (s *numberSetting[T]) rangeError() error {
	if s.form == octal {
		return fmt.Errorf("argument must be between %o and %o inclusive", s.lo, s.hi)
	}
	return fmt.Errorf("argument must be between %d and %d inclusive", s.lo, s.hi)
}

func (s *numberSetting[T]) get() string {
	switch v := *s.p; {
	case s.form == octal:
		return fmt.Sprintf("%o", v)
	case s.form == percent && v < 0:
		return fmt.Sprintf("%d%%", -v)
	default:
		return fmt.Sprint(v)
	}
}

func (s *numberSetting[T]) lines(name string) []fileLine {
	text := s.get()
	if v := *s.p; s.form == memory || s.form == percent && v >= 0 {
		text = formatMemory(uint64(v))
	}
	return oneLine(name, text, *s.p != s.def)
}

// formatMemory writes a size with the largest unit that divides it.
func formatMemory(bytes uint64) string {
	for i := len(memoryUnits) - 1; i > 0; i-- {
		u := memoryUnits[i]
		if len(u.suffix) == 2 && bytes > 0 && bytes%u.bytes == 0 {
			return strconv.FormatUint(bytes/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatUint(bytes, 10)
}

// memoryLimitSetting is maxmemory: a size as in Redis, or a percentage of the memory that the process can have, which the
// server computes when it applies the directive.
type memoryLimitSetting struct {
	numberSetting[uint64]
	percent *int
}

func (s *memoryLimitSetting) set(args []string) (bool, error) {
	digits, ok := strings.CutSuffix(args[0], "%")
	if !ok {
		was := *s.percent
		changed, err := s.numberSetting.set(args)
		if err == nil {
			*s.percent = 0
		}
		return changed || was != 0, err
	}
	n, ok := parseInt(digits)
	if !ok || n < 1 || n > 100 {
		return false, errMemoryLimit
	}
	changed := *s.percent != int(n)
	*s.percent = int(n)
	return changed, nil
}

func (s *memoryLimitSetting) get() string {
	if *s.percent > 0 {
		return strconv.Itoa(*s.percent) + "%"
	}
	return s.numberSetting.get()
}

func (s *memoryLimitSetting) lines(name string) []fileLine {
	if *s.percent > 0 {
		return oneLine(name, s.get(), true)
	}
	return s.numberSetting.lines(name)
}
