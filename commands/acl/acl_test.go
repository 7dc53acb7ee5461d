package acl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	hashOfPW    = "#30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4" // of "pw"
	hashOfEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// set applies rules, words separated by blanks, to the user u; one in brackets keeps its blanks.
func set(us *Users, line string) error {
	_, _, err := us.Set("u", strings.Split(line, " "))
	return err
}

func TestRules(t *testing.T) {
	tests := []struct{ rules, want string }{
		{"", "off sanitize-payload resetchannels -@all"},
		{"on", "on sanitize-payload resetchannels -@all"},
		{"on off", "off sanitize-payload resetchannels -@all"},
		{"ON NoPass", "on nopass sanitize-payload resetchannels -@all"},
		{"nopass >pw", "off sanitize-payload " + hashOfPW + " resetchannels -@all"},
		{">pw >pw " + hashOfPW, "off sanitize-payload " + hashOfPW + " resetchannels -@all"},
		{">pw nopass", "off nopass sanitize-payload resetchannels -@all"},
		{">pw resetpass", "off sanitize-payload resetchannels -@all"},
		{">pw >x <x", "off sanitize-payload " + hashOfPW + " resetchannels -@all"},
		{"> >pw !" + hashOfEmpty, "off sanitize-payload " + hashOfPW + " resetchannels -@all"},
		{"skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
		{"skip-sanitize-payload sanitize-payload", "off sanitize-payload resetchannels -@all"},
		{"~a ~b* ~a", "off sanitize-payload ~a ~b* resetchannels -@all"},
		{"%R~a %W~b %rw~c", "off sanitize-payload %R~a %W~b ~c resetchannels -@all"},
		{"%R~a %W~a", "off sanitize-payload ~a resetchannels -@all"},
		{"~a allkeys", "off sanitize-payload ~* resetchannels -@all"},
		{"~a ~*", "off sanitize-payload ~* resetchannels -@all"},
		{"~* resetkeys", "off sanitize-payload resetchannels -@all"},
		{"%R~*", "off sanitize-payload %R~* resetchannels -@all"},
		{"&a &b* &a", "off sanitize-payload resetchannels &a &b* -@all"},
		{"&a allchannels", "off sanitize-payload &* -@all"},
		{"&a resetchannels", "off sanitize-payload resetchannels -@all"},
		{"+get", "off sanitize-payload resetchannels -@all +get"},
		{"+GET -get +get", "off sanitize-payload resetchannels -@all +get"},
		{"+get +@all", "off sanitize-payload resetchannels +@all"},
		{"allcommands -get nocommands", "off sanitize-payload resetchannels -@all"},
		{"+@all -config", "off sanitize-payload resetchannels +@all -config"},
		{"+config|get -config|set +config", "off sanitize-payload resetchannels -@all +config"},
		{"+config -config|set", "off sanitize-payload resetchannels -@all +config -config|set"},
		{"+@read -get +mget -@read", "off sanitize-payload resetchannels -@all -get +mget -@read"},
		{"+@read +@re", "Unknown command or category name in ACL"},
		{"+select|0 +select|1 +SELECT|0", "off sanitize-payload resetchannels -@all +select|1 +select|0"},
		{"+select|0 +select", "off sanitize-payload resetchannels -@all +select"},
		{"+get (+set ~b) &c", "off sanitize-payload resetchannels &c -@all +get (~b resetchannels -@all +set)"},
		{"(+set ~b (+get", "Unmatched parenthesis in acl selector starting at '(+set'."},
		{"(+set ~b) clearselectors", "off sanitize-payload resetchannels -@all"},
		{`(~a"b~\x41)")`, `off sanitize-payload resetchannels -@all ("~ab~A)" resetchannels -@all)`},
		{`(~a\b')`, "Syntax error"},
		{`(~a\b +select|")")`, `off sanitize-payload resetchannels -@all ("~a\\b" resetchannels -@all "+select|)")`},
		{`~a"b +select|x"`, `off sanitize-payload ~a"b resetchannels -@all +select|x"`},
		{"+select|a\tb", "Syntax error"},
		{"()", "off sanitize-payload resetchannels -@all (resetchannels -@all)"},
		{"on nopass ~* &* +@all (+get) skip-sanitize-payload reset", "off sanitize-payload resetchannels -@all"},

		{"+nosuch", "Unknown command or category name in ACL"},
		{"-nosuch", "Unknown command or category name in ACL"},
		{"+", "Unknown command or category name in ACL"},
		{"-@", "Unknown command or category name in ACL"},
		{"+config|nosuch", "Unknown command or category name in ACL"},
		{"-select|0", "Unknown command or category name in ACL"},
		{"+config|get|x", "Allowing first-arg of a subcommand is not supported"},
		{"+select|", "Syntax error"},
		{"~* ~a", string(ErrAllKeys)},
		{"&* &a", string(ErrAllChannels)},
		{"%~a", "Syntax error"},
		{"%R", "Syntax error"},
		{"%", "Syntax error"},
		{"%RR~a", "Syntax error"},
		{"%X~a", "Syntax error"},
		{"~a\x00", "Syntax error"},
		{"&a\tb", "Syntax error"},
		{"<nosuch", string(ErrPassword)},
		{"!" + hashOfEmpty, string(ErrPassword)},
		{"!12", string(ErrHash)},
		{"#" + strings.ToUpper(hashOfEmpty), string(ErrHash)},
		{"foo", "Syntax error"},
		{"(on)", "Syntax error"},
		{"(>pw)", "Syntax error"},
		{"(((+get)", "Syntax error"},
		{`(~")`, "Syntax error"},
	}
	for _, tt := range tests {
		us := newTestUsers(false)
		err := set(us, tt.rules)
		got := ""
		var rule *RuleError
		switch {
		case errors.As(err, &rule):
			got = rule.Reason.Error()
		case err != nil:
			got = err.Error()
		default:
			got = us.Get([]byte("u")).Describe()
		}
		if got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.rules, got, tt.want)
		}
	}
}

