package acl

import (
	"errors"
	"slices"
	"strings"

	"ferrous/commands/config"
)

// testTable is a small command table.
type testTable struct {
	names []string
	cats  []uint32
}

const (
	catRead uint32 = 1 << iota
	catWrite
	catAdmin
	catPubsub
)

func newTestTable() *testTable {
	t := &testTable{}
	for _, c := range []struct {
		name string
		cats uint32
	}{
		{"get", catRead}, {"mget", catRead}, {"set", catWrite}, {"copy", catWrite}, {"select", 0}, {"auth", 0},
		{"config", 0}, {"config|get", catAdmin}, {"config|set", catAdmin}, {"config|help", 0},
		{"publish", catPubsub}, {"subscribe", catPubsub}, {"psubscribe", catPubsub}, {"flushall", catWrite | catAdmin},
	} {
		t.names = append(t.names, c.name)
		t.cats = append(t.cats, c.cats)
	}
	return t
}

func (t *testTable) Len() int { return len(t.names) }
func (t *testTable) Find(name string) (int, bool) {
	i := slices.Index(t.names, strings.ToLower(name))
	return i, i >= 0
}
func (t *testTable) Name(id int) string { return t.names[id] }
func (t *testTable) Subs(id int) (subs []int) {
	for i, n := range t.names {
		if strings.HasPrefix(n, t.names[id]+"|") {
			subs = append(subs, i)
		}
	}
	return subs
}
func (t *testTable) IsSub(id int) bool { return strings.Contains(t.names[id], "|") }
func (t *testTable) Category(name string) (uint32, bool) {
	i := slices.Index([]string{"read", "write", "admin", "pubsub"}, strings.ToLower(name))
	return 1 << max(i, 0), i >= 0
}
func (t *testTable) Categories(id int) uint32 { return t.cats[id] }

// newTestUsers returns users over the small table.
func newTestUsers(allChannels bool) *Users {
	return New(Options{
		Table:       newTestTable(),
		Split:       config.SplitArgs,
		AllChannels: func() bool { return allChannels },
	})
}

// testRequest is a request for the small table: the first argument of get, the others of mget are keys that are read, that
// of set one that is written, copy reads the first and writes the second; the rest as one would think.
type testRequest struct {
	t    *testTable
	args [][]byte
}

func newRequest(line string) testRequest {
	r := testRequest{t: newTestTable()}
	for _, w := range strings.Fields(line) {
		r.args = append(r.args, []byte(w))
	}
	return r
}

func (r testRequest) name() string { return strings.ToLower(string(r.args[0])) }

func (r testRequest) Command() (int, bool) {
	name := r.name()
	if name == "config" && len(r.args) > 1 {
		name += "|" + strings.ToLower(string(r.args[1]))
	}
	id, ok := r.t.Find(name)
	if !ok {
		panic(errors.New("no command " + name))
	}
	return id, name == "auth"
}

func (r testRequest) Args() [][]byte { return r.args }

func (r testRequest) Keys() (keys []Key) {
	for i := 1; i < len(r.args); i++ {
		switch {
		case r.name() == "get" && i == 1, r.name() == "mget", r.name() == "copy" && i == 1:
			keys = append(keys, Key{i, Read})
		case r.name() == "set" && i == 1, r.name() == "copy" && i == 2:
			keys = append(keys, Key{i, Write})
		}
	}
	return keys
}

func (r testRequest) Channels() (channels []Channel) {
	for i := 1; i < len(r.args); i++ {
		switch {
		case r.name() == "publish" && i == 1, r.name() == "subscribe":
			channels = append(channels, Channel{i, false})
		case r.name() == "psubscribe":
			channels = append(channels, Channel{i, true})
		}
	}
	return channels
}
