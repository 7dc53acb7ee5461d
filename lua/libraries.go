package lua

import (
	"ferrous/lua/internal/bitlib"
	"ferrous/lua/internal/cjson"
	"ferrous/lua/internal/cmsgpack"
	"ferrous/lua/internal/strlib"
	"ferrous/lua/internal/structlib"
	"ferrous/lua/internal/vm"
)

// openLibraries makes the libraries known that have packages of their own.
func openLibraries(h *vm.Host) {
	for _, open := range libraries {
		open(h)
	}
}

// libraries are the functions that open them.
var libraries = []func(h *vm.Host){
	bitlib.Open,
	cjson.Open,
	cmsgpack.Open,
	strlib.Open,
	structlib.Open,
}
