package metric

var storage = section("Storage",
	"All commands that keep something in storage, with `--data` or `--nats-url`, have these metrics. A process that shares its storage with nobody has the log of one process; others have the log on NATS.")

// Storage as a whole, and what both event logs count.
var (
	StorageReady = storage.gauge("tidegate_storage_ready",
		"1 while storage works, 0 while /readyz gives a reason why it does not.").
		alert("it is 0 for a minute")
	LogAppends = storage.counter("tidegate_log_appends_total",
		"Events that were stored in the event log.")
	LogDeduplicated = storage.counter("tidegate_log_deduplicated_total",
		"Sends that stored nothing because their idempotency key had been used before.")
	LogApplied = storage.counter("tidegate_log_applied_total",
		"Events of the event log that were handed to the topics of this node.")
	LogReads = storage.counter("tidegate_log_reads_total",
		"Topics that were read back from storage because memory no longer held their history.")
	LogRefused = storage.counter("tidegate_log_refused_total",
		"Sends that were refused because the event log had no room, on the disk or for events in flight.").
		alert("it rises: senders receive 503")
	LogHoles = storage.gauge("tidegate_log_holes",
		"Ranges of events that are missing in the event log because files are damaged.").
		alert("it is not 0")
	LogLag = storage.gauge("tidegate_log_lag_events",
		"Stored events that this node has not handed to its topics yet.").
		alert("it grows for a minute")
	LogConnected = storage.gauge("tidegate_log_connected",
		"1 while this node can follow, read and write the event log, else 0.").
		alert("it is 0 for a minute")
)

var ownLog = section("The log of one process",
	"`serve` and `gateway` with `--data` and without `--nats-listen` and `--nats-url` have these metrics.")

// The event log of a process that shares its storage with nobody.
var (
	LogReadErrors = ownLog.counter("tidegate_log_read_errors_total",
		"Reads of log files that failed.").
		alert("it rises: look at the disk")
	LogWrites = ownLog.counter("tidegate_log_writes_total",
		"Writes to log files, each of which holds all events that waited at that moment.")
	LogWriteFailures = ownLog.counter("tidegate_log_write_failures_total",
		"Writes to log files that failed, so that the senders of their events received an error.").
		alert("it rises: look at the disk")
	LogSyncs = ownLog.counter("tidegate_log_syncs_total",
		"Writes to log files that were synced to the disk before their senders were answered.")
	LogDiscarded = ownLog.counter("tidegate_log_discarded_total",
		"Events that were deleted before their time because the event log had reached its size limit.").
		alert("it rises: `--store-size` is too small")
	LogRewrites = ownLog.counter("tidegate_log_rewrites_total",
		"Log files that were rewritten to free the space of deleted events.")
	LogReclaimedBytes = ownLog.counter("tidegate_log_reclaimed_bytes_total",
		"Bytes of disk that rewriting log files has freed.")
	LogScrubbedBytes = ownLog.counter("tidegate_log_scrubbed_bytes_total",
		"Bytes of log files that the background check has compared with their checksums.")
	LogDamaged = ownLog.counter("tidegate_log_damaged_total",
		"Damaged places that were found in log files.").
		alert("it rises: restore a backup, and look at the disk")
	LogKeysEvicted = ownLog.counter("tidegate_log_idempotency_keys_evicted_total",
		"Idempotency keys that the event log deleted before two minutes had passed, because there were too many.").
		alert("it rises: repeated messages can be stored twice")
	LogSegments = ownLog.gauge("tidegate_log_segments",
		"Files of the event log.")
	LogBytes = ownLog.gauge("tidegate_log_bytes",
		"Bytes of the files of the event log.")
	LogLimit = ownLog.gauge("tidegate_log_limit_bytes",
		"Most bytes that the files of the event log can have; see --store-size.")
	LogEvents = ownLog.gauge("tidegate_log_events",
		"Events in the event log.")
	LogTopics = ownLog.gauge("tidegate_log_topics",
		"Topics in the event log.")
	LogWaiting = ownLog.gauge("tidegate_log_appends_waiting",
		"Appends that wait for the next write to the log files.")
)

