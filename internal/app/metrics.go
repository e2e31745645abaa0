package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tidegate/internal/metric"
	"tidegate/internal/storage/eventlog"
	"tidegate/internal/storage/segments"
	"tidegate/internal/version"
)

// registry is where the metrics of this process are.
func (p *program) registry() *prometheus.Registry {
	if p.gateway != nil {
		return p.gateway.Registry()
	}
	return p.metrics
}

// registerMetrics adds the metrics of the parts that every command has.
func (p *program) registerMetrics(context.Context) error {
	r, build := p.registry(), version.Get()
	r.MustRegister(
		p.limits,
		p.guards.refused,
		metric.CORSRefused.NewCounterFunc(p.cors.Refused),
		metric.BuildInfo.NewGaugeFunc(prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.Go},
			func() float64 { return 1 }),
	)
	if p.storage != nil {
		r.MustRegister(newStorageMetrics(p.storage))
	}
	return nil
}

// newRegistry is the registry of a backend alone.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// storageMetrics reads the counts of storage at each scrape.
type storageMetrics struct{ figures []figure }

// figure is one series and the function that reads it.
type figure struct {
	def  *metric.Def
	read func() float64
}

func newStorageMetrics(s *storage) *storageMetrics {
	m := &storageMetrics{}
	m.gauge(metric.StorageReady, func() float64 { return metric.Bool(len(s.health()) == 0) })
	if s.log == nil { // a backend keeps tasks only
		return m
	}
	if s.own != nil {
		m.ownLog(s.own)
	} else {
		m.sharedLog(s.shared)
	}
	m.nodes(s)
	return m
}

func (m *storageMetrics) counter(def *metric.Def, read func() uint64) {
	m.figures = append(m.figures, figure{def, func() float64 { return float64(read()) }})
}

func (m *storageMetrics) gauge(def *metric.Def, read func() float64) {
	m.figures = append(m.figures, figure{def, read})
}

// nodes adds the counts of membership and failover.
func (m *storageMetrics) nodes(s *storage) {
	nodes, records := s.nodes.Stats, s.sessions.Stats
	m.gauge(metric.Nodes, func() float64 { return float64(nodes().Others + 1) })
	m.counter(metric.NodeRequestsSent, func() uint64 { return nodes().Asked })
	m.counter(metric.NodeRequestsReceived, func() uint64 { return nodes().Answered })
	m.counter(metric.NodeRequestsRefused, func() uint64 { return nodes().Refused })
	m.counter(metric.NodePartitions, func() uint64 { return nodes().CutOffs })
	m.counter(metric.SessionRecordsWritten, func() uint64 { return records().Written })
	m.counter(metric.SessionRecordsDeleted, func() uint64 { return records().Deleted })
	m.counter(metric.SessionRecordsDropped, func() uint64 { s := records(); return s.DroppedPuts + s.DroppedDeletes })
	m.gauge(metric.SessionRecordsWaiting, func() float64 { s := records(); return float64(s.WaitingPuts + s.WaitingDeletes) })
	m.counter(metric.FailoverSessions, func() uint64 { return records().TakenOver })
	m.counter(metric.FailoverFailures, func() uint64 { return records().TakeOverFailures })
}

// sharedLog adds the counts of an event log on NATS.
func (m *storageMetrics) sharedLog(l *eventlog.Log) {
	log := l.Stats
	m.counter(metric.LogAppends, func() uint64 { return log().Appends })
	m.counter(metric.LogDeduplicated, func() uint64 { return log().Repeats })
	m.counter(metric.LogApplied, func() uint64 { return log().Applied })
	m.counter(metric.LogReads, func() uint64 { return log().Reads })
	m.counter(metric.LogRefused, func() uint64 { return log().NoRoom })
	m.gauge(metric.LogHoles, func() float64 { return float64(log().Holes) })
	m.gauge(metric.LogLag, func() float64 { return float64(log().Lag.Behind) })
	m.gauge(metric.LogConnected, func() float64 { return metric.Bool(log().Lag.Connected) })
	m.counter(metric.LogConflicts, func() uint64 { return log().Conflicts })
	m.counter(metric.LogRetries, func() uint64 { return log().Retries })
	m.counter(metric.LogUnreadable, func() uint64 { return log().Unreadable })
	m.counter(metric.LogRewinds, func() uint64 { return log().Rewinds })
	m.counter(metric.LogConnects, func() uint64 { return log().TailStarts })
	m.counter(metric.LogReceiverCountTimeouts, func() uint64 { return log().CountTimeouts })
	m.counter(metric.LogTrimsRefused, func() uint64 { return log().TrimsRefused })
	m.gauge(metric.LogInflightEvents, func() float64 { return float64(log().Inflight) })
	m.gauge(metric.LogInflightBytes, func() float64 { return float64(log().InflightBytes) })
}

// ownLog adds the counts of the event log of one process. Its topics receive an event when it is
// stored, so none is behind.
func (m *storageMetrics) ownLog(l *segments.Log) {
	log := l.Stats
	m.counter(metric.LogAppends, func() uint64 { return log().Appends })
	m.counter(metric.LogDeduplicated, func() uint64 { return log().Repeats })
	m.counter(metric.LogApplied, func() uint64 { return log().Appends })
	m.counter(metric.LogReads, func() uint64 { return log().Reads })
	m.counter(metric.LogRefused, func() uint64 { return log().Refused })
	m.gauge(metric.LogHoles, func() float64 { return float64(log().Holes) })
	m.gauge(metric.LogLag, func() float64 { return 0 })
	m.gauge(metric.LogConnected, func() float64 { return metric.Bool(len(l.Health()) == 0) })
	m.counter(metric.LogReadErrors, func() uint64 { return log().ReadErrors })
	m.counter(metric.LogWrites, func() uint64 { return log().Groups })
	m.counter(metric.LogWriteFailures, func() uint64 { return log().Failed })
	m.counter(metric.LogSyncs, func() uint64 { return log().Syncs })
	m.counter(metric.LogDiscarded, func() uint64 { return log().Discarded })
	m.counter(metric.LogRewrites, func() uint64 { return log().Rewritten })
	m.counter(metric.LogReclaimedBytes, func() uint64 { return uint64(log().Reclaimed) })
	m.counter(metric.LogScrubbedBytes, func() uint64 { return uint64(log().Scrubbed) })
	m.counter(metric.LogDamaged, func() uint64 { return log().Damaged })
	m.counter(metric.LogKeysEvicted, func() uint64 { return log().KeysEarly })
	m.gauge(metric.LogSegments, func() float64 { return float64(log().Segments) })
	m.gauge(metric.LogBytes, func() float64 { return float64(log().Bytes) })
	m.gauge(metric.LogLimit, func() float64 { return float64(log().MaxBytes) })
	m.gauge(metric.LogEvents, func() float64 { return float64(log().Events) })
	m.gauge(metric.LogTopics, func() float64 { return float64(log().Topics) })
	m.gauge(metric.LogWaiting, func() float64 { return float64(log().Waiting) })
}

// Describe implements [prometheus.Collector].
func (m *storageMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range m.figures {
		ch <- f.def.Desc()
	}
}

// Collect implements [prometheus.Collector].
func (m *storageMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, f := range m.figures {
		ch <- f.def.Value(f.read())
	}
}
