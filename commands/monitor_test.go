package commands

import (
	"math"
	"regexp"
	"strings"
	"testing"
)

func TestMonitor(t *testing.T) {
	ts := newTestServer(t)
	m := ts.client()
	if got := ts.doAs(m, "MONITOR"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	if got := ts.doAs(m, "MONITOR"); got != "" {
		t.Errorf("the second time: %q", got)
	}
	line := regexp.MustCompile(`^\+\d{10,}\.\d{6} \[(\d+) lua\] (.*)\r\n$`)
	for _, tt := range []struct {
		words []string
		want  string // "" for none
	}{
		{[]string{"set", "k", "a \r\n\t\a\b\x00\x7f\xff\"\\"}, `0 "set" "k" "a \r\n\t\a\b\x00\x7f\xff\"\\"`},
		{[]string{"SELECT", "3"}, `3 "SELECT" "3"`},
		{[]string{"GET", ""}, `3 "GET" ""`},
		{[]string{"LPUSH", "k"}, ""},
		{[]string{"NOSUCH"}, ""},
		{[]string{"AUTH", "secret"}, `3 "AUTH" "(redacted)"`},
		{[]string{"AUTH", "u", "p"}, `3 "AUTH" "(redacted)" "(redacted)"`},
		{[]string{"HELLO", "2", "SETNAME", "n", "AUTH", "u", "p"}, `3 "HELLO" "2" "SETNAME" "n" "AUTH" "(redacted)" "(redacted)"`},
		{[]string{"CONFIG", "GET", "port"}, ""},
		{[]string{"CLIENT", "LIST"}, ""},
		{[]string{"CLIENT", "ID"}, `3 "CLIENT" "ID"`},
		{[]string{"DEBUG", "JMAP"}, ""},
		{[]string{"PUBLISH", "x", "m"}, `3 "PUBLISH" "x" "m"`},
	} {
		ts.do(tt.words...)
		got := ts.waiting(m)
		if f := line.FindStringSubmatch(got); f != nil {
			got = f[1] + " " + f[2]
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.words, got, tt.want)
		}
	}
	ts.doLine("MULTI")
	ts.doLine("GET k")
	ts.doLine("EXEC")
	var words []string
	for _, l := range strings.Split(strings.TrimSuffix(ts.waiting(m), "\r\n"), "\r\n") {
		words = append(words, l[strings.Index(l, "]")+2:])
	}
	if got := strings.Join(words, " "); got != `"MULTI" "GET" "k" "EXEC"` {
		t.Errorf("a transaction: %s", got)
	}
	if got := ts.doAs(m, "GET", "k"); got != "-"+errNoKeyspace+"\r\n" {
		t.Errorf("a monitor reads: %q", got)
	}
	if got := ts.doAs(m, "PING"); !strings.HasPrefix(got, "+PONG\r\n+") || !strings.HasSuffix(got, " \"PING\"\r\n") {
		t.Errorf("a monitor's own command: %q", got)
	}
	ts.doAs(m, "RESET")
	ts.do("GET", "k")
	if got := ts.waiting(m); got != "" || ts.observed {
		t.Errorf("after RESET: %q, observed %v", got, ts.observed)
	}
}

// Lengths within the outbox may pass 2 GiB: a line of MONITOR shows some bytes in four.
func TestPartBeyondInt32(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("there are no slices of that length")
	}
	var o outbox
	o.chunks[0] = &chunk{buf: make([]byte, 3<<30, 3<<30+chunkSize)} // never touched: the system gives no memory for it
	m := message{raw: []byte("+line\r\n")}
	p := o.encode(&m, 0)
	if got := string(p.bytes()); got != "+line\r\n" {
		t.Errorf("the part holds %q", got)
	}
	whole := part{p.ch, 0, len(p.ch.buf)}
	if n := len(whole.bytes()); n != 3<<30+7 {
		t.Errorf("the part of all has %d bytes", n)
	}
}
