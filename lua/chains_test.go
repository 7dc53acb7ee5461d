package lua

import (
	"strings"
	"testing"
)

// Long programs compile in time that grows with their length, or are refused; none ends the process.
func TestLongPrograms(t *testing.T) {
	e := New(newServer())
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for name, src := range map[string]string{
		"fields":      "local a return a" + many(".b", 15000),
		"calls":       "local f return f" + many("()", 15000),
		"sum":         "local x=1 return 1" + many("+x", 15000),
		"or":          "local x return x" + many(" or x", 15000),
		"elseif":      "local x if x then " + many("elseif x then ", 3500) + "end",
		"too long":    "local x=1 return 1" + many("+x", 1000000),
		"brackets":    "return " + many("(", 1000000),
		"braces":      "return " + many("{", 1000000),
		"unary":       "return " + many("- ", 1000000),
		"powers":      "return 2" + many("^2", 1000000),
		"statements":  many("local x=1 do end ", 150),
		"assignments": "local x " + many("x=1 ", 100000),
		"items":       "return {" + many("1,", 100000) + "}",
		"functions":   many("local f=function() end ", 150),
		"blocks":      many("do local x end ", 20000),
		"strings":     "return '" + many("x", 1000000) + "'",
		"comments":    many("--[[x]]\n", 100000),
	} {
		if _, err := e.Load([]byte(src), FromEval); err != nil {
			if text := err.Error(); len(text) > 300 {
				t.Errorf("%s: a text of %d bytes", name, len(text))
			}
		}
	}
}
