package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/cluster"
	"tidegate/internal/storage/segments"
)

// storageMetrics shows what storage has done, as it counts it itself.
type storageMetrics struct{ figures []figure }

// figure is one series and where it is read.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func() float64
}

func newStorageMetrics(s *storage) *storageMetrics {
	m := &storageMetrics{}
	m.gauge("tidegate_storage_ready", "1 if storage can be relied on, else 0.", func() float64 { return boolValue(len(s.health()) == 0) })
	switch {
	case s.log == nil:
		return m
	case s.own != nil:
		m.ownLog(s.own)
	default:
		m.sharedLog(s.shared)
	}
	nodes, ledger := s.nodes.Stats, s.ledger.Stats
	m.gauge("tidegate_nodes", "Nodes that are alive, this one included.", func() float64 { return float64(nodes().Others + 1) })
	m.counter("tidegate_node_asked_total", "Requests to other nodes.", func() uint64 { return nodes().Asked })
	m.counter("tidegate_node_answered_total", "Requests of other nodes.", func() uint64 { return nodes().Answered })
	m.counter("tidegate_node_refused_total", "Requests of other nodes that were too many at once.", func() uint64 { return nodes().Refused })
	m.counter("tidegate_node_cut_offs_total", "Times that this node was cut off from the others.", func() uint64 { return nodes().CutOffs })
	m.counter("tidegate_ledger_entered_total", "Streams recorded.", func() uint64 { return ledger().Entered })
	m.counter("tidegate_ledger_struck_total", "Records of streams taken out.", func() uint64 { return ledger().Struck })
	m.counter("tidegate_ledger_inherited_total", "Ends of streams told for nodes that were gone.", func() uint64 { return ledger().Inherited })
	m.counter("tidegate_ledger_failures_total", "Tries of that which failed, and are made again.", func() uint64 { return ledger().HeirFailures })
	m.counter("tidegate_ledger_dropped_total", "Records not written or not taken out, for want of room or because storage refused.",
		func() uint64 { s := ledger(); return s.DroppedEnters + s.DroppedStrikes })
	m.gauge("tidegate_ledger_waiting", "Records waiting to be written or taken out.",
		func() float64 { s := ledger(); return float64(s.WaitingEnters + s.WaitingStrikes) })
	return m
}

func (m *storageMetrics) counter(name, help string, read func() uint64) {
	m.figures = append(m.figures, figure{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue,
		func() float64 { return float64(read()) }})
}

func (m *storageMetrics) gauge(name, help string, read func() float64) {
	m.figures = append(m.figures, figure{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, read})
}

// sharedLog has the figures of a log on NATS.
func (m *storageMetrics) sharedLog(l *cluster.Log) {
	log := l.Stats
	m.counter("tidegate_log_appends_total", appendsHelp, func() uint64 { return log().Appends })
	m.counter("tidegate_log_repeats_total", repeatsHelp, func() uint64 { return log().Repeats })
	m.counter("tidegate_log_conflicts_total", "Tries to store an event that another one came before.", func() uint64 { return log().Conflicts })
	m.counter("tidegate_log_retries_total", "Tries to store an event again after no answer.", func() uint64 { return log().Retries })
	m.counter("tidegate_log_applied_total", appliedHelp, func() uint64 { return log().Applied })
	m.counter("tidegate_log_unreadable_total", "Messages of the log that are no events.", func() uint64 { return log().Unreadable })
	m.gauge("tidegate_log_holes", holesHelp, func() float64 { return float64(log().Holes) })
	m.counter("tidegate_log_rewinds_total", "Times that the log had gone backwards.", func() uint64 { return log().Rewinds })
	m.counter("tidegate_log_connects_total", "Times that this node began to follow the log.", func() uint64 { return log().TailStarts })
	m.counter("tidegate_log_reads_total", readsHelp, func() uint64 { return log().Reads })
	m.counter("tidegate_log_count_timeouts_total", "Events whose receivers on other nodes were not told in time.", func() uint64 { return log().CountTimeouts })
	m.counter("tidegate_log_trims_refused_total", "Topics not trimmed for now, because too many were waiting.", func() uint64 { return log().TrimsRefused })
	m.counter("tidegate_log_no_room_total", "Events refused because too many were on their way into storage for too long.", func() uint64 { return log().NoRoom })
	m.gauge("tidegate_log_inflight_events", "Events on their way into storage.", func() float64 { return float64(log().Inflight) })
	m.gauge("tidegate_log_inflight_bytes", "Bytes of the events on their way into storage.", func() float64 { return float64(log().InflightBytes) })
	m.gauge("tidegate_log_lag_events", "Events of the log that this node has not been given.", func() float64 { return float64(log().Lag.Behind) })
	m.gauge("tidegate_log_connected", "1 while this node follows the log, else 0.", func() float64 { return boolValue(log().Lag.Connected) })
}

