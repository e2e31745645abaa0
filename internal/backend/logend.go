package backend

import (
	"context"
	"encoding/json"
	"time"

	"tidegate/client"
	"tidegate/task"
)

var _ task.EndReader = (*publisher)(nil)

// Ended implements [task.LogReader]. It reads the log of the task. That is needed only if
// a process died between the end of a task and the end of its log.
func (p *publisher) Ended(ctx context.Context, id string) (terminal, closed bool, err error) {
	topic, err := p.gateway.Topic(ctx, taskTopic(id))
	switch {
	case client.CodeOf(err) == client.CodeTopicNotFound:
		return false, false, nil
	case err != nil:
		return false, false, err
	case topic.Closed:
		return true, true, nil
	}
	_, terminal, err = p.End(ctx, id)
	return terminal, false, err
}

// End implements [task.EndReader].
func (p *publisher) End(ctx context.Context, id string) (end task.LogEnd, ok bool, err error) {
	for e, err := range p.gateway.Events(ctx, taskTopic(id), client.EventQuery{}) {
		switch {
		case client.CodeOf(err) == client.CodeTopicNotFound:
			return end, false, nil
		case err != nil:
			return end, false, err
		}
		if this, is := terminal(e); is {
			end, ok = this, true
		}
	}
	return end, ok, nil
}

// ends maps the types of terminal events to states.
var ends = map[string]task.State{"task_completed": task.Completed, "task_failed": task.Failed, "task_cancelled": task.Cancelled}

// terminal parses the event that reports the end of a task; ok is false for any other.
func terminal(e client.StoredEvent) (end task.LogEnd, ok bool) {
	var data struct {
		EventType string          `json:"event_type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}
	if e.Name != task.EventTask || json.Unmarshal([]byte(e.Data), &data) != nil {
		return end, false
	}
	end = task.LogEnd{State: ends[data.EventType], At: data.Timestamp}
	switch end.State {
	case task.Completed:
		if string(data.Data) != "null" {
			end.Result = data.Data
		}
	case task.Failed:
		var failure struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(data.Data, &failure) // a failure may have no text
		end.Error = failure.Error
	case task.Cancelled:
	default:
		return end, false
	}
	return end, true
}
