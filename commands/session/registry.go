package session

import "bytes"

// A Registry is the command table of one server, where rename-command may have changed names.
type Registry struct {
	ByName map[string]*Entry
	List   []*Entry // top-level commands in table order
	Shown  []*Entry // with subcommands, for statistics
}

// NewRegistry makes the command table from the rows of all families, in that order.
func NewRegistry(tables [][]Command) *Registry {
	g := &Registry{ByName: make(map[string]*Entry)}
	for _, table := range tables {
		for i := range table {
			e := g.add(&table[i], nil)
			g.ByName[e.Name] = e
			g.List = append(g.List, e)
		}
	}
	return g
}

func (g *Registry) add(row *Command, parent *Entry) *Entry {
	e := &Entry{Command: row, Parent: parent, Full: row.Name, Cats: row.Categories()}
	if len(row.Keys) > 0 {
		e.FirstKey = row.Keys[0].first()
	}
	if parent != nil {
		e.Full = parent.Full + "|" + row.Name
	}
	g.Shown = append(g.Shown, e)
	for i := range row.Subs {
		if e.Subs == nil {
			e.Subs = make(map[string]*Entry)
		}
		s := g.add(&row.Subs[i], e)
		e.Subs[s.Name] = s
		e.Order = append(e.Order, s)
	}
	return e
}

// maxName is longer than any command's name; longer words are unknown without being looked up.
const maxName = 64

// find returns the entry of a command's name in any case, nil if it is unknown.
func find(m map[string]*Entry, name []byte) *Entry {
	var buf [maxName]byte
	if len(name) > len(buf) {
		return nil
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		buf[i] = b
	}
	return m[string(buf[:len(name)])]
}

// Lookup finds the command of a request: of a container the subcommand, if it is known.
func (g *Registry) Lookup(args [][]byte) (e *Entry, unknownSub bool) {
	e = find(g.ByName, args[0])
	if e == nil || e.Subs == nil || len(args) < 2 {
		return e, false
	}
	if s := find(e.Subs, args[1]); s != nil {
		return s, false
	}
	return e, true
}

// Named returns the entry of a name as COMMAND INFO takes it, "get" or "config|get" in any case; nil if there is none.
func (g *Registry) Named(name []byte) *Entry {
	parent, sub, isSub := bytes.Cut(name, []byte{'|'})
	e := find(g.ByName, parent)
	if e == nil || !isSub {
		return e
	}
	return find(e.Subs, sub)
}