func TestRuleErrorTexts(t *testing.T) {
	err := set(newTestUsers(false), "on +nosuch\x00x")
	if want := "Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// A change happens whole or not at all, and the user stays the same one.
func TestSetIsAtomic(t *testing.T) {
	us := newTestUsers(false)
	if err := set(us, "on +get ~a"); err != nil {
		t.Fatal(err)
	}
	u := us.Get([]byte("u"))
	before := u.Describe()
	if set(us, "off +set ~b (+get) >pw +nosuch") == nil {
		t.Fatal("no error")
	}
	if got := us.Get([]byte("u")); got != u || u.Describe() != before {
		t.Errorf("%v %s, want %v %s", got, u.Describe(), u, before)
	}
	if set(us, "foo") == nil || us.Len() != 2 {
		t.Error("a new user with a bad rule was made")
	}
	if _, _, err := us.Set("v", []string{"foo"}); err == nil || us.Get([]byte("v")) != nil {
		t.Error("a new user with a bad rule was made")
	}
	if err := set(us, "-get +set"); err != nil {
		t.Fatal(err)
	}
	if got := us.Get([]byte("u")); got != u || u.Describe() == before {
		t.Error("the change did not happen in place")
	}
}

func TestAllChannelsByDefault(t *testing.T) {
	us := newTestUsers(true)
	if err := set(us, "(+get)"); err != nil {
		t.Fatal(err)
	}
	u := us.Get([]byte("u"))
	if got, want := u.Describe(), "off sanitize-payload &* -@all (&* -@all +get)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := set(us, "resetchannels reset"); err != nil || !strings.Contains(u.Describe(), "&*") {
		t.Errorf("%v %s", err, u.Describe())
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		rules   string
		allowed string // requests separated by commas
		denied  string // with the reason and the argument to blame
	}{
		{"", "auth x", "get a:command 0,config:command 0"},
		{"allkeys allchannels", "auth x", "get a:command 0"},
		{"+@all", "auth x,select 0,config get x", "get a:key 1,publish c x:channel 1,mget a b:key 1"},
		{"+@all ~* &*", "get a,set b 1,publish c m,psubscribe *,flushall", ""},
		{"+get ~a*", "get a,GET abc", "get b:key 1,set a 1:command 0,mget a:command 0"},
		{"+mget ~a* ~b*", "mget a1 b1 a2", "mget a1 c1 b1:key 2"},
		{"+copy %R~a* %W~b*", "copy a1 b1", "copy b1 a1:key 1,copy a1 a2:key 2,copy b1 b2:key 1"},
		{"+@write ~*", "set a 1,flushall", "get a:command 0"},
		{"+@all -@write ~*", "get a,config get x", "set a 1:command 0,flushall:command 0"},
		{"+config", "config get x,config set x y,config help", "select 0:command 0"},
		{"+config -config|set", "config get x,config help", "config set x y:command 0"},
		{"+config|get", "config get x", "config set x:command 0,config:command 0"},
		{"+@admin", "config get x,config set x y,flushall", "config help:command 0,config:command 0"},
		{"+@admin -config", "flushall", "config get x:command 0"},
		{"+select|0 +select|7", "select 0,select 7", "select 1:command 0,select:command 0,select 00:command 0"},
		{"+select|0 -select", "", "select 0:command 0"},
		{"+select|0 -@all", "", "select 0:command 0"},
		{"+@pubsub &a* &b", "publish a1 x,subscribe a1 b,psubscribe a*,psubscribe b", "publish c x:channel 1," +
			"subscribe a b c:channel 3,psubscribe a1:channel 1,psubscribe *:channel 1"},
		// A selector allows all or nothing.
		{"+get ~a (+set ~b) (+get ~c)", "get a,set b 1,get c", "get b:key 1,set a 1:key 1,set c 1:key 1"},
		{"+mget ~a (+mget ~b) (~c)", "mget a a,mget b", "mget a b:key 2,mget b a:key 2,mget c:key 1,set a 1:command 0"},
		// The most specific reason is returned: channel before key before command; of equal ones the later argument.
		{"(+mget ~a) (+mget ~a ~b)", "", "mget a b c:key 3,select 0:command 0"},
		{"(+@all ~*)", "set a 1", "publish c x:channel 1"},
		{"+@all (&* ~* +@all)", "set a 1,publish c x", ""},
	}
	for _, tt := range tests {
		us := newTestUsers(false)
		if err := set(us, tt.rules); err != nil {
			t.Fatal(err)
		}
		u := us.Get([]byte("u"))
		for _, line := range strings.Split(tt.allowed, ",") {
			if line == "" {
				continue
			}
			if why, pos := u.Check(newRequest(line)); why != Allowed || pos != 0 {
				t.Errorf("%q: %q is denied for %v %d", tt.rules, line, why, pos)
			}
		}
		for _, x := range strings.Split(tt.denied, ",") {
			line, want, _ := strings.Cut(x, ":")
			if line == "" {
				continue
			}
			why, pos := u.Check(newRequest(line))
			if got := fmt.Sprintf("%v %d", why, pos); got != want {
				t.Errorf("%q: %q: got %s, want %s", tt.rules, line, got, want)
			}
		}
	}
}

