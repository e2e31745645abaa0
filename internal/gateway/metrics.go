package gateway

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tidegate/internal/metric"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// metrics are what GET /metrics shows of the gateway. Gauges are read from the
// thing itself at each scrape, so they cannot drift from it.
type metrics struct {
	registry *prometheus.Registry

	streamsEnded       *prometheus.CounterVec
	streamsRefused     *prometheus.CounterVec
	callbacks          *prometheus.CounterVec
	callbackDuration   *prometheus.HistogramVec
	callbackRetries    prometheus.Counter
	disconnectsDropped *prometheus.CounterVec
	sends              *prometheus.CounterVec
	sentToToken        prometheus.Counter // of sends, those that were taken
	sentToTopic        prometheus.Counter
	deliveries         prometheus.Counter
	deliveredBytes     prometheus.Counter
	heartbeats         prometheus.Counter

	direct atomic.Uint64 // as sentToToken, to be looked at
}

func newMetrics() *metrics {
	m := &metrics{
		registry:           prometheus.NewRegistry(),
		streamsEnded:       metric.StreamsEnded.NewCounterVec(),
		streamsRefused:     metric.StreamsRefused.NewCounterVec(),
		callbacks:          metric.Callbacks.NewCounterVec(),
		callbackRetries:    metric.CallbackRetries.NewCounter(),
		callbackDuration:   metric.CallbackDuration.NewHistogramVec(),
		disconnectsDropped: metric.DisconnectsDropped.NewCounterVec(),
		sends:              metric.Sends.NewCounterVec(),
		deliveries:         metric.EventsDelivered.NewCounter(),
		deliveredBytes:     metric.DeliveredBytes.NewCounter(),
		heartbeats:         metric.Heartbeats.NewCounter(),
	}
	m.registry.MustRegister(m.streamsEnded, m.streamsRefused, m.callbacks, m.callbackDuration, m.callbackRetries, m.disconnectsDropped,
		m.sends, m.deliveries, m.deliveredBytes, m.heartbeats,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	ok := strconv.Itoa(http.StatusOK)
	m.sentToToken, m.sentToTopic = m.sends.WithLabelValues("token", ok), m.sends.WithLabelValues("topic", ok)
	return m
}

// Registry is where the metrics of the gateway are, for others to join.
func (g *Gateway) Registry() *prometheus.Registry { return g.metrics.registry }

// watch adds the gauges that are read from the gateway.
func (m *metrics) watch(g *Gateway) {
	gauge := func(d *metric.Def, read func() float64) { m.registry.MustRegister(d.NewGaugeFunc(nil, read)) }
	gauge(metric.Streams, func() float64 { return float64(g.table.count.Load()) })
	gauge(metric.ConnectsPending, func() float64 { return float64(g.limiter.InProgress()) })
	gauge(metric.StreamsParked, func() float64 { return float64(g.engine.Parked()) })
	gauge(metric.StreamsLimit, func() float64 { return float64(g.opts.MaxConns) })
	gauge(metric.DisconnectsQueued, func() float64 { return float64(g.disconnects.Depth()) })
	gauge(metric.CallbacksWaiting, func() float64 { return float64(g.callbacks.Waiting()) })
	gauge(metric.CallbacksLate, func() float64 { return float64(g.callbacks.Late()) })
	gauge(metric.HeaderLines, func() float64 { return float64(g.requests.Stats().Lines) })
	gauge(metric.HeaderBytes, func() float64 { return float64(g.requests.Stats().Bytes) })
	gauge(metric.LargeHeaderBytes, func() float64 { return float64(g.requests.large.Bytes()) })
	gauge(metric.LargeHeaderLimit, func() float64 { return float64(g.requests.large.Most()) })
	m.registry.MustRegister(metric.HeaderLinesUnshared.NewCounterFunc(func() uint64 { return g.requests.Stats().Refused }))
	m.registry.MustRegister(topicCollector{g.opts.Topics})
}

func (m *metrics) ended(why wire.Ending) {
	m.streamsEnded.WithLabelValues(string(why.Reason), string(why.Detail)).Inc()
}

func (m *metrics) refused(code wire.Code) { m.streamsRefused.WithLabelValues(string(code)).Inc() }

// Called implements callback.Metrics.
func (m *metrics) Called(action wire.Action, status int, took time.Duration) {
	label := "none"
	if status > 0 {
		label = strconv.Itoa(status)
	}
	m.callbacks.WithLabelValues(string(action), label).Inc()
	m.callbackDuration.WithLabelValues(string(action)).Observe(took.Seconds())
}

// Resent implements callback.Metrics.
func (m *metrics) Resent() { m.callbackRetries.Inc() }

// Dropped implements callback.Metrics.
func (m *metrics) Dropped(why string, n int) {
	m.disconnectsDropped.WithLabelValues(why).Add(float64(n))
}

func (m *metrics) sent(target string, err error) {
	switch {
	case err != nil:
		m.sends.WithLabelValues(target, string(wire.ErrorOf(err).Code)).Inc()
	case target == "topic":
		m.sentToTopic.Inc()
	default:
		m.sentToToken.Inc()
		m.direct.Add(1)
	}
}

// Wrote implements stream.Observer.
func (m *metrics) Wrote(events, bytes int) {
	m.deliveries.Add(float64(events))
	m.deliveredBytes.Add(float64(bytes))
}

// Heartbeats implements stream.Observer.
func (m *metrics) Heartbeats(n int) { m.heartbeats.Add(float64(n)) }

// topicCollector reads the hub once for all its metrics.
type topicCollector struct{ hub *topic.Hub }

// Describe implements prometheus.Collector.
func (c topicCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c topicCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.hub.Stats()
	ch <- metric.Topics.Value(float64(s.Topics))
	ch <- metric.HistoryEvents.Value(float64(s.Events))
	ch <- metric.HistoryBytes.Value(float64(s.Bytes))
	ch <- metric.FanoutsPending.Value(float64(s.FanningOut))
	ch <- metric.IdempotencyKeys.Value(float64(s.Keys))
	ch <- metric.EventsPublished.Value(float64(s.Published))
	ch <- metric.Resets.Value(float64(s.Resets))
	ch <- metric.IdempotencyKeysEvicted.Value(float64(s.KeysEarly))
	for _, why := range topic.DropReasons() {
		ch <- metric.HistoryDropped.Value(float64(s.Dropped[why]), string(why))
	}
}
