package compat

import (
	"os"
	"slices"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// TestEvents runs the commands of testdata/events.list, one a line, on both servers and compares the keyspace events that
// each causes: names, keys and order. Commands that one of them does not know are left out.
func TestEvents(t *testing.T) {
	p := newPair(t, "--notify-keyspace-events", "KEAnm")
	data, err := os.ReadFile("testdata/events.list")
	if err != nil {
		t.Fatal(err)
	}
	var conns, subs [2]*harness.Conn
	for side, s := range p.servers {
		conns[side], subs[side] = s.Dial(t), s.Dial(t)
		subs[side].Must("PSUBSCRIBE", "*")
	}
	// events returns the events up to now.
	events := func(side int) (list []string) {
		p.admin[side].Must("PUBLISH", "end", "")
		for {
			v, err := subs[side].Read()
			if err != nil || len(v.Elems) != 4 {
				t.Fatalf("%s: %v %v", sideNames[side], v, err)
			}
			if v.Elems[2].Str == "end" {
				return list
			}
			list = append(list, v.Elems[2].Str+" "+v.Elems[3].Str)
		}
	}
	compared := 0
	for n, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		args := strings.Fields(line)
		var got [2][]string
		unknown := false
		for side, c := range conns {
			v, err := c.Do(args...)
			if err != nil {
				t.Fatalf("line %d, %s: %s: %v", n+1, sideNames[side], line, err)
			}
			unknown = unknown || v.IsError() && strings.HasPrefix(v.Str, "ERR unknown command")
			got[side] = events(side)
		}
		if unknown {
			continue
		}
		compared++
		if !slices.Equal(got[oracle], got[subject]) {
			t.Errorf("line %d, %s:\n%s %q\n%s %q", n+1, line, sideNames[oracle], got[oracle], sideNames[subject], got[subject])
		}
	}
	if compared < 250 {
		t.Errorf("only %d commands were compared", compared)
	}
	t.Logf("%d commands compared", compared)
}
