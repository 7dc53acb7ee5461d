package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"ferrous/commands/config"
	"ferrous/commands/progress"
	"ferrous/datatypes/keyspace"
	"ferrous/rdb"
	"ferrous/replication"
)

// The master's side of replication: connections of replicas, and snapshots for them.
//
// # Connections
//
// A client that sends REPLCONF, PSYNC or SYNC gets a replication.Replica (Client.replica). Once it has asked for the stream it is
// attached: its output comes from the Replica, by a Source of its connection, and nothing else is sent to it. A reply that a
// command makes all the same ends the connection, since it would stand in the middle of the stream.
//
// # Snapshots
//
// A payload is a snapshot that a goroutine encodes. One that is streamed is sent to the replicas while it is encoded: the
// goroutine takes no more than Payload.Room allows and then waits (streamedDump), so that a slow replica holds the snapshot
// and not memory for its encoded form. Otherwise it is a background save, as BGSAVE makes it, whose file is then read for
// each replica. Any background save serves replicas that come while it runs.

// replicaSource is the output of a replica's connection.
type replicaSource struct {
	s *Server
	r *replication.Replica
}

// outputOnce is how many bytes are written to a replica at once.
const outputOnce = 256 << 10

// Next implements eventloop.Source.
func (o *replicaSource) Next(bufs [][]byte) [][]byte {
	if !o.r.Pending() {
		return bufs
	}
	return o.r.Output(bufs, outputOnce)
}

// Wrote implements eventloop.Source.
func (o *replicaSource) Wrote(n int) {
	o.s.stats.replOut += int64(n)
	o.r.Wrote(o.s.replNow(), n)
	o.s.act()
}

// attached reports whether the client gets the stream.
func (c *Client) attached() bool { return c.replica != nil && c.replica.Attached() }

// asReplica returns the client's Replica, made on demand.
func (c *Client) asReplica() *replication.Replica {
	if c.replica == nil {
		c.replica = c.srv.sync.node.NewReplica(c, remoteIP(c))
	}
	return c.replica
}

// attach has the client's connection written to by its Replica from now on.
func (s *Server) attach(c *Client) {
	if !c.attached() || c.source {
		return
	}
	c.source = true
	s.account(c)
	if s.Config.ReplDisableTCPNodelay {
		c.conn.SetNoDelay(false)
	}
	c.conn.SetSource(&replicaSource{s, c.replica})
	s.account(c)
	s.sortClient(c)
	s.loop.RequestFlush()
}

// closeReplica closes a replica's connection.
func (s *Server) closeReplica(a replication.CloseReplica) {
	c := a.Replica.Ctx.(*Client)
	if a.OutputLimit {
		s.Logf(config.LogWarning, "Client %s scheduled to be closed ASAP for overcoming of output buffer limits.", c.describe())
		s.stats.outputBufDisconnections++
	}
	c.replica, c.source = nil, false
	if c.conn.Closing() {
		return
	}
	if a.AfterOutput {
		c.closeAfterReply()
		c.conn.SetSource(nil)
		c.conn.CloseAfterSend()
		return
	}
	s.doom(c)
}

// replicaGone is called when a client has left the registry.
func (s *Server) replicaGone(c *Client) {
	if r := c.replica; r != nil {
		c.replica = nil
		s.sync.node.ReplicaClosed(s.replNow(), r)
		s.act()
	}
}

// replicaSpoke is called when an attached replica has sent something without a command in it: empty lines.
func (s *Server) replicaSpoke(c *Client) {
	s.sync.node.ReplicaAlive(s.replNow(), c.replica)
	s.act()
}

// flushReplicas writes to replicas what they have not got yet. It comes at the end of a round.
func (s *Server) flushReplicas() {
	n := s.sync.node
	if len(n.Replicas()) == 0 {
		return
	}
	n.EndRound(s.replNow())
	s.act()
	for _, r := range n.Replicas() {
		if c := r.Ctx.(*Client); r.Pending() && !c.conn.Closing() {
			c.conn.Pull()
		}
	}
}