// What figures of both logs say.
const (
	appendsHelp = "Events stored."
	repeatsHelp = "Events that had been stored under the same idempotency key."
	appliedHelp = "Events given to the topics of this node."
	readsHelp   = "Topics read back from storage."
	holesHelp   = "Ranges of events that are missing because files are damaged."
)

// ownLog has the figures of a log of this process.
func (m *storageMetrics) ownLog(l *segments.Log) {
	log := l.Stats
	m.counter("tidegate_log_appends_total", appendsHelp, func() uint64 { return log().Appends })
	m.counter("tidegate_log_repeats_total", repeatsHelp, func() uint64 { return log().Repeats })
	m.counter("tidegate_log_applied_total", appliedHelp, func() uint64 { return log().Appends })
	m.counter("tidegate_log_reads_total", readsHelp, func() uint64 { return log().Reads })
	m.counter("tidegate_log_read_errors_total", "Reads of log files that failed.", func() uint64 { return log().ReadErrors })
	m.counter("tidegate_log_groups_total", "Writes of events that waited together.", func() uint64 { return log().Groups })
	m.counter("tidegate_log_groups_failed_total", "Such writes that failed; their events were refused.", func() uint64 { return log().Failed })
	m.counter("tidegate_log_syncs_total", "Such writes that were synced before they were answered.", func() uint64 { return log().Syncs })
	m.counter("tidegate_log_refused_total", "Sends refused for want of room, on the disk or in the queue.", func() uint64 { return log().Refused })
	m.counter("tidegate_log_discarded_total", "Events dropped before their time because the log was full.", func() uint64 { return log().Discarded })
	m.counter("tidegate_log_rewrites_total", "Segments rewritten without what was dropped.", func() uint64 { return log().Rewritten })
	m.counter("tidegate_log_reclaimed_bytes_total", "Bytes of disk that rewriting gave back.", func() uint64 { return uint64(log().Reclaimed) })
	m.counter("tidegate_log_scrubbed_bytes_total", "Bytes of files compared with their checksums in the background.", func() uint64 { return uint64(log().Scrubbed) })
	m.counter("tidegate_log_damaged_total", "Damaged places found in log files.", func() uint64 { return log().Damaged })
	m.counter("tidegate_log_keys_dropped_total", "Idempotency keys dropped before their time, for want of room.", func() uint64 { return log().KeysEarly })
	m.gauge("tidegate_log_holes", holesHelp, func() float64 { return float64(log().Holes) })
	m.gauge("tidegate_log_segments", "Files of the log.", func() float64 { return float64(log().Segments) })
	m.gauge("tidegate_log_bytes", "Bytes of these files.", func() float64 { return float64(log().Bytes) })
	m.gauge("tidegate_log_max_bytes", "Bytes that they may have; see --store-size.", func() float64 { return float64(log().MaxBytes) })
	m.gauge("tidegate_log_events", "Events in the log.", func() float64 { return float64(log().Events) })
	m.gauge("tidegate_log_topics", "Topics in the log.", func() float64 { return float64(log().Topics) })
	m.gauge("tidegate_log_waiting", "Calls that wait to be written.", func() float64 { return float64(log().Waiting) })
	m.gauge("tidegate_log_lag_events", "Events of the log that this node has not been given: none.", func() float64 { return 0 })
	m.gauge("tidegate_log_connected", "1 while the log can be written and read, else 0.", func() float64 { return boolValue(len(l.Health()) == 0) })
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements [prometheus.Collector].
func (m *storageMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range m.figures {
		ch <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (m *storageMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, f := range m.figures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read())
	}
}
