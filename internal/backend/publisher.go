package backend

import (
	"tidegate/client"
	"tidegate/task/publish"
)

// publisher writes the events of tasks to their topics, and reads how logs end.
type publisher struct {
	*publish.Publisher
	gateway *client.Client
}

func newPublisher(gateway *client.Client, m *metrics) *publisher {
	return &publisher{
		Publisher: publish.New(publish.Options{
			Client:  gateway,
			Observe: func(o publish.Outcome) { m.published.WithLabelValues(string(o)).Inc() },
		}),
		gateway: gateway,
	}
}

// Outcomes of a version notice, in the metric.
const (
	outcomeTaken  = string(publish.Taken)
	outcomeFailed = string(publish.Failed)
)
