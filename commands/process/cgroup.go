package process

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// AvailableMemory returns the memory that the process can have, in bytes: the machine's or, if it is less, the limit of its
// cgroup. 0 = unknown.
func AvailableMemory() int64 {
	have := SystemMemory()
	if limit := cgroupMemory("/"); limit > 0 && (have == 0 || limit < have) {
		have = limit
	}
	return have
}

// cgroupMemory returns the limit of memory of the process's cgroup in bytes, 0 if there is none. The limits of the groups
// above hold, too: the lowest visible one counts. root is the root folder of the system's files.
func cgroupMemory(root string) int64 {
	b, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	lowest := int64(0)
	for line := range strings.Lines(string(b)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		folder, file := "sys/fs/cgroup", "memory.max"
		if controllers != "" { // version 1
			if !slices.Contains(strings.Split(controllers, ","), "memory") {
				continue
			}
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for group = path.Join("/", group); ; group = path.Dir(group) {
			if b, err := os.ReadFile(path.Join(root, folder, group, file)); err == nil {
				n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
				if err == nil && n > 0 && (lowest == 0 || n < lowest) {
					lowest = n
				}
			}
			if group == "/" {
				break
			}
		}
	}
	return lowest
}
