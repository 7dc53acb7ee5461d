//go:build !linux

package process

// titleMemory returns nil: there is no memory for a title.
func titleMemory([]string) []byte { return nil }
