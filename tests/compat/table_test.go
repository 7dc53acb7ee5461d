package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// commandFields names the elements of one command in COMMAND INFO's reply.
var commandFields = []string{"name", "arity", "flags", "first key", "last key", "step", "ACL categories", "tips", "key specifications", "subcommands"}

// Why the oracle's command table is not that of 7.2.
const (
	inScripts       = "7.2 lets blocking commands and WAIT be called from scripts, where they do not block"
	whileLoading    = "7.2 answers it while loading"
	tipsCompleted   = "7.2 completed the tips for cluster clients"
	shorterCommand  = "7.2 accepts a command without arguments here"
	withScore       = "7.2 added WITHSCORE"
	membersOptional = "7.2 documents that the last argument may be left out, which 7.0 accepted too"
	sinceCorrected  = "7.2 corrected the version that introduced it"
	regrouped       = "7.2 describes the same grammar with other blocks and choices"
)

// tableDifferences are the fields of COMMAND INFO in which the oracle differs from 7.2, with the reason:
// "command/field", "command|subcommand/field".
var tableDifferences = map[string]string{
	"acl|deluser/tips":              tipsCompleted,
	"acl|save/tips":                 tipsCompleted,
	"acl|setuser/tips":              tipsCompleted,
	"blmove/flags":                  inScripts,
	"blpop/flags":                   inScripts,
	"brpop/flags":                   inScripts,
	"brpoplpush/flags":              inScripts,
	"bzpopmax/flags":                inScripts,
	"bzpopmin/flags":                inScripts,
	"client|setname/tips":           tipsCompleted,
	"cluster|shards/flags":          whileLoading,
	"cluster|slots/flags":           whileLoading,
	"command|getkeys/arity":         shorterCommand,
	"command|getkeysandflags/arity": shorterCommand,
	"config|resetstat/tips":         tipsCompleted,
	"config|rewrite/tips":           tipsCompleted,
	"latency|reset/tips":            tipsCompleted,
	"msetnx/tips":                   tipsCompleted,
	"randomkey/tips":                tipsCompleted,
	"scan/tips":                     tipsCompleted,
	"wait/flags":                    inScripts,
	"zrank/arity":                   withScore,
	"zrevrank/arity":                withScore,
}

// TestCommandInfo compares COMMAND INFO of every command that both servers know, as RESP3 sends it: arity, flags,
// categories and tips as sets, key specifications and subcommands as trees.
func TestCommandInfo(t *testing.T) {
	p := newPair(t)
	table := commandTable(t, p)
	known := 0
	for name, both := range table {
		if both[oracle] == nil || both[subject] == nil {
			continue
		}
		known++
		compareCommand(t, name, both[oracle], both[subject])
	}
	if known < 50 {
		t.Errorf("only %d commands are known to both servers", known)
	}
	var extra []string
	for name, both := range table {
		if both[oracle] == nil {
			extra = append(extra, name)
		}
	}
	slices.Sort(extra)
	t.Logf("%d commands compared; only ferrous knows %s", known, strings.Join(extra, " "))
}

// commandTable reads COMMAND of both servers in RESP3.
func commandTable(t *testing.T, p *pair) map[string][2][]harness.Value {
	table := map[string][2][]harness.Value{}
	for side, s := range p.servers {
		c := s.Dial(t)
		c.Must("HELLO", "3")
		all := c.Must("COMMAND")
		count := c.Must("COMMAND", "COUNT")
		if count.Int() != int64(len(all.Elems)) {
			t.Errorf("%s: COMMAND COUNT is %s, COMMAND has %d", sideNames[side], count, len(all.Elems))
		}
		list := c.Must("COMMAND", "LIST")
		tops := 0
		for _, e := range list.Elems {
			if !strings.Contains(e.Str, "|") {
				tops++
			}
		}
		if tops != len(all.Elems) {
			t.Errorf("%s: COMMAND LIST has %d without subcommands, COMMAND has %d", sideNames[side], tops, len(all.Elems))
		}
		for _, cmd := range all.Elems {
			if len(cmd.Elems) != len(commandFields) {
				t.Fatalf("%s: a command with %d fields: %v", sideNames[side], len(cmd.Elems), cmd)
			}
			name := cmd.Elems[0].Str
			one := c.Must("COMMAND", "INFO", strings.ToUpper(name))
			if len(one.Elems) != 1 || canonical(one.Elems[0]) != canonical(cmd) {
				t.Errorf("%s: COMMAND INFO %s differs from COMMAND", sideNames[side], name)
			}
			both := table[name]
			both[side] = cmd.Elems
			table[name] = both
		}
	}
	return table
}

