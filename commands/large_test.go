package commands

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/random"
)

// Large arguments become values without a copy, and large values replies: what waits to be sent is the value of the moment at
// which it was asked for, whatever became of its key since.
func TestLargeValuesWaitUnchanged(t *testing.T) { random.Repeat(t, testLargeValuesWaitUnchanged) }

func testLargeValuesWaitUnchanged(t *testing.T) {
	rnd := random.New(t)
	s := startServer(t)
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))

	keys := map[string][]byte{}
	names := []string{"k", "l", "m"}
	var requests, replies bytes.Buffer
	bulk := func(to *bytes.Buffer, b []byte) {
		to.WriteByte('$')
		to.WriteString(strconv.Itoa(len(b)))
		to.WriteString("\r\n")
		to.Write(b)
		to.WriteString("\r\n")
	}
	request := func(words ...[]byte) {
		requests.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
		for _, w := range words {
			bulk(&requests, w)
		}
	}
	num := func(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }
	old := func(v []byte, ok bool) {
		if ok {
			bulk(&replies, v)
		} else {
			replies.WriteString("$-1\r\n")
		}
	}
	value := func() []byte {
		v := bytes.Repeat([]byte{byte('a' + rnd.IntN(26)), byte('A' + rnd.IntN(26))}, 1+rnd.IntN(1<<(12+rnd.IntN(7))))
		if rnd.IntN(3) == 0 && len(keys) > 0 { // as long as another, so that its buffer suits
			for _, o := range keys {
				return bytes.Repeat(v[:1], len(o))
			}
		}
		return v
	}
	transaction := 0
	for range 200 {
		name := names[rnd.IntN(len(names))]
		key := []byte(name)
		v, ok := keys[name]
		if transaction == 0 && rnd.IntN(20) == 0 {
			transaction = 2
			request([]byte("MULTI"))
			request([]byte("GET"), key)
			request([]byte("APPEND"), key, []byte("x"))
			request([]byte("EXEC"))
			replies.WriteString("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n")
			old(v, ok)
			keys[name] = append(bytes.Clone(v), 'x')
			replies.WriteString(":" + strconv.Itoa(len(keys[name])) + "\r\n")
			continue
		}
		transaction = 0
		switch rnd.IntN(10) {
		case 0, 1:
			n := value()
			request([]byte("SET"), key, n)
			replies.WriteString("+OK\r\n")
			keys[name] = n
		case 2:
			n := value()
			request([]byte("SET"), key, n, []byte("EX"), []byte("1000"), []byte("GET"))
			old(v, ok)
			keys[name] = n
		case 3:
			n := value()
			request([]byte("MSET"), key, n, []byte("other"), n, key, n[:len(n)/2])
			replies.WriteString("+OK\r\n")
			keys[name] = n[:len(n)/2]
		case 4:
			at := rnd.IntN(len(v) + 1)
			request([]byte("SETRANGE"), key, num(at), []byte("changed"))
			n := append(bytes.Clone(v[:at]), "changed"...)
			if len(v) > len(n) {
				n = append(n, v[len(n):]...)
			}
			keys[name] = n
			replies.WriteString(":" + strconv.Itoa(len(n)) + "\r\n")
		case 5:
			from, to := rnd.IntN(len(v)+1), rnd.IntN(len(v)+1)
			request([]byte("GETRANGE"), key, num(from), num(to))
			bulk(&replies, v[from:max(min(to+1, len(v)), from)])
		case 6:
			if rnd.IntN(3) == 0 {
				request([]byte("DEL"), key)
				n := 0
				if ok {
					n = 1
				}
				replies.WriteString(":" + strconv.Itoa(n) + "\r\n")
				delete(keys, name)
				break
			}
			fallthrough
		default:
			request([]byte("GET"), key)
			old(v, ok)
		}
	}
	go func() {
		for b := requests.Bytes(); len(b) > 0; {
			n, err := conn.Write(b[:min(len(b), 1+rnd.IntN(300_000))])
			if err != nil {
				return
			}
			b = b[n:]
		}
	}()
	s.eventually("all is read", func() bool { return s.stats.netIn >= int64(requests.Len()) })
	r := bufio.NewReader(conn)
	want := replies.Bytes()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		at := 0
		for got[at] == want[at] {
			at++
		}
		t.Fatalf("of %d bytes of replies that at %d is %q, want %q", len(want), at, got[at:min(at+20, len(got))], want[at:min(at+20, len(want))])
	}
	s.on(func() { s.checkCounters(t) })
}

