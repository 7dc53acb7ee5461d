package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// memResult is the memory that a number of keys of one shape takes, index 0 ours, 1 the server it is compared with.
type memResult struct {
	Shape    string     `json:"shape"`
	Keys     int        `json:"keys"`
	Resident [2]float64 `json:"resident_bytes_a_key"` // VmRSS after the load has settled, less that of the empty server
	Used     [2]float64 `json:"used_memory_bytes_a_key"`
	Peak     [2]float64 `json:"peak_bytes_a_key"` // VmHWM, while loading
	Ratio    float64    `json:"resident_ratio"`
}

// connResult is the memory of idle connections.
type connResult struct {
	Connections int        `json:"connections"`
	Resident    [2]float64 `json:"resident_bytes_a_connection"`
	Ratio       float64    `json:"resident_ratio"`
}

// shape is a kind of key and value: what loads the i-th one. All keys have 16 bytes.
type shape struct {
	name, text string
	add        func(dst []byte, i int) []byte
}

var (
	value32  = strings.Repeat("v", 32)
	value100 = strings.Repeat("v", 100)
)

func shapes() []shape {
	return []shape{
		{"v32", "32-byte values", func(dst []byte, i int) []byte {
			return harness.AppendCommand(dst, "SET", memKey(i), value32)
		}},
		{"int", "integer values", func(dst []byte, i int) []byte {
			// Beyond the small integers that Redis shares.
			return harness.AppendCommand(dst, "SET", memKey(i), strconv.Itoa(1_000_000+i))
		}},
		{"v100", "100-byte values", func(dst []byte, i int) []byte {
			return harness.AppendCommand(dst, "SET", memKey(i), value100)
		}},
		{"v32ttl", "32-byte values, TTL", func(dst []byte, i int) []byte {
			return harness.AppendCommand(dst, "SET", memKey(i), value32, "EX", strconv.Itoa(100_000+i%1_000_000))
		}},
	}
}

func memKey(i int) string { return "key:" + fmt.Sprintf("%012d", i) }

func shapeNames() []string {
	var names []string
	for _, s := range shapes() {
		names = append(names, s.name)
	}
	return names
}

func (b *bench) memSection() error {
	fmt.Printf("\n## Resident bytes a key (16-byte keys)\n\n")
	fmt.Printf("| shape | keys | %s | %s | ratio | used_memory %[1]s | used_memory %[2]s | peak %[1]s | peak %[2]s |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, name := range b.memShapes {
		var chosen *shape
		for _, s := range shapes() {
			if s.name == name {
				chosen = &s
			}
		}
		if chosen == nil {
			return fmt.Errorf("unknown shape %q: there are %s", name, strings.Join(shapeNames(), ", "))
		}
		for _, keys := range b.memKeys {
			r := memResult{Shape: name, Keys: keys}
			for who, sub := range b.subjects {
				if err := b.loadShape(sub, *chosen, keys, who, &r); err != nil {
					return fmt.Errorf("%s: %w", sub.name, err)
				}
			}
			r.Ratio = r.Resident[0] / r.Resident[1]
			b.report.Memory = append(b.report.Memory, r)
			fmt.Printf("| %s | %d | %.1f | %.1f | **%.2f** | %.1f | %.1f | %.1f | %.1f |\n", chosen.text, keys,
				r.Resident[0], r.Resident[1], r.Ratio, r.Used[0], r.Used[1], r.Peak[0], r.Peak[1])
		}
	}
	return nil
}

// loadShape starts a fresh server, fills it and measures it once its memory has come to rest.
func (b *bench) loadShape(sub subject, sh shape, keys, who int, r *memResult) error {
	return b.loadCommands(sub, sh.add, keys, who, r)
}

