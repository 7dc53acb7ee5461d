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
//	every 100 ms or oftener    n.Tick(now), and at n.Deadline if that is earlier
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
// sends the Reply if there is one. An accepted PSYNC returns no Reply: +FULLRESYNC or +CONTINUE is the first part of the
// Replica's output. From then on (Replica.Attached) the owner sends this client nothing else, and closes it if one of its
// commands has a reply. At the end of a round, or when the socket is writable again, the owner writes its output like this:
//
//	for r.Pending() {
//		bufs = r.Output(bufs[:0], 256<<10) // slices of shared chunks: writev
//		wrote, err := writev(fd, bufs)
//		r.Wrote(now, wrote)                // may be partial
//		if wrote is short { watch for writability; break }
//	}
//
// Output returns all in the order of sending: replies, newlines while waiting, the payload and its frame, the stream. When the
// client closes, call n.ReplicaClosed(now, r). When a replica sends an empty line as a keepalive, call n.ReplicaAlive(now, r).
//
// # Full synchronisation
//
//	StartJob{Job}       Take a snapshot now, in this very call if possible: then n.JobStarted(now, job), which notes the
//	                    offset; job.History goes into the aux fields. If another snapshot is in progress:
//	                    n.JobDelayed(now, job). The Node then repeats StartJob each second, and at once when the owner
//	                    calls n.SnapshotFree(now). If it failed: n.JobFailed(now, job, err).
//	  job.Streamed      A goroutine encodes; the loop appends what comes: n.PayloadData(job.Payload, data) while
//	                    job.Payload.Room() > 0 (a piece may be larger than the room); at the end n.JobDone(now, job, size,
//	                    err). Frame and mark are added by the Node.
//	  else              n.JobDone(now, job, size, err) when the file is complete. Then, once for each replica,
//	                    SendFile{Job, Replica, Payload}: open the file now; a goroutine reads it, n.PayloadData(payload,
//	                    data) while there is Room, at the end n.PayloadEnd(now, payload, err).
//	PayloadRoom         A payload whose Room was used up has room again: let its goroutine go on.
//	                    Payload.Spent returns pieces that all replicas have read, to be filled again.
//	PayloadDropped      No replica reads a payload any more that is fed from a file: stop its goroutine.
//	CancelJob           No replica waits for the job any more. A streamed job needs no JobDone. For a job that writes a
//	                    file the owner either ends it with n.JobDone(now, job, 0, err), or lets it continue: then replicas
//	                    may join it, and job.Wanted() may become true again.
//
// A BGSAVE of the server itself may serve replicas, too: the owner calls n.NewDump() at the moment of the snapshot, and
// ends the Job that it returns with n.JobDone like any other.
//
// # The link to the master
//
//	REPLICAOF           n.ReplicaOf(now, host, port), n.ReplicaOfNoOne(now)
//	Dial                Connect to link.Host, link.Port; then n.Dialed(now, link, err).
//	SendMaster          Send Data.
//	CloseLink           Close; the link is dead, and its events are ignored from then on.
//	bytes came          stream := n.Received(now, link, p). The Node consumes handshake and payload, and returns the bytes
//	                    of the stream. Parse them with the parser of this link and execute them. After each command call
//	                    n.Executed(now, link, consumed, db, inMulti): bytes that the parser took since LinkUp, the
//	                    selected database, whether a transaction is open. It moves History.Offset, and our sub-replicas
//	                    get these bytes. For REPLCONF in the stream call n.MasterReplconf before Executed.
//	connection ended    n.LinkClosed(now, link, err); garbage in the stream: n.LinkBroken(now, link, reason)
//	PayloadBegin        The first nine bytes have come and name an RDB file that we can load. Open a temporary file, or
//	                    begin to load; nothing was flushed yet. Log "MASTER <-> REPLICA sync: receiving …" here.
//	PayloadBytes        More of it.
//	PayloadComplete     It is complete. Stop reading the link until n.Loaded was called.
//	before the flush    n.Taking(now, link) right before the old data are flushed or swapped away. It drops the history and
//	                    the backlog, and disconnects sub-replicas. While the server flushes and loads, Tick sends newlines.
//	loaded or failed    stream := n.Loaded(now, link, streamDB, err); carry out the actions, then execute what it returned as
//	                    with Received; resume reading. After an error call it at once, also in the middle of the payload.
//	LinkUp              The stream continues after a partial or full synchronisation: its parser begins anew in database DB.
//	LinkDown            Drop the parser and a transaction that is not complete.
//
// # Roles
//
// On RoleChanged the owner switches what depends on the role: expiry, read-only, blocked clients. The Node already has the new
// role then. After a promotion the next change is preceded by SELECT. WaitDone.Unblock ends WAIT on a change of role.
package replication
