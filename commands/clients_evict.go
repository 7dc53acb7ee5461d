package commands

import (
	"math/bits"

	"ferrous/commands/config"
)

// Client eviction: connections are closed while the clients hold more memory together than maxmemory-clients.
//
// The memory of a client is tot-mem of CLIENT LIST (clientinfo.go); Server.classMemory has the sums by class. Clients that may
// be evicted, those of the classes normal and pubsub without NO-EVICT, are in buckets by the logarithm of their size, so that
// one of the largest is found without looking at all of them. A client changes its bucket when its memory is counted again.
// While the directive is 0 there are no buckets, and the check costs one comparison a packet.
//
// Clients are evicted between commands, never within one (Server.settle): at the end of a packet, inside a packet when replies
// had to be queued, at the end of a round in which clients were sent messages, and by cron.

const (
	minBucket    = 15 // the first bucket has clients below 32 KiB
	maxBucket    = 33 // the last one those from 8 GiB
	clientBucket = maxBucket - minBucket + 1
)

// clientEviction is the server's part.
type clientEviction struct {
	limit   int // bytes; 0 = off
	buckets [clientBucket][]*Client
	evicted int64
	helping bool // the last look found enough to evict
}

// evictionSlot is where a client stands: bucket counts from 1, 0 is none.
type evictionSlot struct {
	bucket int8
	at     int32
}

func bucketOf(size int) int {
	return min(max(bits.Len(uint(size))-minBucket, 0), clientBucket-1)
}

// mayEvict reports whether the client may be evicted.
func (c *Client) mayEvict() bool {
	class := c.outputClass()
	return c.conn != nil && !c.noEvict && !c.master && (class == config.ClassNormal || class == config.ClassPubsub)
}

// sortClient puts a client into the bucket that it belongs to, as it is accounted for.
func (s *Server) sortClient(c *Client) {
	want := int8(0)
	if s.eviction.limit > 0 && c.orderIndex >= 0 && c.mayEvict() {
		want = int8(1 + bucketOf(c.totalMemory()))
	}
	if want == c.evictionSlot.bucket {
		return
	}
	if old := c.evictionSlot.bucket; old > 0 {
		list := s.eviction.buckets[old-1]
		last := len(list) - 1
		list[c.evictionSlot.at] = list[last]
		list[c.evictionSlot.at].evictionSlot.at = c.evictionSlot.at
		list[last] = nil
		s.eviction.buckets[old-1] = list[:last]
	}
	c.evictionSlot = evictionSlot{bucket: want}
	if want > 0 {
		list := &s.eviction.buckets[want-1]
		c.evictionSlot.at = int32(len(*list))
		*list = append(*list, c)
	}
}

// applyClientLimit takes over maxmemory-clients, of which a percentage is one of maxmemory.
func (s *Server) applyClientLimit() error {
	limit := s.Config.MaxMemoryClients
	if limit < 0 {
		limit = int64(float64(s.Config.MaxMemory) * float64(-limit) / 100)
	}
	was := s.eviction.limit
	s.eviction.limit = int(limit)
	if (was > 0) != (limit > 0) {
		for _, c := range s.order {
			s.sortClient(c)
		}
	}
	return nil
}

// evictable is the memory of the clients that maxmemory-clients concerns.
func (s *Server) evictable() int {
	return s.classMemory[config.ClassNormal] + s.classMemory[config.ClassPubsub]
}

// evictClients closes the largest clients until the others are below the limit. The caller must be where it may call
// reap.
func (s *Server) evictClients() {
	ev := &s.eviction
	if ev.limit == 0 || s.evictable() <= ev.limit {
		ev.helping = true
		return
	}
	for b := clientBucket - 1; b >= 0; b-- {
		for len(ev.buckets[b]) > 0 {
			c := ev.buckets[b][0]
			s.Logf(config.LogNotice, "Evicting client: %s", c.describe())
			c.end()
			s.forget(c)
			ev.evicted++
			if s.evictable() <= ev.limit {
				return
			}
		}
	}
	if ev.helping {
		ev.helping = false
		s.Logf(config.LogWarning, "Over client maxmemory after evicting all evictable clients")
	}
}

// outputGrew is called, perhaps in the middle of a command or of a walk, when replies to the client had to be queued. It
// accounts for them; eviction waits until that has ended.
func (s *Server) outputGrew(c *Client) {
	if n := c.conn.QueuedMem(); s.eviction.limit > 0 && n > c.counted {
		s.setAccount(c, n, c.announced)
		if s.evictable() > s.eviction.limit {
			s.unsettled = true
			s.loop.RequestFlush()
		}
	}
}
