package app

import (
	"github.com/prometheus/client_golang/prometheus"
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
	counter := func(name, help string, read func() uint64) {
		m.figures = append(m.figures, figure{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue,
			func() float64 { return float64(read()) }})
	}
	gauge := func(name, help string, read func() float64) {
		m.figures = append(m.figures, figure{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, read})
	}
	gauge("tidegate_storage_ready", "1 if storage can be relied on, else 0.", func() float64 { return boolValue(len(s.health()) == 0) })
	if s.log == nil {
		return m
	}
	log, nodes, ledger := s.log.Stats, s.nodes.Stats, s.ledger.Stats
	counter("tidegate_log_appends_total", "Events stored.", func() uint64 { return log().Appends })
	counter("tidegate_log_repeats_total", "Events that had been stored under the same idempotency key.", func() uint64 { return log().Repeats })
	counter("tidegate_log_conflicts_total", "Tries to store an event that another one came before.", func() uint64 { return log().Conflicts })
	counter("tidegate_log_retries_total", "Tries to store an event again after no answer.", func() uint64 { return log().Retries })
	counter("tidegate_log_applied_total", "Events given to the topics of this node.", func() uint64 { return log().Applied })
	counter("tidegate_log_unreadable_total", "Messages of the log that are no events.", func() uint64 { return log().Unreadable })
	counter("tidegate_log_rewinds_total", "Times that the log had gone backwards.", func() uint64 { return log().Rewinds })
	counter("tidegate_log_connects_total", "Times that this node began to follow the log.", func() uint64 { return log().TailStarts })
	counter("tidegate_log_reads_total", "Topics read back from storage.", func() uint64 { return log().Reads })
	counter("tidegate_log_count_timeouts_total", "Events whose receivers on other nodes were not told in time.", func() uint64 { return log().CountTimeouts })
	counter("tidegate_log_trims_refused_total", "Topics not trimmed for now, because too many were waiting.", func() uint64 { return log().TrimsRefused })
	counter("tidegate_log_no_room_total", "Events refused because too many were on their way into storage for too long.", func() uint64 { return log().NoRoom })
	gauge("tidegate_log_inflight_events", "Events on their way into storage.", func() float64 { return float64(log().Inflight) })
	gauge("tidegate_log_inflight_bytes", "Bytes of the events on their way into storage.", func() float64 { return float64(log().InflightBytes) })
	gauge("tidegate_log_lag_events", "Events of the log that this node has not been given.", func() float64 { return float64(log().Lag.Behind) })
	gauge("tidegate_log_connected", "1 while this node follows the log, else 0.", func() float64 { return boolValue(log().Lag.Connected) })
	gauge("tidegate_nodes", "Nodes that are alive, this one included.", func() float64 { return float64(nodes().Others + 1) })
	counter("tidegate_node_asked_total", "Requests to other nodes.", func() uint64 { return nodes().Asked })
	counter("tidegate_node_answered_total", "Requests of other nodes.", func() uint64 { return nodes().Answered })
	counter("tidegate_node_refused_total", "Requests of other nodes that were too many at once.", func() uint64 { return nodes().Refused })
	counter("tidegate_node_cut_offs_total", "Times that this node was cut off from the others.", func() uint64 { return nodes().CutOffs })
	counter("tidegate_ledger_entered_total", "Streams recorded.", func() uint64 { return ledger().Entered })
	counter("tidegate_ledger_struck_total", "Records of streams taken out.", func() uint64 { return ledger().Struck })
	counter("tidegate_ledger_inherited_total", "Ends of streams told for nodes that were gone.", func() uint64 { return ledger().Inherited })
	counter("tidegate_ledger_failures_total", "Tries of that which failed, and are made again.", func() uint64 { return ledger().HeirFailures })
	counter("tidegate_ledger_dropped_total", "Records not written or not taken out, for want of room or because storage refused.",
		func() uint64 { s := ledger(); return s.DroppedEnters + s.DroppedStrikes })
	gauge("tidegate_ledger_waiting", "Records waiting to be written or taken out.",
		func() float64 { s := ledger(); return float64(s.WaitingEnters + s.WaitingStrikes) })
	return m
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
