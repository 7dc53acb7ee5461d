package lua

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/baselib"
	"ferrous/lua/internal/vm"
)

// Bridge is what an engine needs of its server.
type Bridge interface {
	// Call executes a command of a script and returns its reply in RESP. The reply is valid until the next call.
	Call(argv [][]byte) []byte
	// SetProtocol chooses the protocol of the replies that Call returns: 2 or 3.
	SetProtocol(version int)
	// Log writes a line of redis.log: level is 0 (debug) to 3 (warning).
	Log(level int, text string)
	// SetRepl chooses where writes of the script go: a combination of ReplAOF and ReplReplica.
	SetRepl(flags int)
	// CheckACL reports whether the script's user may run a command. known is false where there is no such command.
	CheckACL(argv [][]byte) (allowed, known bool)
}

// Flags of redis.set_repl.
const (
	ReplNone    = 0
	ReplAOF     = 1
	ReplReplica = 2
	ReplAll     = ReplAOF | ReplReplica
)

// Texts with which a server's Bridge refuses a command, behind "-ERR ".
const (
	ErrUnknownCommand = "Unknown Redis command called from script"
	ErrWrongArity     = "Wrong number of args calling Redis command from script"
	ErrNotAllowed     = "This Redis command is not allowed from script"
	ErrReadOnlyScript = "Write commands are not allowed from read-only scripts."
)

// Error is how a script failed. Text is the reply to the client, without the '-'.
type Error struct {
	Text string
	// Counted is true if the error is a command's reply, which the server has counted already.
	Counted bool
}

func (e *Error) Error() string { return e.Text }

// Pace sets when the engine calls the server during a script. The zero value never calls it.
type Pace struct {
	// After is how long a script runs before the first call of Slow; Every is the time between later calls.
	After, Every time.Duration
	Slow         func()
}

// LoadTimeout is how long the code of a function library may run when it is loaded.
const LoadTimeout = 500 * time.Millisecond

// Engine is the Lua state of one server.
type Engine struct {
	// Pace may be changed between two runs.
	Pace Pace
	// MemoryLimit is by how many bytes the heap may grow while a script runs; 0 means no limit.
	MemoryLimit int64
	// Now is the clock; time.Now where it is nil.
	Now func() time.Time

	bridge  Bridge
	host    *vm.Host
	scripts cache

	// The run that is under way.
	began     time.Time
	nextSlow  time.Duration
	ticked    bool
	ticks     uint64
	heap      int64
	heapCheck time.Duration
	killed    string
	loading   *Library
	protocol  int
	running   bool
	// argv is the vector of the last call of a command, and store the text of the numbers in it; both are used again.
	argv  [][]byte
	store []byte

	// globals of scripts, functions and of libraries that are loaded.
	redis         *glua.LTable
	functionEnv   *glua.LTable
	functionNames *glua.LTable
	loadNames     *glua.LTable
	keys, args    *glua.LTable

	sample []metrics.Sample
}

// New makes an engine.
func New(bridge Bridge) *Engine {
	e := &Engine{bridge: bridge, sample: []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}}
	e.scripts.init()
	e.open()
	return e
}

// open makes the state: at the beginning, and after a fault made the old one unusable.
func (e *Engine) open() {
	h := vm.NewHost()
	e.host = h
	h.OnTick = e.tick
	h.Memory = func() int64 { return e.heapBytes() }
	baselib.Open(h)
	openLibraries(h)
	e.openRedis()
	g := h.Globals
	vm.SetString(g, "_G", g)
	e.keys, e.args = vm.NewTable(8, 0), vm.NewTable(8, 0)
	e.openFunctions()
	guard := vm.NewTable(0, 1)
	vm.SetString(guard, "__index", h.Function(missingGlobal))
	g.Metatable = guard
	if h.StringMeta == nil {
		h.StringMeta = vm.NewTable(0, 1)
		vm.SetString(h.StringMeta, "__index", h.Library("string"))
	}
	vm.SetReadonly(h.StringMeta)
	vm.SetReadonly(guard)
	vm.SetReadonly(g)
	// KEYS and ARGV are ordinary tables under names that cannot be assigned to.
	vm.SetString(g, "KEYS", e.keys)
	vm.SetString(g, "ARGV", e.args)
}

// missingGlobal is the __index of the globals: a name that is not there is an error.
func missingGlobal(L *glua.LState) int {
	name, ok := vm.ToString(vm.Arg(L, 2))
	if !ok {
		name = "(null)"
	}
	name, _, _ = strings.Cut(name, "\x00")
	vm.Errorf(L, "Script attempted to access nonexistent global variable '%s'", name)
	return 0
}

func (e *Engine) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// begin starts a run: it resets the step counter, the clock and the text of Kill, and chooses RESP 2.
func (e *Engine) begin() {
	e.killed, e.ticked = "", false
	e.running = true
	if e.protocol != 2 {
		e.protocol = 2
		e.bridge.SetProtocol(2)
	}
	e.host.ResetTicks()
}

