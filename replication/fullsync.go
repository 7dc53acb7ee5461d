package replication

// A Job is one snapshot that replicas wait for. It ends in the sockets of its members (Streamed), all of which read one
// Payload as it is encoded, or in a file, which each member then reads by a Payload of its own, at its own pace.
//
//	asked     StartJob was given out; the owner may have to wait for another snapshot
//	running   the snapshot was taken. The offset of the history at this moment is the job's; its members hold the
//	          stream from there on in the backlog
//	gone      JobDone or JobFailed was called, or all members of a streamed job have left
//
// There is one job at a time, and beside it at most one BGSAVE of the server itself, which replicas may join, too. A replica
// may join a job that writes a file while the backlog still covers the job's offset. The stream after it begins with
// SELECT, as after every snapshot.
//
// A Payload keeps what its slowest reader has not read. Its producer waits while that is payloadRoom or more.

import (
	"errors"
	"fmt"
)

// Job is one snapshot for replicas.
type Job struct {
	// Ctx is the owner's.
	Ctx any

	Streamed      bool   // to the replicas' sockets as it is encoded; else into a file
	Filtered      bool   // the payload has no keys, and functions only if WithFunctions
	WithFunctions bool   //
	Version       string // REPLCONF version of all members; "" if they differ or sent none

	// History goes into the aux fields of the payload. JobStarted sets it.
	History Aux
	// Payload receives the bytes of a streamed job. JobStarted sets it.
	Payload *Payload

	members []*Replica
	running bool
	mark    string
}

// Members returns the replicas that wait for the job.
func (j *Job) Members() []*Replica { return j.members }

// Payload is what is sent of a snapshot, to one replica or more.
type Payload struct {
	// Ctx is the owner's.
	Ctx any

	Chunks
	size    int64 // what was announced; -1: a mark ends it
	ended   bool
	full    bool // Room was 0: the producer waits for PayloadRoom
	readers []*Replica
}

const (
	// payloadRoom is how much of a payload waits for its slowest reader.
	payloadRoom = 4 << 20
	payloadTrim = 64
)

func newPayload(size int64) *Payload {
	p := &Payload{size: size}
	p.init(0, minChunk)
	p.keep = true
	return p
}

// Spent returns a slice that PayloadData was given and that all readers have read, without its bytes; nil if there is none. The
// producer may fill it again.
func (p *Payload) Spent() []byte {
	k := len(p.spent) - 1
	if k < 0 {
		return nil
	}
	b := p.spent[k]
	p.spent[k] = nil
	p.spent = p.spent[:k]
	return b
}

// Room returns how many bytes the producer may add before the slowest reader has read more. The last piece may be larger.
// At 0 the producer waits for the action PayloadRoom.
func (p *Payload) Room() int {
	return max(payloadRoom-int(p.end-p.start()), 0)
}

// startJobs asks for a snapshot if replicas wait for one.
func (n *Node) startJobs(now int64) {
	if n.job != nil || now < n.busyUntil {
		return
	}
	var first *Replica
	var members []*Replica
	s := &n.Settings
	start := !s.Diskless || s.DisklessDelay == 0
	eof := true
	for _, r := range n.replicas {
		if r.State != WaitStart {
			continue
		}
		if first == nil {
			first = r
		}
		if r.Filtered != first.Filtered || r.WithFunctions != first.WithFunctions {
			continue
		}
		members = append(members, r)
		streams := r.EOF && !r.old
		eof = eof && streams
		start = start || !streams || now-r.since >= s.DisklessDelay*1000
	}
	if first == nil || !start && (s.DisklessMaxReplicas == 0 || len(members) < s.DisklessMaxReplicas) {
		return
	}
	j := &Job{Streamed: first.Filtered || s.Diskless && eof, Filtered: first.Filtered, WithFunctions: first.WithFunctions,
		Version: first.Version, members: members}
	for _, r := range members {
		if r.Version != j.Version {
			j.Version = ""
		}
	}
	n.job = j
	n.do(StartJob{j})
}

