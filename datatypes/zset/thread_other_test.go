//go:build !linux

package zset

import "time"

// thread stands for the thread's processor time where that is not to be had: the time since some moment.
func thread() time.Duration { return time.Since(epoch) }

var epoch = time.Now()
