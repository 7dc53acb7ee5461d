package main

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"ferrous/tests/harness"
)

//go:embed scripts/queue.lua
var queueScript string

// target is a ratio of CPU that a row is measured against: what must be reached, and what would be good. Zero: none.
type target struct{ reach, hard float64 }

func (t target) String() string {
	if t.reach == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f / %.2f", t.reach, t.hard)
}

// scriptRows are calls of scripts by redis-benchmark.
var scriptRows = []struct {
	test     string
	pipeline int
	target   target
}{
	{"evalsha_get", 100, target{0.6, 0.5}}, {"evalsha_get", 16, target{0.8, 0.7}}, {"evalsha_get", 1, target{1, 0.95}},
	{"eval_get", 100, target{0.6, 0.45}}, {"queue_script", 16, target{1, 0.8}}, {"get", 100, target{}},
}

// The body of the test evalsha_get.
const getScript = "return redis.call('get', KEYS[1])"

// scriptTest completes a test that calls a script; it is no test of redis-benchmark's own. fill, if there is any, is what
// the server is asked before each round of so many requests.
func (b *bench) scriptTest(name string, t *benchTest) bool {
	var body string
	var args []string
	fill := func(*harness.Server, int) error { return nil }
	switch name {
	case "evalsha_get", "eval_get":
		t.prefix, t.value = "key:", "xxx"
		body, args = getScript, []string{"1", "key:__rand_int__"}
	case "queue_script":
		body = queueScript
		args = []string{"5", "wait", "active", "meta", "stalled", "events", "job:", "1700000000000", "token", "30000"}
		fill = fillQueue
		t.most, t.warm = 200_000, 20_000
	default:
		return false
	}
	t.flag = ""
	sum := sha1.Sum([]byte(body))
	t.command = append([]string{"EVALSHA", hex.EncodeToString(sum[:])}, args...)
	if name == "eval_get" {
		t.command[0], t.command[1] = "EVAL", body
	}
	t.prepare = func(s *harness.Server, requests int) error {
		if err := fill(s, requests); err != nil {
			return err
		}
		return asked(s, "SCRIPT", "LOAD", body)
	}
	return true
}

// asked sends one command, whose reply must be no error.
func asked(s *harness.Server, args ...string) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = time.Minute
	v, err := c.Do(args...)
	if err == nil && v.IsError() {
		err = fmt.Errorf("%s: %s", args[0], v)
	}
	return err
}

// queueJobs is the number of hashes that the jobs of queue_script are made of.
const queueJobs = 1000

// fillQueue makes a list of jobs to wait, and the hashes of the jobs.
func fillQueue(s *harness.Server, requests int) error {
	if err := refill(s, "active", 0, nil); err != nil {
		return err
	}
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	err = pipelined(c, queueJobs, func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "HSET", "job:"+strconv.Itoa(i), "name", "send-email", "data",
			`{"to":"somebody@example.com","order":4711,"items":[1,2,3]}`, "opts", `{"attempts":3,"delay":0}`,
			"timestamp", "1700000000000", "delay", "0", "priority", "0", "attempts", "0")
	})
	if err != nil {
		return err
	}
	return refill(s, "wait", requests, func(dst []byte, from, to int) []byte {
		args := []string{"RPUSH", "wait"}
		for i := from; i < to; i++ {
			args = append(args, strconv.Itoa(i%queueJobs))
		}
		return harness.AppendCommand(dst, args...)
	})
}

// loop is a script that does the same n times.
type loop struct {
	name   string
	n      int
	target target
	body   string
}

// benchJob is an object as queues keep them, of some 450 bytes of JSON.
const benchJob = `local job = {id='8f14e45f-ceea-467f-a9a7-1e7a3f6b2c11', name='send-email', attempts=3, delay=0, priority=5,
  timestamp=1700000000123, progress=0.25, removeOnComplete=true, removeOnFail=false, parent=cjson.null,
  data={to='somebody@example.com', subject='Your order "4711"', template='orders/shipped', locale='en',
    items={{sku='A-1', n=2, price=19.99}, {sku='B-2', n=1, price=5}, {sku='C-3', n=10, price=0.5}},
    tags={'mail', 'order', 'shipped'}},
  backoff={type='exponential', delay=1000}} `

var (
	perTable = target{6, 3}
	perText  = target{4, 2}
)

