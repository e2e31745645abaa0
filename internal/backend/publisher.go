package backend

import (
	"tidegate/client"
	"tidegate/task/publish"
)

// newPublisher returns what writes the events of tasks to their topics and reads how
// their logs end.
func newPublisher(gateway *client.Client, m *metrics) *publish.Publisher {
	return publish.New(publish.Options{
		Client:  gateway,
		Observe: func(o publish.Outcome) { m.published.WithLabelValues(string(o)).Inc() },
	})
}

// Outcomes of a version notice, in the metric.
const (
	outcomeTaken  = string(publish.Taken)
	outcomeFailed = string(publish.Failed)
)