// Kill ends the running script at its next step, with text as its error.
func (e *Engine) Kill(text string) { e.killed = text }

// Running reports whether a script is under way (it may be suspended in Pace.Slow).
func (e *Engine) Running() bool { return e.running }

// Ticks counts how often scripts have made about 20,000 steps since the server began. A server that has measured the time need
// not do so again before the next command of the script while this has not changed.
func (e *Engine) Ticks() uint64 { return e.ticks }

// tick runs every 20,000 steps of a script.
func (e *Engine) tick() {
	e.ticks++
	if !e.ticked {
		// The clock is first looked at here, well under a millisecond after the run began: most runs never get here.
		e.ticked = true
		e.began = e.now()
		e.nextSlow = e.Pace.After
		if e.MemoryLimit > 0 {
			e.heap = e.heapBytes()
			e.heapCheck = time.Millisecond
		}
	}
	elapsed := e.now().Sub(e.began)
	switch {
	case e.loading != nil:
		if elapsed > LoadTimeout {
			panic(&vm.Kill{Text: "FUNCTION LOAD timeout"})
		}
	case e.Pace.Slow != nil && elapsed >= e.nextSlow:
		e.Pace.Slow()
		elapsed = e.now().Sub(e.began)
		e.nextSlow = elapsed + e.Pace.Every
	}
	if e.killed != "" {
		panic(&vm.Kill{Text: e.killed})
	}
	if e.MemoryLimit > 0 && elapsed >= e.heapCheck {
		e.heapCheck = elapsed + time.Millisecond
		if e.heapBytes()-e.heap > e.MemoryLimit {
			runtime.GC()
			if e.heapBytes()-e.heap > e.MemoryLimit {
				panic(&vm.Kill{Text: "not enough memory"})
			}
			// A garbage collection is expensive: the next check is 100 ms later.
			e.heapCheck = e.now().Sub(e.began) + 100*time.Millisecond
		}
	}
}

func (e *Engine) heapBytes() int64 {
	metrics.Read(e.sample)
	return int64(e.sample[0].Value.Uint64())
}

// failure holds what the error handler found before the stack was unwound.
type failure struct {
	text    string
	source  string
	line    int
	placed  bool
	counted bool
}

// call runs fn on the main thread. name is what the error text calls it.
func (e *Engine) call(fn *glua.LFunction, name string, args []glua.LValue, out Reply) (err error) {
	var f failure
	e.begin()
	defer func() {
		e.running = false
		if r := recover(); r != nil {
			// The engine itself has panicked: the Lua state cannot be trusted any more.
			e.open()
			err = &Error{Text: oneLine(fmt.Sprintf("ERR internal error of the script engine: %v", r))}
		}
	}()
	results, runErr := e.host.Run(fn, func(v glua.LValue) glua.LValue {
		f = e.explain(v)
		return v
	}, args...)
	if runErr == nil && out != nil {
		if runErr = e.measure(results); runErr == nil {
			e.reply(results, out)
		}
	}
	if runErr == nil {
		e.host.ClearStack()
		return nil
	}
	if k, ok := runErr.(*vm.Kill); ok {
		f = failure{text: "ERR " + k.Text}
		f.source, f.line, f.placed = k.Source, k.Line, k.Source != ""
	}
	e.host.ClearStack()
	if f.placed && name != "" {
		f.text += fmt.Sprintf(" script: %s, on %s:%d.", name, f.source, f.line)
	}
	return &Error{Text: oneLine(f.text), Counted: f.counted}
}

// explain turns the value of an error into an Error, as Redis's own handler does.
func (e *Engine) explain(v glua.LValue) (f failure) {
	f.source, f.line, f.placed = e.host.Position()
	t, ok := v.(*glua.LTable)
	if !ok {
		s, _ := vm.ToString(safeToString(e.host, v))
		f.text = "ERR " + cString(s)
		return f
	}
	s, ok := vm.ToString(vm.GetString(t, "err"))
	if !ok {
		s = "ERR unknown error"
	}
	f.text = cString(s)
	f.counted = vm.GetString(t, ignoreStats) == glua.LTrue
	return f
}

func safeToString(h *vm.Host, v glua.LValue) glua.LValue {
	if v == nil {
		v = glua.LNil
	}
	return vm.ToStringMeta(h.Main(), v)
}

// ignoreStats is the field that marks the error of a command as counted already.
const ignoreStats = "ignore_error_stats_update"

func cString(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ")

// oneLine makes s fit for a status or error of the protocol.
func oneLine(s string) string {
	if strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\n') < 0 {
		return s
	}
	return lineBreaks.Replace(strings.TrimRight(s, "\r\n"))
}