var sharedLog = section("The log on NATS",
	"`serve` and `gateway` with `--nats-listen` or `--nats-url` have these metrics.")

// The event log that nodes share.
var (
	LogConflicts = sharedLog.counter("tidegate_log_conflicts_total",
		"Attempts to store an event that another node's event preceded; the node tries again.")
	LogRetries = sharedLog.counter("tidegate_log_retries_total",
		"Attempts to store an event again after NATS had not answered.").
		alert("it rises steadily: NATS is slow or unreachable")
	LogUnreadable = sharedLog.counter("tidegate_log_unreadable_total",
		"Messages in the event log that are no events of this version.").
		alert("it rises: a newer version, or another program, writes to the same streams")
	LogRewinds = sharedLog.counter("tidegate_log_rewinds_total",
		"Times that the event log had gone backwards, as after a restored backup.").
		alert("it rises")
	LogConnects = sharedLog.counter("tidegate_log_connects_total",
		"Times that this node began to follow the event log.").
		alert("it rises often: the connection to NATS is not stable")
	LogReceiverCountTimeouts = sharedLog.counter("tidegate_log_receiver_count_timeouts_total",
		"Sends whose receivers on other nodes were not counted because a node did not answer in time.")
	LogTrimsRefused = sharedLog.counter("tidegate_log_trims_refused_total",
		"Topics whose old events were not deleted yet because too many topics were waiting for that.")
	LogInflightEvents = sharedLog.gauge("tidegate_log_inflight_events",
		"Events that were sent to NATS and are not acknowledged yet.")
	LogInflightBytes = sharedLog.gauge("tidegate_log_inflight_bytes",
		"Bytes of the events that were sent to NATS and are not acknowledged yet.")
)

var nodes = section("Nodes and failover",
	"`serve` and `gateway` with storage have these metrics. With the log of one process there is one node.")

// Membership, requests between nodes, and the records that failover needs.
var (
	Nodes = nodes.gauge("tidegate_nodes",
		"Nodes that are alive, including this one.").
		alert("it is below the number of nodes that you run")
	NodeRequestsSent = nodes.counter("tidegate_node_requests_sent_total",
		"Requests that this node has sent to other nodes.")
	NodeRequestsReceived = nodes.counter("tidegate_node_requests_received_total",
		"Requests of other nodes that this node has received.")
	NodeRequestsRefused = nodes.counter("tidegate_node_requests_refused_total",
		"Requests of other nodes that this node has refused because too many were under way.").
		alert("it rises")
	NodePartitions = nodes.counter("tidegate_node_partitions_total",
		"Times that this node lost contact with the others and ended its streams.").
		alert("it rises")
	SessionRecordsWritten = nodes.counter("tidegate_session_records_written_total",
		"Records of open streams that were written to storage.")
	SessionRecordsDeleted = nodes.counter("tidegate_session_records_deleted_total",
		"Records of open streams that were deleted from storage because the stream had ended.")
	SessionRecordsDropped = nodes.counter("tidegate_session_records_dropped_total",
		"Records of open streams that were not written or not deleted, for lack of room or because storage refused.").
		alert("it rises: after a crash, the disconnects of these streams are lost or repeated")
	SessionRecordsWaiting = nodes.gauge("tidegate_session_records_waiting",
		"Records of open streams that wait to be written or deleted.")
	FailoverSessions = nodes.counter("tidegate_failover_sessions_total",
		"Streams of dead nodes whose disconnect this node has taken over.")
	FailoverFailures = nodes.counter("tidegate_failover_failures_total",
		"Attempts to take over a stream of a dead node that failed and are repeated.").
		alert("it rises steadily")
)
