#compdef ferrous
# Written by packaging/mkdocs; change that and run make docs.
_arguments -S \
  '--check-aof[look at an append-only file]' \
  '--check-rdb[look at a snapshot]' \
  '--fix[with --check-aof\: cut off what is wrong]' \
  '--help[print the forms of the command line]' \
  '--ping[is the server ready?]' \
  '--truncate-to-timestamp[with --check-aof\: cut off what is younger]' \
  '--version[print the version]' \
  '--acl-pubsub-default[The channels that a new user may use\: none (resetchannels) or all (allchannels)]:value:(allchannels resetchannels)' \
  '--aclfile[The file of the users, instead of user lines in the configuration file]:value:_files' \
  '--acllog-max-len[How many refused attempts ACL LOG remembers]:value:_files' \
  '--always-show-logo[Writes the banner to the log also where that is no terminal]:value:(yes no)' \
  '--aof-disable-auto-gc[Keeps append-only files that are no longer needed]:value:(yes no)' \
  '--aof-load-truncated[Loads an append-only file whose last command was cut off by a crash, without that command]:value:(yes no)' \
  '--aof-rewrite-incremental-fsync[Forces the file of a rewrite to disk in steps while it is written]:value:(yes no)' \
  '--aof-timestamp-enabled[Notes the time in the append-only file, so that --check-aof can cut it at a moment]:value:(yes no)' \
  '--aof-use-rdb-preamble[Writes the base of a rewritten append-only file as a snapshot instead of commands]:value:(yes no)' \
  '--appenddirname[The folder of the append-only files in dir]:value:_files' \
  '--appendfilename[The first part of the names of the append-only files]:value:_files' \
  '--appendfsync[When the append-only file is forced to disk\: before each reply (always), once a second (everysec), or when the system likes (no)]:value:(everysec always no)' \
  '--appendonly[Logs every write in the append-only file, which is loaded at the start instead of the snapshot]:value:(yes no)' \
  '--auto-aof-rewrite-min-size[The size below which the append-only file is not rewritten by itself]:value:_files' \
  '--auto-aof-rewrite-percentage[Rewrites the append-only file when it has grown by this many per cent since the last time]:value:_files' \
  '--bind[The addresses to listen on]:value:_files' \
  '--bind-source-addr[The local address of connections that the server opens, as to its master]:value:_files' \
  '--busy-reply-threshold[After how many milliseconds a script counts as busy\: other clients get BUSY, and SCRIPT KILL ends it]:value:_files' \
  '--client-output-buffer-limit[For a class of clients (normal, replica, pubsub) the bytes of unread replies at which a client is disconnected\: at once (hard limit), or after so many seconds above the soft limit]:value:_files' \
  '--client-query-buffer-limit[The largest request that a client may send, in bytes]:value:_files' \
  '--crash-log-enabled[Writes a report to the log when the server crashes]:value:(yes no)' \
  '--daemonize[Runs the server in the background]:value:(yes no)' \
  '--databases[The number of databases, which SELECT counts from 0]:value:_files' \
  '--dbfilename[The name of the snapshot in dir]:value:_files' \
  '--dir[The working directory\: snapshots, the append-only folder and relative names belong to it]:value:_files' \
  '--enable-debug-command[Allows DEBUG\: for nobody, for everybody, or for clients of this host]:value:(no yes local)' \
  '--enable-module-command[Allows MODULE\: for nobody, for everybody, or for clients of this host]:value:(no yes local)' \
  '--enable-protected-configs[Lets CONFIG SET change dir and dbfilename\: for nobody, for everybody, or for clients of this host]:value:(no yes local)' \
  '--hash-max-listpack-entries[Up to this many fields a hash is one compact block]:value:_files' \
  '--hash-max-listpack-value[Up to this many bytes a field or value may take in such a block]:value:_files' \
  '--hll-sparse-max-bytes[Up to this many bytes a HyperLogLog keeps its sparse form]:value:_files' \
  '--http[Answers GET requests of HTTP on the port for clients, too\: metrics and the page]:value:(yes no)' \
  '--hz[How many times a second the server does its housekeeping; at rest once a second]:value:_files' \
  '--latency-monitor-threshold[Samples events that take at least this many milliseconds, for LATENCY]:value:_files' \
  '--latency-tracking[Counts how long the calls of each command took, for INFO and LATENCY HISTOGRAM]:value:(yes no)' \
  '--latency-tracking-info-percentiles[The percentiles that INFO latencystats shows]:value:_files' \
  '--lazyfree-lazy-eviction[Propagates the eviction of a key as UNLINK instead of DEL]:value:(yes no)' \
  '--lazyfree-lazy-expire[Propagates the expiry of a key as UNLINK instead of DEL]:value:(yes no)' \
  '--lazyfree-lazy-server-del[Counts values that commands overwrite as freed lazily, and propagates UNLINK for keys that commands delete on the way]:value:(yes no)' \
  '--lazyfree-lazy-user-del[Lets DEL be UNLINK]:value:(yes no)' \
  '--lazyfree-lazy-user-flush[Lets FLUSHALL and FLUSHDB be ASYNC where they do not say]:value:(yes no)' \
  '--lfu-decay-time[After how many minutes without access the counter of LFU goes down by one]:value:_files' \
  '--lfu-log-factor[How slowly the counter of accesses grows under LFU]:value:_files' \
  '--list-compress-depth[How many nodes at each end of a list stay uncompressed]:value:_files' \
  '--list-max-listpack-size[The most entries of a node of a list, or its size\: -1 to -5 stand for 4, 8, 16, 32 and 64 KiB]:value:_files' \
  '--log-format[The shape of a log line\: Redis'\''s, logfmt, or a JSON object]:value:(redis logfmt json)' \
  '--logfile[The log file; an empty name is the standard output]:value:_files' \
  '--loglevel[The least important lines that are logged]:value:(debug verbose notice warning nothing)' \
  '--masterauth[The password that a replica logs in with on its master]:value:_files' \
  '--masteruser[The user that a replica logs in as on its master]:value:_files' \
  '--maxclients[The most connections at a time; others are refused with an error]:value:_files' \
  '--maxmemory[The bytes that data and clients may take; keys are evicted above it as maxmemory-policy says]:value:_files' \
  '--maxmemory-clients[The bytes that the buffers of all clients may take together, or a percentage of maxmemory; above it the largest clients are disconnected]:value:_files' \
  '--maxmemory-eviction-tenacity[How much time eviction may take from clients\: 0 for little, 100 for as much as it needs]:value:_files' \
  '--maxmemory-policy[Which keys are evicted\: none, so that writes fail (noeviction), or of all keys or only those with a time to live the least recently used (lru), least frequently used (lfu), least recently modified (lrm, which Redis 7.2 does not know), a random one, or the one that expires next (ttl)]:value:(volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction volatile-lrm allkeys-lrm)' \
  '--maxmemory-samples[How many keys are compared to find a victim]:value:_files' \
  '--metrics-bind[The addresses of metrics-port]:value:_files' \
  '--metrics-password[The password with which Prometheus reads the metrics on metrics-port]:value:_files' \
  '--metrics-port[The TCP port for HTTP\: metrics for Prometheus, and the page]:value:_files' \
  '--min-replicas-max-lag[The seconds since its last word up to which a replica counts as up to date]:value:_files' \
  '--min-replicas-to-write[Refuses writes while fewer replicas than this are connected and up to date]:value:_files' \
  '--no-appendfsync-on-rewrite[Does not force the append-only file to disk while a snapshot or rewrite is written]:value:(yes no)' \
  '--notify-keyspace-events[The events of keys that are published\: K and E choose the channels, g $ l s h z x e t d choose by type, n stands for new keys, m for misses, A for all but n and m]:value:_files' \
  '--oom-score-adj[Sets the score by which the kernel chooses which process to kill when memory runs out]:value:(no yes relative absolute)' \
  '--oom-score-adj-values[The scores of a master, of a replica and of background processes]:value:_files' \
  '--pidfile[The file that holds the process id while the server runs]:value:_files' \
  '--port[The TCP port for clients]:value:_files' \
  '--proc-title-template[The title of the process in ps]:value:_files' \
  '--propagation-error-behavior[What happens when a replica or the append-only file gets a command that fails\: it is ignored, or the server panics]:value:(ignore panic panic-on-replicas)' \
  '--protected-mode[Answers clients of other hosts with an error while the user default has no password]:value:(yes no)' \
  '--proto-max-bulk-len[The largest single argument and the largest string, in bytes]:value:_files' \
  '--rdb-del-sync-files[Deletes snapshots that were only made for replication, where neither save nor appendonly is used]:value:(yes no)' \
  '--rdb-save-incremental-fsync[Forces a snapshot to disk in steps while it is written]:value:(yes no)' \
  '--rdb-version[The version of snapshots\: 0 takes the lowest that holds the data, 9 to 12 take that one]:value:_files' \
  '--rdbchecksum[Writes and checks the checksum of a snapshot]:value:(yes no)' \
  '--rdbcompression[Compresses long strings in snapshots]:value:(yes no)' \
  '--repl-backlog-size[The bytes of changes that are kept so that a replica that was away gets only what it missed]:value:_files' \
  '--repl-backlog-ttl[After how many seconds without a replica these are dropped]:value:_files' \
  '--repl-disable-tcp-nodelay[Sends fewer and larger packets to replicas, later]:value:(yes no)' \
  '--repl-diskless-load[Lets a replica load from the socket\: never (disabled), when it has no data (on-empty-db), or beside its old data (swapdb)]:value:(disabled on-empty-db swapdb)' \
  '--repl-diskless-sync[Sends a full synchronization as it is encoded, without a file]:value:(yes no)' \
  '--repl-diskless-sync-delay[The seconds that a master waits for further replicas before such a synchronization]:value:_files' \
  '--repl-diskless-sync-max-replicas[Begins it at once when this many replicas wait]:value:_files' \
  '--repl-ping-replica-period[The seconds between the pings of a master to its replicas]:value:_files' \
  '--repl-timeout[After how many seconds without data the connection of master and replica is given up]:value:_files' \
  '--replica-announce-ip[The address that a replica tells its master, where the master sees another]:value:_files' \
  '--replica-announce-port[The port that a replica tells its master, where the master would see another]:value:_files' \
  '--replica-announced[Shows the replica to Sentinel]:value:(yes no)' \
  '--replica-ignore-disk-write-errors[Lets a replica go on when it cannot write its append-only file]:value:(yes no)' \
  '--replica-ignore-maxmemory[Leaves eviction to the master]:value:(yes no)' \
  '--replica-lazy-flush[Counts the data that a full synchronization replaces as freed lazily]:value:(yes no)' \
  '--replica-priority[The replica with the lowest number is the first that Sentinel makes master; one with 0 never becomes it]:value:_files' \
  '--replica-read-only[Refuses writes of clients on a replica]:value:(yes no)' \
  '--replica-serve-stale-data[Lets a replica without its master answer with the data it has; no answers with an error]:value:(yes no)' \
  '--replicaof[Makes the server a replica of the master at this host and port]:value:_files' \
  '--requirepass[The password of the user default]:value:_files' \
  '--sanitize-dump-payload[What becomes of odd values that Redis would load, as an element twice in a hash\: with yes the file is refused, else they are put right and logged]:value:(no yes clients)' \
  '--save[Saves a snapshot after so many seconds if at least so many changes were made; several pairs may be given]:value:_files' \
  '--set-max-intset-entries[Up to this many members a set of integers is one sorted array]:value:_files' \
  '--set-max-listpack-entries[Up to this many members a set is one compact block]:value:_files' \
  '--set-max-listpack-value[Up to this many bytes a member may take in such a block]:value:_files' \
  '--set-proc-title[Lets the server set the title of its process]:value:(yes no)' \
  '--shutdown-on-sigint[What SIGINT does\: default, or some of save, nosave, now and force, as for SHUTDOWN]:value:(default save nosave now force)' \
  '--shutdown-on-sigterm[What SIGTERM does\: default, or some of save, nosave, now and force, as for SHUTDOWN]:value:(default save nosave now force)' \
  '--shutdown-timeout[How many seconds a shutdown waits for replicas to catch up]:value:_files' \
  '--slowlog-log-slower-than[Commands that take longer than this many microseconds are in the slow log]:value:_files' \
  '--slowlog-max-len[How many commands the slow log remembers]:value:_files' \
  '--stop-writes-on-bgsave-error[Refuses writes after a snapshot has failed, until one succeeds]:value:(yes no)' \
  '--stream-node-max-bytes[The most bytes of a node of a stream]:value:_files' \
  '--stream-node-max-entries[The most entries of a node of a stream]:value:_files' \
  '--supervised[Tells the supervisor that started the server when it is ready]:value:(upstart systemd auto no)' \
  '--syslog-enabled[Sends the log to syslog, too]:value:(yes no)' \
  '--syslog-facility[The facility of the lines in syslog]:value:(user local0 local1 local2 local3 local4 local5 local6 local7)' \
  '--syslog-ident[The name of the server in syslog]:value:_files' \
  '--tcp-backlog[How many connections may wait to be accepted]:value:_files' \
  '--tcp-keepalive[The seconds between the probes that find dead peers]:value:_files' \
  '--timeout[Closes a connection that was idle for this many seconds]:value:_files' \
  '--tls-auth-clients[Asks clients for a certificate that the authorities below have signed\: always, only where they show one (optional), or never]:value:(no yes optional)' \
  '--tls-auth-clients-user[Logs a client in as the user that its certificate names\: by its common name (CN), or not at all (off)]:value:(off CN)' \
  '--tls-auto-reload-interval[The seconds between looks whether a certificate or key on disk has changed; new connections then use it]:value:_files' \
  '--tls-ca-cert-dir[A folder of such certificates]:value:_files' \
  '--tls-ca-cert-file[A file of the certificates of authorities that peers'\'' certificates are checked against]:value:_files' \
  '--tls-cert-file[The server'\''s certificate, in PEM, with the intermediate ones behind it]:value:_files' \
  '--tls-ciphers[The ciphers up to TLS 1.2, in OpenSSL'\''s notation]:value:_files' \
  '--tls-client-cert-file[The certificate that the server shows to others, as to its master; without it the one of tls-cert-file]:value:_files' \
  '--tls-client-key-file[The private key of tls-client-cert-file]:value:_files' \
  '--tls-client-key-file-pass[The passphrase of tls-client-key-file]:value:_files' \
  '--tls-cluster[Encrypts the connections of MIGRATE]:value:(yes no)' \
  '--tls-key-file[The private key of the certificate, in PEM]:value:_files' \
  '--tls-key-file-pass[The passphrase of the private key]:value:_files' \
  '--tls-port[The port for clients that speak TLS]:value:_files' \
  '--tls-protocols[The versions of TLS that are spoken, separated by blanks]:value:_files' \
  '--tls-replication[Encrypts the connection to the master]:value:(yes no)' \
  '--tls-session-caching[Lets clients resume a session without a full handshake]:value:(yes no)' \
  '--tracking-table-max-keys[How many keys CLIENT TRACKING remembers; beyond it clients are told to forget some]:value:_files' \
  '--unixsocket[The path of a Unix socket for clients, besides TCP]:value:_files' \
  '--unixsocketperm[The permissions of the Unix socket]:value:_files' \
  '--zset-max-listpack-entries[Up to this many members a sorted set is one compact block]:value:_files' \
  '--zset-max-listpack-value[Up to this many bytes a member may take in such a block]:value:_files' \
  '*:file:_files'
