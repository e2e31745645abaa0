package backend

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/client"
	"tidegate/task"
	"tidegate/task/publish"
)

// metrics are what the backend counts. Every label has a closed list of values,
// apart from the types of tasks, which the program registers.
type metrics struct {
	connects        *prometheus.CounterVec   // outcome
	disconnects     *prometheus.CounterVec   // reason
	callbackSeconds *prometheus.HistogramVec // action
	published       *prometheus.CounterVec   // outcome
	finished        *prometheus.CounterVec   // type, state
	versions        *prometheus.CounterVec   // scope, outcome
	polls           *prometheus.CounterVec   // outcome
	replaced        prometheus.Counter
	swept           prometheus.Counter
	accessEnded     prometheus.Counter
	accessStreams   prometheus.Gauge
}

func newMetrics() *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		connects:    counters("tidegate_backend_connects_total", "Connect callbacks, by what became of the stream.", "outcome"),
		disconnects: counters("tidegate_backend_disconnects_total", "Streams that ended, each counted once.", "reason"),
		callbackSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tidegate_backend_callback_seconds", Help: "Time to answer a callback.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"action"}),
		published:     counters("tidegate_backend_publish_total", "Events of tasks sent to the gateway, repeats included.", "outcome"),
		finished:      counters("tidegate_tasks_finished_total", "Tasks that reached a final state.", "type", "state"),
		versions:      counters("tidegate_backend_versions_total", "Version notices published, to all or to one request id.", "scope", "outcome"),
		polls:         counters("tidegate_backend_version_polls_total", "Looks at the version URL.", "outcome"),
		replaced:      counter("tidegate_backend_replaced_streams_total", "Streams ended because a newer one took their place."),
		swept:         counter("tidegate_backend_swept_tasks_total", "Task logs closed because the process that wrote them is gone."),
		accessEnded:   counter("tidegate_backend_access_ended_total", "Streams ended because their access token has expired."),
		accessStreams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tidegate_backend_access_streams", Help: "Streams that are ended when their access token expires."}),
	}
	m.begin()
	return m
}

// begin makes all series of closed label sets: an alert on the increase of a
// counter does not see its first event if the series begins with that.
func (m *metrics) begin() {
	each := func(vec *prometheus.CounterVec, values ...string) {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
	each(m.connects, "accepted", "left", "not_routable", "failed")
	each(m.disconnects, string(client.ClientClosed), string(client.ServerClosed), string(client.Failed), "other")
	each(m.published, outcomeTaken, string(publish.There), string(publish.Rejected), outcomeFailed)
	each(m.polls, "failed", "unchanged", "changed")
	for _, scope := range []string{"all", "one"} {
		m.versions.WithLabelValues(scope, outcomeTaken)
		m.versions.WithLabelValues(scope, outcomeFailed)
	}
	for _, action := range []string{"none", string(client.Connect), string(client.Disconnect)} {
		m.callbackSeconds.WithLabelValues(action)
	}
}

// know makes the series of the kinds of task that are registered.
func (m *metrics) know(types []string) {
	for _, name := range types {
		for _, state := range task.States() {
			if state.Final() {
				m.finished.WithLabelValues(name, string(state))
			}
		}
	}
}

// register makes the metrics, and those that are read from the services when
// they are asked for, known to r.
func (m *metrics) register(r prometheus.Registerer, service *task.Service, gateway *client.Client) error {
	var errs []error
	for _, c := range []prometheus.Collector{
		m.connects, m.disconnects, m.callbackSeconds, m.published, m.finished,
		m.versions, m.polls, m.replaced, m.swept, m.accessEnded, m.accessStreams,
		taskCollector{service},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tidegate_backend_gateway_reachable", Help: "1 if the latest call to the gateway got an answer.",
		}, func() float64 {
			if gateway.Reachable() {
				return 1
			}
			return 0
		}),
	} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// taskCollector reads the number of tasks in each state when it is scraped: a
// gauge that is counted up and down would drift.
type taskCollector struct{ service *task.Service }

var tasksDesc = prometheus.NewDesc("tidegate_tasks", "Tasks that are remembered, by state.", []string{"state"}, nil)

// Describe implements [prometheus.Collector].
func (taskCollector) Describe(ch chan<- *prometheus.Desc) { ch <- tasksDesc }

// Collect implements [prometheus.Collector].
func (c taskCollector) Collect(ch chan<- prometheus.Metric) {
	counts := c.service.Counts()
	for _, state := range task.States() {
		ch <- prometheus.MustNewConstMetric(tasksDesc, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}

var _ task.Observer = observer{}

// observer counts what the task service tells of.
type observer struct{ metrics *metrics }

// Ended implements [task.Observer].
func (o observer) Ended(info task.Info) {
	o.metrics.finished.WithLabelValues(info.Type, string(info.Status)).Inc()
}

// Published implements [task.Observer]. The publisher counts event by event.
func (observer) Published(int, time.Duration, error) {}

// Dropped implements [task.Observer]. The publisher has counted the rejection.
func (observer) Dropped(string, error) {}
