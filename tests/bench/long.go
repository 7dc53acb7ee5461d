package main

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ferrous/tests/harness"
)

// The long section measures commands whose work grows with the data: each over collections of longMembers elements (-longmembers)
// or, for KEYS, SCAN and FLUSHALL, a keyspace of longKeys keys (-longkeys). Two figures count: the CPU that the server used until it
// was at rest again, and the stall, which is the longest time that another client waited for the answer to a PING meanwhile.
// A server that frees in the background spends the CPU of it after the reply, so both servers are watched for longRest more.

// longResult is one row of the section. Index 0 is ours, 1 the server it is compared with. The values are medians.
type longResult struct {
	What   string       `json:"what"`
	CPU    [2]float64   `json:"cpu_ms"`
	Stall  [2]float64   `json:"stall_ms"`
	CPUs   [2][]float64 `json:"rounds_cpu_ms"`
	Stalls [2][]float64 `json:"rounds_stall_ms"`
}

const (
	longRest   = 300 * time.Millisecond
	longPause  = time.Millisecond // between two PINGs of the client that is held up
	longRepeat = 5                // requests of a round of a command that changes nothing
	scanCount  = "1000"
)

// longWork is a command of the section. A command that destroys what it works on has fill before each round, others once.
type longWork struct {
	what     string
	fill     func(c *harness.Conn, members int) error
	run      func(c *harness.Conn) error
	repeat   int
	destroys bool
}

// longMember is 16 bytes, and no integer.
func longMember(i int) string { return fmt.Sprintf("member:%09d", i) }

// longFill returns what fills a key. element appends the words of element i to a command.
func longFill(key, command string, element func(args []string, i int) []string) func(*harness.Conn, int) error {
	return func(c *harness.Conn, members int) error {
		return pipelined(c, (members+perCommand-1)/perCommand, func(dst []byte, at int) []byte {
			args := []string{command, key}
			for i := at * perCommand; i < min((at+1)*perCommand, members); i++ {
				args = element(args, i)
			}
			return harness.AppendCommand(dst, args...)
		})
	}
}

func longHash(key string) func(*harness.Conn, int) error {
	return longFill(key, "HSET", func(args []string, i int) []string { return append(args, longMember(i), "value:"+strconv.Itoa(i)) })
}

func longSet(key string, from int) func(*harness.Conn, int) error {
	return longFill(key, "SADD", func(args []string, i int) []string { return append(args, longMember(from+i)) })
}

func longZset(key string, from int) func(*harness.Conn, int) error {
	return longFill(key, "ZADD", func(args []string, i int) []string {
		return append(args, strconv.Itoa(i*7919%1_000_003), longMember(from+i))
	})
}

func longList(key string) func(*harness.Conn, int) error {
	return longFill(key, "RPUSH", func(args []string, i int) []string { return append(args, strconv.Itoa(i*7919%1_000_003)) })
}

func longStream(key string) func(*harness.Conn, int) error {
	return func(c *harness.Conn, members int) error {
		return pipelined(c, members, func(dst []byte, i int) []byte {
			return harness.AppendCommand(dst, "XADD", key, strconv.Itoa(i+1)+"-1", "field", "value:"+strconv.Itoa(i))
		})
	}
}

func longStrings(c *harness.Conn, keys int) error {
	return pipelined(c, keys, func(dst []byte, i int) []byte { return harness.AppendCommand(dst, "SET", memKey(i), value32) })
}

// all fills with several functions, each with a part of the members.
func all(parts ...func(*harness.Conn, int) error) func(*harness.Conn, int) error {
	return func(c *harness.Conn, members int) error {
		for _, fill := range parts {
			if err := fill(c, members/len(parts)); err != nil {
				return err
			}
		}
		return nil
	}
}

// ask sends one command and reads its reply whole.
func ask(args ...string) func(*harness.Conn) error {
	request := harness.AppendCommand(nil, args...)
	return func(c *harness.Conn) error {
		if _, err := c.Write(request); err != nil {
			return err
		}
		text, err := c.Skip(1)
		if err == nil && text != "" {
			err = errors.New(text)
		}
		return err
	}
}

// scanAll goes through the keyspace with SCAN.
func scanAll(c *harness.Conn) error {
	for cursor := "0"; ; {
		v, err := c.Do("SCAN", cursor, "COUNT", scanCount)
		if err != nil {
			return err
		}
		if len(v.Elems) != 2 {
			return fmt.Errorf("SCAN answered %s", v)
		}
		if cursor = v.Elems[0].Str; cursor == "0" {
			return nil
		}
	}
}

