package replication

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"ferrous/tests/harness"
)

// writer sends random writes of all types to a master. What it sends depends on its seed only.
type writer struct{ *rand.Rand }

func newWriter(seed uint64) *writer { return &writer{rand.New(rand.NewPCG(seed, 17))} }

// pick returns one of the words.
func (w *writer) pick(words ...string) string { return words[w.IntN(len(words))] }

func (w *writer) key(kind string) string { return kind + strconv.Itoa(w.IntN(20)) }

func (w *writer) num(n int) string { return strconv.Itoa(w.IntN(n)) }

// word is a value: a number, a short text, sometimes bytes that are no text, or a long one.
func (w *writer) word() string {
	switch w.IntN(12) {
	case 0:
		return "\x00\r\n\xff" + w.num(100)
	case 1:
		return strings.Repeat("long "+w.num(9), 1+w.IntN(300))
	case 2, 3, 4:
		return strconv.FormatInt(int64(w.Uint64()>>w.IntN(64)), 10)
	}
	return "w" + w.num(50)
}

// score has few decimals: older servers print others with 17 digits in DEBUG DIGEST.
func (w *writer) score() string {
	return strconv.FormatFloat(float64(w.IntN(2000)-1000)/4, 'g', -1, 64)
}

// command returns one write, or a read that writes, such as of an expired key.
func (w *writer) command() []string {
	s, l, set, h, z, x, b := w.key("s"), w.key("l"), w.key("set"), w.key("h"), w.key("z"), w.key("x"), w.key("b")
	switch w.IntN(62) {
	case 0:
		return []string{"SET", s, w.word()}
	case 1:
		return []string{"SET", s, w.word(), "PX", strconv.Itoa(1 + w.IntN(300))}
	case 2:
		return []string{"SET", s, w.word(), w.pick("NX", "XX", "GET", "KEEPTTL")}
	case 3:
		return []string{"APPEND", s, w.word()}
	case 4:
		return []string{"SETRANGE", s, w.num(60), w.word()}
	case 5:
		return []string{"INCRBY", "n" + w.num(9), w.num(1000)}
	case 6:
		return []string{"INCRBYFLOAT", "f" + w.num(9), w.score()}
	case 7:
		if w.IntN(2) == 0 {
			return []string{"GETEX", s, "EX", "1"}
		}
		return []string{"GETEX", s, "PX", strconv.Itoa(20 + w.IntN(400))}
	case 8:
		return []string{"GETDEL", s}
	case 9:
		return []string{"MSET", s, w.word(), w.key("s"), w.word()}
	case 10:
		return []string{"EXPIRE", w.any(), strconv.Itoa(w.IntN(3))}
	case 11:
		return []string{"PEXPIRE", w.any(), strconv.Itoa(w.IntN(400)), w.pick("NX", "XX", "GT", "LT")}
	case 12:
		return []string{"PERSIST", w.any()}
	case 13:
		return []string{"EXISTS", w.any(), w.any(), w.any()}
	case 14:
		return []string{w.pick("DEL", "UNLINK"), w.any(), w.any()}
	case 15, 16:
		return []string{w.pick("RPUSH", "LPUSH"), l, w.word(), w.word(), w.word()}
	case 17:
		return []string{w.pick("LPOP", "RPOP"), l, strconv.Itoa(1 + w.IntN(3))}
	case 18:
		return []string{"LMOVE", l, w.key("l"), w.pick("LEFT", "RIGHT"), w.pick("LEFT", "RIGHT")}
	case 19:
		return []string{"LINSERT", l, w.pick("BEFORE", "AFTER"), w.word(), w.word()}
	case 20:
		return []string{"LREM", l, w.num(3), w.word()}
	case 21:
		return []string{"LTRIM", l, w.num(3), "-" + strconv.Itoa(1+w.IntN(3))}
	case 22:
		return []string{"LMPOP", "2", l, w.key("l"), w.pick("LEFT", "RIGHT"), "COUNT", "2"}
	case 23, 24:
		return []string{"SADD", set, w.num(300), w.word(), w.word()}
	case 25:
		return []string{"SREM", set, w.num(300), w.word()}
	case 26:
		return []string{"SPOP", set}
	case 27:
		return []string{"SPOP", set, w.num(4)}
	case 28:
		return []string{"SMOVE", set, w.key("set"), w.num(300)}
	case 29:
		return []string{w.pick("SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"), w.key("set"), set, w.key("set")}
	case 30, 31:
		return []string{"HSET", h, w.word(), w.word(), w.num(99), w.word()}
	case 32:
		return []string{"HDEL", h, w.num(99), w.word()}
	case 33:
		return []string{"HINCRBY", h, "count", w.num(100)}
	case 34:
		return []string{"HINCRBYFLOAT", h, "float", w.score()}
	case 35, 36:
		return []string{"ZADD", z, w.score(), w.num(200), w.score(), w.word()}
	case 37:
		return []string{"ZADD", z, w.pick("GT", "LT", "XX", "NX"), w.score(), w.num(200)}
	case 38:
		return []string{"ZINCRBY", z, w.score(), w.num(200)}
	case 39:
		return []string{w.pick("ZPOPMIN", "ZPOPMAX"), z, w.num(3)}
	case 40:
		return []string{"ZMPOP", "2", z, w.key("z"), w.pick("MIN", "MAX"), "COUNT", "2"}
	case 41:
		return []string{w.pick("ZUNIONSTORE", "ZINTERSTORE"), w.key("z"), "2", z, w.key("z")}
	case 42:
		return []string{"ZREMRANGEBYRANK", z, w.num(4), w.num(6)}
	case 43:
		return []string{"ZRANGESTORE", w.key("z"), z, "0", w.num(9)}
	case 44:
		return []string{"GEOADD", "geo", fmt.Sprint(w.IntN(90)), fmt.Sprint(w.IntN(80)), w.num(50)}
	case 45, 46:
		return []string{"XADD", x, "*", "f", w.word(), "g", w.num(9)}
	case 47:
		return []string{"XADD", x, "MAXLEN", "~", "30", "*", "f", w.word()}
	case 48:
		return []string{"XGROUP", "CREATE", x, "g" + w.num(3), w.pick("0", "$"), "MKSTREAM"}
	case 49, 50:
		return []string{"XREADGROUP", "GROUP", "g" + w.num(3), "c" + w.num(3), "COUNT", "3", "STREAMS", x, ">"}
	case 51:
		return []string{"XAUTOCLAIM", x, "g" + w.num(3), "c" + w.num(3), "0", "0", "COUNT", "4"}
	case 52:
		return []string{"XTRIM", x, "MAXLEN", w.num(40)}
	case 53:
		return []string{"SETBIT", b, w.num(3000), w.num(2)}
	case 54:
		return []string{"BITFIELD", b, "INCRBY", "u7", w.num(900), w.num(99), "SET", "i5", w.num(99), "3"}
	case 55:
		return []string{"PFADD", "hll" + w.num(4), w.word(), w.word()}
	case 56:
		return []string{"PFCOUNT", "hll" + w.num(4)}
	case 57:
		return []string{"COPY", w.any(), "copy" + w.num(9), "REPLACE"}
	case 58:
		return []string{"RENAME", w.any(), "renamed" + w.num(9)}
	case 59:
		return []string{"SORT", l, "ALPHA", "STORE", "sorted" + w.num(5)}
	case 60:
		return []string{"EVAL", `redis.call('SET', KEYS[1], ARGV[1]); redis.call('PEXPIRE', KEYS[1], ARGV[2]); redis.call('RPUSH', KEYS[2], ARGV[1]);
			return redis.call('SPOP', KEYS[3])`, "3", s, l, set, w.word(), strconv.Itoa(50 + w.IntN(500))}
	}
	return []string{"MOVE", w.any(), w.pick("1", "9")}
}