var loops = []loop{
	{"redis.call('get', k)", 10_000, target{1, 0.8}, `local k = KEYS[1] for i = 1, 10000 do redis.call('get', k) end`},
	{"x = x + i in a numeric for", 1e6, target{11, 8}, `local x = 0 for i = 1, 1e6 do x = x + i end return x`},
	{"while x < 1e6", 1e6, target{11, 8}, `local x = 0 while x < 1e6 do x = x + 1 end return x`},
	{"t.x = t.x + 1", 1e6, perTable, `local t = {x=0} for i = 1, 1e6 do t.x = t.x + 1 end return t.x`},
	{"t[i] = i, and their sum", 1e5, perTable, `local t = {} for i = 1, 1e5 do t[i] = i end local s = 0 for i = 1, 1e5 do s = s + t[i] end return s`},
	{"t['k' .. i] = i", 1e5, perTable, `local t = {} for i = 1, 1e5 do t['k' .. i] = i end return 1`},
	{"{a=1, b=2}", 1e5, perTable, `local t for i = 1, 1e5 do t = {a=1, b=2} end return t.a`},
	{"{1, 2, 3}", 1e5, perTable, `local t for i = 1, 1e5 do t = {1, 2, 3} end return t[1]`},
	{"pairs", 1e5, perTable, `local t = {} for i = 1, 1000 do t['k' .. i] = i end local s = 0 for j = 1, 100 do for k, v in pairs(t) do s = s + v end end return s`},
	{"ipairs", 1e5, perTable, `local t = {} for i = 1, 1000 do t[i] = i end local s = 0 for j = 1, 100 do for k, v in ipairs(t) do s = s + v end end return s`},
	{"t[#t + 1] = i, then t[#t] = nil", 1e5, perTable, `local t = {} for i = 1, 1e5 do t[#t + 1] = i end for i = 1, 1e5 do t[#t] = nil end return #t`},
	{"call of a local function", 1e6, perTable, `local function f(x) return x end local x = 0 for i = 1, 1e6 do x = f(i) end return x`},
	{"fib", 2.7e5, perTable, `local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(25)`},
	{"pcall", 1e5, perTable, `local f = function() end for i = 1, 1e5 do pcall(f) end`},
	{"table.sort", 1e4, perTable, `local t = {} for i = 1, 1e4 do t[i] = (i * 7919) % 100003 end table.sort(t) return t[1]`},
	{"table.insert, table.remove", 1e5, perTable, `local t = {} for i = 1, 1e5 do table.insert(t, i) end for i = 1, 1e5 do table.remove(t) end return #t`},
	{"table.concat of 1,000", 1e5, perText, `local t = {} for i = 1, 1000 do t[i] = 'item' .. i end local s for i = 1, 100 do s = table.concat(t, ',') end return #s`},
	{"string.match", 1e5, perText, `local s = 'user:12345:session:abc' local a for i = 1, 1e5 do a = string.match(s, '^user:(%d+):session:(%a+)$') end return a`},
	{"string.gmatch, each of 8 words", 8e4, perText, `local s, n = 'alpha beta gamma delta epsilon zeta eta theta', 0 for i = 1, 1e4 do for w in string.gmatch(s, '%a+') do n = n + 1 end end return n`},
	{"string.gsub, a string", 2e4, perText, `local s = 'a,b,c,d,e,f,g,h' local r for i = 1, 2e4 do r = string.gsub(s, ',', ';') end return r`},
	{"string.gsub, a function", 2e4, perText, `local s = 'a,b,c,d,e,f,g,h' local f = function(x) return x .. x end local r for i = 1, 2e4 do r = string.gsub(s, '%a', f) end return r`},
	{"string.find, plain", 1e5, perText, `local s = 'user:12345:session:abc' local a for i = 1, 1e5 do a = string.find(s, ':session', 1, true) end return a`},
	{"string.format", 1e5, perText, `local s for i = 1, 1e5 do s = string.format('%s:%d:%05.2f', 'key', i, i / 3) end return s`},
	{"string.sub", 1e5, perText, `local s = 'user:12345:session:abc' local a for i = 1, 1e5 do a = string.sub(s, 6, 10) end return a`},
	{"a .. ':' .. i", 1e5, perText, `local a, s = 'user' for i = 1, 1e5 do s = a .. ':' .. i end return s`},
	{"tonumber, tostring", 1e5, perText, `local s for i = 1, 1e5 do s = tostring(tonumber('12345')) end return s`},
	{"cjson.encode", 5e3, perText, benchJob + `local s for i = 1, 5e3 do s = cjson.encode(job) end return s`},
	{"cjson.decode", 5e3, perText, benchJob + `local s = cjson.encode(job) local t for i = 1, 5e3 do t = cjson.decode(s) end return t.id`},
	{"cmsgpack.pack", 5e3, perText, benchJob + `local s for i = 1, 5e3 do s = cmsgpack.pack(job) end return s`},
	{"cmsgpack.unpack", 5e3, perText, benchJob + `local s = cmsgpack.pack(job) local t for i = 1, 5e3 do t = cmsgpack.unpack(s) end return t.id`},
	{"struct.pack", 5e4, perText, `local s for i = 1, 5e4 do s = struct.pack('>I4Hs', i, 7, 'key') end return s`},
	{"struct.unpack", 5e4, perText, `local s = struct.pack('>I4Hs', 1, 7, 'key') local a for i = 1, 5e4 do a = struct.unpack('>I4Hs', s) end return a`},
	{"bit.bxor, bit.lshift", 1e5, perText, `local x = 0 for i = 1, 1e5 do x = bit.bxor(bit.lshift(x, 1), i) end return x`},
}

