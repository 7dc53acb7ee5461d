package eventloop

import (
	"fmt"
	"syscall"
)

// noFile returns the limit of open files of this process.
func noFile() (cur, hard uint64, err error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, 0, err
	}
	return uint64(r.Cur), uint64(r.Max), nil
}

// AdjustOpenFiles raises the limit of open files to maxClients + reserve, as
// Redis does at its start. If the system does not allow as much, it sets the
// highest possible limit. least is the number of descriptors that must be left
// beside those of clients: granted is lower than maxClients if they would not
// be. limit is the new limit, for the caller to log. err is set if the limit
// does not leave a descriptor for one client, or cannot be read.
func AdjustOpenFiles(maxClients, reserve, least int) (granted int, limit uint64, err error) {
	cur, hard, err := noFile()
	if err != nil {
		return maxClients, 0, fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	want := uint64(maxClients) + uint64(reserve)
	if cur >= want {
		return maxClients, cur, nil
	}
	// A privileged process may raise the hard limit, too. Otherwise try the
	// hard limit; if even that is refused (macOS has a limit of its own below
	// it), try lower limits in steps.
	if setNoFile(want, max(hard, want)) == nil {
		return maxClients, want, nil
	}
	const step = 16
	for try := min(want, hard); try > cur; try -= min(step, try) {
		if setNoFile(try, hard) == nil {
			cur = try
			break
		}
	}
	if cur <= uint64(least) {
		return 0, cur, fmt.Errorf("the limit of open files is %d, not enough for one client and the %d that the server needs itself", cur, least)
	}
	return int(min(uint64(maxClients), cur-uint64(least))), cur, nil
}