// streamMemory returns the bytes of the stream that are kept as the backlog, and those beyond its size that are kept for replicas
// which have not got them yet.
func (s *Server) streamMemory() (backlog, behind int64) {
	all := s.sync.node.Backlog.Memory()
	if size := s.Config.ReplBacklogSize; all > size && len(s.sync.node.Replicas()) > 0 {
		return size, all - size
	}
	return all, 0
}

// countedStream returns how many bytes of the stream count for maxmemory, and how many do not: what is beyond the backlog's size,
// with replicas that need it or since they left, until it has been freed.
func (s *Server) countedStream() (counted, beyond int) {
	all := s.sync.node.Backlog.Memory()
	counted = int(min(all, s.Config.ReplBacklogSize))
	return counted, int(all) - counted
}

// startJob takes a snapshot for replicas.
func (s *Server) startJob(j *replication.Job) {
	n := s.sync.node
	if s.pendingOps.open || s.busy.on || s.persist.loading != nil || s.busyWithSnapshot() && !j.Filtered {
		n.JobDelayed(s.replNow(), j)
		return
	}
	if !j.Streamed {
		if err := s.saveInBackground(j); err != nil {
			n.JobFailed(s.replNow(), j, err)
		}
		return
	}
	var snap *keyspace.Snapshot
	var err error
	if j.Filtered {
		snap = keyspace.New(1, 1).Live()
	} else if snap, err = s.snapshot(); err != nil {
		n.JobFailed(s.replNow(), j, err)
		return
	}
	n.JobStarted(s.replNow(), j)
	s.streamDump(j, snap)
}

// streamedDump is a payload in the making. The goroutine that encodes it waits while there is no room for more. It shares
// no lock with the loop, which would wait for the goroutine's thread where other processes have the processors.
type streamedDump struct {
	job   *replication.Job
	snap  *keyspace.Snapshot
	size  int64 // bytes that the payload was given
	taken int64 // bytes that have come to the loop

	handed int64 // bytes that the goroutine has handed over

	limit atomic.Int64  // that handed may reach: taken, and the room of the payload
	ended atomic.Bool   // the payload is not wanted any more
	wake  chan struct{} // limit or ended has changed
	free  chan []byte   // pieces that the replicas have read: a payload of any size makes no garbage to speak of
}

// freePieces is more than there are pieces in a payload's room.
const freePieces = 64

// begin allows the goroutine to hand over as much as there is room for.
func (d *streamedDump) begin(p *replication.Payload) {
	d.wake, d.free = make(chan struct{}, 1), make(chan []byte, freePieces)
	d.makeRoom(p, 0)
}

var errDropped = errors.New("nobody waits for the payload any more")

// streamDump begins to encode a snapshot for replicas.
func (s *Server) streamDump(j *replication.Job, snap *keyspace.Snapshot) {
	d := &streamedDump{job: j, snap: snap}
	d.begin(j.Payload)
	j.Ctx, j.Payload.Ctx = d, d
	s.sync.streamed = d
	s.Logf(config.LogNotice, "Background RDB transfer started by pid %d", os.Getpid())
	o := s.saveOptions()
	o.History = &rdb.History{DB: j.History.StreamDB, ID: j.History.ID, Offset: j.History.Offset}
	o.Lowest = max(rdb.VersionFor(s.Keyspace), s.sync.lowest)
	o.Stop = d.stopped
	if j.Filtered && !j.WithFunctions {
		o.Functions = nil
	}
	meter, total := s.meter("Sending the data to replicas"), int64(snap.Len())
	o.OnProgress = func(keys, bytes int64) error { meter.At(keys, total, bytes); return nil }
	s.crash.Go(func() {
		err := rdb.Save(&dumpWriter{s, d}, snap, &o)
		meter.End()
		s.loop.Post(func() { s.streamedDumpDone(d, err) })
	})
}