// A large value as a bulk, and the request that sets k to it.
var (
	largeValue = "$102400\r\n" + strings.Repeat("v", 100<<10) + "\r\n"
	setLarge   = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n" + largeValue
)

// A reply that is dropped lets go of the value that it shares.
func TestDroppedReplyKeepsNoValue(t *testing.T) {
	s := startServer(t)
	kept := func() bool { return s.Shared != nil || s.w.Shared != nil }
	for _, before := range []string{"CLIENT REPLY SKIP\r\n", "CLIENT REPLY OFF\r\n", "CONFIG SET client-output-buffer-limit \"normal 60000 0 0\"\r\n"} {
		c := s.dial()
		c.send(setLarge)
		c.expect("+OK\r\n")
		var calls int64
		s.on(func() { calls = s.stats.commands })
		c.send(before + "GET k\r\n")
		s.eventually("GET ran", func() bool { return s.stats.commands == calls+2 })
		s.on(func() {
			if kept() {
				t.Errorf("%q and GET: the value is kept", before)
			}
		})
		c.Close()
	}
}

// The reply buffer that Redis's rules would give a client sees large replies too.
func TestLargeReplyCounts(t *testing.T) {
	s := startServer(t)
	c := s.dial()
	c.send(setLarge)
	c.expect("+OK\r\n")
	s.on(func() {
		for _, c := range s.clients {
			c.replyBuffer = replyBuffer{size: replyBufferMax, since: uint32(s.Keyspace.Now)}
		}
	})
	c.send("GET k\r\n")
	c.expect(largeValue)
	s.on(func() {
		for _, c := range s.clients {
			if c.replyBuffer.peak != replyBufferMax {
				t.Errorf("the longest reply is %d bytes long", c.replyBuffer.peak)
			}
		}
	})
}

// What is made for one large message, and what prefetching looks at, is not kept behind it.
func TestLargeRequestsLeaveNoScratch(t *testing.T) {
	s := startServer(t, "notify-keyspace-events", "KEA")
	request := func(words ...string) string {
		text := "*" + strconv.Itoa(len(words)) + "\r\n"
		for _, w := range words {
			text += "$" + strconv.Itoa(len(w)) + "\r\n" + w + "\r\n"
		}
		return text
	}
	calls := func() (n int64) {
		s.on(func() { n = s.stats.commands })
		return n
	}
	key, value := strings.Repeat("k", 2*keepBuffer), strings.Repeat("v", 2*keepBuffer)
	for _, p := range []struct {
		text  string
		calls int64
	}{{"MONITOR\r\n", 1}, {"PSUBSCRIBE *\r\n", 1}, {"HELLO 3\r\nCLIENT TRACKING ON\r\n" + request("GET", key), 3}} {
		before := calls()
		s.dial().send(p.text)
		s.eventually("it is prepared", func() bool { return s.stats.commands == before+p.calls })
	}
	c := s.dial()
	c.send(request("SET", key, value) + request("PUBLISH", "c", value) + request("PUBLISH", "c", "x"))
	c.expect("+OK\r\n:1\r\n:1\r\n")
	c.send(strings.Repeat("SET a b\r\n", 10) + strings.Repeat(request("SET", "a", "b"), 2*len(s.Peeked)) + request("MSET", "a", "b", "c", "d"))
	c.expect(strings.Repeat("+OK\r\n", 10+2*len(s.Peeked)+1))
	s.on(func() {
		o := &s.outbox
		for name, n := range map[string]int{"event": cap(o.event), "raw": cap(o.raw), "own": cap(o.own), "gather": cap(o.gather)} {
			if n > keepBuffer {
				t.Errorf("%d bytes are kept for %s", n, name)
			}
		}
		for i, k := range s.Peeked {
			if k != nil || s.members[i] != nil {
				t.Errorf("%q and %q are kept of prefetching", k, s.members[i])
			}
		}
	})
}
