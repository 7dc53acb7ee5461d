// Package vm runs Lua 5.1 as Redis has it on gopher-lua's values, states and compiled code, and has the functions that the
// libraries of package lua share. It imports only package parser of this module.
//
// # Writing a library
//
// A library is a package beside this one with one exported function,
//
//	func Open(h *vm.Host)
//
// which registers its functions, once for each server:
//
//	h.Register("string", map[string]lua.LGFunction{"rep": rep, …})
//	h.Library("cjson")           the table, for constants: vm.SetString(t, "null", …)
//
// Package lua makes the metatable of strings: the string library only registers its functions under "string". Package lua
// lists each library's Open in libraries.go, and makes all tables read-only after them.
//
// A function has gopher-lua's type: func(L *lua.LState) int. It gets its arguments with this package's Check functions,
// pushes its results with L.Push and returns their number. L is the running thread (the main one or a coroutine); vm.Of(L) is
// the host. Of gopher-lua's methods only L.Push, L.Pop, L.Get, L.GetTop, L.SetTop, L.Insert, L.Remove and L.Replace may be
// used.
//
// Everything else uses this package, because tables, calls and errors are not the module's:
//
//   - Tables are *lua.LTable made by NewTable, and only Get, GetString, GetInt, Set, SetString, SetInt, Append, Len,
//     Next, ForEach and Count look into them (none asks metamethods). The methods of LTable would see an empty table.
//     A function that stores into a table that a script gave it takes it with CheckWritable.
//   - Index(L, v, k) is v[k] with metamethods.
//   - Arguments: Arg (a Go nil where there is none), None, NoneOrNil, CheckAny, CheckString, CheckNumber,
//     CheckInteger (64 bits), CheckInt (cut to 32 bits), CheckTable, CheckWritable, CheckFunction, and Opt… with a
//     default. Their errors are Lua 5.1's: "bad argument #1 to 'rep' (string expected, got no value)". ArgError and
//     TypeError raise the same by hand.
//   - Errorf raises an error with the caller's position in front (luaL_error), Raise any value as it is (lua_error).
//     Both panic and never return. There is nothing to clean up: no defer is needed.
//   - Call1(L, f, args...) calls a function value and returns its first result. A callback that raises an error passes through by
//     itself.
//   - Numbers are boxed with Number(L, f) or pushed with PushNumber; printed with AppendNumber or FormatNumber
//     (%.14g), read with ParseNumber, ToNumber (also from strings), cut with ToInteger. ToStringMeta(L, v) is
//     tostring.
//   - A loop whose length a script decides calls Tick(L, n) for each n steps of about a nanosecond to ten (n about
//     1,000 at most between two calls, or the work done so far). It may raise the kill of the script, yield to the
//     server, or refuse more memory. Nothing may be left half done across it that a script could see.
//   - A result is measured before it is built: CheckLength(L, n) refuses more than MaxString bytes. CheckStack before
//     pushing more than MinStack values. Recursion counts its own depth, or is bounded as Redis's is.
//   - Values that only Go knows (cjson.null) are a *lua.LUserData made by NewLight: it equals itself only.
//
// A test makes a host with NewHost and runs code with h.Load and h.Run, or h.Eval for both: see Eval's comment. For
// a library's own tests: h := vm.NewHost(); strlib.Open(h); got, err := h.Eval(`return string.rep("a", 3)`).
//
// # Panics
//
// *Error carries a Lua error; pcall, xpcall, coroutine.resume and Run catch it. *Kill ends the script: nothing but Run
// catches it. Any other panic is a fault of ours: Run passes it on, and the host must be thrown away.
package vm
