package main

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// expiryResult is how late keys were gone, and counted in expired_keys, in milliseconds after their deadline, index 0
// ours, 1 the server it is compared with. A key that was not gone within expiryPatience counts in Missing and not in Lag.
type expiryResult struct {
	Load    string         `json:"load"`
	FarKeys int            `json:"far_keys"`
	DueKeys int            `json:"due_keys"`
	Missing [2]int         `json:"missing"`
	OwnP99  [2]string      `json:"expired_lag_p99_ms,omitempty"` // what the server says of itself in INFO, where it does
	LagMs   [2]percentiles `json:"lag_ms"`                       // until the reply that showed it: an upper bound
	LeastMs [2]percentiles `json:"lag_at_least_ms"`              // until the poll before was sent, which did not show it yet
}

const (
	expiryStep     = 5 * time.Millisecond    // between two deadlines
	expiryPatience = 30 * time.Second        // after the last deadline
	expiryLead     = 1500 * time.Millisecond // before the first deadline
)

func (b *bench) expirySection() error {
	fmt.Printf("\n## Expiry: %d keys that expire every %v beside %d keys with far deadlines, lag in ms\n\n",
		b.dueKeys, expiryStep, b.farKeys)
	fmt.Println("Lag: from a key's deadline until a client that polls INFO every millisecond has seen it counted in expired_keys.")
	fmt.Println("On a busy machine the poll itself waits for its turn: the truth lies between the time when the poll before was sent")
	fmt.Println("(\"at least\") and the time when the reply arrived.")
	fmt.Println()
	fmt.Println("| load | server | p50 | p99 at least | p99 | max | p99 it reports itself | not gone after 30 s |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	for _, s := range servers {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		err = pipelined(c, b.farKeys, func(dst []byte, i int) []byte {
			return harness.AppendCommand(dst, "SET", "far:"+fmt.Sprintf("%012d", i), "v", "EX", strconv.Itoa(100_000+i%1_000_000))
		})
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	for _, load := range loads {
		r := expiryResult{Load: load.name, FarKeys: b.farKeys, DueKeys: b.dueKeys}
		for who, s := range servers {
			stop, err := b.startLoad(s, load.name)
			if err != nil {
				return err
			}
			lags, least, err := b.expiryLags(s)
			if err = errors.Join(err, stop()); err != nil {
				return fmt.Errorf("%s, load %s: %w", b.report.Names[who], load.name, err)
			}
			p, low := inMilliseconds(percentilesOf(lags)), inMilliseconds(percentilesOf(least))
			r.LagMs[who], r.LeastMs[who] = p, low
			r.Missing[who] = b.dueKeys - len(lags)
			info, err := s.Info("stats")
			if err != nil {
				return err
			}
			r.OwnP99[who] = info["expired_lag_p99_ms"]
			fmt.Printf("| %s | %s | %.1f | %.1f | %.1f | %.1f | %s | %d of %d |\n", load.text, b.report.Names[who], p.P50, low.P99,
				p.P99, p.Max, r.OwnP99[who], r.Missing[who], b.dueKeys)
		}
		b.report.Expiry = append(b.report.Expiry, r)
	}
	return nil
}

func inMilliseconds(p percentiles) percentiles {
	for _, f := range []*float64{&p.P50, &p.P90, &p.P99, &p.P999, &p.Max} {
		*f /= 1000
	}
	return p
}

// expiryLags writes the keys that are due and returns how late each was counted, at most and at least. The counter does not say which key it
// counted: the n-th count is held against the n-th deadline, which is exact when keys go in the order of their deadlines.
func (b *bench) expiryLags(s *harness.Server) (lags, least []time.Duration, err error) {
	c, err := s.Connect()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = c.Close() }()
	base, err := expiredKeys(c)
	if err != nil {
		return nil, nil, err
	}
	// Deadlines are whole milliseconds of the wall clock, which both processes share.
	first := time.UnixMilli(time.Now().Add(expiryLead).UnixMilli())
	deadline := func(i int) time.Time { return first.Add(time.Duration(i) * expiryStep) }
	err = pipelined(c, b.dueKeys, func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "SET", "due:"+fmt.Sprintf("%012d", i), "v", "PXAT",
			strconv.FormatInt(deadline(i).UnixMilli(), 10))
	})
	if err != nil {
		return nil, nil, err
	}
	if time.Now().After(first) {
		return nil, nil, errors.New("the first deadline had passed before all keys were written: the machine is too slow")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	preciseSleep()
	lags = make([]time.Duration, 0, b.dueKeys)
	before := first // when the last poll that was answered had been sent
	for next := first; len(lags) < b.dueKeys; next = next.Add(time.Millisecond) {
		if time.Now().After(deadline(b.dueKeys - 1).Add(expiryPatience)) {
			break
		}
		if err := b.ctx.Err(); err != nil {
			return nil, nil, err
		}
		sleepUntil(next)
		sent := time.Now()
		count, err := expiredKeys(c)
		if err != nil {
			return nil, nil, err
		}
		now := time.Now()
		for int64(len(lags)) < min(count-base, int64(b.dueKeys)) {
			due := deadline(len(lags))
			lags = append(lags, max(now.Sub(due), 0))
			least = append(least, max(before.Sub(due), 0))
		}
		before = sent
	}
	// Whatever is left must not spill into the next measurement.
	err = pipelined(c, b.dueKeys, func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "DEL", "due:"+fmt.Sprintf("%012d", i))
	})
	return lags, least, err
}

func expiredKeys(c *harness.Conn) (int64, error) {
	v, err := c.Do("INFO", "stats")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(v.Str, "\nexpired_keys:")
	if !ok {
		return 0, fmt.Errorf("INFO stats has no expired_keys: %q", v.Str)
	}
	number, _, _ := strings.Cut(rest, "\r")
	return strconv.ParseInt(number, 10, 64)
}