func (b *bench) longWorks() []longWork {
	half := b.longMembers / 2
	reads := []longWork{
		{what: "SMEMBERS", fill: longSet("s", 0), run: ask("SMEMBERS", "s")},
		{what: "HGETALL", fill: longHash("h"), run: ask("HGETALL", "h")},
		{what: "LRANGE 0 -1", fill: longList("l"), run: ask("LRANGE", "l", "0", "-1")},
		{what: "ZRANGE 0 -1 WITHSCORES", fill: longZset("z", 0), run: ask("ZRANGE", "z", "0", "-1", "WITHSCORES")},
		{what: "SUNION of two halves", fill: all(longSet("s1", 0), longSet("s2", half/2)), run: ask("SUNION", "s1", "s2")},
		{what: "ZUNIONSTORE of two halves", fill: all(longZset("z1", 0), longZset("z2", half/2)), run: ask("ZUNIONSTORE", "z", "2", "z1", "z2")},
		{what: "SORT", fill: longList("l"), run: ask("SORT", "l")},
	}
	for i := range reads {
		reads[i].repeat = longRepeat
	}
	works := reads
	for _, d := range []struct {
		what string
		fill func(*harness.Conn, int) error
	}{{"hash", longHash("k")}, {"set", longSet("k", 0)}, {"sorted set", longZset("k", 0)}, {"list", longList("k")}, {"stream", longStream("k")}} {
		works = append(works, longWork{what: "DEL of a " + d.what, fill: d.fill, run: ask("DEL", "k"), repeat: 1, destroys: true})
	}
	return append(works,
		longWork{what: "KEYS *", fill: longStrings, run: ask("KEYS", "*"), repeat: longRepeat},
		longWork{what: "FLUSHALL", fill: longStrings, run: ask("FLUSHALL"), repeat: 1, destroys: true})
}

func (b *bench) longSection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Commands that take long: %d elements, median of %d rounds\n\n", b.longMembers, b.rounds)
	fmt.Printf("| command | CPU ms %s | CPU ms %s | ratio | others wait, ms, %[1]s | others wait, ms, %[2]s | ratio |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, w := range b.longWorks() {
		if err := b.longRounds(servers, w, b.longMembers); err != nil {
			return fmt.Errorf("%s: %w", w.what, err)
		}
	}
	scan := longWork{what: fmt.Sprintf("SCAN of %d keys, COUNT %s", b.longKeys, scanCount), fill: longStrings, run: scanAll, repeat: 1}
	if err := b.longRounds(servers, scan, b.longKeys); err != nil {
		return fmt.Errorf("SCAN: %w", err)
	}
	return nil
}

func (b *bench) longRounds(servers [2]*harness.Server, w longWork, members int) error {
	var conns [2]*harness.Conn
	for who, s := range servers {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		c.Timeout = 5 * time.Minute
		if err := ask("FLUSHALL")(c); err != nil {
			return err
		}
		if !w.destroys {
			if err := w.fill(c, members); err != nil {
				return err
			}
		}
		conns[who] = c
	}
	r := longResult{What: w.what}
	for i := range b.rounds {
		for j := range 2 {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			who := (i + j) % 2
			if w.destroys {
				if err := w.fill(conns[who], members); err != nil {
					return err
				}
				time.Sleep(longRest) // what filling left behind is done
			}
			before, err := servers[who].CPU()
			if err != nil {
				return err
			}
			stall, err := longestWait(servers[who].Addr, func() error {
				for range w.repeat {
					if err := w.run(conns[who]); err != nil {
						return err
					}
				}
				time.Sleep(longRest)
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s: %w", b.report.Names[who], err)
			}
			after, err := servers[who].CPU()
			if err != nil {
				return err
			}
			r.CPUs[who] = append(r.CPUs[who], micros(after-before)/1000/float64(w.repeat))
			r.Stalls[who] = append(r.Stalls[who], micros(stall)/1000)
		}
	}
	same := func(f float64) float64 { return f }
	for who := range 2 {
		r.CPU[who], r.Stall[who] = medianOf(r.CPUs[who], same), medianOf(r.Stalls[who], same)
	}
	b.report.Long = append(b.report.Long, r)
	fmt.Printf("| %s | %.1f | %.1f | **%.2f** | %.2f | %.2f | **%.2f** |\n", w.what, r.CPU[0], r.CPU[1], r.CPU[0]/r.CPU[1],
		r.Stall[0], r.Stall[1], r.Stall[0]/r.Stall[1])
	return nil
}

// longestWait runs work while a client on a thread of its own sends PING after PING, and returns the longest time that an answer took.
func longestWait(addr string, work func() error) (time.Duration, error) {
	f, err := blockingSocket(addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	stop := make(chan struct{})
	type outcome struct {
		worst time.Duration
		err   error
	}
	ended := make(chan outcome, 1)
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var o outcome
		buf := make([]byte, 64)
		for n := 0; o.err == nil; n++ {
			if n == 1 {
				close(ready)
				o.worst = 0
			}
			select {
			case <-stop:
				ended <- o
				return
			default:
			}
			start := time.Now()
			if _, o.err = f.Write([]byte("PING\r\n")); o.err == nil {
				o.err = readPong(int(f.Fd()), buf)
			}
			o.worst = max(o.worst, time.Since(start))
			time.Sleep(longPause)
		}
		ended <- o
	}()
	select {
	case <-ready:
	case o := <-ended:
		return 0, o.err
	}
	err = work()
	close(stop)
	o := <-ended
	return o.worst, errors.Join(err, o.err)
}

func readPong(fd int, buf []byte) error {
	for {
		n, err := syscall.Read(fd, buf)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err == nil && !strings.HasPrefix(string(buf[:n]), "+PONG") {
			err = fmt.Errorf("PING answered %q", buf[:n])
		}
		return err
	}
}
