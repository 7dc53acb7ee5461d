package compat

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// TestLargeBulks sends arguments of megabytes in pieces, on both servers, while something else happens to the client that
// sends them, and compares what it is answered and what is stored.
func TestLargeBulks(t *testing.T) {
	p := newPair(t)
	r := random.New(t)
	bytes := make([]byte, 3<<20)
	for i := range bytes {
		bytes[i] = byte(r.Uint32())
	}
	value := string(bytes)
	set := string(harness.AppendCommand(nil, "SET", "k", value))
	pings := strings.Repeat("*1\r\n$4\r\nPING\r\n", 300)
	for _, tt := range []struct {
		name string
		send string
		// meanwhile is done by another client when a part of send has arrived, and so many replies have been read.
		replies   int
		meanwhile [][]string
		// after is done by another client when all has been sent.
		after [][]string
	}{
		{name: "alone", send: set},
		{name: "between small commands", send: pings + set + pings},
		{name: "the keys are deleted", send: set, meanwhile: [][]string{{"FLUSHALL"}, {"SET", "k", "small"}}},
		{name: "writes are paused", send: set, meanwhile: [][]string{{"CLIENT", "PAUSE", "100000", "WRITE"}}, after: [][]string{{"CLIENT", "UNPAUSE"}}},
		{name: "all is paused", send: set, meanwhile: [][]string{{"CLIENT", "PAUSE", "300", "ALL"}}},
		{name: "behind a command that waits", send: "*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n" + set, after: [][]string{{"EXISTS", "k"}, {"RPUSH", "q", "x"}}},
		{name: "no line end behind it", send: set[:len(set)-2] + "XY*1\r\n$4\r\nPING\r\n"},
		{name: "a key", send: string(harness.AppendCommand(nil, "SET", value, "v"))},
		{name: "a payload", send: string(harness.AppendCommand(nil, "RESTORE", "k", "0", value))},
		{name: "in a transaction", send: "*1\r\n$5\r\nMULTI\r\n" + set + set + "*1\r\n$4\r\nEXEC\r\n"},
		{name: "in a transaction that fails", send: "*2\r\n$5\r\nWATCH\r\n$1\r\nk\r\n*1\r\n$5\r\nMULTI\r\n" + set + "*1\r\n$4\r\nEXEC\r\n",
			replies: 2, meanwhile: [][]string{{"SET", "k", "other"}}},
		{name: "for a script", send: string(harness.AppendCommand(nil, "EVAL", "redis.call('set', KEYS[1], ARGV[1]) return #ARGV[1]", "1", "k", value))},
		{name: "an unknown command", send: string(harness.AppendCommand(nil, "NOSUCH", "k", value))},
	} {
		var got [2]string
		for side, s := range p.servers {
			admin := p.admin[side]
			admin.Must("FLUSHALL")
			c := s.Dial(t)
			part := len(tt.send) * (40 + r.IntN(40)) / 100
			sendPieces(t, c, r, tt.send[:part])
			var b strings.Builder
			for range tt.replies {
				v, err := c.Read()
				if err != nil {
					t.Fatalf("%s, %s: %v", tt.name, sideNames[side], err)
				}
				b.WriteString(v.String())
			}
			for _, args := range tt.meanwhile {
				admin.Must(args...)
			}
			sendPieces(t, c, r, tt.send[part:]+"*2\r\n$4\r\nECHO\r\n$3\r\nend\r\n*1\r\n$4\r\nQUIT\r\n")
			for _, args := range tt.after {
				b.WriteString(admin.Must(args...).String() + "\n")
			}
			reply, err := c.ReadAll()
			if err != nil {
				t.Fatalf("%s, %s: %v", tt.name, sideNames[side], err)
			}
			if !strings.HasSuffix(string(reply), "$3\r\nend\r\n+OK\r\n") {
				t.Errorf("%s, %s: the end is %q", tt.name, sideNames[side], reply[max(0, len(reply)-100):])
			}
			b.Write(reply)
			for _, args := range [][]string{{"DBSIZE"}, {"GET", "k"}, {"GET", value}} {
				b.WriteString(admin.Must(args...).String() + "\n")
			}
			got[side] = b.String()
		}
		if got[oracle] != got[subject] {
			t.Errorf("%s: %s %.200q, %s %.200q", tt.name, sideNames[oracle], got[oracle], sideNames[subject], got[subject])
		}
	}
}

// sendPieces sends data in pieces that arrive one by one, mostly.
func sendPieces(t *testing.T, c *harness.Conn, r *rand.Rand, data string) {
	t.Helper()
	for len(data) > 0 {
		n := min(len(data), 1+r.IntN(1<<20))
		if _, err := c.Write([]byte(data[:n])); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
		time.Sleep(time.Millisecond)
	}
}
