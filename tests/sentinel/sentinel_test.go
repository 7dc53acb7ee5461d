// Package sentinel has redis-sentinel watch Ferrous and redis-server, kills masters, and counts what clients have lost.
package sentinel

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"ferrous/tests/harness"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// silence drops what go-redis logs of each attempt to reach a killed server.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// nodeEnv names the environment variable with a folder in which `npm install ioredis` was run. Without it, go-redis is the
// only client.
const nodeEnv = "FERROUS_NODE"

const masterName = "mymaster"

// downAfter is long enough for a busy machine: a failover of a master that lives loses writes, with Redis too.
const downAfter = 2000

// group is a master, its replicas and the sentinels that watch them.
type group struct {
	t         *testing.T
	nodes     []*node
	sentinels []*harness.Server
}

// node is a server that is killed and started anew with its configuration file.
type node struct {
	*harness.Server
	options harness.Options
}

func newNode(t *testing.T, kind, config string) *node {
	t.Helper()
	bin := harness.NeedFerrous(t)
	if kind == "redis" {
		var err error
		if bin, err = harness.Redis(); err != nil {
			t.Fatal(err)
		}
	}
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{options: harness.Options{Binary: bin, Port: port, Dir: t.TempDir(),
		Args: []string{"--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"}}}
	n.options.Config = filepath.Join(n.options.Dir, "server.conf")
	if err := os.WriteFile(n.options.Config, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	return n
}

func (n *node) start(t *testing.T) {
	t.Helper()
	n.Server = harness.StartWith(t, n.options)
}

// config returns the server's configuration file.
func (n *node) config(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(n.options.Config)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// newGroup starts a master, replicas of it and three sentinels, and waits until all know each other.
func newGroup(t *testing.T, kinds ...string) *group {
	t.Helper()
	g := &group{t: t}
	for i, kind := range kinds {
		config := "# a server's configuration\n"
		if i > 0 {
			config += fmt.Sprintf("replicaof 127.0.0.1 %d\n", g.nodes[0].Port)
		}
		g.nodes = append(g.nodes, newNode(t, kind, config))
	}
	bin, err := harness.Redis()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		dir := t.TempDir()
		path := filepath.Join(dir, "sentinel.conf")
		config := fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 2\nsentinel down-after-milliseconds %[1]s %[3]d\n"+
			"sentinel failover-timeout %[1]s 2000\nsentinel parallel-syncs %[1]s 2\n", masterName, g.nodes[0].Port, downAfter)
		if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		g.sentinels = append(g.sentinels, harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Config: path, Args: []string{"--sentinel"}}))
	}
	g.until("the sentinels know all servers", func() bool {
		for _, s := range g.sentinels {
			m := sentinelMaster(s)
			if m["num-slaves"] != strconv.Itoa(len(kinds)-1) || m["num-other-sentinels"] != "2" || m["flags"] != "master" {
				return false
			}
		}
		return true
	})
	for _, n := range g.nodes[1:] {
		g.follows(n, g.nodes[0])
	}
	return g
}

// until polls for a condition.
func (g *group) until(what string, ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, s := range g.sentinels {
				g.t.Logf("sentinel %d: %v", s.Port, sentinelMaster(s))
			}
			g.t.Fatalf("not reached: %s", what)
		}
	}
}

// sentinelMaster is what a sentinel knows of the master.
func sentinelMaster(s *harness.Server) map[string]string {
	c, err := s.Connect()
	if err != nil {
		return nil
	}
	defer c.Close()
	v, err := c.Do("SENTINEL", "MASTER", masterName)
	if err != nil {
		return nil
	}
	m := map[string]string{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Str] = v.Elems[i+1].Str
	}
	return m
}

// master returns the server that all sentinels call the master, nil while they do not agree.
func (g *group) master() *node {
	port := ""
	for _, s := range g.sentinels {
		m := sentinelMaster(s)
		if m["port"] == "" || port != "" && m["port"] != port {
			return nil
		}
		port = m["port"]
	}
	for _, n := range g.nodes {
		if strconv.Itoa(n.Port) == port {
			return n
		}
	}
	return nil
}

// follows waits until a server is a replica of the master, and has its configuration file say so.
func (g *group) follows(n, master *node) {
	g.t.Helper()
	g.until(fmt.Sprintf("%s %d follows %d", n.Name, n.Port, master.Port), func() bool {
		info, err := n.Info("replication")
		return err == nil && info["role"] == "slave" && info["master_port"] == strconv.Itoa(master.Port) && info["master_link_status"] == "up"
	})
	line := fmt.Sprintf("replicaof 127.0.0.1 %d", master.Port)
	g.until("the file of "+n.Name+" says "+line, func() bool { return strings.Contains(n.config(g.t), line) })
}

// switches counts the failovers that the sentinels know of: the greatest epoch of a configuration.
func (g *group) switches() int {
	most := 0
	for _, s := range g.sentinels {
		n, _ := strconv.Atoi(sentinelMaster(s)["config-epoch"])
		most = max(most, n)
	}
	return most
}

// confirmed are the keys of writes that a client got confirmed by WAIT 1.
type confirmed struct {
	name string
	mu   sync.Mutex
	keys []string
}

func (k *confirmed) add(key string) {
	k.mu.Lock()
	k.keys = append(k.keys, key)
	k.mu.Unlock()
}

func (k *confirmed) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.keys)
}

