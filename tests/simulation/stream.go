package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// keyspace is the model: databases of strings, with a digest that every change keeps up to date.
type keyspace struct {
	dbs    map[int]map[string]*value
	digest uint64
}

type value struct {
	text []byte
	hash uint64 // of text, so that APPEND need not look at all of it
}

func newKeyspace() *keyspace { return &keyspace{dbs: map[int]map[string]*value{}} }

// FNV-1a. The digest is the same in every process, so that seeds can be compared.
const fnvOffset, fnvPrime = 14695981039346656037, 1099511628211

func fnvAdd(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

// share is what a key adds to the digest.
func share(db int, key string, v *value) uint64 {
	h := fnvAdd((fnvOffset^uint64(db))*fnvPrime, key)
	h = (h ^ v.hash) * fnvPrime
	return h ^ h>>29
}

func (k *keyspace) add(db int, key, text string) {
	v := k.dbs[db][key]
	if v == nil {
		if k.dbs[db] == nil {
			k.dbs[db] = map[string]*value{}
		}
		v = &value{hash: fnvOffset}
		k.dbs[db][key] = v
	} else {
		k.digest ^= share(db, key, v)
	}
	v.text = append(v.text, text...)
	v.hash = fnvAdd(v.hash, text)
	k.digest ^= share(db, key, v)
}

func (k *keyspace) del(db int, key string) {
	if v := k.dbs[db][key]; v != nil {
		k.digest ^= share(db, key, v)
		delete(k.dbs[db], key)
	}
}

func (k *keyspace) get(db int, key string) string {
	if v := k.dbs[db][key]; v != nil {
		return string(v.text)
	}
	return ""
}

func (k *keyspace) set(db int, key, text string) {
	k.del(db, key)
	k.add(db, key, text)
}

// run executes a command that changes data.
func (k *keyspace) run(db int, argv [][]byte) error {
	arg := func(i int) string { return string(argv[i]) }
	switch name := strings.ToUpper(arg(0)); {
	case name == "SET" && len(argv) == 3:
		k.set(db, arg(1), arg(2))
	case name == "APPEND" && len(argv) == 3:
		k.add(db, arg(1), arg(2))
	case name == "INCR" && len(argv) == 2:
		n, _ := strconv.Atoi(k.get(db, arg(1)))
		k.set(db, arg(1), strconv.Itoa(n+1))
	case name == "DEL" && len(argv) == 2:
		k.del(db, arg(1))
	case name == "FLUSHDB" && len(argv) == 1:
		for key := range k.dbs[db] {
			k.del(db, key)
		}
	default:
		return fmt.Errorf("unknown command %q", argv)
	}
	return nil
}

// dump is the model's RDB file: a header that can be loaded, and fields in order.
func (k *keyspace) dump(id string, offset int64, db int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "REDIS0011\n%s %d %d\n", id, offset, db)
	for db := range 4 {
		keys := make([]string, 0, len(k.dbs[db]))
		for key := range k.dbs[db] {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			fmt.Fprintf(&b, "%d %s %s\n", db, key, k.dbs[db][key].text)
		}
	}
	b.WriteString("end\n")
	return b.Bytes()
}

// load reads a dump.
func load(file []byte) (k *keyspace, id string, offset int64, streamDB int, err error) {
	lines := strings.Split(string(file), "\n")
	if len(lines) < 4 || lines[0] != "REDIS0011" || lines[len(lines)-2] != "end" {
		return nil, "", 0, 0, errors.New("torn dump")
	}
	if _, err = fmt.Sscanf(lines[1], "%s %d %d", &id, &offset, &streamDB); err != nil {
		return nil, "", 0, 0, err
	}
	k = newKeyspace()
	for _, line := range lines[2 : len(lines)-2] {
		words := strings.Fields(line)
		if len(words) != 3 {
			return nil, "", 0, 0, errors.New("bad line")
		}
		db, err := strconv.Atoi(words[0])
		if err != nil {
			return nil, "", 0, 0, err
		}
		k.set(db, words[1], words[2])
	}
	return k, id, offset, streamDB, nil
}

// parser cuts a stream into commands.
type parser struct {
	buf      []byte
	consumed int64
}

var errGarbage = errors.New("no RESP array")

// next returns the next command, or nil when more bytes are needed.
func (p *parser) next() ([][]byte, error) {
	pos := 0
	number := func(kind byte) (int, bool, error) {
		i := bytes.Index(p.buf[pos:], []byte("\r\n"))
		if i < 0 {
			if pos < len(p.buf) && p.buf[pos] != kind {
				return 0, false, errGarbage
			}
			return 0, false, nil
		}
		if i < 2 || p.buf[pos] != kind {
			return 0, false, errGarbage
		}
		n, err := strconv.Atoi(string(p.buf[pos+1 : pos+i]))
		if err != nil || n < 0 {
			return 0, false, errGarbage
		}
		pos += i + 2
		return n, true, nil
	}
	argc, ok, err := number('*')
	if !ok || err != nil {
		return nil, err
	}
	argv := make([][]byte, 0, argc)
	for range argc {
		n, ok, err := number('$')
		if !ok || err != nil {
			return nil, err
		}
		if len(p.buf) < pos+n+2 {
			return nil, nil
		}
		argv = append(argv, bytes.Clone(p.buf[pos:pos+n]))
		if string(p.buf[pos+n:pos+n+2]) != "\r\n" {
			return nil, errGarbage
		}
		pos += n + 2
	}
	p.buf = p.buf[pos:]
	p.consumed += int64(pos)
	return argv, nil
}
