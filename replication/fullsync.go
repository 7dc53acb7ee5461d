package replication

// Job is one snapshot for replicas.
type Job struct {
	// Ctx is the owner's.
	Ctx any

	Streamed      bool // to the replicas' sockets as it is encoded; else into a file
	Filtered      bool // the payload has only what the next two say
	WithData      bool
	WithFunctions bool
	Version       string // what all of its replicas said by REPLCONF version; "" if one did not

	History Aux // what the aux fields say; known when JobStarted has been called
	Payload *Payload
}

// Payload is what is sent of a snapshot, to one replica or more.
type Payload struct {
	// Ctx is the owner's.
	Ctx any
}

// Room returns how many bytes may be added now.
func (p *Payload) Room() int { return 0 }

// JobStarted tells that the snapshot was taken at this moment. The offset of the history is its offset.
func (n *Node) JobStarted(now int64, j *Job) {}

// JobDelayed tells that another snapshot is in the way.
func (n *Node) JobDelayed(j *Job) {}

// JobFailed tells that the snapshot could not be taken.
func (n *Node) JobFailed(now int64, j *Job, err error) {}

// SnapshotFree tells that what stood in the way of a job has ended.
func (n *Node) SnapshotFree(now int64) {}

// NewDump tells that a dump is being made for the server's own sake, of the data of this moment.
func (n *Node) NewDump(now int64) *Job { return nil }

// JobDone tells that all of the payload was encoded: size bytes.
func (n *Node) JobDone(now int64, j *Job, size int64, err error) {}

// PayloadData adds bytes to a payload. The slice is kept, and must not be changed any more.
func (n *Node) PayloadData(p *Payload, data []byte) {}

// PayloadEnd tells that a payload that is fed from a file is complete.
func (n *Node) PayloadEnd(now int64, p *Payload, err error) {}
