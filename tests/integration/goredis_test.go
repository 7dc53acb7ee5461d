package integration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferrous/tests/harness"
)

// The go-redis client in both protocols: every wrapper it has for the commands that the server knows is called once and
// its decoded result checked.

func goRedis(t *testing.T, s *harness.Server, protocol int) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: protocol, ClientName: "go-redis-" + strconv.Itoa(protocol),
		TLSConfig: s.TLSConfig()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func inBothProtocols(t *testing.T, test func(t *testing.T, ctx context.Context, c *redis.Client)) {
	s := harness.StartFerrous(t, "--enable-debug-command", "yes")
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := goRedis(t, s, protocol)
			if err := c.FlushAll(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			test(t, ctx, c)
		})
	}
}

// result is what a wrapper returned.
type result interface {
	Err() error
	Name() string
}

// valueOf calls Val of a command, whatever its type.
func valueOf(r result) any {
	return reflect.ValueOf(r).MethodByName("Val").Call(nil)[0].Interface()
}

// expect checks a wrapper's result against the wanted value; an error as value means that error.
func expect(t *testing.T, r result, want any) {
	t.Helper()
	if wanted, isError := want.(error); isError {
		if !errors.Is(r.Err(), wanted) && (r.Err() == nil || r.Err().Error() != wanted.Error()) {
			t.Errorf("%v: got error %v, want %v", r, r.Err(), wanted)
		}
		return
	}
	if r.Err() != nil {
		t.Errorf("%v: %v", r, r.Err())
		return
	}
	got := valueOf(r)
	if list, ok := got.([]string); ok {
		if sorted, ok := want.(anyOrder); ok {
			slices.Sort(list)
			want = []string(sorted)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got %#v, want %#v", r, got, want)
	}
}

// anyOrder is a list whose order the server does not promise, sorted.
type anyOrder []string

func TestGoRedisStrings(t *testing.T) {
	inBothProtocols(t, func(t *testing.T, ctx context.Context, c *redis.Client) {
		expect(t, c.Set(ctx, "k", "v", 0), "OK")
		expect(t, c.Get(ctx, "k"), "v")
		expect(t, c.Get(ctx, "missing"), redis.Nil)
		expect(t, c.SetNX(ctx, "k", "w", 0), false)
		expect(t, c.SetNX(ctx, "nx", "w", time.Hour), true)
		expect(t, c.SetXX(ctx, "k", "x", 0), true)
		expect(t, c.SetXX(ctx, "missing", "x", 0), false)
		//lint:ignore SA1019 the wrapper sends SETEX, which the server must know
		expect(t, c.SetEx(ctx, "ex", "v", time.Hour), "OK")
		expect(t, c.SetArgs(ctx, "k", "y", redis.SetArgs{Get: true}), "x")
		expect(t, c.SetArgs(ctx, "k", "z", redis.SetArgs{Mode: "NX"}), redis.Nil)
		expect(t, c.SetArgs(ctx, "k", "z", redis.SetArgs{KeepTTL: true}), "OK")
		expect(t, c.SetArgs(ctx, "k", "z", redis.SetArgs{ExpireAt: time.Now().Add(time.Hour)}), "OK")
		//lint:ignore SA1019 the wrapper sends GETSET, which the server must know
		expect(t, c.GetSet(ctx, "k", "v"), "z")
		expect(t, c.GetEx(ctx, "k", time.Hour), "v")
		expect(t, c.GetDel(ctx, "k"), "v")
		expect(t, c.GetDel(ctx, "k"), redis.Nil)
		expect(t, c.Append(ctx, "a", "Hello"), int64(5))
		expect(t, c.Append(ctx, "a", " World"), int64(11))
		expect(t, c.StrLen(ctx, "a"), int64(11))
		expect(t, c.GetRange(ctx, "a", -5, -1), "World")
		expect(t, c.SetRange(ctx, "a", 6, "Redis"), int64(11))
		expect(t, c.Get(ctx, "a"), "Hello Redis")
		expect(t, c.Incr(ctx, "n"), int64(1))
		expect(t, c.IncrBy(ctx, "n", 41), int64(42))
		expect(t, c.Decr(ctx, "n"), int64(41))
		expect(t, c.DecrBy(ctx, "n", 1), int64(40))
		expect(t, c.IncrByFloat(ctx, "n", 0.5), 40.5)
		expect(t, c.Incr(ctx, "n"), errors.New("ERR value is not an integer or out of range"))
		expect(t, c.MSet(ctx, "m1", "1", "m2", "2"), "OK")
		expect(t, c.MGet(ctx, "m1", "missing", "m2"), []any{"1", nil, "2"})
		expect(t, c.MSetNX(ctx, "m2", "x", "m3", "y"), false)
		expect(t, c.MSetNX(ctx, "m3", "x", "m4", "y"), true)
		expect(t, c.MSet(ctx, "l1", "ohmytext", "l2", "mynewtext"), "OK")
		expect(t, c.LCS(ctx, &redis.LCSQuery{Key1: "l1", Key2: "l2"}), &redis.LCSMatch{MatchString: "mytext"})
		expect(t, c.LCS(ctx, &redis.LCSQuery{Key1: "l1", Key2: "l2", Len: true}), &redis.LCSMatch{Len: 6})
		expect(t, c.LCS(ctx, &redis.LCSQuery{Key1: "l1", Key2: "l2", Idx: true, WithMatchLen: true}), &redis.LCSMatch{
			Matches: []redis.LCSMatchedPosition{
				{Key1: redis.LCSPosition{Start: 4, End: 7}, Key2: redis.LCSPosition{Start: 5, End: 8}, MatchLen: 4},
				{Key1: redis.LCSPosition{Start: 2, End: 3}, Key2: redis.LCSPosition{Start: 0, End: 1}, MatchLen: 2},
			}, Len: 6})
		binary := strings.Repeat("\x00\r\n\xff", 5000)
		expect(t, c.Set(ctx, binary[:100], binary, 0), "OK")
		expect(t, c.Get(ctx, binary[:100]), binary)
	})
}

func TestGoRedisKeys(t *testing.T) {
	inBothProtocols(t, func(t *testing.T, ctx context.Context, c *redis.Client) {
		expect(t, c.MSet(ctx, "a", "1", "b", "2", "c", "3", "d", "4"), "OK")
		expect(t, c.Exists(ctx, "a", "b", "missing", "a"), int64(3))
		expect(t, c.Touch(ctx, "a", "missing"), int64(1))
		expect(t, c.Type(ctx, "a"), "string")
		expect(t, c.Type(ctx, "missing"), "none")
		expect(t, c.ObjectEncoding(ctx, "a"), "int")
		expect(t, c.ObjectIdleTime(ctx, "a"), time.Duration(0))
		expect(t, c.ObjectRefCount(ctx, "missing"), redis.Nil)
		expect(t, c.Del(ctx, "a", "missing"), int64(1))
		expect(t, c.Unlink(ctx, "b"), int64(1))
		expect(t, c.Rename(ctx, "c", "c2"), "OK")
		expect(t, c.Rename(ctx, "c", "c2"), errors.New("ERR no such key"))
		expect(t, c.RenameNX(ctx, "c2", "d"), false)
		expect(t, c.RenameNX(ctx, "c2", "c3"), true)
		expect(t, c.Copy(ctx, "d", "e", 0, false), int64(1))
		expect(t, c.Copy(ctx, "d", "e", 0, false), int64(0))
		expect(t, c.Copy(ctx, "d", "e", 0, true), int64(1))
		expect(t, c.Move(ctx, "e", 3), true)
		expect(t, c.Move(ctx, "e", 3), false)
		expect(t, c.Keys(ctx, "*"), anyOrder{"c3", "d"})
		expect(t, c.DBSize(ctx), int64(2))

		expect(t, c.TTL(ctx, "d"), time.Duration(-1))
		expect(t, c.TTL(ctx, "missing"), time.Duration(-2))
		expect(t, c.Expire(ctx, "d", time.Hour), true)
		expect(t, c.ExpireNX(ctx, "d", time.Hour), false)
		expect(t, c.ExpireXX(ctx, "d", time.Hour), true)
		expect(t, c.ExpireGT(ctx, "d", time.Minute), false)
		expect(t, c.ExpireLT(ctx, "d", time.Minute), true)
		if ttl := c.TTL(ctx, "d").Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("TTL is %v", ttl)
		}
		if ttl := c.PTTL(ctx, "d").Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("PTTL is %v", ttl)
		}
		at := time.Now().Add(time.Hour).Truncate(time.Second)
		expect(t, c.ExpireAt(ctx, "d", at), true)
		expect(t, c.ExpireTime(ctx, "d"), time.Duration(at.Unix())*time.Second)
		expect(t, c.PExpireAt(ctx, "d", at), true)
		expect(t, c.PExpireTime(ctx, "d"), time.Duration(at.UnixMilli())*time.Millisecond)
		expect(t, c.PExpire(ctx, "d", time.Hour), true)
		expect(t, c.Persist(ctx, "d"), true)
		expect(t, c.Persist(ctx, "d"), false)
		if name := c.RandomKey(ctx).Val(); name != "c3" && name != "d" {
			t.Errorf("RANDOMKEY answered %q", name)
		}
		expect(t, c.FlushDB(ctx), "OK")
		expect(t, c.RandomKey(ctx), redis.Nil)
		expect(t, c.FlushDBAsync(ctx), "OK")
		expect(t, c.FlushAllAsync(ctx), "OK")
	})
}

