package replication

// Action is something that the owner of a Node has to do. The types below are all there are.
type Action interface{ action() }

// Level is the importance of a log line.
type Level int

// The levels of Redis.
const (
	Debug Level = iota
	Verbose
	Notice
	Warning
)

type (
	// Log is a line for the log.
	Log struct {
		Level Level
		Text  string
	}
	// CloseReplica closes the connection of a replica. The owner need not call ReplicaClosed.
	CloseReplica struct {
		Replica     *Replica
		AfterOutput bool // the replica needs nothing more: bytes in the kernel's socket buffer are still sent
		OutputLimit bool // for client-output-buffer-limit; the owner logs the client
	}
	// StartJob takes a snapshot; see the head of the package.
	StartJob struct{ Job *Job }
	// CancelJob ends a job that no replica waits for. A dump on disk may continue, and replicas may join it again.
	CancelJob struct{ Job *Job }
	// SendFile feeds a replica's payload from the file that a job has made.
	SendFile struct {
		Job     *Job
		Replica *Replica
		Payload *Payload
	}
	// PayloadRoom asks the owner to go on feeding a payload: its readers have made room.
	PayloadRoom struct{ Payload *Payload }
	// PayloadDropped asks the owner to stop the goroutine that feeds a payload: its last reader has left.
	PayloadDropped struct{ Payload *Payload }
	// WaitDone answers a WAIT or WAITAOF.
	WaitDone struct {
		Waiter   *Waiter
		Local    int  // WAITAOF: 1 if our own file has it on disk
		Replicas int  // how many have acknowledged
		Unblock  bool // the role changed: answer with -UNBLOCKED
	}
	// PauseWrites stops writes, expiry and eviction: a failover is under way. ResumeWrites ends that.
	PauseWrites  struct{}
	ResumeWrites struct{}
	// RoleChanged: the server became a master, a replica, or the replica of another master. n.Master returns the new master.
	RoleChanged struct{ Replica bool }

	// Dial connects to a master.
	Dial struct{ Link *Link }
	// SendMaster sends bytes to the master.
	SendMaster struct {
		Link *Link
		Data []byte
	}
	// CloseLink closes the connection to the master, or ends its dialing. A payload that is not loaded yet is dropped; if
	// Taking was called for it, what was loaded so far is flushed.
	CloseLink struct{ Link *Link }
	// PayloadBegin begins a payload from the master.
	PayloadBegin struct {
		Link        *Link
		ID          string // the history to come; NoID of a master that answered SYNC
		Offset      int64  // where its stream begins
		Size        int64  // bytes; -1 if a mark ends it
		SameHistory bool   // our data are an older state of the same history: swapdb may serve them meanwhile
	}
	// PayloadBytes are the next bytes.
	PayloadBytes struct {
		Link *Link
		Data []byte
	}
	// PayloadComplete ends the payload.
	PayloadComplete struct{ Link *Link }
	// LinkUp begins the stream.
	LinkUp struct {
		Link *Link
		DB   int  // the database that the stream has selected
		Full bool // after a full synchronisation
	}
	// LinkDown ends the stream of a link that was up.
	LinkDown struct{ Link *Link }
)

func (Log) action()             {}
func (CloseReplica) action()    {}
func (StartJob) action()        {}
func (CancelJob) action()       {}
func (SendFile) action()        {}
func (PayloadRoom) action()     {}
func (PayloadDropped) action()  {}
func (WaitDone) action()        {}
func (PauseWrites) action()     {}
func (ResumeWrites) action()    {}
func (RoleChanged) action()     {}
func (Dial) action()            {}
func (SendMaster) action()      {}
func (CloseLink) action()       {}
func (PayloadBegin) action()    {}
func (PayloadBytes) action()    {}
func (PayloadComplete) action() {}
func (LinkUp) action()          {}
func (LinkDown) action()        {}
