package process

import (
	"bytes"
	"os"
	"strconv"
	"unsafe"
)

// titleMemory returns the memory that the kernel shows as the command line: the
// arguments, and the environment behind them, which the kernel shows, too, if
// the arguments do not end with a zero byte. The strings of os.Args point to
// this memory; Go has copied the environment at the start. It returns nil if
// args are not at the kernel's address.
func titleMemory(args []string) []byte {
	if len(args) == 0 || len(args[0]) == 0 {
		return nil
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil
	}
	// The second field, the program's name in parentheses, may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	at := func(n int) uintptr { // a field by its number in proc(5)
		if n -= 3; n >= len(fields) {
			return 0
		}
		v, _ := strconv.ParseUint(string(fields[n]), 10, 64)
		return uintptr(v)
	}
	const argStart, argEnd, envStart, envEnd = 48, 49, 50, 51
	first := unsafe.StringData(args[0])
	from, to := at(argStart), at(argEnd)
	if from == 0 || to <= from || uintptr(unsafe.Pointer(first)) != from {
		return nil
	}
	if at(envStart) == to && at(envEnd) > to {
		to = at(envEnd)
	}
	return unsafe.Slice(first, to-from)
}
