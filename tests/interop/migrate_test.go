package interop

import (
	"fmt"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// Keys of every kind move from server to server and back, Ferrous and Redis, and stay what they are.
func TestMigrateBetweenServers(t *testing.T) { migrateBetween(t, nil) }

// The same over TLS (tls-cluster), with what can go wrong: the replies are Redis's.
func TestMigrateOverTLS(t *testing.T) {
	ca := harness.NewAuthority(t)
	one, redis := migrateBetween(t, ca)
	plain, stranger := harness.StartFerrous(t), startWith(t, harness.NeedFerrous(t), harness.NewAuthority(t))
	a, r := one.Dial(t), redis.Dial(t)
	for _, c := range []*harness.Conn{a, r} {
		c.Must("SET", "k", "v")
		for name, port := range map[string]int{"a plain port": plain.Port, "another authority": stranger.Port, "no port": 1} {
			v, err := c.Do("MIGRATE", "127.0.0.1", fmt.Sprint(port), "k", "0", "500")
			if err != nil || !strings.HasPrefix(v.Str, "IOERR error or timeout ") {
				t.Errorf("%s: %v, %v", name, v, err)
			}
			if c == a && v.Str != "IOERR error or timeout connecting to the client" {
				t.Errorf("%s: %v", name, v)
			}
		}
		if got := c.Must("GET", "k").Str; got != "v" {
			t.Errorf("afterwards the key is %q", got)
		}
	}
	// It can be switched, also while a connection is kept.
	target := startWith(t, harness.NeedFerrous(t), ca)
	port := fmt.Sprint(target.Port)
	a.Must("MIGRATE", "127.0.0.1", port, "k", "0", "5000", "COPY")
	a.Must("CONFIG", "SET", "tls-cluster", "no")
	if v, err := a.Do("MIGRATE", "127.0.0.1", port, "k", "0", "500", "COPY", "REPLACE"); err != nil || !v.IsError() {
		t.Errorf("without TLS to a port with TLS: %v, %v", v, err)
	}
	a.Must("CONFIG", "SET", "tls-cluster", "yes")
	// The target closes what is kept: a new connection is made.
	target.Dial(t).Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	a.Must("MIGRATE", "127.0.0.1", port, "k", "0", "5000", "REPLACE")
}

// startWith starts a server that allows DEBUG; with an authority it listens with TLS only.
func startWith(t *testing.T, binary string, ca *harness.Authority) *harness.Server {
	t.Helper()
	return harness.StartWith(t, harness.Options{Binary: binary, Authority: ca, Args: []string{"--enable-debug-command", "yes"}})
}

func migrateBetween(t *testing.T, ca *harness.Authority) (one, redis *harness.Server) {
	t.Helper()
	ours := harness.NeedFerrous(t)
	theirs, err := harness.Redis()
	if err != nil {
		t.Skip(err)
	}
	one, two := startWith(t, ours, ca), startWith(t, ours, ca)
	redis = startWith(t, theirs, ca)
	r := redis.Dial(t)
	a := one.Dial(t)
	fillSmall(a)
	want := digests(a)
	if len(want) == 0 {
		t.Fatal("there is no key")
	}
	route := []struct {
		from, to *harness.Server
		conn     *harness.Conn
	}{
		{one, two, two.Dial(t)}, {two, redis, r}, {redis, one, a}, {one, redis, r}, {redis, two, nil},
	}
	for i, leg := range route {
		from := leg.from.Dial(t)
		keys := from.Must("KEYS", "*").Elems
		args := []string{"MIGRATE", "127.0.0.1", fmt.Sprint(leg.to.Port), "", "0", "20000", "KEYS"}
		for _, k := range keys {
			args = append(args, k.Str)
		}
		if v := from.Must(args...); v.Str != "OK" {
			t.Fatalf("leg %d: %v", i, v)
		}
		if n := from.Must("DBSIZE").Int(); n != 0 {
			t.Errorf("leg %d: %d keys have stayed", i, n)
		}
		to := leg.to.Dial(t)
		got := digests(to)
		for key, w := range want {
			if got[key] != w {
				t.Errorf("leg %d: %s is %s, was %s", i, key, got[key], w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("leg %d: %d keys, want %d", i, len(got), len(want))
		}
	}
	// An existing key is an error of the target, Redis or not, and the key stays.
	for _, to := range []*harness.Server{one, redis} {
		c, x := two.Dial(t), to.Dial(t)
		c.Must("SET", "busy", "here")
		x.Must("SET", "busy", "there")
		v, err := c.Do("MIGRATE", "127.0.0.1", fmt.Sprint(to.Port), "busy", "0", "5000")
		if err != nil || v.Str != "ERR Target instance replied with error: BUSYKEY Target key name already exists." {
			t.Errorf("%v, %v", v, err)
		}
		c.Must("MIGRATE", "127.0.0.1", fmt.Sprint(to.Port), "busy", "0", "5000", "REPLACE", "COPY")
		if here, there := c.Must("GET", "busy").Str, x.Must("GET", "busy").Str; here != "here" || there != "here" {
			t.Errorf("with COPY: %q here, %q there", here, there)
		}
		x.Must("CONFIG", "SET", "requirepass", "secret")
		v, err = c.Do("MIGRATE", "127.0.0.1", fmt.Sprint(to.Port), "busy", "0", "5000", "REPLACE", "AUTH", "wrong")
		if err != nil || !strings.HasPrefix(v.Str, "ERR Target instance replied with error: WRONGPASS ") {
			t.Errorf("a wrong password: %v, %v", v, err)
		}
		c.Must("MIGRATE", "127.0.0.1", fmt.Sprint(to.Port), "busy", "0", "5000", "REPLACE", "AUTH2", "default", "secret")
		if n := c.Must("EXISTS", "busy").Int(); n != 0 {
			t.Error("the key is still here")
		}
		x.Must("CONFIG", "SET", "requirepass", "")
	}
	return one, redis
}

// fillSmall makes keys of the types that have commands, small and large, some with deadlines.
func fillSmall(c *harness.Conn) {
	c.Must("SET", "int", "12345")
	c.Must("SET", "string", strings.Repeat("text ", 10))
	c.Must("SET", "large", strings.Repeat("0123456789", 200_000))
	for _, n := range []int{3, 1000} {
		for i := range n {
			e := fmt.Sprintf("element:%d", i)
			c.Must("RPUSH", fmt.Sprint("list:", n), e)
			c.Must("SADD", fmt.Sprint("set:", n), e)
			c.Must("SADD", fmt.Sprint("ints:", n), fmt.Sprint(i*i))
			c.Must("HSET", fmt.Sprint("hash:", n), e, e)
			c.Must("ZADD", fmt.Sprint("zset:", n), fmt.Sprint(i), e)
		}
	}
	c.Must("PEXPIRE", "list:3", "5000000")
	c.Must("PEXPIRE", "large", "5000000")
}

// digests returns a digest of each key's value, its encoding, and whether it has a deadline.
func digests(c *harness.Conn) map[string]string {
	m := make(map[string]string)
	for _, k := range c.Must("KEYS", "*").Elems {
		encoding := ""
		if k.Str != "list:3" && k.Str != "set:3" { // Redis 7.0 has no listpacks for these
			encoding = c.Must("OBJECT", "ENCODING", k.Str).Str
		}
		m[k.Str] = fmt.Sprint(c.Must("DEBUG", "DIGEST-VALUE", k.Str), " ", encoding, " ",
			c.Must("PTTL", k.Str).Int() > 4_000_000)
	}
	return m
}