// goRedis writes through go-redis' client for Sentinel until the context ends.
func (g *group) goRedis(ctx context.Context, done *sync.WaitGroup) *confirmed {
	k := &confirmed{name: "go-redis"}
	var addrs []string
	for _, s := range g.sentinels {
		addrs = append(addrs, s.Addr)
	}
	c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: masterName, SentinelAddrs: addrs, MaxRetries: -1,
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second})
	done.Go(func() {
		defer c.Close()
		for i := 0; ctx.Err() == nil; i++ {
			key := fmt.Sprintf("go-redis:%d", i)
			var wait *redis.Cmd
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, key, i, 0)
				wait = p.Do(ctx, "WAIT", 1, 500)
				return nil
			})
			if err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if n, err := wait.Int(); err == nil && n >= 1 {
				k.add(key)
			}
			time.Sleep(time.Millisecond)
		}
	})
	return k
}

// ioredis writes through ioredis' client for Sentinel until the context ends. It returns nil where there is none.
func (g *group) ioredis(ctx context.Context, done *sync.WaitGroup) *confirmed {
	g.t.Helper()
	dir := os.Getenv(nodeEnv)
	if dir == "" {
		return nil
	}
	script, err := filepath.Abs("testdata/ioredis.js")
	if err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", script)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"), "MASTER="+masterName)
	for _, s := range g.sentinels {
		cmd.Args = append(cmd.Args, strconv.Itoa(s.Port))
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	k := &confirmed{name: "ioredis"}
	done.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			k.add(lines.Text())
		}
		_ = cmd.Wait()
	})
	return k
}

// lost returns which of the keys a server has not.
func lost(t *testing.T, s *harness.Server, keys []string) []string {
	t.Helper()
	c := s.Dial(t)
	var missing []string
	for part := range slices.Chunk(keys, 1000) {
		var buf []byte
		for _, k := range part {
			buf = harness.AppendCommand(buf, "EXISTS", k)
		}
		if _, err := c.Write(buf); err != nil {
			t.Fatal(err)
		}
		for _, k := range part {
			v, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			if v.Int() != 1 {
				missing = append(missing, k)
			}
		}
	}
	return missing
}

// kill kills the master, waits until clients go on with another one, and starts the killed server anew: it becomes a replica.
func (g *group) kill(clients []*confirmed) {
	t := g.t
	t.Helper()
	old := g.nodes[0]
	g.until("the sentinels agree", func() bool { m := g.master(); old = m; return m != nil })
	before := make([]int, len(clients))
	g.until("clients write", func() bool {
		for i, k := range clients {
			if before[i] == 0 {
				before[i] = len(k.all())
			}
			if len(k.all()) < before[i]+10 {
				return false
			}
		}
		return true
	})
	begun := time.Now()
	old.Kill()
	var promoted *node
	g.until("another master", func() bool {
		promoted = g.master()
		if promoted == nil || promoted == old {
			return false
		}
		info, err := promoted.Info("replication")
		return err == nil && info["role"] == "master"
	})
	failedOver := time.Since(begun)
	for _, k := range clients {
		n := len(k.all())
		g.until(k.name+" goes on", func() bool { return len(k.all()) >= n+10 })
	}
	for _, k := range clients {
		if missing := lost(t, promoted.Server, k.all()); len(missing) > 0 {
			t.Errorf("%s, of %d confirmed writes %d are lost: %q", k.name, len(k.all()), len(missing), missing[:min(len(missing), 10)])
		}
	}
	g.until("the file of the master names none", func() bool { return !strings.Contains(promoted.config(t), "\nreplicaof") })
	old.start(t)
	for _, n := range g.nodes {
		if n != promoted {
			g.follows(n, promoted)
		}
	}
	t.Logf("%s %d killed, %s %d master after %v", old.Name, old.Port, promoted.Name, promoted.Port, failedOver)
}

// TestFailover: masters are killed, and sentinels make replicas masters, in every mix of Ferrous and redis-server. The clients go on,
// what WAIT 1 confirmed is there, and the killed server comes back as a replica.
func TestFailover(t *testing.T) {
	kills := 1
	if harness.Stress() {
		kills = 20
	}
	for _, kinds := range [][]string{
		{"ferrous", "ferrous", "ferrous"},
		{"ferrous", "redis", "redis"},
		{"redis", "ferrous", "ferrous"},
		{"ferrous", "ferrous", "redis"},
	} {
		t.Run(strings.Join(kinds, "-"), func(t *testing.T) {
			t.Parallel()
			g := newGroup(t, kinds...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var done sync.WaitGroup
			clients := []*confirmed{g.goRedis(ctx, &done)}
			if k := g.ioredis(ctx, &done); k != nil {
				clients = append(clients, k)
			}
			for i := range kills {
				if g.kill(clients); g.switches() > i+1 {
					t.Skipf("a master that lived was taken for dead: the machine is too slow, and what such a failover loses is Sentinel's")
				}
			}
			cancel()
			done.Wait()
			master := g.master()
			c := master.Dial(t)
			for _, k := range clients {
				t.Logf("%s: %d writes confirmed", k.name, len(k.all()))
				if missing := lost(t, master.Server, k.all()); len(missing) > 0 {
					t.Errorf("%s: %d are lost", k.name, len(missing))
				}
			}
			for _, n := range g.nodes {
				if n == master {
					continue
				}
				g.until("equal data", func() bool { return c.Must("DEBUG", "DIGEST").Str == n.Dial(t).Must("DEBUG", "DIGEST").Str })
			}
		})
	}
}