// stopped returns errDropped once the payload is not wanted any more.
func (d *streamedDump) stopped() error {
	if d.ended.Load() {
		return errDropped
	}
	return nil
}

// end makes the goroutine end.
func (d *streamedDump) end() {
	d.ended.Store(true)
	d.wakeUp()
}

// wakeUp ends a wait of the goroutine, the present one or the next.
func (d *streamedDump) wakeUp() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// makeRoom allows the goroutine to hand over more. The loop calls it, after taken bytes have come to it.
func (d *streamedDump) makeRoom(p *replication.Payload, taken int) {
	d.taken += int64(taken)
	for b := p.Spent(); b != nil; b = p.Spent() {
		select {
		case d.free <- b:
		default:
		}
	}
	if limit := d.taken + int64(p.Room()); limit > d.limit.Load() {
		d.limit.Store(limit)
		d.wakeUp()
	}
}

// piece waits until there is room, and returns a buffer of most bytes or less to fill and to hand over; nil when the payload is not
// wanted any more. The goroutine calls it.
func (d *streamedDump) piece(most int) []byte {
	for d.limit.Load() <= d.handed && !d.ended.Load() {
		<-d.wake
	}
	if d.ended.Load() {
		return nil
	}
	n := min(most, outputOnce, int(d.limit.Load()-d.handed))
	d.handed += int64(n)
	for {
		select {
		case b := <-d.free:
			if cap(b) >= n {
				return b[:n]
			}
		default:
			return make([]byte, n)
		}
	}
}

// dumpWriter hands what is written to it to the loop, as there is room.
type dumpWriter struct {
	s *Server
	d *streamedDump
}

// Write implements io.Writer, in the goroutine that encodes.
func (w *dumpWriter) Write(b []byte) (int, error) {
	d := w.d
	for done := 0; done < len(b); {
		data := d.piece(len(b) - done)
		if data == nil {
			return done, errDropped
		}
		done += copy(data, b[done:])
		w.s.loop.Post(func() { w.s.payloadData(d, data) })
	}
	return len(b), nil
}

// payloadData gives the node what was encoded.
func (s *Server) payloadData(d *streamedDump, data []byte) {
	if d.stopped() == nil {
		s.sync.node.PayloadData(d.job.Payload, data)
		d.size += int64(len(data))
		s.act()
		s.flushReplicas()
	}
	d.makeRoom(d.job.Payload, len(data))
}

// cancelStreamed ends the making of a payload of keys that have all been deleted. Its replicas are disconnected when the
// goroutine has ended, and synchronize again.
func (s *Server) cancelStreamed() {
	if d := s.sync.streamed; d != nil && !d.job.Filtered && d.stopped() == nil {
		s.Logf(config.LogNotice, "All keys were deleted: the transfer to replicas is canceled. They get another one.")
		d.end()
	}
}

// streamedDumpDone ends a payload whose goroutine has ended.
func (s *Server) streamedDumpDone(d *streamedDump, err error) {
	if err == nil {
		err = d.stopped() // the loop has dropped what came after the end
	}
	var version *rdb.VersionError
	if errors.As(err, &version) {
		s.sync.lowest = version.Need
		s.Logf(config.LogWarning, "The data need RDB version %d, and the payload was begun in version %d. Replicas are given another one.", version.Need, version.Have)
	}
	d.end()
	d.snap.Release()
	s.sync.streamed = nil
	s.sync.node.JobDone(s.replNow(), d.job, d.size, err)
	s.act()
	s.snapshotFree()
	s.flushReplicas()
}

// snapshotFree is called when a snapshot has been released.
func (s *Server) snapshotFree() {
	s.sync.node.SnapshotFree(s.replNow())
	s.act()
}

// payloadRoom has the goroutine of a payload go on.
func (s *Server) payloadRoom(p *replication.Payload) {
	switch d := p.Ctx.(type) {
	case *streamedDump:
		d.makeRoom(p, 0)
	case *sentFile:
		d.makeRoom(p, 0)
	}
}

