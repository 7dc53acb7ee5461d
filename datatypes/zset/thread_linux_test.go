package zset

import (
	"time"

	"golang.org/x/sys/unix"
)

// thread returns the processor time that the calling thread has used.
func thread() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}
