// Package serial has the interfaces that a value writes itself to: RDB for dumps and payloads, Commands for append-only files
// without preamble. Packages rdb and aof implement them.
package serial

import "ferrous/datatypes/listpack"

// Type is the type of a value in the RDB format. Package rdb has all of them.
type Type uint8

// The types that values are written as.
const (
	List           Type = 1  // elements
	Set            Type = 2  // elements
	Hash           Type = 4  // elements
	ZSet2          Type = 5  // elements, scores as eight bytes
	SetIntset      Type = 11 // intset
	Stream         Type = 15 // as Redis 5 has it
	HashListpack   Type = 16 // listpack
	ZSetListpack   Type = 17 // listpack
	Quicklist2     Type = 18 // nodes: listpacks and plain elements
	Stream2        Type = 19 // with what XINFO STREAM of 7.0 shows
	SetListpack    Type = 20 // listpack
	Stream3        Type = 21 // with the active time of consumers
	HashTTL        Type = 24 // elements with deadlines, the earliest in front
	HashListpackEx Type = 25 // listpack of fields, values and deadlines, the earliest in front
)

// The versions of the RDB format, as far as they matter to values. A value is written in the form of Redis 7.2, except for
// parts that the version does not have:
//
//	version  9   lists, hashes, sorted sets and sets that are not intsets are written element by element; streams lose how many
//	             entries were added and read
//	version 10   sets in listpacks are written element by element; streams lose active times
//	version 11   all of Redis 7.2
//	version 12   deadlines of hash fields
const (
	Listpacks      = 10 // listpacks, quicklists of them
	SetListpacks   = 11 // listpacks of sets, streams with active times
	FieldDeadlines = 12 // of hash fields
)

// The containers of a quicklist's nodes.
const (
	NodePlain  = 1
	NodePacked = 2
)

// RDB is the writer of one value in the RDB format. Begin is called first, once, then the methods for the parts of the type.
type RDB interface {
	// Version returns the version of the format that is written. If the version was requested (Fixed), streams lose the parts
	// that the version does not have; otherwise Need raises the version so that nothing is lost.
	Version() int
	Fixed() bool
	// Need makes the version at least v. If that is not possible any more it is an error, with the text what.
	Need(v int, what string)

	Begin(t Type)
	Length(n uint64)
	Text(b []byte)
	Element(v listpack.Value)
	Uint64(n uint64)
	Double(f float64)
	Raw(b []byte)                 // without a length
	LZF(compressed []byte, n int) // a string of n bytes that is compressed already

	// OK reports whether there was no error, so that the caller continues.
	OK() bool
}

// Commands is the writer of one value as the commands that create it.
type Commands interface {
	// Begin begins a command of argc words, verb included; argc-1 calls of Word and its like must follow.
	Begin(argc int, verb string)
	Word(b []byte)
	WordString(s string)
	WordInt(n int64)
	WordElement(v listpack.Value)

	// Elements begins the commands that add n elements of width arguments each to a key, as many commands as are needed.
	// n*width calls of Arg and its like must follow.
	Elements(verb string, key []byte, n, width int)
	Arg(v listpack.Value)
	ArgFloat(f float64)
}
