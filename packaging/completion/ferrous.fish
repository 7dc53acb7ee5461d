# Written by packaging/mkdocs; change that and run make docs.
complete -c ferrous -l check-aof -d 'look at an append-only file'
complete -c ferrous -l check-rdb -d 'look at a snapshot'
complete -c ferrous -l fix -d 'with --check-aof: cut off what is wrong'
complete -c ferrous -l help -d 'print the forms of the command line'
complete -c ferrous -l ping -d 'is the server ready?'
complete -c ferrous -l truncate-to-timestamp -d 'with --check-aof: cut off what is younger'
complete -c ferrous -l version -d 'print the version'
complete -c ferrous -l acl-pubsub-default -d 'The channels that a new user may use: none (resetchannels) or all (allchannels)' -x -a 'allchannels resetchannels'
complete -c ferrous -l aclfile -d 'The file of the users, instead of user lines in the configuration file' -r
complete -c ferrous -l acllog-max-len -d 'How many refused attempts ACL LOG remembers' -r
complete -c ferrous -l always-show-logo -d 'Writes the banner to the log also where that is no terminal' -x -a 'yes no'
complete -c ferrous -l aof-disable-auto-gc -d 'Keeps append-only files that are no longer needed' -x -a 'yes no'
complete -c ferrous -l aof-load-truncated -d 'Loads an append-only file whose last command was cut off by a crash, without that command' -x -a 'yes no'
complete -c ferrous -l aof-rewrite-incremental-fsync -d 'Forces the file of a rewrite to disk in steps while it is written' -x -a 'yes no'
complete -c ferrous -l aof-timestamp-enabled -d 'Notes the time in the append-only file, so that --check-aof can cut it at a moment' -x -a 'yes no'
complete -c ferrous -l aof-use-rdb-preamble -d 'Writes the base of a rewritten append-only file as a snapshot instead of commands' -x -a 'yes no'
complete -c ferrous -l appenddirname -d 'The folder of the append-only files in dir' -r
complete -c ferrous -l appendfilename -d 'The first part of the names of the append-only files' -r
complete -c ferrous -l appendfsync -d 'When the append-only file is forced to disk: before each reply (always), once a second (everysec), or when the system likes (no)' -x -a 'everysec always no'
complete -c ferrous -l appendonly -d 'Logs every write in the append-only file, which is loaded at the start instead of the snapshot' -x -a 'yes no'
complete -c ferrous -l auto-aof-rewrite-min-size -d 'The size below which the append-only file is not rewritten by itself' -r
complete -c ferrous -l auto-aof-rewrite-percentage -d 'Rewrites the append-only file when it has grown by this many per cent since the last time' -r
complete -c ferrous -l bind -d 'The addresses to listen on' -r
complete -c ferrous -l bind-source-addr -d 'The local address of connections that the server opens, as to its master' -r
complete -c ferrous -l busy-reply-threshold -d 'After how many milliseconds a script counts as busy: other clients get BUSY, and SCRIPT KILL ends it' -r
complete -c ferrous -l client-output-buffer-limit -d 'For a class of clients (normal, replica, pubsub) the bytes of unread replies at which a client is disconnected: at once (hard limit), or after so many seconds above the soft limit' -r
complete -c ferrous -l client-query-buffer-limit -d 'The largest request that a client may send, in bytes' -r
complete -c ferrous -l crash-log-enabled -d 'Writes a report to the log when the server crashes' -x -a 'yes no'
complete -c ferrous -l daemonize -d 'Runs the server in the background' -x -a 'yes no'
complete -c ferrous -l databases -d 'The number of databases, which SELECT counts from 0' -r
complete -c ferrous -l dbfilename -d 'The name of the snapshot in dir' -r
complete -c ferrous -l dir -d 'The working directory: snapshots, the append-only folder and relative names belong to it' -r
complete -c ferrous -l enable-debug-command -d 'Allows DEBUG: for nobody, for everybody, or for clients of this host' -x -a 'no yes local'
complete -c ferrous -l enable-module-command -d 'Allows MODULE: for nobody, for everybody, or for clients of this host' -x -a 'no yes local'
complete -c ferrous -l enable-protected-configs -d 'Lets CONFIG SET change dir and dbfilename: for nobody, for everybody, or for clients of this host' -x -a 'no yes local'
complete -c ferrous -l hash-max-listpack-entries -d 'Up to this many fields a hash is one compact block' -r
complete -c ferrous -l hash-max-listpack-value -d 'Up to this many bytes a field or value may take in such a block' -r
complete -c ferrous -l hll-sparse-max-bytes -d 'Up to this many bytes a HyperLogLog keeps its sparse form' -r
complete -c ferrous -l http -d 'Answers GET requests of HTTP on the port for clients, too: metrics and the page' -x -a 'yes no'
complete -c ferrous -l hz -d 'How many times a second the server does its housekeeping; at rest once a second' -r
complete -c ferrous -l latency-monitor-threshold -d 'Samples events that take at least this many milliseconds, for LATENCY' -r
complete -c ferrous -l latency-tracking -d 'Counts how long the calls of each command took, for INFO and LATENCY HISTOGRAM' -x -a 'yes no'
complete -c ferrous -l latency-tracking-info-percentiles -d 'The percentiles that INFO latencystats shows' -r
complete -c ferrous -l lazyfree-lazy-eviction -d 'Propagates the eviction of a key as UNLINK instead of DEL' -x -a 'yes no'
complete -c ferrous -l lazyfree-lazy-expire -d 'Propagates the expiry of a key as UNLINK instead of DEL' -x -a 'yes no'
complete -c ferrous -l lazyfree-lazy-server-del -d 'Counts values that commands overwrite as freed lazily, and propagates UNLINK for keys that commands delete on the way' -x -a 'yes no'
complete -c ferrous -l lazyfree-lazy-user-del -d 'Lets DEL be UNLINK' -x -a 'yes no'
complete -c ferrous -l lazyfree-lazy-user-flush -d 'Lets FLUSHALL and FLUSHDB be ASYNC where they do not say' -x -a 'yes no'
complete -c ferrous -l lfu-decay-time -d 'After how many minutes without access the counter of LFU goes down by one' -r
complete -c ferrous -l lfu-log-factor -d 'How slowly the counter of accesses grows under LFU' -r
complete -c ferrous -l list-compress-depth -d 'How many nodes at each end of a list stay uncompressed' -r
complete -c ferrous -l list-max-listpack-size -d 'The most entries of a node of a list, or its size: -1 to -5 stand for 4, 8, 16, 32 and 64 KiB' -r
complete -c ferrous -l log-format -d 'The shape of a log line: Redis\'s, logfmt, or a JSON object' -x -a 'redis logfmt json'
complete -c ferrous -l logfile -d 'The log file; an empty name is the standard output' -r
complete -c ferrous -l loglevel -d 'The least important lines that are logged' -x -a 'debug verbose notice warning nothing'
complete -c ferrous -l masterauth -d 'The password that a replica logs in with on its master' -r
complete -c ferrous -l masteruser -d 'The user that a replica logs in as on its master' -r
complete -c ferrous -l maxclients -d 'The most connections at a time; others are refused with an error' -r
complete -c ferrous -l maxmemory -d 'The bytes that data and clients may take; keys are evicted above it as maxmemory-policy says' -r
complete -c ferrous -l maxmemory-clients -d 'The bytes that the buffers of all clients may take together, or a percentage of maxmemory; above it the largest clients are disconnected' -r
complete -c ferrous -l maxmemory-eviction-tenacity -d 'How much time eviction may take from clients: 0 for little, 100 for as much as it needs' -r
complete -c ferrous -l maxmemory-policy -d 'Which keys are evicted: none, so that writes fail (noeviction), or of all keys or only those with a time to live the least recently used (lru), least frequently used (lfu), least recently modified (lrm, which Redis 7.2 does not know), a random one, or the one that expires next (ttl)' -x -a 'volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction volatile-lrm allkeys-lrm'
complete -c ferrous -l maxmemory-samples -d 'How many keys are compared to find a victim' -r
complete -c ferrous -l metrics-bind -d 'The addresses of metrics-port' -r
complete -c ferrous -l metrics-password -d 'The password with which Prometheus reads the metrics on metrics-port' -r
complete -c ferrous -l metrics-port -d 'The TCP port for HTTP: metrics for Prometheus, and the page' -r
complete -c ferrous -l min-replicas-max-lag -d 'The seconds since its last word up to which a replica counts as up to date' -r
complete -c ferrous -l min-replicas-to-write -d 'Refuses writes while fewer replicas than this are connected and up to date' -r
complete -c ferrous -l no-appendfsync-on-rewrite -d 'Does not force the append-only file to disk while a snapshot or rewrite is written' -x -a 'yes no'
complete -c ferrous -l notify-keyspace-events -d 'The events of keys that are published: K and E choose the channels, g $ l s h z x e t d choose by type, n stands for new keys, m for misses, A for all but n and m' -r
complete -c ferrous -l oom-score-adj -d 'Sets the score by which the kernel chooses which process to kill when memory runs out' -x -a 'no yes relative absolute'
complete -c ferrous -l oom-score-adj-values -d 'The scores of a master, of a replica and of background processes' -r
complete -c ferrous -l pidfile -d 'The file that holds the process id while the server runs' -r
complete -c ferrous -l port -d 'The TCP port for clients' -r
complete -c ferrous -l proc-title-template -d 'The title of the process in ps' -r
complete -c ferrous -l propagation-error-behavior -d 'What happens when a replica or the append-only file gets a command that fails: it is ignored, or the server panics' -x -a 'ignore panic panic-on-replicas'
complete -c ferrous -l protected-mode -d 'Answers clients of other hosts with an error while the user default has no password' -x -a 'yes no'
complete -c ferrous -l proto-max-bulk-len -d 'The largest single argument and the largest string, in bytes' -r
complete -c ferrous -l rdb-del-sync-files -d 'Deletes snapshots that were only made for replication, where neither save nor appendonly is used' -x -a 'yes no'
complete -c ferrous -l rdb-save-incremental-fsync -d 'Forces a snapshot to disk in steps while it is written' -x -a 'yes no'
complete -c ferrous -l rdb-version -d 'The version of snapshots: 0 takes the lowest that holds the data, 9 to 12 take that one' -r
complete -c ferrous -l rdbchecksum -d 'Writes and checks the checksum of a snapshot' -x -a 'yes no'
complete -c ferrous -l rdbcompression -d 'Compresses long strings in snapshots' -x -a 'yes no'
complete -c ferrous -l repl-backlog-size -d 'The bytes of changes that are kept so that a replica that was away gets only what it missed' -r
complete -c ferrous -l repl-backlog-ttl -d 'After how many seconds without a replica these are dropped' -r
complete -c ferrous -l repl-disable-tcp-nodelay -d 'Sends fewer and larger packets to replicas, later' -x -a 'yes no'
complete -c ferrous -l repl-diskless-load -d 'Lets a replica load from the socket: never (disabled), when it has no data (on-empty-db), or beside its old data (swapdb)' -x -a 'disabled on-empty-db swapdb'
complete -c ferrous -l repl-diskless-sync -d 'Sends a full synchronization as it is encoded, without a file' -x -a 'yes no'
complete -c ferrous -l repl-diskless-sync-delay -d 'The seconds that a master waits for further replicas before such a synchronization' -r
complete -c ferrous -l repl-diskless-sync-max-replicas -d 'Begins it at once when this many replicas wait' -r
complete -c ferrous -l repl-ping-replica-period -d 'The seconds between the pings of a master to its replicas' -r
complete -c ferrous -l repl-timeout -d 'After how many seconds without data the connection of master and replica is given up' -r
complete -c ferrous -l replica-announce-ip -d 'The address that a replica tells its master, where the master sees another' -r
complete -c ferrous -l replica-announce-port -d 'The port that a replica tells its master, where the master would see another' -r
complete -c ferrous -l replica-announced -d 'Shows the replica to Sentinel' -x -a 'yes no'
complete -c ferrous -l replica-ignore-disk-write-errors -d 'Lets a replica go on when it cannot write its append-only file' -x -a 'yes no'
complete -c ferrous -l replica-ignore-maxmemory -d 'Leaves eviction to the master' -x -a 'yes no'
complete -c ferrous -l replica-lazy-flush -d 'Counts the data that a full synchronization replaces as freed lazily' -x -a 'yes no'
complete -c ferrous -l replica-priority -d 'The replica with the lowest number is the first that Sentinel makes master; one with 0 never becomes it' -r
complete -c ferrous -l replica-read-only -d 'Refuses writes of clients on a replica' -x -a 'yes no'
complete -c ferrous -l replica-serve-stale-data -d 'Lets a replica without its master answer with the data it has; no answers with an error' -x -a 'yes no'
complete -c ferrous -l replicaof -d 'Makes the server a replica of the master at this host and port' -r
complete -c ferrous -l requirepass -d 'The password of the user default' -r
complete -c ferrous -l sanitize-dump-payload -d 'What becomes of odd values that Redis would load, as an element twice in a hash: with yes the file is refused, else they are put right and logged' -x -a 'no yes clients'
complete -c ferrous -l save -d 'Saves a snapshot after so many seconds if at least so many changes were made; several pairs may be given' -r
complete -c ferrous -l set-max-intset-entries -d 'Up to this many members a set of integers is one sorted array' -r
complete -c ferrous -l set-max-listpack-entries -d 'Up to this many members a set is one compact block' -r
complete -c ferrous -l set-max-listpack-value -d 'Up to this many bytes a member may take in such a block' -r
complete -c ferrous -l set-proc-title -d 'Lets the server set the title of its process' -x -a 'yes no'
complete -c ferrous -l shutdown-on-sigint -d 'What SIGINT does: default, or some of save, nosave, now and force, as for SHUTDOWN' -x -a 'default save nosave now force'
complete -c ferrous -l shutdown-on-sigterm -d 'What SIGTERM does: default, or some of save, nosave, now and force, as for SHUTDOWN' -x -a 'default save nosave now force'
complete -c ferrous -l shutdown-timeout -d 'How many seconds a shutdown waits for replicas to catch up' -r
complete -c ferrous -l slowlog-log-slower-than -d 'Commands that take longer than this many microseconds are in the slow log' -r
complete -c ferrous -l slowlog-max-len -d 'How many commands the slow log remembers' -r
complete -c ferrous -l stop-writes-on-bgsave-error -d 'Refuses writes after a snapshot has failed, until one succeeds' -x -a 'yes no'
complete -c ferrous -l stream-node-max-bytes -d 'The most bytes of a node of a stream' -r
complete -c ferrous -l stream-node-max-entries -d 'The most entries of a node of a stream' -r
complete -c ferrous -l supervised -d 'Tells the supervisor that started the server when it is ready' -x -a 'upstart systemd auto no'
complete -c ferrous -l syslog-enabled -d 'Sends the log to syslog, too' -x -a 'yes no'
complete -c ferrous -l syslog-facility -d 'The facility of the lines in syslog' -x -a 'user local0 local1 local2 local3 local4 local5 local6 local7'
complete -c ferrous -l syslog-ident -d 'The name of the server in syslog' -r
complete -c ferrous -l tcp-backlog -d 'How many connections may wait to be accepted' -r
complete -c ferrous -l tcp-keepalive -d 'The seconds between the probes that find dead peers' -r
complete -c ferrous -l timeout -d 'Closes a connection that was idle for this many seconds' -r
complete -c ferrous -l tls-auth-clients -d 'Asks clients for a certificate that the authorities below have signed: always, only where they show one (optional), or never' -x -a 'no yes optional'
complete -c ferrous -l tls-auth-clients-user -d 'Logs a client in as the user that its certificate names: by its common name (CN), or not at all (off)' -x -a 'off CN'
complete -c ferrous -l tls-auto-reload-interval -d 'The seconds between looks whether a certificate or key on disk has changed; new connections then use it' -r
complete -c ferrous -l tls-ca-cert-dir -d 'A folder of such certificates' -r
complete -c ferrous -l tls-ca-cert-file -d 'A file of the certificates of authorities that peers\' certificates are checked against' -r
complete -c ferrous -l tls-cert-file -d 'The server\'s certificate, in PEM, with the intermediate ones behind it' -r
complete -c ferrous -l tls-ciphers -d 'The ciphers up to TLS 1.2, in OpenSSL\'s notation' -r
complete -c ferrous -l tls-client-cert-file -d 'The certificate that the server shows to others, as to its master; without it the one of tls-cert-file' -r
complete -c ferrous -l tls-client-key-file -d 'The private key of tls-client-cert-file' -r
complete -c ferrous -l tls-client-key-file-pass -d 'The passphrase of tls-client-key-file' -r
complete -c ferrous -l tls-cluster -d 'Encrypts the connections of MIGRATE' -x -a 'yes no'
complete -c ferrous -l tls-key-file -d 'The private key of the certificate, in PEM' -r
complete -c ferrous -l tls-key-file-pass -d 'The passphrase of the private key' -r
complete -c ferrous -l tls-port -d 'The port for clients that speak TLS' -r
complete -c ferrous -l tls-protocols -d 'The versions of TLS that are spoken, separated by blanks' -r
complete -c ferrous -l tls-replication -d 'Encrypts the connection to the master' -x -a 'yes no'
complete -c ferrous -l tls-session-caching -d 'Lets clients resume a session without a full handshake' -x -a 'yes no'
complete -c ferrous -l tracking-table-max-keys -d 'How many keys CLIENT TRACKING remembers; beyond it clients are told to forget some' -r
complete -c ferrous -l unixsocket -d 'The path of a Unix socket for clients, besides TCP' -r
complete -c ferrous -l unixsocketperm -d 'The permissions of the Unix socket' -r
complete -c ferrous -l zset-max-listpack-entries -d 'Up to this many members a sorted set is one compact block' -r
complete -c ferrous -l zset-max-listpack-value -d 'Up to this many bytes a member may take in such a block' -r
