// Package lua runs Redis's scripts and functions: Lua 5.1 in Redis's sandbox, on gopher-lua. Nothing of gopher-lua
// leaves it, and it knows nothing of keys, clients or the network: the server gives it a Bridge.
//
// # A server's engine
//
//	e := lua.New(bridge)
//
// There is one Engine a server, used by one goroutine at a time. A goroutine may be suspended inside a call (see Pace), and
// another one may continue the call, as with iter.Pull.
//
// # Scripts
//
//	s, err := e.Load(body, lua.FromEval)   // compiled and cached; s.SHA is its name, s.Flags what its shebang asks for
//	s := e.Find(sha)                       // nil where there is none; any case of letters
//	s := e.FindText(body)                  // the same by its text, cheaper than hashing it
//	err := e.Run(s, keys, args, out)
//
// An error of Load is the text for the client ("Error compiling script (new function): …", without code or "ERR").
// The cache keeps at most MaxEvalScripts scripts that were loaded with FromEval, and evicts the oldest first (Evicted counts
// them). Scripts loaded with FromLoad, or run by their SHA1 (s.Keep), stay until Flush.
//
// Run calls the script with keys and args, and writes its result to out. Its error is an *Error: Text is the reply
// ("CODE text script: …, on @user_script:1.", CR and LF replaced, without '-'). Counted is true if the cause was the error
// reply of a command, which the server has counted in its error statistics already. After an error nothing was written to
// out. Run copies keys and args.
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
// The Bridge executes commands. Call gets the arguments of redis.call and returns the reply in RESP, in the protocol that
// the engine last passed to SetProtocol (RESP 2 at the beginning of each run, then what redis.setresp chooses). The arguments
// are views of Lua strings: they are valid during the call, and must not be written to. If Call returns an error reply
// ("-CODE text\r\n"), redis.call raises it and redis.pcall returns it. The constants Err… are the texts of the errors that a
// Bridge itself replies.
//
// # Pace
//
// About every 20,000 steps of a script (well under a millisecond) the engine looks at the clock. When the script has run for
// Pace.After, the engine calls Pace.Slow, and then again every Pace.Every. Slow may suspend the goroutine (yield of a
// coroutine) and return later. A call of Kill meanwhile ends the script at once with an error that pcall does not
// catch. LoadLibrary never calls Slow: it fails with "FUNCTION LOAD timeout" after LoadTimeout.
//
// A script that makes the heap grow by more than MemoryLimit bytes ends with "not enough memory", which pcall does not catch
// either. Memory returns the bytes that the scripts take, for INFO.
package lua
