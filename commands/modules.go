package commands

import "ferrous/commands/config"

// MODULE. There are no modules: Redis's are libraries for its C interface, which a server in another language cannot run.
// The command is here for the tools that ask which ones are loaded, and to refuse them as Redis refuses a library that it
// cannot load.

// moduleSub is what the subcommands that change something have in common.
const moduleSub = NoAsyncLoading | Admin | NoScript | Protected

var moduleCommand = Command{
	Name: "module", Arity: -2, Group: GroupServer, Since: "4.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about modules, of which there are none.",
	Subs: []Command{
		{Name: "help", Arity: 2, Flags: Loading | Stale, Handler: moduleHelp,
			Group: GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "list", Arity: 2, Flags: Admin | NoScript, Handler: func(c *Client) { c.w.Array(0) },
			Group: GroupServer, Since: "4.0.0", Complexity: "O(1), since there are none",
			Summary: "Lists the modules that are loaded: none.", Hints: []string{"nondeterministic_output_order"}},
		{Name: "load", Arity: -3, Flags: moduleSub, Handler: moduleLoad,
			Group: GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Refuses to load a module.",
			Args: []Arg{aString("path"), aString("arg").optional().multiple()}},
		{Name: "loadex", Arity: -3, Flags: moduleSub, Handler: moduleLoad,
			Group: GroupServer, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Refuses to load a module with settings of its own.",
			Args: []Arg{aString("path"),
				{Name: "configs", Type: ArgBlock, Token: "CONFIG", Optional: true, Multiple: true, MultipleToken: true,
					Args: []Arg{aString("name"), aString("value")}},
				{Name: "args", Type: ArgString, Token: "ARGS", Optional: true, Multiple: true}}},
		{Name: "unload", Arity: 3, Flags: moduleSub, Handler: func(c *Client) { c.error(errNoModule) },
			Group: GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Tells that no such module is loaded.",
			Args: []Arg{aString("name")}},
	},
}

const (
	errModuleLoad = "ERR Error loading the extension. Please check the server logs."
	errNoModule   = "ERR Error unloading module: no such module with that name"
)

func moduleLoad(c *Client) {
	c.srv.logf(config.LogWarning, "Module %s failed to load: this server does not run modules", cString(c.args[2]))
	c.error(errModuleLoad)
}

func moduleHelp(c *Client) {
	c.help(
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
