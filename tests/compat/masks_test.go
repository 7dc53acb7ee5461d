package compat

import (
	"fmt"
	"regexp"
	"strconv"

	"ferrous/eventloop/resp"
)

// difference is a known difference between the oracle (Redis 7.0.15) and Redis 7.2, whose behaviour Ferrous has. It
// rewrites the oracle's raw reply into what 7.2 answers, and nothing else: the comparison that follows stays exact.
type difference struct {
	reason string
	// always applies the difference to every command whose line matches the pattern; otherwise a case asks for it by
	// name with @mask.
	always  *regexp.Regexp
	rewrite func(oracle string) string
}

// replace builds a rewrite that replaces all matches of an expression ($1 stands for a group).
func replace(expr, by string) func(string) string {
	re := regexp.MustCompile(expr)
	return func(oracle string) string { return re.ReplaceAllString(oracle, by) }
}

// longDouble is a number that has the look of C's %.17g and not that of an integer, as a bulk string or a RESP3 double.
var longDouble = regexp.MustCompile(`(?:\$\d+\r\n|,)(-?\d(?:\d*\.\d+)?(?:e[+-]\d\d+)?)\r\n`)

// shortDoubles prints all such numbers as 7.2 does.
func shortDoubles(oracle string) string {
	return longDouble.ReplaceAllStringFunc(oracle, func(s string) string {
		text := longDouble.FindStringSubmatch(s)[1]
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return s
		}
		short := string(resp.FormatDouble(nil, f))
		if s[0] == ',' {
			return "," + short + "\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(short), short)
	})
}

// The texts of 7.0 for what a user may not do.
var (
	deniedCommand = regexp.MustCompile(`-NOPERM this user has`)
	deniedArgs    = regexp.MustCompile(`-NOPERM (?:this user|User u) has no permissions to access one of the (key|channel)s used as arguments\r\n`)
	dryrunDenied  = regexp.MustCompile(`(?s)^\$\d+\r\nThis user( has no permissions .*)\r\n$`)
)

// differences is the one table of them.
var differences = map[string]difference{
	"hello-noauth-text": {
		reason:  "7.2 names the protocol version in the advice to authenticate with HELLO",
		always:  regexp.MustCompile(`(?i)^\["HELLO"`),
		rewrite: replace(`the HELLO AUTH <user> <pass> option`, "the HELLO <proto> AUTH <user> <pass> option"),
	},
	"doubles": {
		reason:  "7.2 prints doubles with the fewest digits that read back as the same number, 7.0 with 17",
		always:  regexp.MustCompile(`(?i)^\["B?Z`),
		rewrite: shortDoubles,
	},
	"script-numbers": {
		reason: "7.2 prints numbers among the arguments of redis.call with the fewest digits too, and -0 as 0",
		always: regexp.MustCompile(`redis\.call\('echo',`),
		rewrite: func(oracle string) string {
			if oracle == "$2\r\n-0\r\n" {
				return "$1\r\n0\r\n"
			}
			return shortDoubles(oracle)
		},
	},
	"set-repl-arity": {
		reason:  "7.2 corrects the number in the text",
		always:  regexp.MustCompile(`redis\.set_repl\(\)`),
		rewrite: replace(`requires two arguments`, "requires one argument"),
	},
	"noperm": {
		reason: "7.2 names the user that may not run a command, and words the other denials differently (the cases' user is u)",
		always: regexp.MustCompile(`.`),
		rewrite: func(oracle string) string {
			return deniedArgs.ReplaceAllString(deniedCommand.ReplaceAllString(oracle, "-NOPERM User u has"), "-NOPERM No permissions to access a $1\r\n")
		},
	},
	"dryrun": {
		reason: "7.2 names the user that may not run a command",
		always: regexp.MustCompile(`(?i)^\["ACL" "DRYRUN"`),
		rewrite: func(oracle string) string {
			m := dryrunDenied.FindStringSubmatch(oracle)
			if m == nil {
				return oracle
			}
			return fmt.Sprintf("$%d\r\nUser u%s\r\n", len("User u"+m[1]), m[1])
		},
	},
	"getkeys-arity": {
		reason:  "COMMAND GETKEYS takes a command without arguments since 7.2, and then judges that command",
		rewrite: replace(`(?s)^-ERR wrong number of arguments for 'command\|getkeys(?:andflags)?' command\r\n$`, "-ERR The command has no key arguments\r\n"),
	},
}

// applyMasks rewrites the oracle's reply by the named differences and by those that always apply to the command.
func applyMasks(names []string, args []string, oracle string) string {
	for _, name := range names {
		oracle = differences[name].rewrite(oracle)
	}
	line := fmt.Sprintf("%q", args)
	for _, d := range differences {
		if d.always != nil && d.always.MatchString(line) {
			oracle = d.rewrite(oracle)
		}
	}
	return oracle
}