// JobStarted notes the history's offset as the job's. The owner calls it at the moment of the snapshot.
func (n *Node) JobStarted(now int64, j *Job) {
	if n.job != j {
		n.do(CancelJob{j})
		return
	}
	target := "disk"
	if j.Streamed {
		target = "replicas sockets"
		j.mark = n.opt.NewID()
		j.Payload = newPayload(-1)
		j.Payload.own([]byte("$EOF:" + j.mark + "\r\n"))
	}
	n.logf(Notice, "Starting BGSAVE for SYNC with target: %s", target)
	n.begin(j)
	for _, r := range j.members {
		n.setUp(now, r, j)
	}
}

// begin notes the history of a job at the moment of its snapshot. On a master the next command is preceded by SELECT.
func (n *Node) begin(j *Job) {
	j.running = true
	if n.IsReplica() {
		j.History = Aux{n.History.ID, n.History.Offset, n.streamDB}
		return
	}
	j.History = Aux{n.History.ID, n.History.Offset, 0}
	n.selected = -1
}

// setUp makes a replica a member that waits for the end of a running job.
func (n *Node) setUp(now int64, r *Replica, j *Job) {
	r.State = WaitEnd
	r.newline, r.progress = now, now
	if !r.old {
		r.say(fmt.Sprintf("+FULLRESYNC %s %d\r\n", j.History.ID, j.History.Offset))
	}
	if !r.RDBOnly {
		r.stream = n.Backlog.reader(j.History.Offset)
	}
	if j.Streamed {
		r.read(j.Payload)
	}
}

func (r *Replica) read(p *Payload) {
	r.payload = p
	r.reading = p.at(p.start())
	p.readers = append(p.readers, r)
}

// Wanted reports whether replicas wait for the job.
func (j *Job) Wanted() bool { return len(j.members) > 0 }

// joinable returns a job that a replica may join, or nil.
func (n *Node) joinable(r *Replica) *Job {
	if r.Filtered {
		return nil
	}
	for _, j := range [...]*Job{n.job, n.dump} {
		if j != nil && j.running && !j.Streamed && !j.Filtered && (j.Version == "" || j.Version == r.Version) &&
			j.History.ID == n.History.ID && (r.RDBOnly || n.Backlog.covers(j.History.Offset+1)) {
			return j
		}
	}
	return nil
}

// JobDelayed puts a job off for a second. The owner calls it when another snapshot is in progress.
func (n *Node) JobDelayed(now int64, j *Job) {
	if n.job != j {
		return
	}
	n.job = nil
	if n.busyUntil == 0 {
		n.logf(Notice, "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed")
	}
	n.busyUntil = now + 1000
}

// SnapshotFree retries a delayed job at once. The owner calls it when the other snapshot has ended.
func (n *Node) SnapshotFree(now int64) {
	n.busyUntil = 0
	n.startJobs(now)
}

// JobFailed disconnects the replicas of a job. The owner calls it when the snapshot could not be taken.
func (n *Node) JobFailed(now int64, j *Job, err error) {
	if n.job != j {
		return
	}
	n.logf(Warning, "BGSAVE for replication failed: %v", err)
	n.job = nil
	n.failMembers(now, j)
}

// NewDump returns the job of a BGSAVE of the server itself. The owner calls it at the moment of the snapshot.
func (n *Node) NewDump() *Job {
	j := new(Job)
	n.begin(j)
	n.dump = j
	return j
}

