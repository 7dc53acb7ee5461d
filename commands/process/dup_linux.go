package process

import "syscall"

// dup2 makes descriptor to the same file as from.
func dup2(from, to int) error { return syscall.Dup3(from, to, 0) }
