package commands

import (
	"strings"
	"sync"
	"testing"
	"time"

	"ferrous/aof"
	"ferrous/rdb/vfs"
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

// After a rewrite has switched to a new file, messages, invalidations and lines of MONITOR wait for the fsync of the old file,
// as replies do.
func TestMessagesFollowTheSwitchOfFiles(t *testing.T) {
	for _, policy := range []string{"no", "everysec"} {
		disk := &busyDisk{FS: vfs.OS{}, reached: make(chan struct{}), gate: make(chan struct{})}
		s := startServerWith(t, func(s *Server) {
			o := s.aofOptions()
			o.FS = disk
			o.Now = func() int64 { return testEpoch } // the fsync does not take too long
			s.aof.file = aof.New(o, s.aofSettings())
		}, "appendonly", "yes", "appendfsync", policy)
		var open sync.Once
		release := func() { open.Do(func() { close(disk.gate) }) }
		t.Cleanup(release) // before the server is to end
		subscriber, tracker, monitor, c := s.dial(), s.dial(), s.dial(), s.dial()
		subscriber.do("SUBSCRIBE channel", "*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n")
		tracker.send("HELLO 3\r\nCLIENT TRACKING ON BCAST\r\nPING\r\n")
		for line := ""; line != "+PONG\r\n"; {
			var err error
			if line, err = tracker.r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		monitor.do("MONITOR", ok)
		c.do("SET a 1", ok)
		invalidation := ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"
		tracker.expect(invalidation)
		line := func(end string) {
			t.Helper()
			monitor.SetReadDeadline(time.Now().Add(time.Minute))
			if got, err := monitor.r.ReadString('\n'); !strings.HasSuffix(got, end+"\r\n") {
				t.Errorf("%s: the monitor got %q, %v, want %s", policy, got, err, end)
			}
		}
		line(`"SET" "a" "1"`)
		s.on(func() { disk.op, disk.on = "sync", ".1.incr.aof" })
		c.do("BGREWRITEAOF", "+Background append only file rewriting started\r\n")
		<-disk.reached // the file has been switched
		c.send("SET a 2\r\nPUBLISH channel text\r\n")
		s.eventually("the change waits", s.aof.file.Postponed)
		s.eventually("four clients wait for it", func() bool {
			n := 0
			for _, x := range s.clients {
				if x.conn.Held() && x.conn.Queued() > 0 {
					n++
				}
			}
			return n == 4
		})
		release()
		c.expect("+OK\r\n:1\r\n")
		tracker.expect(invalidation)
		line(`"SET" "a" "2"`)
		line(`"PUBLISH" "channel" "text"`)
		subscriber.expect("*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$4\r\ntext\r\n")
		s.eventually("the change is in the file", func() bool { return s.aof.file.Buffered() == 0 })
	}
}
