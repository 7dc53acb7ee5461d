package lua

import (
	"errors"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Library is a library of functions.
type Library struct {
	Name      string
	Code      string
	Functions []*Function
	CodeSize  int // about how many bytes the compiled code occupies
}

// Function is a function of a library.
type Function struct {
	Name        string
	Description string
	// Described is true if the function was registered with a description.
	Described bool
	Flags     Flags
	Library   *Library

	fn   *glua.LFunction
	host *vm.Host
}

// EngineName is the engine in a library's first line, as FUNCTION LIST shows it.
const EngineName = "LUA"

const errName = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

// metadata reads the first line of a library. It returns how many bytes the caller must hide from the compiler.
func (lib *Library) metadata() (skip int, err error) {
	if !strings.HasPrefix(lib.Code, "#!") {
		return 0, refusal("Missing library metadata")
	}
	end := lineEnd(lib.Code)
	if end < 0 {
		return 0, refusal("Invalid library metadata")
	}
	parts, ok := splitArgs(lib.Code[:end])
	if !ok || len(parts) == 0 {
		return 0, refusal("Invalid library metadata")
	}
	named := false
	for _, part := range parts[1:] {
		if len(part) < 5 || !strings.EqualFold(part[:5], "name=") {
			return 0, refusalf("Invalid metadata value given: %s", oneLine(part))
		}
		if named {
			return 0, refusal("Invalid metadata value, name argument was given multiple times")
		}
		named = true
		lib.Name = part[5:]
	}
	if !named {
		return 0, refusal("Library name was not given")
	}
	if !validName(lib.Name) {
		return 0, errors.New(errName)
	}
	if engine := parts[0][2:]; !strings.EqualFold(engine, EngineName) {
		return 0, refusalf("Engine '%s' not found", oneLine(engine))
	}
	return end, nil
}

func validName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_') {
			return false
		}
	}
	return name != ""
}

// ParseLibrary reads the metadata of a library without running it. It returns the name, or the error of LoadLibrary.
func ParseLibrary(code []byte) (name string, err error) {
	lib := &Library{Code: string(code)}
	_, err = lib.metadata()
	return lib.Name, err
}

// LoadLibrary compiles and runs the code of a library, and returns what it registers. The error is the text of a reply,
// behind "ERR ".
func (e *Engine) LoadLibrary(code []byte) (*Library, error) {
	lib := &Library{Code: string(code)}
	skip, err := lib.metadata()
	if err != nil {
		return nil, err
	}
	if err := e.register(lib, skip); err != nil {
		return nil, err
	}
	if len(lib.Functions) == 0 {
		return nil, refusal("No functions registered")
	}
	return lib, nil
}

func (e *Engine) register(lib *Library, skip int) error {
	fn, err := e.host.Load(lib.Code[skip:], "@user_function")
	if err != nil {
		return refusalf("Error compiling function: %s", oneLine(err.Error()))
	}
	lib.CodeSize = vm.CodeSize(fn)
	fn.Env = e.functionEnv
	e.loading = lib
	e.host.SwapContents(e.functionNames, e.loadNames)
	defer func() {
		e.host.SwapContents(e.functionNames, e.loadNames)
		e.loading = nil
	}()
	if err := e.call(fn, "", nil, nil); err != nil {
		return refusalf("Error registering functions: %s", err.Error())
	}
	return nil
}

// openFunctions makes the globals of functions: those of scripts without KEYS and ARGV, and without what only scripts find in
// redis. While a library is being loaded, other globals replace them.
func (e *Engine) openFunctions() {
	h := e.host
	guard := vm.NewTable(0, 1)
	vm.SetString(guard, "__index", h.Function(missingGlobal))
	e.functionEnv = vm.NewTable(0, 64)
	vm.ForEach(h.Globals, func(k, v glua.LValue) bool {
		vm.Set(e.functionEnv, k, v)
		return true
	})
	vm.SetString(e.functionEnv, "_G", e.functionEnv)
	api := vm.NewTable(0, 32)
	vm.ForEach(e.redis, func(k, v glua.LValue) bool {
		if k != glua.LString("replicate_commands") && k != glua.LString("breakpoint") && k != glua.LString("debug") {
			vm.Set(api, k, v)
		}
		return true
	})
	vm.SetString(e.functionEnv, "redis", api)
	vm.SetString(e.functionEnv, "server", api)
	e.functionEnv.Metatable = guard
	e.functionNames = e.functionEnv

	e.loadNames = vm.NewTable(0, 4)
	redis := vm.NewTable(0, 16)
	for _, name := range []string{"log", "LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING", "REDIS_VERSION", "REDIS_VERSION_NUM"} {
		vm.SetString(redis, name, vm.GetString(e.redis, name))
	}
	vm.SetString(redis, "register_function", h.Function(e.registerFunction))
	redis.Metatable = guard
	vm.SetString(e.loadNames, "redis", redis)
	vm.SetString(e.loadNames, "server", redis)
	vm.SetReadonly(guard)
	vm.SetReadonly(e.loadNames)
	vm.SetReadonly(e.functionEnv)
}

