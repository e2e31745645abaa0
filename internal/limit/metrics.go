package limit

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/metric"
)

// metrics shows the account of the limits.
type metrics struct{ refused *prometheus.CounterVec }

func newMetrics() *metrics { return &metrics{refused: metric.LimitRefused.NewCounterVec()} }

// Describe implements [prometheus.Collector].
func (l *Limits) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*metric.Def{metric.Connections, metric.ConnectionsLimit, metric.ConnectionsClosed,
		metric.LimitAddresses, metric.InflightBytes, metric.InflightLimit} {
		ch <- d.Desc()
	}
	l.metrics.refused.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (l *Limits) Collect(ch chan<- prometheus.Metric) {
	for _, p := range l.pools {
		p.mu.Lock()
		conns, c := p.seated+p.waiting, p.counter
		p.mu.Unlock()
		ch <- metric.Connections.Value(float64(conns), p.opts.Name)
		ch <- metric.ConnectionsLimit.Value(float64(p.opts.Seats), p.opts.Name)
		for reason, n := range map[string]uint64{"unasked": c.unasked, "idle": c.idle, "new": c.dropped} {
			ch <- metric.ConnectionsClosed.Value(float64(n), p.opts.Name, reason)
		}
	}
	ch <- metric.LimitAddresses.Value(float64(l.addresses.len()))
	ch <- metric.InflightBytes.Value(float64(l.bytes.now()))
	ch <- metric.InflightLimit.Value(float64(l.opts.Inflight))
	l.metrics.refused.Collect(ch)
}
