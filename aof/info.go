package aof

import "time"

// Info is what INFO persistence says of the append-only file. Sizes are in bytes.
type Info struct {
	Enabled           bool  // aof_enabled
	Rewriting         bool  // aof_rewrite_in_progress
	RewriteScheduled  bool  // aof_rewrite_scheduled, aof_pending_rewrite
	LastRewriteSec    int64 // aof_last_rewrite_time_sec, -1 if there was none
	CurrentRewriteSec int64 // aof_current_rewrite_time_sec, -1 if there is none
	LastRewriteOK     bool  // aof_last_bgrewrite_status
	LastWriteOK       bool  // aof_last_write_status
	Rewrites          int64 // aof_rewrites
	RewriteFailures   int   // aof_rewrites_consecutive_failures
	CurrentSize       int64 // aof_current_size
	BaseSize          int64 // aof_base_size
	BufferLength      int64 // aof_buffer_length
	PendingFsyncs     int   // aof_pending_bio_fsync
	DelayedFsyncs     int64 // aof_delayed_fsync
	Fsyncs            Fsyncs
}

// Fsyncs are the calls of fsync for the append-only file that have ended well.
type Fsyncs struct {
	Count int64
	Total time.Duration
	Last  time.Duration
	Max   time.Duration
}

func (f *Fsyncs) add(took time.Duration) {
	f.Count++
	f.Total += took
	f.Last = took
	f.Max = max(f.Max, took)
}

// Info returns the fields of INFO.
func (a *AOF) Info() Info {
	s := &a.stats
	i := Info{
		Enabled:           a.state != Off,
		Rewriting:         a.rewrite != nil,
		RewriteScheduled:  s.scheduled,
		LastRewriteSec:    -1,
		CurrentRewriteSec: -1,
		LastRewriteOK:     s.lastErr == nil,
		LastWriteOK:       a.writeErr == nil && !a.recovering,
		Rewrites:          s.count,
		RewriteFailures:   s.failures,
		CurrentSize:       a.total,
		BaseSize:          a.baseSize,
		BufferLength:      int64(len(a.buf)),
		PendingFsyncs:     a.sync.pending(),
		DelayedFsyncs:     a.delayed,
		Fsyncs:            a.fsyncs,
	}
	if s.lastTook >= 0 {
		i.LastRewriteSec = s.lastTook / 1000
	}
	if a.rewrite != nil {
		i.CurrentRewriteSec = (a.opt.Now() - a.rewrite.started) / 1000
	}
	return i
}

// ResetStats sets the counters back that CONFIG RESETSTAT does.
func (a *AOF) ResetStats() {
	a.delayed = 0
	a.fsyncs = Fsyncs{}
	a.stats.count = 0
	a.stats.failures = 0
}

// CollectHistory deletes the history files, after aof-disable-auto-gc was switched off. A rewrite that is running does it by
// itself.
func (a *AOF) CollectHistory() {
	if a.rewrite == nil && !a.Settings.DisableAutoGC {
		a.dir.dropHistory(a.manifest)
	}
}
