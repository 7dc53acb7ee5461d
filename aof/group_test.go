package aof

import (
	"fmt"
	"sync/atomic"
	"testing"

	"ferrous/rdb/vfs"
)

// BenchmarkGroupCommit is the measurement behind the choice in flush.go: 50 clients that each wait for their reply before
// they send again, one loop, and an fsync on the real disk before the replies, done by the loop itself or by a goroutine
// that hands back while the loop takes the next requests. The figure is the time a request.
func BenchmarkGroupCommit(b *testing.B) {
	const clients = 50
	for _, behind := range []bool{false, true} {
		b.Run(fmt.Sprintf("goroutine=%v", behind), func(b *testing.B) {
			f, err := vfs.OS{}.Append(b.TempDir() + "/f")
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			requests := make(chan chan struct{}, clients)
			var left atomic.Int64
			left.Store(int64(b.N))
			for range clients {
				go func() {
					reply := make(chan struct{}, 1)
					for left.Add(-1) >= 0 {
						requests <- reply
						<-reply
					}
				}()
			}
			cmd := []byte(command("SET", "key:000000012345", "0123456789abcdef"))
			served := 0
			var waiting, flying []chan struct{}
			var buf []byte
			synced := make(chan struct{}, 1)
			answer := func(to []chan struct{}) {
				for _, c := range to {
					c <- struct{}{}
				}
				served += len(to)
			}
			commit := func() {
				f.Write(buf)
				buf = buf[:0]
				if !behind {
					f.Sync()
					answer(waiting)
					waiting = waiting[:0]
					return
				}
				flying, waiting = waiting, flying[:0]
				go func() {
					f.Sync()
					synced <- struct{}{}
				}()
			}
			b.ResetTimer()
			for served < b.N {
				select {
				case c := <-requests:
					buf, waiting = append(buf, cmd...), append(waiting, c)
					for more := true; more; { // a round takes what is there
						select {
						case c := <-requests:
							buf, waiting = append(buf, cmd...), append(waiting, c)
						default:
							more = false
						}
					}
				case <-synced:
					answer(flying)
					flying = flying[:0]
				}
				if len(waiting) > 0 && len(flying) == 0 {
					commit()
				}
			}
		})
	}
}
