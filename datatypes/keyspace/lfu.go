package keyspace

// LFU turns the access clock into a count of accesses, as Redis does under the LFU policies: the lower 8 bits are a counter
// that grows with the logarithm of the accesses, the 16 above them the minute of the last access. The upper 3 bits, which
// Redis does not have, are the eighth of that minute: of keys with the same counter the one idle for longer is evicted.
type LFU struct {
	LogFactor int   // lfu-log-factor: how slowly the counter grows
	DecayTime int   // lfu-decay-time: minutes after which it loses one, 0 for never
	NowMs     int64 // the present time in Unix milliseconds, which the owner updates
}

const lfuInitial = 5 // so that new keys are not evicted at once

func (l *LFU) minute() uint32 { return uint32(l.NowMs/60000) & 0xffff }

// stamp returns the access clock of the present time without a counter.
func (l *LFU) stamp() uint32 { return uint32(l.NowMs%60000/7500)<<24 | l.minute()<<8 }

// idle returns how long ago the access clock was stamped, in eighths of a minute.
func (l *LFU) idle(clock uint32) uint32 {
	eighths := func(c uint32) uint32 { return c>>8&0xffff<<3 | c>>24 }
	return (eighths(l.stamp()) - eighths(clock)) & (1<<19 - 1)
}

func (l *LFU) initial() uint32 { return l.stamp() | lfuInitial }

// Counter returns the counter of an access clock, decayed to now.
func (l *LFU) Counter(clock uint32) uint8 {
	c := clock & 0xff
	if l.DecayTime > 0 {
		periods := (l.minute() - clock>>8) & 0xffff / uint32(l.DecayTime)
		c -= min(c, periods)
	}
	return uint8(c)
}

func (l *LFU) access(clock uint32, rnd uint64) uint32 {
	c := uint32(l.Counter(clock))
	if c < 255 {
		base := 0.0
		if c > lfuInitial {
			base = float64(c - lfuInitial)
		}
		if float64(rnd>>11)/(1<<53) < 1/(base*float64(l.LogFactor)+1) {
			c++
		}
	}
	return l.stamp() | c
}

// Clock returns the access clock of a key with this counter.
func (l *LFU) Clock(counter uint8) uint32 { return l.stamp() | uint32(counter) }