// loopTime is the CPU time of the cheaper server in one round of a loop.
const loopTime = 200 * time.Millisecond

func (b *bench) luaSection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Scripts: CPU a request, %d connections, median of %d rounds\n\n", b.clients, b.rounds)
	b.cpuHeader()
	var missed []string
	judge := func(what string, ratio float64, t target) {
		if t.reach > 0 && ratio > t.reach {
			missed = append(missed, fmt.Sprintf("%s: %.2f, to reach %.2f", what, ratio, t.reach))
		}
	}
	for _, row := range scriptRows {
		r, err := b.measure(servers, row.test, row.pipeline, b.keyspace)
		if err != nil {
			return err
		}
		judge(fmt.Sprintf("%s at pipeline %d", row.test, row.pipeline), r.Ratio, row.target)
	}
	fmt.Printf("\n## Inside a script: CPU a step, median of %d rounds\n\n", b.rounds)
	fmt.Printf("| what | CPU ns %s | CPU ns %s | ratio | spread | to reach / hard |\n| --- | ---: | ---: | ---: | ---: | ---: |\n",
		b.report.Names[0], b.report.Names[1])
	for _, l := range loops {
		r := sessionResult{What: l.name, Unit: "step"}
		if err := b.loopRounds(servers, l, &r); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		b.report.Scripts = append(b.report.Scripts, r)
		low, high := math.Inf(1), 0.0
		for i := range b.rounds {
			ratio := r.Rounds[0][i] / r.Rounds[1][i]
			low, high = min(low, ratio), max(high, ratio)
		}
		fmt.Printf("| `%s` | %.1f | %.1f | **%.2f** | %.2f-%.2f | %s |\n", l.name, 1000*r.Micros[0], 1000*r.Micros[1], r.Ratio, low, high, l.target)
		judge(l.name, r.Ratio, l.target)
	}
	fmt.Printf("\n- above what is to be reached: %d\n", len(missed))
	for _, m := range missed {
		fmt.Println("  - " + m)
	}
	return nil
}

// loopRounds measures a loop on both servers in interleaved rounds.
func (b *bench) loopRounds(servers [2]*harness.Server, l loop, r *sessionResult) error {
	var conns [2]*harness.Conn
	for who, s := range servers {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		c.Timeout = time.Minute
		conns[who] = c
	}
	// run returns the CPU time of so many calls.
	run := func(who, times int) (time.Duration, error) {
		before, err := servers[who].CPU()
		if err != nil {
			return 0, err
		}
		for range times {
			if v, err := conns[who].Do("EVAL", l.body, "1", "key"); err != nil || v.IsError() {
				return 0, fmt.Errorf("%s: %s %w", b.report.Names[who], v, err)
			}
		}
		after, err := servers[who].CPU()
		return after - before, err
	}
	// The number of calls doubles until the time of the cheaper server can be measured, and is computed from that.
	times := 1
	for {
		cheaper := time.Duration(math.MaxInt64)
		for who := range conns {
			took, err := run(who, times)
			if err != nil {
				return err
			}
			cheaper = min(cheaper, took)
		}
		if cheaper >= loopTime/4 {
			times = max(1, int(float64(times)*float64(loopTime)/float64(cheaper)))
			break
		}
		times *= 2
	}
	r.Count = times * l.n
	for i := range b.rounds {
		for j := range 2 {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			who := (i + j) % 2
			took, err := run(who, times)
			if err != nil {
				return err
			}
			r.Rounds[who] = append(r.Rounds[who], float64(took.Nanoseconds())/1000/float64(r.Count))
		}
	}
	for who := range 2 {
		r.Micros[who] = medianOf(r.Rounds[who], func(f float64) float64 { return f })
	}
	r.Ratio = r.Micros[0] / r.Micros[1]
	return nil
}