// loadCommands is loadShape for keys that take several commands each.
func (b *bench) loadCommands(sub subject, add func(dst []byte, i int) []byte, commands, who int, r *memResult) error {
	s, err := b.start(sub)
	if err != nil {
		return err
	}
	defer s.Kill()
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	emptyRSS, emptyUsed, err := b.settled(s, c)
	if err != nil {
		return err
	}
	if err := pipelined(c, commands, add); err != nil {
		return err
	}
	rss, used, err := b.settled(s, c)
	if err != nil {
		return err
	}
	peak, err := harness.StatusBytes(s.PID(), "VmHWM")
	if err != nil {
		return err
	}
	n := float64(r.Keys)
	r.Resident[who] = float64(rss-emptyRSS) / n
	r.Used[who] = float64(used-emptyUsed) / n
	r.Peak[who] = float64(peak-emptyRSS) / n
	return nil
}

// settled waits until the resident memory has not changed by more than one part in 500 for three seconds (a collector
// gives pages back over some seconds), twenty seconds at most, and returns it with INFO's used_memory.
func (b *bench) settled(s *harness.Server, c *harness.Conn) (rss, used int64, err error) {
	const step = 250 * time.Millisecond
	calm := 0
	for range 80 {
		now, err := s.RSS()
		if err != nil {
			return 0, 0, err
		}
		if d := now - rss; max(d, -d) <= now/500 {
			calm++
		} else {
			calm, rss = 0, now
		}
		if calm >= 12 {
			break
		}
		select {
		case <-b.ctx.Done():
			return 0, 0, b.ctx.Err()
		case <-time.After(step):
		}
	}
	if rss, err = s.RSS(); err != nil {
		return 0, 0, err
	}
	info, err := c.Info("memory")
	if err != nil {
		return 0, 0, err
	}
	used, err = strconv.ParseInt(info["used_memory"], 10, 64)
	return rss, used, err
}

func (b *bench) connSection() error {
	r, err := b.measureConns("Resident bytes an idle connection")
	b.report.Conns = append(b.report.Conns, r)
	return err
}

func (b *bench) measureConns(title string) (connResult, error) {
	r := connResult{Connections: b.conns}
	if err := harness.RaiseOpenFiles(uint64(b.conns) + 200); err != nil {
		return r, err
	}
	for who, sub := range b.subjects {
		bytes, err := b.idleConns(sub)
		if err != nil {
			return r, fmt.Errorf("%s: %w", sub.name, err)
		}
		r.Resident[who] = bytes
	}
	r.Ratio = r.Resident[0] / r.Resident[1]
	fmt.Printf("\n## %s (%d connections, each has sent one PING)\n\n", title, b.conns)
	fmt.Printf("| %s | %s | ratio |\n| ---: | ---: | ---: |\n", b.report.Names[0], b.report.Names[1])
	fmt.Printf("| %.0f | %.0f | **%.2f** |\n", r.Resident[0], r.Resident[1], r.Ratio)
	return r, nil
}

func (b *bench) idleConns(sub subject) (float64, error) {
	s, err := b.start(sub, "--maxclients", strconv.Itoa(b.conns+100))
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	ctl, err := s.Connect()
	if err != nil {
		return 0, err
	}
	defer func() { _ = ctl.Close() }()
	before, _, err := b.settled(s, ctl)
	if err != nil {
		return 0, err
	}
	open := make([]*harness.Conn, 0, b.conns)
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range b.conns {
		c, err := s.Connect()
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w", len(open)+1, err)
		}
		open = append(open, c)
		v, err := c.Do("PING")
		if err == nil && v.Str != "PONG" {
			err = fmt.Errorf("PING answered %q", v)
		}
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w", len(open), err)
		}
	}
	after, _, err := b.settled(s, ctl)
	if err != nil {
		return 0, err
	}
	info, err := ctl.Info("clients")
	if err != nil {
		return 0, err
	}
	if info["connected_clients"] != strconv.Itoa(b.conns+1) {
		return 0, fmt.Errorf("connected_clients is %s with %d connections open", info["connected_clients"], b.conns+1)
	}
	return float64(after-before) / float64(b.conns), nil
}
