//go:build !linux

package main

import "time"

func preciseSleep() {}

func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }
