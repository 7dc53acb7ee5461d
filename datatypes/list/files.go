package list

import (
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/serial"
)

// WriteRDB writes the list to a dump.
func (l *List) WriteRDB(w serial.RDB) {
	if w.Version() < serial.Listpacks {
		w.Begin(serial.List)
		w.Length(uint64(l.Len()))
		l.Range(0, l.Len(), false, w.Element)
		return
	}
	w.Begin(serial.Quicklist2)
	if lp := l.Listpack(); lp != nil {
		w.Length(1)
		w.Length(serial.NodePacked)
		w.Text(lp)
		return
	}
	q := l.Quicklist()
	w.Length(uint64(q.NumNodes()))
	q.Nodes(func(n quicklist.NodeData) bool {
		if n.Plain {
			w.Length(serial.NodePlain)
		} else {
			w.Length(serial.NodePacked)
		}
		if n.LZF != nil {
			w.LZF(n.LZF, n.Size)
		} else {
			w.Text(n.Raw)
		}
		return w.OK()
	})
}

// WriteCommands writes the commands that create the list.
func (l *List) WriteCommands(w serial.Commands, key []byte) bool {
	w.Elements("RPUSH", key, l.Len(), 1)
	l.Range(0, l.Len(), false, w.Arg)
	return true
}
