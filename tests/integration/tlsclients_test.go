package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferrous/tests/harness"
)

// redis-cli, redis-benchmark and go-redis are served over TLS as without: large values, pipelines, messages, a connection that is
// killed and made again.
func TestTLSClients(t *testing.T) {
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Authority: harness.NewAuthority(t)})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"PING"}, "PONG\n"},
		{[]string{"-3", "--no-raw", "CONFIG", "GET", "tls-auth-clients"}, "1# \"tls-auth-clients\" => \"yes\"\n"},
		{[]string{"-r", "3", "INCR", "n"}, "1\n2\n3\n"},
	} {
		if got := tool(t, s, nil, "redis-cli", c.args...); got != c.want {
			t.Errorf("redis-cli %q printed %q, want %q", c.args, got, c.want)
		}
	}
	large := strings.Repeat("v", 3<<20)
	if got := tool(t, s, []byte(large), "redis-cli", "-x", "SET", "large"); got != "OK\n" {
		t.Errorf("-x printed %q", got)
	}
	if got := tool(t, s, nil, "redis-cli", "GET", "large"); got != large+"\n" {
		t.Errorf("GET printed %d bytes", len(got))
	}
	if got := tool(t, s, []byte(strings.Repeat("SET k v\r\n", 5000)), "redis-cli", "--pipe"); !strings.Contains(got, "errors: 0, replies: 5000") {
		t.Errorf("--pipe printed %q", got)
	}
	for _, depth := range []string{"1", "16"} {
		got := tool(t, s, nil, "redis-benchmark", "-t", "set,get,lrange_100", "-n", "3000", "-P", depth, "-q")
		if n := strings.Count(got, "requests per second"); n != 4 {
			t.Errorf("redis-benchmark printed %q", got)
		}
	}
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("go-redis RESP%d", protocol), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := goRedis(t, s, protocol)
			expect(t, c.Set(ctx, "large", large, 0), "OK")
			expect(t, c.Get(ctx, "large"), large)
			replies, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i := range 10_000 {
					p.Set(ctx, fmt.Sprint("key:", i), i, 0)
				}
				return nil
			})
			if err != nil || len(replies) != 10_000 {
				t.Errorf("%d replies, %v", len(replies), err)
			}
			sub := c.Subscribe(ctx, "news")
			defer sub.Close()
			if _, err := sub.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				expect(t, c.Publish(ctx, "news", i), int64(1))
				if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != fmt.Sprint(i) {
					t.Fatalf("%v, %v", m, err)
				}
			}
			s.Dial(t).Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			expect(t, c.Get(ctx, "key:1"), "1")
		})
	}
}
