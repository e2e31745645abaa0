package limit

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/wire"
)

// metrics shows the account. All its series are there from the start.
type metrics struct {
	limits  *Limits
	refused *prometheus.CounterVec
}

func newMetrics(l *Limits) *metrics {
	m := &metrics{limits: l, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tidegate_limit_refused_total", Help: "Requests refused by a limit on what clients may cost, by error code.",
	}, []string{"code"})}
	for _, code := range []wire.Code{wire.CodeAddressLimit, wire.CodeConnectRate, wire.CodeTooManyConnections,
		wire.CodeInflight, wire.CodeBodyTooSlow, wire.CodeHeaderTooLarge} {
		m.refused.WithLabelValues(string(code))
	}
	return m
}

var (
	descConns  = prometheus.NewDesc("tidegate_connections", "Open connections, those of streams included.", []string{"listener"}, nil)
	descBound  = prometheus.NewDesc("tidegate_connections_limit", "Connections that are served at once.", []string{"listener"}, nil)
	descClosed = prometheus.NewDesc("tidegate_connections_closed_total",
		"Connections closed to make room, by what they did: unasked, idle, or new with no room at all.", []string{"listener", "reason"}, nil)
	descAddresses  = prometheus.NewDesc("tidegate_limit_addresses", "Client addresses that have connections or streams.", nil, nil)
	descBytes      = prometheus.NewDesc("tidegate_inflight_bytes", "Bytes of bodies and answers under way.", nil, nil)
	descBytesBound = prometheus.NewDesc("tidegate_inflight_bytes_limit", "Bytes of bodies and answers that may be under way; 0 is no limit.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (l *Limits) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descConns, descBound, descClosed, descAddresses, descBytes, descBytesBound} {
		ch <- d
	}
	l.metrics.refused.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (l *Limits) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, p := range l.pools {
		p.mu.Lock()
		conns, c := p.seated+p.waiting, p.counter
		p.mu.Unlock()
		gauge(descConns, float64(conns), p.opts.Name)
		gauge(descBound, float64(p.opts.Seats), p.opts.Name)
		for reason, n := range map[string]uint64{"unasked": c.unasked, "idle": c.idle, "new": c.dropped} {
			ch <- prometheus.MustNewConstMetric(descClosed, prometheus.CounterValue, float64(n), p.opts.Name, reason)
		}
	}
	gauge(descAddresses, float64(l.addresses.len()))
	gauge(descBytes, float64(l.bytes.now()))
	gauge(descBytesBound, float64(l.opts.Inflight))
	l.metrics.refused.Collect(ch)
}
