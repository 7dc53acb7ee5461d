package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// oomFile is the kernel's file with the process's out of memory score
// adjustment, -1000 to 1000.
const oomFile = "/proc/self/oom_score_adj"

// oomScore has the score from before the first adjustment.
type oomScore struct {
	adjusted bool
	base     int
}

// ErrNoOOMScore is the error on systems without such a score.
var ErrNoOOMScore = errors.New("oom-score-adj is a feature of Linux")

// AdjustOOMScore sets the score to value, or to value more than what it was
// before the first adjustment when relative is true, within -1000 to 1000.
func (p *Process) AdjustOOMScore(value int, relative bool) error {
	if runtime.GOOS != "linux" {
		return ErrNoOOMScore
	}
	if !p.oom.adjusted {
		text, err := os.ReadFile(oomFile)
		if err != nil {
			return fmt.Errorf("cannot read oom_score_adj: %w", err)
		}
		base, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return fmt.Errorf("cannot read oom_score_adj: %w", err)
		}
		p.oom = oomScore{adjusted: true, base: base}
	}
	if relative {
		value += p.oom.base
	}
	return writeOOMScore(min(max(value, -1000), 1000))
}

// RestoreOOMScore sets the score back to what it was before the first
// adjustment; without one it does nothing. An unprivileged process may not lower
// the score: then the adjustment stays, and so does the stored score.
func (p *Process) RestoreOOMScore() error {
	if !p.oom.adjusted {
		return nil
	}
	err := writeOOMScore(p.oom.base)
	p.oom.adjusted = err != nil
	return err
}

func writeOOMScore(v int) error {
	f, err := os.OpenFile(oomFile, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(v) + "\n")
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write oom_score_adj: %w", err)
	}
	return nil
}