func TestCheckAndReadAll(t *testing.T) {
	for _, tt := range []struct {
		rules string
		want  bool
	}{
		{"+@all ~* &*", true},
		{"+get ~*", true},
		{"+get %R~*", true},
		{"+get %R~a %R~*", true},
		{"+get ~a", false},
		{"+get %W~*", false},
		{"+set %R~*", false},
		{"+get ~a (+set %R~*)", false},
		{"+get ~a (+get %R~*)", true},
	} {
		us := newTestUsers(false)
		if err := set(us, tt.rules); err != nil {
			t.Fatal(err)
		}
		if got := us.Get([]byte("u")).CheckAndReadAll(newRequest("get a")); got != tt.want {
			t.Errorf("%q: %v", tt.rules, got)
		}
	}
}

func TestLost(t *testing.T) {
	for _, tt := range []struct {
		before, rules string
		lost          bool
	}{
		{"&a &b", "+get", false},
		{"&a &b", "&c", false},
		{"&a &b", "resetchannels &b &a", false},
		{"&a &b", "resetchannels &a", true},
		{"&a &b", "resetchannels &*", false},
		{"&*", "resetchannels &a", true},
		{"&*", "resetchannels (&*)", false},
		{"&a (&b)", "clearselectors", true},
		{"&a (&b)", "resetchannels (&a)", false},
		{"", "&a", false},
	} {
		us := newTestUsers(false)
		if err := set(us, tt.before); err != nil {
			t.Fatal(err)
		}
		if _, lost, err := us.Set("u", strings.Fields(tt.rules)); err != nil || lost != tt.lost {
			t.Errorf("%q, %q: lost %v, want %v (%v)", tt.before, tt.rules, lost, tt.lost, err)
		}
	}
}