func TestGoRedisServer(t *testing.T) {
	inBothProtocols(t, func(t *testing.T, ctx context.Context, c *redis.Client) {
		expect(t, c.Ping(ctx), "PONG")
		expect(t, c.Echo(ctx, "x\r\ny"), "x\r\ny")
		if now := c.Time(ctx); now.Err() != nil || time.Since(now.Val()).Abs() > time.Hour {
			t.Errorf("TIME: %v", now)
		}
		if id := c.ClientID(ctx); id.Err() != nil || id.Val() <= 0 {
			t.Errorf("CLIENT ID: %v", id)
		}
		if list := c.ClientList(ctx); list.Err() != nil || !strings.Contains(list.Val(), "name=go-redis-") {
			t.Errorf("CLIENT LIST: %v", list)
		}
		info := c.ClientInfo(ctx)
		if info.Err() != nil || !strings.HasPrefix(info.Val().Name, "go-redis-") || info.Val().LibName == "" {
			t.Errorf("CLIENT INFO: %v, %v", info.Val(), info.Err())
		}
		expect(t, c.ClientKillByFilter(ctx, "ID", "999999999"), int64(0))
		expect(t, c.ConfigSet(ctx, "timeout", "0"), "OK")
		expect(t, c.ConfigGet(ctx, "timeout"), map[string]string{"timeout": "0"})
		if info := c.Info(ctx, "server"); info.Err() != nil || !strings.Contains(info.Val(), "redis_version:7.") {
			t.Errorf("INFO: %v", info)
		}
		commands, err := c.Command(ctx).Result()
		if err != nil || commands["get"] == nil || commands["get"].Arity != 2 || !commands["get"].ReadOnly {
			t.Errorf("COMMAND: %v, get is %+v", err, commands["get"])
		}
		expect(t, c.CommandGetKeys(ctx, "MSET", "a", "1", "b", "2"), []string{"a", "b"})
		names, err := c.CommandList(ctx, nil).Result()
		if err != nil || !slices.Contains(names, "getrange") {
			t.Errorf("COMMAND LIST: %v, %d names", err, len(names))
		}
		hello, err := c.Do(ctx, "HELLO").Result()
		if err != nil || hello == nil {
			t.Errorf("HELLO: %v, %v", hello, err)
		}
		expect(t, c.Do(ctx, "NOSUCH"), errors.New("ERR unknown command 'NOSUCH', with args beginning with: "))
		conn := c.Conn()
		defer func() { _ = conn.Close() }()
		expect(t, conn.ClientSetName(ctx, "renamed"), true)
		expect(t, conn.ClientGetName(ctx), "renamed")
		expect(t, conn.Select(ctx, 5), "OK")
		expect(t, conn.Set(ctx, "five", "5", 0), "OK")
		expect(t, conn.SwapDB(ctx, 5, 6), "OK")
		expect(t, conn.Exists(ctx, "five"), int64(0))
	})
}

