package commands

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
)

// MODULE. There are no modules: Redis's are libraries for its C interface, which a server in another language cannot run.
// The command is here for the tools that ask which ones are loaded, and to refuse them as Redis refuses a library that it
// cannot load.

// moduleSub is what the subcommands that change something have in common.
const moduleSub = session.NoAsyncLoading | session.Admin | session.NoScript | session.Protected

var moduleCommand = session.Command{
	Name: "module", Arity: -2, Group: session.GroupServer, Since: "4.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about modules, of which there are none.",
	Subs: []session.Command{
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(moduleHelp),
			Group: session.GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "list", Arity: 2, Flags: session.Admin | session.NoScript, Handler: func(c *session.Client) { c.W.Array(0) },
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1), since there are none",
			Summary: "Lists the modules that are loaded: none.", Hints: []string{"nondeterministic_output_order"}},
		{Name: "load", Arity: -3, Flags: moduleSub, Handler: connected(moduleLoad),
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Refuses to load a module.",
			Args: []session.Arg{session.StringArg("path"), session.StringArg("arg").Opt().Many()}},
		{Name: "loadex", Arity: -3, Flags: moduleSub, Handler: connected(moduleLoad),
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Refuses to load a module with settings of its own.",
			Args: []session.Arg{session.StringArg("path"),
				{Name: "configs", Type: session.ArgBlock, Token: "CONFIG", Optional: true, Multiple: true, MultipleToken: true,
					Args: []session.Arg{session.StringArg("name"), session.StringArg("value")}},
				{Name: "args", Type: session.ArgString, Token: "ARGS", Optional: true, Multiple: true}}},
		{Name: "unload", Arity: 3, Flags: moduleSub, Handler: func(c *session.Client) { c.Error(errNoModule) },
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Tells that no such module is loaded.",
			Args: []session.Arg{session.StringArg("name")}},
	},
}

const (
	errModuleLoad = "ERR Error loading the extension. Please check the server logs."
	errNoModule   = "ERR Error unloading module: no such module with that name"
)

func moduleLoad(c *Client) {
	c.srv.Logf(config.LogWarning, "Module %s failed to load: this server does not run modules", session.CString(c.Args[2]))
	c.Error(errModuleLoad)
}

func moduleHelp(c *Client) {
	c.Help(
		"LIST",
		"    List the modules that are loaded: there are none.",
		"LOAD <path> [<arg> ...]",
		"    Refuse to load a module.",
		"LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]",
		"    Refuse to load a module with settings of its own.",
		"UNLOAD <name>",
		"    Tell that no such module is loaded.",
	)
}
