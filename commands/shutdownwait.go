package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/record"
)

// A shutdown waits up to shutdown-timeout seconds until replicas have acknowledged the whole stream, so that one of them can be
// promoted without losing a write, and all of them can continue after a restart. Meanwhile writes are paused, and the client
// that sent SHUTDOWN is blocked.

// shutdownWait is a shutdown that waits for replicas.
type shutdownWait struct {
	on       bool
	how      config.ShutdownFlags
	deadline int64     // replNow
	clients  []*Client // that sent SHUTDOWN
}

// waitForReplicas begins to wait if there is anybody to wait for. c has asked for it, nil for a signal.
func (s *Server) waitForReplicas(c *Client, how config.ShutdownFlags) bool {
	w := &s.shutdown.wait
	if !w.on {
		s.Logf(config.LogNotice, "User requested shutdown...")
		if how&config.ShutdownNow != 0 || s.Config.ShutdownTimeoutSec == 0 || s.isReplica() || s.inSync() {
			return false
		}
		w.on, w.how, w.deadline = true, how, s.replNow()+int64(s.Config.ShutdownTimeoutSec)*1000
		s.pauseWrites(pauseShutdown)
		s.Logf(config.LogNotice, "Waiting for replicas before shutting down.")
		s.tellSupervisor("STATUS=Waiting for replicas before shutting down.")
	}
	if c != nil && c.MayBlock() {
		c.Block(record.String, nil, 0)
		c.blocked.answer = func(c *Client) { c.Error(errShutdown) }
		w.clients = append(w.clients, c)
	}
	return true
}

// inSync reports whether all replicas have acknowledged all of the stream.
func (s *Server) inSync() bool {
	for _, r := range s.sync.node.Replicas() {
		if r.AckOffset != s.sync.node.History.Offset && !r.RDBOnly {
			return false
		}
	}
	return true
}

// checkShutdown ends the wait of a shutdown if replicas have everything, or it has lasted too long.
func (s *Server) checkShutdown() {
	w := &s.shutdown.wait
	if !w.on || !s.inSync() && s.replNow() < w.deadline {
		return
	}
	how := w.how
	if !s.finishShutdown(how) {
		s.Logf(config.LogWarning, "Errors trying to shut down the server. Check the logs for more information.")
		s.endShutdownWait()
		s.shutdown.asked.Store(false)
	}
}

// endShutdownWait lets the server go on.
func (s *Server) endShutdownWait() {
	w := &s.shutdown.wait
	clients := w.clients
	*w = shutdownWait{}
	s.resumeWrites(pauseShutdown)
	for _, c := range clients {
		if c.blocked != nil && s.clients[c.id] == c {
			s.endWait(c, errShutdown)
		}
	}
}

// reportReplicas logs which replicas do not have all of the stream as the server ends.
func (s *Server) reportReplicas() {
	n := s.sync.node
	replicas, synced := n.Replicas(), 0
	for _, r := range replicas {
		if r.AckOffset == n.History.Offset {
			synced++
			continue
		}
		s.Logf(config.LogNotice, "Lagging replica %s reported offset %d behind master, lag=%d, state=%s.", r.Name(),
			n.History.Offset-r.AckOffset, r.Lag(s.replNow()), r.State)
	}
	if len(replicas) > 0 {
		s.Logf(config.LogNotice, "%d of %d replicas are in sync when shutting down.", synced, len(replicas))
	}
}