// JobDone ends a job. The owner calls it when the payload is encoded (size bytes) or has failed (err).
func (n *Node) JobDone(now int64, j *Job, size int64, err error) {
	switch j {
	case n.job:
		n.job = nil
	case n.dump:
		n.dump = nil
	default:
		return
	}
	n.busyUntil = 0
	if err != nil {
		n.logf(Warning, "SYNC failed. BGSAVE child returned an error")
		n.failMembers(now, j)
		n.startJobs(now)
		return
	}
	members := j.members
	j.members = nil
	if p := j.Payload; p != nil {
		n.logf(Notice, "Diskless rdb transfer, done reading from pipe, %d replicas still up.", len(members))
		p.own([]byte(j.mark))
		p.ended = true
		for _, r := range members {
			n.payloadRead(now, r)
		}
	} else {
		for _, r := range members {
			r.State = SendBulk
			r.progress = now
			r.say(fmt.Sprintf("$%d\r\n", size))
			p := newPayload(size)
			r.read(p)
			n.do(SendFile{Job: j, Replica: r, Payload: p})
		}
	}
	n.startJobs(now)
}

// failMembers closes the connections of the replicas that waited for a job.
func (n *Node) failMembers(now int64, j *Job) {
	members := j.members
	j.members = nil
	for _, r := range members {
		n.do(CloseReplica{Replica: r})
		n.forget(now, r)
	}
}

// leaveJob removes a replica from its job. A streamed job without members is cancelled. A job that writes a file remains, and
// can be joined, until the owner ends it.
func (n *Node) leaveJob(r *Replica) {
	for _, j := range [...]*Job{n.job, n.dump} {
		if j == nil {
			continue
		}
		for i, m := range j.members {
			if m != r {
				continue
			}
			j.members = append(j.members[:i:i], j.members[i+1:]...)
			if len(j.members) > 0 || j == n.dump {
				return
			}
			if !j.running || j.Streamed {
				n.job = nil
			}
			if j.running && j.Streamed {
				n.logf(Warning, "Diskless rdb transfer, last replica dropped, killing fork child.")
			}
			n.do(CancelJob{j})
			return
		}
	}
}

// PayloadData adds bytes to a payload. The slice is kept, and must not be changed until Spent returns it.
func (n *Node) PayloadData(p *Payload, data []byte) {
	if len(p.readers) == 0 || p.ended {
		return
	}
	p.own(data)
	p.full = p.Room() == 0
}

// PayloadEnd ends a payload that is fed from a file. The owner calls it when the whole file was added, or reading it failed.
func (n *Node) PayloadEnd(now int64, p *Payload, err error) {
	if len(p.readers) == 0 || p.ended {
		return
	}
	if err == nil && p.end != p.size {
		err = errors.New("premature EOF")
	}
	r := p.readers[0]
	if err != nil {
		n.logf(Warning, "Read error sending DB to replica: %v", err)
		n.do(CloseReplica{Replica: r})
		n.forget(now, r)
		return
	}
	p.ended = true
	n.payloadRead(now, r)
}

// payloadRead is called when a replica has read of its payload, or when the payload has ended. A replica that has read all
// of it becomes online.
func (n *Node) payloadRead(now int64, r *Replica) {
	p := r.payload
	if r.reading.pos < p.end || !p.ended {
		r.reading.settle()
		n.payloadMoved(p)
		return
	}
	r.leavePayload(n)
	if p.size < 0 && !r.RDBOnly {
		r.awaitAck = true
		n.logf(Notice, "Streamed RDB transfer with replica %s succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming", r.Name())
	}
	n.putOnline(now, r)
}

// payloadMoved frees what all readers have read, and wakes a waiting producer once half of the room is free.
func (n *Node) payloadMoved(p *Payload) {
	p.trim(p.end, payloadTrim)
	if p.full && p.Room() >= payloadRoom/2 && !p.ended {
		p.full = false
		n.do(PayloadRoom{p})
	}
}

// leavePayload removes a replica from the readers of its payload.
func (r *Replica) leavePayload(n *Node) {
	p := r.payload
	if p == nil {
		return
	}
	r.reading.close()
	r.payload = nil
	for i, other := range p.readers {
		if other == r {
			p.readers = append(p.readers[:i:i], p.readers[i+1:]...)
			break
		}
	}
	switch {
	case len(p.readers) > 0:
		n.payloadMoved(p)
	case !p.ended && p.size >= 0:
		n.do(PayloadDropped{p})
	}
}
