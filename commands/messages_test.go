package commands

import (
	"strings"
	"testing"
)

// Messages do not leave before the changes that were made until then are in the append-only file, however many there are:
// a kill would take back what a subscriber has seen.
func TestMessagesFollowTheFile(t *testing.T) {
	text := []byte(strings.Repeat("m", maxOutbox+1)) // more than the outbox keeps
	for _, policy := range []string{"no", "everysec", "always"} {
		s := startServer(t, "appendonly", "yes", "appendfsync", policy)
		sub := s.dial()
		sub.send("SUBSCRIBE channel\r\n")
		s.eventually("it is subscribed", func() bool { return s.channels.clients == 1 })
		c := s.dial()
		c.do("SET a 1", ok)
		s.on(func() {
			var from, to *Client
			for _, x := range s.clients {
				if x.subscribed() {
					to = x
				} else {
					from = x
				}
			}
			// What follows is one round: the loop gets no turn until it is over.
			s.current = from
			from.Args = [][]byte{[]byte("SET"), []byte("a"), []byte("2")}
			s.execute(from, s.nanos())
			s.current = nil
			s.w.Reset()
			if s.aof.file.Buffered() == 0 {
				t.Errorf("%s: the change is in the file before the round ends", policy)
			}
			for range 3 {
				s.publish(kindChannel, []byte("channel"), text)
			}
			if !to.conn.Held() || to.conn.Queued() <= maxOutbox {
				t.Errorf("%s: messages leave before the change is in the file: held %v, %d bytes queued", policy, to.conn.Held(), to.conn.Queued())
			}
			s.loop.RequestFlush()
		})
		s.eventually("the round is over", func() bool {
			for _, x := range s.clients {
				if x.conn.Held() {
					return false
				}
			}
			return s.aof.file.Buffered() == 0
		})
	}
}