// payloadDropped ends the goroutine of a payload that nobody reads.
func (s *Server) payloadDropped(p *replication.Payload) {
	switch d := p.Ctx.(type) {
	case *streamedDump:
		d.end()
	case *sentFile:
		d.end()
	}
}

// cancelJob ends a snapshot that no replica waits for. A background save continues if save points need one.
func (s *Server) cancelJob(j *replication.Job) {
	switch d := j.Ctx.(type) {
	case *streamedDump:
		d.end()
	case *saving:
		if len(s.Config.Save) == 0 && d.forReplicas && s.persist.saving == d && !j.Wanted() {
			s.sync.node.JobDone(s.replNow(), j, 0, errCanceled)
			s.cancelSave()
		}
	}
}

// dumpDone gives the file of a background save to the replicas that wait for it.
func (s *Server) dumpDone(b *saving) {
	var size int64
	err := b.err
	b.file = nil
	if err == nil {
		var f *os.File
		if f, err = os.Open(s.dumpPath()); err == nil {
			var info os.FileInfo
			if info, err = f.Stat(); err == nil {
				size = info.Size()
			}
			b.file = &sharedFile{f: f, users: 1}
		}
	}
	s.sync.node.JobDone(s.replNow(), b.job, size, err)
	s.act()
	b.file.release()
	s.removeSyncFile(b)
}

// removeSyncFile is rdb-del-sync-files: a dump that was made for replicas only does not stay where nothing is to be kept.
func (s *Server) removeSyncFile(b *saving) {
	if b.forReplicas && b.err == nil && s.Config.RDBDelSyncFiles && len(s.Config.Save) == 0 && !s.Config.AppendOnly {
		s.Logf(config.LogNotice, "Removing the RDB file %s used to feed replicas in a persistence-less instance", s.Config.DBFilename)
		os.Remove(s.dumpPath())
	}
}

// sharedFile is a file that some goroutines read.
type sharedFile struct {
	f     *os.File
	users int
}

func (f *sharedFile) release() {
	if f == nil {
		return
	}
	if f.users--; f.users == 0 {
		f.f.Close()
	}
}

// sentFile is a file that is read for one replica.
type sentFile struct {
	streamedDump
	payload *replication.Payload
	file    *sharedFile
}

// sendFile begins to read a dump for a replica.
func (s *Server) sendFile(a replication.SendFile) {
	b, ok := a.Job.Ctx.(*saving)
	if !ok || b.file == nil {
		s.sync.node.PayloadEnd(s.replNow(), a.Payload, fmt.Errorf("the dump is not there"))
		return
	}
	d := &sentFile{payload: a.Payload, file: b.file}
	d.begin(a.Payload)
	a.Payload.Ctx = d
	d.file.users++
	meter := s.meter("Sending the dump to a replica")
	s.crash.Go(func() {
		err := d.read(s, meter)
		meter.End()
		s.loop.Post(func() {
			d.file.release()
			s.sync.node.PayloadEnd(s.replNow(), d.payload, err)
			s.act()
			s.flushReplicas()
		})
	})
}

// read hands the file to the loop, as there is room.
func (d *sentFile) read(s *Server, meter *progress.Meter) error {
	size := int64(-1)
	if info, err := d.file.f.Stat(); err == nil {
		size = info.Size()
	}
	for at := int64(0); ; {
		data := d.piece(outputOnce)
		if data == nil {
			return errDropped
		}
		n := len(data)
		m, err := d.file.f.ReadAt(data, at)
		at += int64(m)
		meter.Bytes(at, size)
		data = data[:m]
		s.loop.Post(func() {
			if d.stopped() == nil && len(data) > 0 {
				s.sync.node.PayloadData(d.payload, data)
				s.act()
				s.flushReplicas()
			}
			d.makeRoom(d.payload, n)
		})
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