func TestGoRedisPipelines(t *testing.T) {
	inBothProtocols(t, func(t *testing.T, ctx context.Context, c *redis.Client) {
		const n = 10_000
		commands, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range n {
				p.Set(ctx, "k"+strconv.Itoa(i), i, 0)
				p.Get(ctx, "k"+strconv.Itoa(i))
				p.Incr(ctx, "sum")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if got := commands[3*i+1].(*redis.StringCmd).Val(); got != strconv.Itoa(i) {
				t.Fatalf("reply %d is %q", i, got)
			}
			if got := commands[3*i+2].(*redis.IntCmd).Val(); got != int64(i+1) {
				t.Fatalf("counter %d is %d", i, got)
			}
		}
		// An error in the middle stays with its command.
		_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "text", "abc", 0)
			p.Incr(ctx, "text")
			p.Get(ctx, "text")
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "not an integer") {
			t.Errorf("the pipeline's error is %v", err)
		}
		expect(t, c.Get(ctx, "text"), "abc")
	})
}

func TestGoRedisScan(t *testing.T) {
	inBothProtocols(t, func(t *testing.T, ctx context.Context, c *redis.Client) {
		const n = 5000
		if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range n {
				p.Set(ctx, fmt.Sprintf("key:%d", i), i, 0)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, count := range []int64{0, 1, 10, 1000, 100_000} {
			for _, pattern := range []string{"", "key:1*"} {
				seen := map[string]bool{}
				it := c.Scan(ctx, 0, pattern, count).Iterator()
				for it.Next(ctx) {
					seen[it.Val()] = true
				}
				want := n
				if pattern != "" {
					want = 1111
				}
				if it.Err() != nil || len(seen) != want {
					t.Errorf("COUNT %d MATCH %q: %d keys of %d, %v", count, pattern, len(seen), want, it.Err())
				}
				if count == 1 {
					break // a round trip a key is enough once
				}
			}
		}
		seen := 0
		it := c.ScanType(ctx, 0, "*", 1000, "string").Iterator()
		for it.Next(ctx) {
			seen++
		}
		if it.Err() != nil || seen < n {
			t.Errorf("TYPE string: %d keys, %v", seen, it.Err())
		}
		if it := c.ScanType(ctx, 0, "*", 1000, "list").Iterator(); it.Next(ctx) {
			t.Errorf("TYPE list gave %q", it.Val())
		}
		// What is there during the whole scan is returned, whatever comes and goes meanwhile.
		seenKeys := map[string]bool{}
		var cursor uint64
		for i := 0; ; i++ {
			keys, next, err := c.Scan(ctx, cursor, "key:*", 50).Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				seenKeys[k] = true
			}
			if cursor = next; cursor == 0 {
				break
			}
			if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for j := range 100 {
					p.Set(ctx, fmt.Sprintf("other:%d:%d", i, j), "x", 0)
					if i > 3 {
						p.Del(ctx, fmt.Sprintf("other:%d:%d", i-3, j))
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(seenKeys) != n {
			t.Errorf("a scan beside writes saw %d of %d keys", len(seenKeys), n)
		}
	})
}

func TestGoRedisAuthentication(t *testing.T) {
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Args: []string{"--requirepass", "secret"}, Password: "secret"})
	for _, protocol := range []int{2, 3} {
		right := redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: protocol, Password: "secret", DB: 7})
		expect(t, right.Set(t.Context(), "k", "v", 0), "OK")
		if err := right.Close(); err != nil {
			t.Error(err)
		}
		wrong := redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: protocol, Password: "wrong", MaxRetries: -1})
		if err := wrong.Get(t.Context(), "k").Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS") {
			t.Errorf("RESP%d, wrong password: %v", protocol, err)
		}
		if err := wrong.Close(); err != nil {
			t.Error(err)
		}
	}
}
