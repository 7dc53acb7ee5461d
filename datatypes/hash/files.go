package hash

import (
	"ferrous/datatypes/record"
	"ferrous/datatypes/serial"
)

// WriteRDB writes the hash to a dump. Deadlines of fields are never lost: a version of the format without them is an error.
func (h *Hash) WriteRDB(w serial.RDB) {
	earliest := h.Earliest()
	if earliest != record.NoExpiry {
		w.Need(serial.FieldDeadlines, "a deadline of a hash field")
	}
	switch {
	case h.ListpackEx() != nil && (earliest != record.NoExpiry || w.Version() >= serial.FieldDeadlines):
		w.Begin(serial.HashListpackEx)
		w.Uint64(uint64(max(earliest, 0)))
		w.Text(h.ListpackEx())
	case earliest != record.NoExpiry:
		w.Begin(serial.HashTTL)
		w.Uint64(uint64(earliest))
		w.Length(uint64(h.Len()))
		h.EachField(func(field, value Value, when int64) bool {
			if when == record.NoExpiry {
				w.Length(0)
			} else {
				w.Length(uint64(when - earliest + 1))
			}
			w.Element(field)
			w.Element(value)
			return w.OK()
		})
	case h.Listpack() != nil && w.Version() >= serial.Listpacks:
		w.Begin(serial.HashListpack)
		w.Text(h.Listpack())
	default:
		w.Begin(serial.Hash)
		w.Length(uint64(h.Len()))
		h.EachField(func(field, value Value, _ int64) bool {
			w.Element(field)
			w.Element(value)
			return w.OK()
		})
	}
}

// MaxExpiry is the latest deadline, in Unix ms, that a command can give a field. Files may have later ones.
const MaxExpiry = 1<<46 - 1

// WriteCommands writes the commands that create the hash. It returns false, and writes nothing, if a field has a deadline
// that a file may have but no command can set.
func (h *Hash) WriteCommands(w serial.Commands, key []byte) bool {
	n, last, timed := 0, int64(0), 0
	h.EachField(func(_, _ Value, when int64) bool {
		n++
		if when != record.NoExpiry {
			timed++
		}
		last = max(last, when)
		return true
	})
	if last > MaxExpiry {
		return false
	}
	w.Elements("HMSET", key, n, 2)
	h.EachField(func(field, value Value, _ int64) bool {
		w.Arg(field)
		w.Arg(value)
		return true
	})
	if timed == 0 {
		return true
	}
	h.EachField(func(field, _ Value, when int64) bool {
		if when != record.NoExpiry {
			w.Begin(6, "HPEXPIREAT")
			w.Word(key)
			w.WordInt(when)
			w.WordString("FIELDS")
			w.WordInt(1)
			w.WordElement(field)
		}
		return true
	})
	return true
}
