//go:build !linux

package vfs

import "os"

// datasync is fsync(2), and on macOS F_FULLFSYNC: there fsync(2) leaves the data in the drive's cache.
func datasync(f *os.File) error { return f.Sync() }
