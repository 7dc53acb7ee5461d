//go:build !linux

package process

// titleMemory knows no memory to write a title to.
func titleMemory([]string) []byte { return nil }
