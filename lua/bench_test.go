package lua

import "testing"

// nothing is a Reply that drops what it is given.
type nothing struct{}

func (nothing) Status(string)           {}
func (nothing) Error(string, bool)      {}
func (nothing) Integer(int64)           {}
func (nothing) Bulk(string)             {}
func (nothing) Null()                   {}
func (nothing) Bool(bool)               {}
func (nothing) Double(float64)          {}
func (nothing) BigNumber(string)        {}
func (nothing) Verbatim(string, string) {}
func (nothing) Array(int)               {}
func (nothing) Set(int)                 {}
func (nothing) Map(int)                 {}

// fixed is a Bridge that answers every command with the same bulk string.
type fixed struct{ server }

var fixedReply = []byte("$3\r\nval\r\n")

func (*fixed) Call([][]byte) []byte { return fixedReply }

func BenchmarkGet(b *testing.B) {
	e := New(&fixed{})
	body := []byte("return redis.call('get', KEYS[1])")
	s, _ := e.Load(body, FromLoad)
	keys := [][]byte{[]byte("key:000000000001")}
	b.Run("evalsha", func(b *testing.B) {
		b.ReportAllocs()
		sha := []byte(s.SHA)
		for b.Loop() {
			e.Run(e.Find(sha), keys, nil, nothing{})
		}
	})
	b.Run("eval", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Run(e.FindText(body), keys, nil, nothing{})
		}
	})
}

// job is an object as queues keep them in Redis, of some 450 bytes of JSON.
const job = `local job = {id='8f14e45f-ceea-467f-a9a7-1e7a3f6b2c11', name='send-email', attempts=3, delay=0, priority=5,
	timestamp=1700000000123, progress=0.25, removeOnComplete=true, removeOnFail=false, parent=cjson.null,
	data={to='somebody@example.com', subject='Your order "4711"', template='orders/shipped', locale='en',
		items={{sku='A-1', n=2, price=19.99}, {sku='B-2', n=1, price=5}, {sku='C-3', n=10, price=0.5}},
		tags={'mail', 'order', 'shipped'}},
	backoff={type='exponential', delay=1000}} `

// benchScripts are programs of n steps each.
var benchScripts = []struct {
	name string
	n    int
	body string
}{
	{"wait", 1e6, `for i=1,1e6 do end`},
	{"for", 1e6, `local x=0 for i=1,1e6 do x=x+i end return x`},
	{"while", 1e6, `local x=0 while x<1e6 do x=x+1 end return x`},
	{"call", 1e6, `local function f(x) return x end local x=0 for i=1,1e6 do x=f(i) end return x`},
	{"fib", 832040 * 2, `local function fib(n) if n<2 then return n end return fib(n-1)+fib(n-2) end return fib(30)`},
	{"array", 1e6, `local t={} for i=1,1e6 do t[i]=i end local s=0 for i=1,1e6 do s=s+t[i] end return s`},
	{"strings", 1e5, `local t={} for i=1,1e5 do t['k'..i]=i end return 1`},
	{"field", 1e6, `local t={x=0} for i=1,1e6 do t.x=t.x+1 end return t.x`},
	{"pairs", 1e5, `local t={} for i=1,1e5 do t[i]=i end local s=0 for k,v in pairs(t) do s=s+v end return s`},
	{"ipairs", 1e5, `local t={} for i=1,1e5 do t[i]=i end local s=0 for k,v in ipairs(t) do s=s+v end return s`},
	{"sort", 1e5, `local t={} for i=1,1e5 do t[i]=(i*7919)%100003 end table.sort(t) return t[1]`},
	{"literal", 1e6, `local t for i=1,1e6 do t={1,2,3} end return t`},
	{"hash", 1e6, `local t for i=1,1e6 do t={a=1,b=2} end return 1`},
	{"pcall", 1e6, `local f=function() end for i=1,1e6 do pcall(f) end`},
	{"concat", 1e5, `local s='' for i=1,2e4 do s=s..i end return #s`},
	{"call100", 100, `local k=KEYS[1] for i=1,100 do redis.call('get', k) end`},
	{"stack", 1e6, `local t={} for i=1,1e6 do t[#t+1]=i end for i=1,1e6 do t[#t]=nil end return #t`},
	{"queue", 1e6, `local t,h,e={},1,0 for i=1,1e6 do e=e+1 t[e]=i if i>100 then t[h]=nil h=h+1 end end return h`},
	{"ids", 2e4, `local t={} for i=1,2e4 do t[1e9+i*7]=true end local n=0 for k in pairs(t) do n=n+1 end return n`},
	{"sparse", 1, `local t={} t[5e7]=1 return #t`},
	{"matrix", 1e6, `local m={} for i=1,100 do m[i]={} for j=1,100 do m[i][j]=i*j end end local s=0 for k=1,100 do for i=1,100 do for j=1,100 do s=s+m[i][j] end end end return s`},
	{"coroutines", 1e5, `for i=1,1e5 do local co=coroutine.wrap(function(a) coroutine.yield(a) end) co(i) co() end`},
	{"jsonencode", 2e4, job + `for i=1,2e4 do cjson.encode(job) end`},
	{"jsondecode", 2e4, job + `local s = cjson.encode(job) for i=1,2e4 do cjson.decode(s) end`},
	{"packencode", 2e4, job + `for i=1,2e4 do cmsgpack.pack(job) end`},
	{"packdecode", 2e4, job + `local s = cmsgpack.pack(job) for i=1,2e4 do cmsgpack.unpack(s) end`},
	{"structpack", 2e5, `for i=1,2e5 do struct.pack('>I4Hs', i, 7, 'key') end`},
	{"structunpack", 2e5, `local s = struct.pack('>I4Hs', 1, 7, 'key') for i=1,2e5 do struct.unpack('>I4Hs', s) end`},
	{"bit", 1e6, `local x = 0 for i=1,1e6 do x = bit.bxor(bit.lshift(x, 1), i) end`},
	{"errors", 1e5, `for i=1,1e5 do pcall(error, 'x') end`},
}

func BenchmarkScripts(b *testing.B) {
	for _, c := range benchScripts {
		b.Run(c.name, func(b *testing.B) {
			e := New(&fixed{})
			s, err := e.Load([]byte(c.body), FromLoad)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Run(s, [][]byte{[]byte("k")}, nil, nothing{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.n), "ns/step")
		})
	}
}
