// Package lua runs Redis's scripts and functions: Lua 5.1 in Redis's sandbox, on gopher-lua. Nothing of gopher-lua
// leaves it, and it knows nothing of keys, clients or the network: the server gives it a Bridge.
//
// # A server's engine
//
//	e := lua.New(bridge)
//
// There is one Engine a server, used by one goroutine at a time. It may be suspended inside a call (see Pace) and then
// continued on another goroutine, as iter.Pull does.
//
// # Scripts
//
//	s, err := e.Load(body, lua.FromEval)   // compiled and cached; s.SHA is its name, s.Flags what its shebang asks for
//	s := e.Find(sha)                       // nil where there is none; any case of letters
//	s := e.FindText(body)                  // the same by its text, cheaper than hashing it
//	err := e.Run(s, keys, args, out)
//
// An error of Load is for the client as it is ("Error compiling script (new function): …", without code or "ERR").
// The cache keeps what came by FromEval up to MaxEvalScripts, the oldest go first (Evicted counts them); what came by
// FromLoad, or was run by its SHA1 (s.Keep), stays until Flush.
//
// Run calls the script with keys and args, and writes its result to out. Its error is an *Error: Text is the reply
// ("CODE text script: …, on @user_script:1.", CR and LF replaced, without '-'), Counted tells that its cause was an
// error reply of a command that is in the statistics already. Nothing was written to out then. keys and args are
// copied.
//
// # Functions
//
//	lib, err := e.LoadLibrary(code)        // parses the metadata, runs the code, collects what it registers
//	err := e.RunFunction(f, keys, args, out)
//
// A Library is plain data: names, flags, descriptions, functions. Which libraries exist, and that names do not collide,
// is the server's business.
//
// # Calls back
//
// The Bridge executes commands. Call gets the arguments of redis.call and answers the reply in RESP, in the protocol that
// the script chose with redis.setresp (RESP 2 at the beginning of each run; SetProtocol tells). The arguments are views
// of Lua strings: they are valid during the call, and must not be written to. An error reply ("-CODE text\r\n") is what
// the script gets: redis.call raises it, redis.pcall returns it. Texts for what the bridge itself refuses are the
// constants Err…
//
// # Pace
//
// Each 20,000 steps or so of a script (well under a millisecond) the engine looks at the clock. Past Pace.After since
// the run began it calls Pace.Slow, and from then on again every Pace.Every. Slow may suspend the goroutine (yield of a
// coroutine) and return later. Kill, called meanwhile, ends the script at once with an error that nothing in it can
// catch. LoadLibrary never calls Slow: it fails with "FUNCTION LOAD timeout" after LoadTimeout.
//
// A script that makes the heap grow by more than MemoryLimit bytes ends with "not enough memory", which it cannot catch
// either. Memory reports what scripts occupy, for INFO.
package lua
