package backend

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/client"
	"tidegate/internal/metric"
	"tidegate/task"
)

// metrics are the metrics of the backend. Every label has a closed list of values, apart
// from the types of tasks, which the program registers.
type metrics struct {
	connects         *prometheus.CounterVec   // outcome
	disconnects      *prometheus.CounterVec   // reason
	callbackDuration *prometheus.HistogramVec // action
	published        *prometheus.CounterVec   // outcome
	finished         *prometheus.CounterVec   // type, state
	versions         *prometheus.CounterVec   // scope, outcome
	polls            *prometheus.CounterVec   // outcome
	replaced         prometheus.Counter
	swept            prometheus.Counter
	accessEnded      prometheus.Counter
	accessStreams    prometheus.Gauge
}

func newMetrics() *metrics {
	return &metrics{
		connects:         metric.BackendConnects.NewCounterVec(),
		disconnects:      metric.BackendDisconnects.NewCounterVec(),
		callbackDuration: metric.BackendCallbackDuration.NewHistogramVec(),
		published:        metric.BackendPublish.NewCounterVec(),
		finished:         metric.TasksFinished.NewCounterVec(),
		versions:         metric.BackendVersions.NewCounterVec(),
		polls:            metric.BackendVersionPolls.NewCounterVec(),
		replaced:         metric.BackendStreamsReplaced.NewCounter(),
		swept:            metric.BackendTasksSwept.NewCounter(),
		accessEnded:      metric.BackendAccessExpired.NewCounter(),
		accessStreams:    metric.BackendAccessStreams.NewGauge(),
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
		m.connects, m.disconnects, m.callbackDuration, m.published, m.finished,
		m.versions, m.polls, m.replaced, m.swept, m.accessEnded, m.accessStreams,
		taskCollector{service},
		metric.BackendGatewayReachable.NewGaugeFunc(nil, func() float64 { return metric.Bool(gateway.Reachable()) }),
	} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// taskCollector reads the number of tasks in each state when it is scraped: a
// gauge that is counted up and down would drift.
type taskCollector struct{ service *task.Service }

// Describe implements [prometheus.Collector].
func (taskCollector) Describe(ch chan<- *prometheus.Desc) { ch <- metric.Tasks.Desc() }

// Collect implements [prometheus.Collector].
func (c taskCollector) Collect(ch chan<- prometheus.Metric) {
	counts := c.service.Counts()
	for _, state := range task.States() {
		ch <- metric.Tasks.Value(float64(counts[state]), string(state))
	}
}

var _ task.Observer = observer{}

// observer counts the reports of the task service.
type observer struct{ metrics *metrics }

// Ended implements [task.Observer].
func (o observer) Ended(info task.Info) {
	o.metrics.finished.WithLabelValues(info.Type, string(info.Status)).Inc()
}

// Published implements [task.Observer]. The publisher counts event by event.
func (observer) Published(int, time.Duration, error) {}

// Dropped implements [task.Observer]. The publisher has counted the rejection.
func (observer) Dropped(string, error) {}
