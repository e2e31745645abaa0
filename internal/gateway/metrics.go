package gateway

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tidegate/internal/gateway/callback"
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
	callbackSeconds    *prometheus.HistogramVec
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
		registry: prometheus.NewRegistry(),
		streamsEnded: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidegate_streams_ended_total",
			Help: "Streams that ended, by reason and detail."}, []string{"reason", "detail"}),
		streamsRefused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidegate_streams_refused_total",
			Help: "Streams that were not opened, by error code."}, []string{"code"}),
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidegate_callbacks_total",
			Help: "Callbacks by action and status; status is \"none\" where no answer came."}, []string{"action", "status"}),
		callbackRetries: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidegate_callback_retries_total",
			Help: "Callbacks sent once more on a new connection, because the backend had closed the one they went out on."}),
		callbackSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tidegate_callback_seconds",
			Help: "Time until a callback was answered.", Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 10)}, []string{"action"}),
		disconnectsDropped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidegate_disconnects_dropped_total",
			Help: "Disconnect callbacks given up: queue_full, address_full, too_old, refused or stopped."}, []string{"why"}),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tidegate_sends_total",
			Help: "Messages of /internal/send by target and outcome."}, []string{"target", "code"}),
		deliveries: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidegate_deliveries_total",
			Help: "Events written to streams."}),
		deliveredBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidegate_delivered_bytes_total",
			Help: "Bytes of events written to streams."}),
		heartbeats: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidegate_heartbeats_total",
			Help: "Heartbeat comments written to streams."}),
	}
	m.registry.MustRegister(m.streamsEnded, m.streamsRefused, m.callbacks, m.callbackSeconds, m.callbackRetries, m.disconnectsDropped,
		m.sends, m.deliveries, m.deliveredBytes, m.heartbeats,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	taken := strconv.Itoa(http.StatusOK)
	m.sentToToken, m.sentToTopic = m.sends.WithLabelValues("token", taken), m.sends.WithLabelValues("topic", taken)
	m.begin()
	return m
}

// begin makes all series of closed label sets: an alert on the increase of a
// counter does not see its first event if the series begins with that.
func (m *metrics) begin() {
	for _, e := range wire.Endings() {
		m.streamsEnded.WithLabelValues(string(e.Reason), string(e.Detail))
	}
	for _, code := range wire.Codes() {
		m.streamsRefused.WithLabelValues(string(code))
		for _, target := range []string{"token", "topic", ""} { // "" for what says neither
			m.sends.WithLabelValues(target, string(code))
		}
	}
	for _, action := range []wire.Action{wire.Connect, wire.Disconnect} {
		m.callbackSeconds.WithLabelValues(string(action))
		// Statuses are the backend's; these are what alerts are about.
		for _, status := range []string{"none", "200", "401", "403", "500", "502", "503", "504"} {
			m.callbacks.WithLabelValues(string(action), status)
		}
	}
	for _, why := range callback.DropReasons() {
		m.disconnectsDropped.WithLabelValues(why)
	}
}

// Registry is where the metrics of the gateway are, for others to join.
func (g *Gateway) Registry() *prometheus.Registry { return g.metrics.registry }

// watch adds the gauges that are read from the gateway.
func (m *metrics) watch(g *Gateway) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("tidegate_streams", "Streams open or waiting for their callback.", func() float64 { return float64(g.table.count.Load()) })
	gauge("tidegate_connects", "Clients that wait for their turn, or for the backend to be asked.", func() float64 { return float64(g.limiter.InProgress()) })
	gauge("tidegate_streams_parked", "Streams that have no goroutine.", func() float64 { return float64(g.engine.Parked()) })
	gauge("tidegate_streams_max", "Streams beyond which connects are refused.", func() float64 { return float64(g.opts.MaxConns) })
	gauge("tidegate_disconnects_queued", "Disconnect callbacks not yet delivered.", func() float64 { return float64(g.disconnects.Depth()) })
	gauge("tidegate_callbacks_waiting", "Connect callbacks that a client waits for.", func() float64 { return float64(g.callbacks.Waiting()) })
	gauge("tidegate_callbacks_late", "Connect callbacks that nobody waits for any more.", func() float64 { return float64(g.callbacks.Late()) })
	gauge("tidegate_header_lines", "Header lines that streams have in common, held once.", func() float64 { return float64(g.requests.Stats().Lines) })
	gauge("tidegate_header_bytes", "Bytes of these lines.", func() float64 { return float64(g.requests.Stats().Bytes) })
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "tidegate_header_lines_refused_total",
		Help: "Times that a line was not shared for want of room."}, func() float64 { return float64(g.requests.Stats().Refused) }))
	gauge("tidegate_large_header_bytes", "Bytes of streams' requests beyond 2 KiB of each.", func() float64 { return float64(g.requests.large.Bytes()) })
	gauge("tidegate_large_header_bytes_limit", "Bytes of these beyond which connects are refused.", func() float64 { return float64(g.requests.large.Most()) })
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
	m.callbackSeconds.WithLabelValues(string(action)).Observe(took.Seconds())
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

var (
	descTopics    = prometheus.NewDesc("tidegate_topics", "Topics that have events or streams.", nil, nil)
	descEvents    = prometheus.NewDesc("tidegate_history_events", "Events held in topics.", nil, nil)
	descBytes     = prometheus.NewDesc("tidegate_history_bytes", "Bytes of the events held in topics.", nil, nil)
	descPublished = prometheus.NewDesc("tidegate_published_total", "Events appended to topics.", nil, nil)
	descSpreading = prometheus.NewDesc("tidegate_spreading", "Events on their way to the streams of topics that have thousands.", nil, nil)
	descResets    = prometheus.NewDesc("tidegate_resets_total", "Times a stream was told that history is lost.", nil, nil)
	descDropped   = prometheus.NewDesc("tidegate_history_dropped_total", "Events that left their topic, by the bound that made them.", []string{"why"}, nil)
	descKeys      = prometheus.NewDesc("tidegate_idempotency_keys", "Idempotency keys remembered.", nil, nil)
	descKeysEarly = prometheus.NewDesc("tidegate_idempotency_keys_early_total", "Idempotency keys forgotten before two minutes, for want of room.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c topicCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c topicCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.hub.Stats()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descTopics, float64(s.Topics))
	gauge(descEvents, float64(s.Events))
	gauge(descBytes, float64(s.Bytes))
	gauge(descSpreading, float64(s.Spreading))
	gauge(descKeys, float64(s.Keys))
	count(descPublished, s.Published)
	count(descResets, s.Resets)
	count(descKeysEarly, s.KeysEarly)
	for _, why := range topic.DropReasons() {
		count(descDropped, s.Dropped[why], string(why))
	}
}