func TestPasswords(t *testing.T) {
	us := newTestUsers(false)
	for _, tt := range []struct{ rules, good, bad string }{
		{">pw", "", "pw"}, // off
		{"on", "pw", "px"},
		{">x", "x", "pwx"},
		{"<pw", "x", "pw"},
		{"resetpass", "", "x"},
		{"nopass", "anything", ""},
		{"off", "", "anything"},
	} {
		if err := set(us, tt.rules); err != nil {
			t.Fatal(err)
		}
		u := us.Get([]byte("u"))
		if tt.good != "" && !u.Accepts([]byte(tt.good)) {
			t.Errorf("%s: %s is refused", tt.rules, tt.good)
		}
		if tt.bad != "" && u.Accepts([]byte(tt.bad)) {
			t.Errorf("%s: %s is accepted", tt.rules, tt.bad)
		}
	}
	def := us.Default()
	us.SetDefaultPassword("secret")
	if def.NoPass() || !def.Accepts([]byte("secret")) || def.Accepts(nil) || def.Limited() {
		t.Errorf("requirepass: %s", def.Describe())
	}
	us.SetDefaultPassword("")
	if got, want := def.Line(), "user default on nopass sanitize-payload ~* &* +@all"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFile(t *testing.T) {
	us := newTestUsers(false)
	if err := set(us, "on +get ~a (+set ~b) &c >pw"); err != nil {
		t.Fatal(err)
	}
	const rest = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
	for _, tt := range []struct{ text, want string }{
		{"", "user default on nopass sanitize-payload ~* &* +@all\n"},
		{us.Text(), us.Text()},
		{"\r\n  user a on  +get\t\n\nuser default off\n", "user a on sanitize-payload resetchannels -@all +get\n" +
			"user default off sanitize-payload resetchannels -@all\n"},
		{"# note\n", "f:1 should start with user keyword followed by the username. " + rest},
		{"user\n", "f:1 should start with user keyword followed by the username. " + rest},
		{"user a on\nuser a off", "WARNING: Duplicate user 'a' found on line 2. " + rest},
		{"user a +nosuch foo bar\nuser b\tc on", "f:1: Error in applying operation '+nosuch': Unknown command or category " +
			"name in ACL. f:1: Syntax error. 'f:2: username 'b\tc' contains invalid characters. " + rest},
		{"user a (+get", "f:1: Unmatched parenthesis in selector definition." + rest},
	} {
		next, err := us.Parse("f", tt.text)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = next.Text()
		}
		if got != tt.want {
			t.Errorf("%q:\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

func TestReplace(t *testing.T) {
	us := newTestUsers(false)
	old := us.Default()
	if err := set(us, "on"); err != nil {
		t.Fatal(err)
	}
	u := us.Get([]byte("u"))
	next, err := us.Parse("f", "user default on +get\nuser u on\nuser v on")
	if err != nil {
		t.Fatal(err)
	}
	gone := us.Replace(next)
	if !slices.Equal(gone, []*User{u}) {
		t.Errorf("gone: %v", gone)
	}
	if us.Default() != old || us.Get([]byte("default")) != old || !old.Limited() || us.Len() != 3 || us.Get([]byte("u")) == u {
		t.Errorf("after Replace: %q", us.Text())
	}
	if us.Delete([]byte("default")) != nil || us.Delete([]byte("x")) != nil || us.Delete([]byte("v")) == nil || us.Len() != 2 {
		t.Errorf("after Delete: %q", us.Text())
	}
}

func TestDeclare(t *testing.T) {
	us := newTestUsers(false)
	for _, tt := range []struct {
		words string
		want  error
	}{
		{"a on +get", nil},
		{"a on", ErrDuplicate},
		{"default on +get", nil},
		{"default on", ErrDuplicate},
		{"b\tc on", ErrName},
		{"d +nosuch", ErrUnknown},
		{"d +get", nil},
	} {
		if _, err := us.Declare(strings.Split(tt.words, " ")); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.words, err, tt.want)
		}
	}
	if got, want := us.Default().Describe(), "on sanitize-payload resetchannels -@all +get"; got != want {
		t.Errorf("default: %s, want %s", got, want)
	}
}

// ruleWords are rules for random tests.
var ruleWords = []string{"on", "off", "nopass", "resetpass", ">pw", ">x", "<pw", "allkeys", "resetkeys", "~a*", "~b", "%R~a*",
	"%W~c", "allchannels", "resetchannels", "&c*", "&d", "+@all", "-@all", "+get", "-get", "+config", "-config", "+config|get",
	"-config|get", "-config|set", "+@read", "-@read", "+@write", "-@write", "+@admin", "-@admin", "+select|0", "+select|1", "+select",
	"-select", "(+get ~k)", "(%R~* +@all -set)", "(allchannels +select|3)", "clearselectors", "reset",
	"skip-sanitize-payload", "sanitize-payload", "-flushall", "+mget", "+set"}

var requestLines = []string{"get a", "get k", "mget a1 b", "set b 1", "set c 1", "copy a1 c", "select 0", "select 1", "select 3",
	"config get x", "config set x", "config help", "publish c1 m", "publish d m", "psubscribe c*", "subscribe d", "flushall", "auth x"}

// What describes a user makes the same user, in itself, in its words, and in what it may do; and a bitmap is what its rules
// say.
func TestDescriptionsMakeTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := newTestUsers(rapid.Bool().Draw(t, "all channels"))
		for _, r := range rapid.SliceOfN(rapid.SampledFrom(ruleWords), 0, 25).Draw(t, "rules") {
			us.Set("u", []string{r}) // some fail, and then do nothing
		}
		u := us.Get([]byte("u"))
		if u == nil {
			return
		}
		v, _, err := us.Set("v", append([]string{"reset"}, strings.Split(u.Describe(), " ")...))
		if err != nil {
			t.Fatalf("%s: %v", u.Describe(), err)
		}
		if v.Describe() != u.Describe() || v.Limited() != u.Limited() {
			t.Fatalf("\n%s became\n%s", u.Describe(), v.Describe())
		}
		for i, s := range u.selectors {
			// Of +@all minus something plus the same all bits are set again, but a flag is not.
			if w := v.selectors[i]; !slices.Equal(s.commands, w.commands) || s.future != w.future {
				t.Fatalf("%s: %x became %x", u.Describe(), s.commands, w.commands)
			}
		}
		for _, line := range requestLines {
			a, i := u.Check(newRequest(line))
			b, j := v.Check(newRequest(line))
			if a != b || i != j {
				t.Fatalf("%s: %s: %v %d became %v %d", u.Describe(), line, a, i, b, j)
			}
		}
		// And by file.
		next, err := us.Parse("f", us.Text())
		if err != nil || next.Text() != us.Text() {
			t.Fatalf("%q: %v", us.Text(), err)
		}
	})
}

