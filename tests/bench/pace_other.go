//go:build !linux

package main

import "time"

func preciseSleep() {}

func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }

// threadTime stands for the thread's processor time where that is not to be had: the time since some moment.
func threadTime() time.Duration { return time.Since(epoch) }

var epoch = time.Now()