// registerFunction is redis.register_function: a name and a function, or a table of named arguments.
func (e *Engine) registerFunction(L *glua.LState) int {
	if e.loading == nil {
		raiseText("redis.register_function can only be called on FUNCTION LOAD command")
	}
	f := &Function{Library: e.loading, host: e.host}
	switch L.GetTop() {
	case 1:
		t, ok := vm.Arg(L, 1).(*glua.LTable)
		if !ok {
			raiseText("calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).")
		}
		f.named(t)
	case 2:
		name, ok := vm.ToString(vm.Arg(L, 1))
		if !ok {
			raiseText("first argument to redis.register_function must be a string")
		}
		f.Name = name
		if f.fn, ok = vm.Arg(L, 2).(*glua.LFunction); !ok {
			raiseText("second argument to redis.register_function must be a function")
		}
	default:
		raiseText("wrong number of arguments to redis.register_function")
	}
	if !validName(f.Name) {
		raiseText(errName)
	}
	for _, other := range e.loading.Functions {
		if strings.EqualFold(other.Name, f.Name) && other.Name == f.Name {
			raiseText("Function already exists in the library")
		}
	}
	e.loading.Functions = append(e.loading.Functions, f)
	return 0
}

// named reads the table of named arguments.
func (f *Function) named(t *glua.LTable) {
	vm.ForEach(t, func(k, v glua.LValue) bool {
		key, ok := k.(glua.LString)
		if !ok {
			if _, ok := k.(glua.LNumber); ok {
				raiseText("unknown argument given to redis.register_function")
			}
			raiseText("named argument key given to redis.register_function is not a string")
		}
		switch strings.ToLower(string(key)) {
		case "function_name":
			if f.Name, ok = vm.ToString(v); !ok {
				raiseText("function_name argument given to redis.register_function must be a string")
			}
		case "description":
			if f.Description, ok = vm.ToString(v); !ok {
				raiseText("description argument given to redis.register_function must be a string")
			}
			f.Described = true
		case "callback":
			if f.fn, ok = v.(*glua.LFunction); !ok {
				raiseText("callback argument given to redis.register_function must be a function")
			}
		case "flags":
			list, ok := v.(*glua.LTable)
			if !ok {
				raiseText("flags argument to redis.register_function must be a table representing function flags")
			}
			for i := 1; vm.GetInt(list, i) != glua.LNil; i++ {
				name, ok := vm.GetInt(list, i).(glua.LString)
				flag, known := flagNamed(string(name))
				if !ok || !known {
					raiseText("unknown flag given")
				}
				f.Flags |= flag
			}
		default:
			raiseText("unknown argument given to redis.register_function")
		}
		return true
	})
	if f.Name == "" {
		raiseText("redis.register_function must get a function name argument")
	}
	if f.fn == nil {
		raiseText("redis.register_function must get a callback argument")
	}
}

// RunFunction calls a function with tables of keys and args, and writes its result to out. The error is an *Error.
func (e *Engine) RunFunction(f *Function, keys, args [][]byte, out Reply) error {
	if f.host != e.host {
		// The Lua state was replaced since: load the library again, which registers its functions in the same order.
		again := &Library{Code: f.Library.Code}
		skip, err := again.metadata()
		if err == nil {
			err = e.register(again, skip)
		}
		if err != nil || len(again.Functions) != len(f.Library.Functions) {
			return &Error{Text: "ERR the library cannot be loaded again"}
		}
		for i, g := range f.Library.Functions {
			g.fn, g.host = again.Functions[i].fn, e.host
		}
	}
	k, a := vm.NewTable(len(keys), 0), vm.NewTable(len(args), 0)
	vm.FillStrings(k, keys, a, args)
	h := e.host
	h.Env = e.functionEnv
	defer func() { h.Env = h.Globals }()
	return e.call(f.fn, f.Name, []glua.LValue{k, a}, out)
}