func TestCheckAllocatesNothing(t *testing.T) {
	us := newTestUsers(false)
	if err := set(us, "+get %R~b* ~a* (+set ~c*) +publish &c*"); err != nil {
		t.Fatal(err)
	}
	u := us.Get([]byte("u"))
	key := Key{1, Read}
	r := fixedRequest{id: 0, args: [][]byte{[]byte("get"), []byte("a1")}, keys: []Key{key}}
	if n := testing.AllocsPerRun(100, func() {
		if why, _ := u.Check(&r); why != Allowed {
			t.Fatal(why)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type fixedRequest struct {
	id   int
	args [][]byte
	keys []Key
}

func (r *fixedRequest) Command() (int, bool) { return r.id, false }
func (r *fixedRequest) Args() [][]byte       { return r.args }
func (r *fixedRequest) Keys() []Key          { return r.keys }
func (r *fixedRequest) Channels() []Channel  { return nil }

// Whatever a file holds, it is read or refused, and what was read is written and read again as the same.
func FuzzParse(f *testing.F) {
	f.Add("user a on +get ~a (+set %R~b)\nuser default off")
	f.Add("user a (((\nuser b ) ()\nuser c %RW~ % ~ & + - +@ -@ # > < !")
	f.Add("user  on\nuser \x00 +config|get|x +select|0|1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		us, err := newTestUsers(false).Parse("f", text)
		if err != nil {
			return
		}
		again, err := us.Parse("f", us.Text())
		if err != nil || again.Text() != us.Text() {
			t.Errorf("%q: %q: %v", text, us.Text(), err)
		}
	})
}