func compareCommand(t *testing.T, name string, a, b []harness.Value) {
	t.Helper()
	for i, field := range commandFields {
		if field == "subcommands" {
			continue
		}
		if x, y := canonical(a[i]), canonical(b[i]); x != y {
			if tableDifferences[name+"/"+field] != "" {
				continue
			}
			t.Errorf("COMMAND INFO %s: %s differ:\n\t%s %s\n\t%s %s", name, field, sideNames[oracle], x, sideNames[subject], y)
		}
	}
	last := len(commandFields) - 1
	subs := [2]map[string][]harness.Value{{}, {}}
	for side, fields := range [2][]harness.Value{a, b} {
		for _, sub := range fields[last].Elems {
			subs[side][sub.Elems[0].Str] = sub.Elems
		}
	}
	if (len(subs[oracle]) == 0) != (len(subs[subject]) == 0) {
		t.Errorf("COMMAND INFO %s: %d subcommands, ferrous has %d", name, len(subs[oracle]), len(subs[subject]))
	}
	for sub, fields := range subs[subject] {
		if other := subs[oracle][sub]; other != nil {
			compareCommand(t, sub, other, fields)
		}
	}
}

// docsIgnored are the fields of COMMAND DOCS that are prose, or history of versions after the oracle's.
var docsIgnored = map[string]bool{"summary": true, "complexity": true, "history": true, "display_text": true, "subcommands": true}

// docsDifferences are the fields of COMMAND DOCS in which the oracle differs from 7.2, with the reason: "command/field".
var docsDifferences = map[string]string{
	"bitop/arguments":             regrouped,
	"client|kill/arguments":       regrouped,
	"client|list/arguments":       regrouped,
	"client|pause/since":          sinceCorrected,
	"config|get/arguments":        regrouped,
	"geohash/arguments":           membersOptional,
	"geopos/arguments":            membersOptional,
	"georadius/arguments":         regrouped,
	"georadiusbymember/arguments": regrouped,
	"migrate/arguments":           regrouped,
	"module|loadex/arguments":     regrouped,
	"pfmerge/arguments":           membersOptional,
	"psubscribe/arguments":        regrouped,
	"xinfo|stream/arguments":      regrouped,
	"zrank/arguments":             withScore,
	"zrevrank/arguments":          withScore,
}

// docsExtras are arguments that Ferrous has beyond Redis 7.2, as treeOf writes them.
var docsExtras = map[string]string{
	"hscan":      " {flags=~[+false\"optional\"] since=$7.4.0 token=$NOVALUES type=$pure-token}", // of Redis 7.4
	"set":        " {since=$8.1.0 token=$IFEQ type=$string}",                                     // of Valkey 8.1
	"xadd":       withReferences,
	"xtrim":      withReferences,
	"xreadgroup": ` {flags=~[+false"optional"] since=$8.4.0 token=$CLAIM type=$integer}`, // of Redis 8.4
}

// withReferences is what of Redis 8.2 XADD and XTRIM take.
const withReferences = ` {arguments=[{token=$KEEPREF type=$pure-token} {token=$DELREF type=$pure-token} {token=$ACKED type=$pure-token}] flags=~[+false"optional"] since=$8.2.0 type=$oneof}`

