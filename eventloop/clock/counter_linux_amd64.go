package clock

import (
	"bytes"
	"os"
)

// counter returns the processor's time stamp counter.
func counter() uint64

// counts reports whether the kernel's own clock is the counter: it runs at one rate then, on all processors.
func counts() bool {
	b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return err == nil && string(bytes.TrimSpace(b)) == "tsc"
}
