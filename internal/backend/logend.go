package backend

import (
	"context"
	"encoding/json"

	"tidegate/internal/wire"
	"tidegate/task"
)

var _ task.LogReader = (*publisher)(nil)

// Ended implements [task.LogReader]. It reads the log of the task, which happens
// only when a process died between the end of a task and the end of its log.
func (p *publisher) Ended(ctx context.Context, id string) (terminal, closed bool, err error) {
	topic, err := p.client.Topic(ctx, taskTopic(id))
	switch {
	case isCode(err, wire.CodeTopicNotFound):
		return false, false, nil
	case err != nil:
		return false, false, err
	case topic.Closed:
		return true, true, nil
	}
	for after := ""; ; {
		page, err := p.client.Events(ctx, taskTopic(id), after)
		if err != nil {
			return false, false, err
		}
		for _, e := range page.Events {
			terminal = terminal || isTerminal(e)
		}
		if after = page.Next; after == "" {
			return terminal, false, nil
		}
	}
}

// isTerminal tells whether an event says how a task ended.
func isTerminal(e wire.EventInfo) bool {
	var data struct {
		EventType string `json:"event_type"`
	}
	if e.Name != task.EventTask || json.Unmarshal([]byte(e.Data), &data) != nil {
		return false
	}
	switch data.EventType {
	case "task_completed", "task_failed", "task_cancelled":
		return true
	}
	return false
}