// TestCommandDocs compares COMMAND DOCS of the commands known to both: group, since, flags, and the tree of arguments.
func TestCommandDocs(t *testing.T) {
	p := newPair(t)
	var docs [2]map[string]harness.Value
	for side, s := range p.servers {
		c := s.Dial(t)
		c.Must("HELLO", "3")
		docs[side] = pairsOf(c.Must("COMMAND", "DOCS"))
	}
	known := 0
	for name, b := range docs[subject] {
		a, both := docs[oracle][name]
		if !both {
			continue
		}
		known++
		compareDocs(t, name, a, b)
	}
	if known < 50 {
		t.Errorf("only %d commands are known to both servers", known)
	}
}

func pairsOf(v harness.Value) map[string]harness.Value {
	m := map[string]harness.Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Str] = v.Elems[i+1]
	}
	return m
}

func compareDocs(t *testing.T, name string, a, b harness.Value) {
	t.Helper()
	x, y := pairsOf(a), pairsOf(b)
	if y["summary"].Str == "" {
		t.Errorf("COMMAND DOCS %s has no summary", name)
	}
	for field := range x {
		if docsIgnored[field] || docsDifferences[name+"/"+field] != "" {
			continue
		}
		theirs, ours := treeOf(x[field]), treeOf(y[field])
		if extra := docsExtras[name]; extra != "" && field == "arguments" {
			if !strings.Contains(ours, extra) {
				t.Errorf("COMMAND DOCS %s lacks %s", name, extra)
			}
			ours = strings.Replace(ours, extra, "", 1)
		}
		if theirs != ours {
			t.Errorf("COMMAND DOCS %s: %s differ:\n\t%s %s\n\t%s %s", name, field, sideNames[oracle], theirs, sideNames[subject], ours)
		}
	}
	subsA, subsB := pairsOf(x["subcommands"]), pairsOf(y["subcommands"])
	for sub, v := range subsB {
		if other, both := subsA[sub]; both {
			compareDocs(t, sub, other, v)
		}
	}
}

// treeOf writes a tree of arguments without prose; maps in the order of their keys, arguments in their own.
func treeOf(v harness.Value) string {
	switch {
	case v.Kind == '%':
		var parts []string
		for key, e := range pairsOf(v) {
			// 7.2 renamed many of the arguments; a name is no part of the grammar.
			if !docsIgnored[key] && key != "name" {
				parts = append(parts, key+"="+treeOf(e))
			}
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, " ") + "}"
	case v.Kind == '~':
		return canonical(v)
	case v.Elems != nil:
		var parts []string
		for _, e := range v.Elems {
			parts = append(parts, treeOf(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprintf("%c%s", v.Kind, v.Str)
}

// TestCommandFilters compares COMMAND LIST with its filters, for what both servers know.
func TestCommandFilters(t *testing.T) {
	p := newPair(t)
	table := commandTable(t, p)
	for _, filter := range [][]string{{"ACLCAT", "read"}, {"ACLCAT", "write"}, {"ACLCAT", "string"}, {"ACLCAT", "keyspace"},
		{"ACLCAT", "fast"}, {"ACLCAT", "slow"}, {"ACLCAT", "dangerous"}, {"ACLCAT", "admin"}, {"ACLCAT", "connection"},
		{"PATTERN", "*get*"}, {"PATTERN", "EXP*"}, {"PATTERN", "client|*"}} {
		var got [2][]string
		for side, c := range p.admin {
			v, err := c.Do(append([]string{"COMMAND", "LIST", "FILTERBY"}, filter...)...)
			if err != nil || v.IsError() {
				t.Fatalf("%s: %v: %v %v", sideNames[side], filter, v, err)
			}
			for _, e := range v.Elems {
				top, _, sub := strings.Cut(e.Str, "|")
				if both := table[top]; !sub && both[oracle] != nil && both[subject] != nil {
					got[side] = append(got[side], e.Str)
				}
			}
			slices.Sort(got[side])
		}
		if !slices.Equal(got[oracle], got[subject]) {
			t.Errorf("COMMAND LIST FILTERBY %v:\n\t%s %v\n\t%s %v", filter, sideNames[oracle], got[oracle], sideNames[subject], got[subject])
		}
	}
}
