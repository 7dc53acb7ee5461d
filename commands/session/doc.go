// Package session is what the handler of a command may touch, and nothing else: the request and its arguments, the reply,
// the keys, and how a change is reported. The families of commands (packages strings, keys, lists, hashes, sets,
// sortedsets, streams) import it and the values' own packages; they never import each other or package commands.
//
// # How to write a command
//
// A command is a row in the table of its family, with the handler beside it:
//
//	var Commands = []session.Command{
//		{Name: "llen", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatList, Handler: llen,
//			Group: session.GroupList, Since: "1.0.0", Complexity: "O(1)",
//			Summary: "Returns the length of a list.",
//			Keys:    session.OneKey(session.KeyRO),
//			Args:    []session.Arg{session.KeyArg("key")}},
//	}
//
//	func lset(c *session.Client) {
//		index, ok := c.Int64Arg(2) // replies with Redis's error if it is no integer
//		if !ok {
//			return
//		}
//		key := c.Args[1]
//		r, ok := c.WriteTyped(key, record.List) // replies WRONGTYPE
//		if !ok {
//			return
//		}
//		if r == nil {
//			c.Error(session.ErrNoKey)
//			return
//		}
//		edit := session.BeginEdit[list.List](c, r) // copied first if a snapshot needs it
//		if !edit.Value.Set(int(index), c.Args[3]) {
//			edit.Done() // memory
//			c.Error(session.ErrOutOfRange)
//			return
//		}
//		edit.Grown(1, config.NotifyList, "lset") // memory, change count, watchers, event
//		c.W.OK()
//	}
//
// # Rules
//
//   - Arguments and what is sliced from them are valid until the handler returns. What is kept is copied.
//   - A record that Read or Write returned is valid until the next call that may change the keyspace. Expired keys are
//     deleted when they are looked up, so the lookup of a second key may change the first one's database.
//   - A collection is changed within an Edit only, which begins with BeginEdit or Create. BeginEdit may move the record: use the
//     edit's.
//   - A handler reports each key that it changed once: with Modified, Changed, or the end of an Edit. A change that is not
//     reported does not reach the append-only file, WATCH, and the caches of clients.
//   - The request is propagated as it came, unless the handler calls Rewrite, PropagateAlso or PropagateNothing. A propagated
//     command has the same effect at any time and place: deadlines are in Unix time, elements that were drawn at random are
//     named. Propagates reports whether there is a sink; if not, nothing need be rewritten.
//   - Handlers reply exactly once, through W, which knows the client's protocol, or with Error. They never write to sockets.
//   - Before a family gets a frame of its own, look into skeletons.go: removing elements, scanning, drawing at random, popping
//     from the first of several keys and waiting for one are there.
//   - Handlers do not wait. A blocking command that finds nothing calls Host.Block and returns; the request runs again from
//     the start when one of its keys may have something.
package session
