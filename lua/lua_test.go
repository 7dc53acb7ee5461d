package lua

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// wire is a Reply that writes RESP.
type wire struct {
	buf   []byte
	resp3 bool
}

func (w *wire) put(format string, args ...any) { w.buf = fmt.Appendf(w.buf, format, args...) }

func (w *wire) Status(s string)        { w.put("+%s\r\n", s) }
func (w *wire) Error(s string, _ bool) { w.put("-%s\r\n", s) }
func (w *wire) Integer(n int64)        { w.put(":%d\r\n", n) }
func (w *wire) Bulk(s string)          { w.put("$%d\r\n%s\r\n", len(s), s) }
func (w *wire) Array(n int)            { w.put("*%d\r\n", n) }
func (w *wire) Null() {
	if w.resp3 {
		w.put("_\r\n")
	} else {
		w.put("$-1\r\n")
	}
}
func (w *wire) Bool(b bool) {
	switch {
	case w.resp3 && b:
		w.put("#t\r\n")
	case w.resp3:
		w.put("#f\r\n")
	case b:
		w.put(":1\r\n")
	default:
		w.put(":0\r\n")
	}
}
func (w *wire) Double(f float64) {
	s := strconv.FormatFloat(f, 'g', 17, 64)
	if math.Trunc(f*10) == f*10 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if w.resp3 {
		w.put(",%s\r\n", s)
	} else {
		w.Bulk(s)
	}
}
func (w *wire) BigNumber(s string) {
	if w.resp3 {
		w.put("(%s\r\n", s)
	} else {
		w.Bulk(s)
	}
}
func (w *wire) Verbatim(format, s string) {
	if w.resp3 {
		w.put("=%d\r\n%.3s:%s\r\n", len(s)+4, format, s)
	} else {
		w.Bulk(s)
	}
}
func (w *wire) Set(n int) {
	if w.resp3 {
		w.put("~%d\r\n", n)
	} else {
		w.Array(n)
	}
}
func (w *wire) Map(n int) {
	if w.resp3 {
		w.put("%%%d\r\n", n)
	} else {
		w.Array(2 * n)
	}
}

// server is a Bridge over a map of strings.
type server struct {
	data  map[string]string
	out   []byte
	proto int
	log   []string
	repl  int
}

func newServer() *server { return &server{data: map[string]string{}} }

// arities are the numbers of arguments of the server's commands, with the name.
var arities = map[string]int{"set": 3, "get": 2, "echo": 2, "raw": 2}

func (s *server) Call(argv [][]byte) []byte {
	s.out = s.out[:0]
	name := strings.ToLower(string(argv[0]))
	if want, known := arities[name]; known && len(argv) != want {
		return append(s.out, "-ERR "+ErrWrongArity+"\r\n"...)
	}
	switch name {
	case "set":
		s.data[string(argv[1])] = string(argv[2])
		s.out = append(s.out, "+OK\r\n"...)
	case "get":
		v, ok := s.data[string(argv[1])]
		switch {
		case ok:
			s.out = append(s.out, '$')
			s.out = strconv.AppendInt(s.out, int64(len(v)), 10)
			s.out = append(s.out, "\r\n"...)
			s.out = append(s.out, v...)
			s.out = append(s.out, "\r\n"...)
		case s.proto == 3:
			s.out = append(s.out, "_\r\n"...)
		default:
			s.out = append(s.out, "$-1\r\n"...)
		}
	case "echo":
		s.out = fmt.Appendf(s.out, "$%d\r\n%s\r\n", len(argv[1]), argv[1])
	case "raw":
		s.out = append(s.out, argv[1]...)
	case "nested":
		s.out = append(s.out, "*3\r\n:1\r\n$-1\r\n*2\r\n+OK\r\n*0\r\n"...)
	case "fail":
		s.out = append(s.out, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"...)
	default:
		s.out = append(s.out, "-ERR "+ErrUnknownCommand+"\r\n"...)
	}
	return s.out
}

func (s *server) SetProtocol(v int)          { s.proto = v }
func (s *server) Log(level int, text string) { s.log = append(s.log, fmt.Sprint(level, " ", text)) }
func (s *server) SetRepl(flags int)          { s.repl = flags }
func (s *server) CheckACL(argv [][]byte) (allowed, known bool) {
	return string(argv[0]) == "get", string(argv[0]) != "foo"
}

// eval runs body as EVAL does and returns the reply; {sha} in it stands for the script's SHA1.
func eval(e *Engine, body string, resp3 bool, keys ...string) string {
	s, err := e.Load([]byte(body), FromEval)
	if err != nil {
		return "-ERR " + err.Error() + "\r\n"
	}
	w := &wire{resp3: resp3}
	var k [][]byte
	for _, key := range keys {
		k = append(k, []byte(key))
	}
	if err := e.Run(s, k, k, w); err != nil {
		return "-" + strings.ReplaceAll(err.Error(), s.SHA, "{sha}") + "\r\n"
	}
	return string(w.buf)
}
