// Package replication is both sides of Redis's replication as a pure state machine: events and time go in, actions come
// out. It has no clock, socket, disk or goroutine of its own, so that tests/simulation can run many servers in one process.
// The server that owns a Node (the owner) carries out the actions.
//
// # Terms
//
// A history is a sequence of bytes, named by its replid (40 hex digits); an offset counts them. The stream is these bytes:
// commands as RESP arrays. The backlog is the newest part of the stream in memory. A payload is the RDB file of a full
// synchronisation. A Replica is a connection that asked us for the stream; a Link is our connection to our own master.
//
// # Files
//
//	history.go   History: replid, replid2, offset; how they change with the role, and over a restart
//	chunks.go    Chunks: an append-only byte sequence that many cursors read; Cursor
//	backlog.go   Backlog: Chunks that are the stream; what may be continued, what may be freed
//	node.go      Node, Settings, Options: the server as a whole; roles; Tick; the stream that a master makes
//	actions.go   all that a Node asks of its owner
//	replica.go   Replica: the connections of replicas, their states, their output
//	replconf.go  REPLCONF in all forms
//	psync.go     PSYNC and SYNC: partial or full
//	fullsync.go  Job and Payload: snapshots for replicas, and how they are sent
//	wait.go      WAIT and WAITAOF, min-replicas-to-write, replicas that lag at shutdown
//	failover.go  FAILOVER
//	link.go      Link: the connection to the master, handshake, stream
//	transfer.go  the payload as it comes in
//
// # How the owner drives a Node
//
// All methods are called on the loop. now is Unix time in ms and should not run backwards. After each call (but Feed, which
// needs none) the owner calls Take and carries out the actions in order, until Take returns nothing. While it carries them out
// it may call what an action asks for (JobStarted, Dialed …): what comes of it is in the next Take. Slices in actions are valid
// until the actions are carried out.
//
//	every 100 ms or oftener    n.Tick(now); n.Deadline tells when earlier
//	at the end of a round      n.EndRound(now); flush the append-only file; then write to replicas (below)
//	a change, a PUBLISH        n.Feed(db, argv); MULTI and EXEC have database -1. A replica ignores it. Without a
//	                           backlog it only counts
//	an fsync of the AOF        n.Fsynced(now, offset)
//	CONFIG SET                 change n.Settings in place, then n.SettingsChanged(now)
//	start                      n.Restore(now, aux, asReplica) after a dump was loaded; n.Boot(now, host, port) if the
//	                           configuration names a master
//	a dump                     n.Aux() goes into its aux fields
//
// # Replicas
//
// A client that sends REPLCONF, PSYNC or SYNC gets a Replica (n.NewReplica); its dispatcher hands the arguments over and
// sends the Reply if there is one. An accepted PSYNC replies nothing itself: the bytes are in the Replica's output, in front
// of what follows. From then on (Replica.Attached) the owner sends this client nothing else, closes it if it makes a
// reply to anything, and writes its output like this, at the end of a round or when the socket is writable again:
//
//	for r.Pending() {
//		bufs = r.Output(bufs[:0], 256<<10) // slices of shared chunks: writev
//		wrote, err := writev(fd, bufs)
//		r.Wrote(now, wrote)                // may be partial
//		if wrote is short { watch for writability; break }
//	}
//
// Output gives everything in its order: replies, newlines while waiting, the payload and its frame, the stream. For a
// client that closes: n.ReplicaClosed(now, r). Empty lines that a replica sends are life: n.ReplicaAlive(now, r).
//
// # Full synchronisation
//
//	StartJob{Job}       Take a snapshot now, in this very call if possible: then n.JobStarted(now, job), which notes the
//	                    offset; job.History goes into the aux fields. Another snapshot is in the way: n.JobDelayed(now,
//	                    job); it is asked for again each second, and when n.SnapshotFree(now) tells that it is out of the
//	                    way. It failed: n.JobFailed(now, job, err).
//	  job.Streamed      A goroutine encodes; the loop appends what comes: n.PayloadData(job.Payload, data) while
//	                    job.Payload.Room() > 0 (a piece may be larger than the room); at the end n.JobDone(now, job, size,
//	                    err). Frame and mark are added by the Node.
//	  else              n.JobDone(now, job, size, err) when the file is complete. Then, once for each replica,
//	                    SendFile{Job, Replica, Payload}: open the file now; a goroutine reads it, n.PayloadData(payload,
//	                    data) while there is Room, at the end n.PayloadEnd(now, payload, err).
//	PayloadRoom         A payload whose Room was used up has room again: let its goroutine go on.
//	PayloadDropped      Nobody reads a payload that is read from a file any more.
//	CancelJob           Nobody waits for a job any more. JobDone need not be called for a streamed one; of one that writes a
//	                    dump n.JobDone(now, job, 0, err) tells that it ends, unless it is to go on and job.Wanted() may
//	                    become true again.
//
// A dump that the server makes for itself may serve replicas, too: n.NewDump() in the moment of its snapshot gives a Job
// that is ended by n.JobDone like any other.
//
// # The link to the master
//
//	REPLICAOF           n.ReplicaOf(now, host, port), n.ReplicaOfNoOne(now)
//	Dial                Connect to link.Host, link.Port; then n.Dialed(now, link, err).
//	SendMaster          Send Data.
//	CloseLink           Close; the link is dead, and its events are ignored from then on.
//	bytes came          stream := n.Received(now, link, p). Handshake and payload are eaten; what is returned is stream:
//	                    parse it with the parser of this link, execute, and after each command tell n.Executed(now, link,
//	                    consumed, db, inMulti): bytes that the parser took since LinkUp, the database that is selected,
//	                    whether a transaction is open. History.Offset moves then, and our own replicas get these bytes.
//	                    REPLCONF in the stream goes to n.MasterReplconf before Executed.
//	connection ended    n.LinkClosed(now, link, err); garbage in the stream: n.LinkBroken(now, link, reason)
//	PayloadBegin        The first nine bytes have come and name an RDB file that we can load. Open a temporary file, or
//	                    begin to load; nothing was flushed yet. Log "MASTER <-> REPLICA sync: receiving …" here.
//	PayloadBytes        More of it.
//	PayloadComplete     It is complete. Stop reading the link until n.Loaded was called.
//	before data go      n.Taking(now, link) right before the old data are flushed or swapped away: history, backlog and own
//	                    replicas end here. While it flushes and loads, Tick sends newlines.
//	loaded or not       stream := n.Loaded(now, link, streamDB, err); execute what it returns, after the actions, as with
//	                    Received; go on reading. An error in the middle of the payload may be told at once.
//	LinkUp              The stream goes on after a partial or full synchronisation: its parser begins anew in database DB.
//	LinkDown            Drop parser and half transactions.
//
// # Roles
//
// RoleChanged tells the owner to switch what depends on the role: expiry, read-only, blocked clients. It comes after the Node
// has changed. A promotion re-emits SELECT with the next change. WaitDone.Unblock ends WAIT on a change of role.
package replication