// any returns a key of any type.
func (w *writer) any() string { return w.key(w.pick("s", "l", "set", "h", "z", "x", "b")) }

// batch sends n writes as one pipeline, some of them within transactions and in other databases, and reads the replies.
func (w *writer) batch(c *harness.Conn, n int) error {
	var buf []byte
	replies := 0
	send := func(args ...string) {
		buf = harness.AppendCommand(buf, args...)
		replies++
	}
	for n > 0 {
		switch w.IntN(12) {
		case 0:
			send("SELECT", w.pick("0", "1", "9"))
		case 1:
			send("MULTI")
			for range 1 + w.IntN(4) {
				send(w.command()...)
				n--
			}
			send("EXEC")
		case 2:
			if w.IntN(100) == 0 {
				send(w.pick("FLUSHDB", "SWAPDB"), "1", "9")
			}
		}
		send(w.command()...)
		n--
	}
	if _, err := c.Write(buf); err != nil {
		return err
	}
	_, err := c.Skip(replies) // types are mixed, so that some replies are errors
	return err
}

// pop blocks for elements that others push, until stop is closed.
func pop(s *harness.Server, seed uint64, stop <-chan struct{}) {
	w := newWriter(seed)
	c, err := s.Connect()
	if err != nil {
		return
	}
	defer c.Close()
	for {
		select {
		case <-stop:
			return
		default:
		}
		argv := []string{"BLPOP", w.key("l"), w.key("l"), "0.05"}
		switch w.IntN(4) {
		case 0:
			argv = []string{"BLMOVE", w.key("l"), w.key("l"), "LEFT", "RIGHT", "0.05"}
		case 1:
			argv = []string{"BZPOPMIN", w.key("z"), w.key("z"), "0.05"}
		case 2:
			argv = []string{"BLMPOP", "0.05", "2", w.key("l"), w.key("l"), "RIGHT", "COUNT", "3"}
		}
		if _, err := c.Do(argv...); err != nil {
			return
		}
	}
}
