package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tidegate/client"
	"tidegate/task"
)

var _ task.EndReader = (*Publisher)(nil)

// Ended implements [task.LogReader]: it asks the gateway for the topic, and reads the
// events of one that is open. A service needs it so as not to write an end twice that
// another process has written, and not to use a key again whose log is closed.
func (p *Publisher) Ended(ctx context.Context, taskID string) (ended, closed bool, err error) {
	topic, err := p.opts.Client.Topic(ctx, topicOf(taskID))
	switch {
	case client.CodeOf(err) == client.CodeTopicNotFound:
		return false, false, nil
	case err != nil:
		return false, false, fmt.Errorf("publish: look at the log of a task: %w", err)
	case topic.Closed:
		return true, true, nil
	}
	_, ended, closed, err = p.read(ctx, taskID)
	return ended || closed, closed, err
}

// End implements [task.EndReader]: it reads the whole log of a task.
func (p *Publisher) End(ctx context.Context, taskID string) (end task.LogEnd, ok bool, err error) {
	end, ok, _, err = p.read(ctx, taskID)
	return end, ok, err
}

// read looks for the terminal event of a log, and for the one that closes it.
func (p *Publisher) read(ctx context.Context, taskID string) (end task.LogEnd, ok, closed bool, err error) {
	for ev, err := range p.opts.Client.Events(ctx, topicOf(taskID), client.EventQuery{}) {
		if client.CodeOf(err) == client.CodeTopicNotFound {
			return task.LogEnd{}, false, false, nil // deleted meanwhile
		}
		if err != nil {
			return task.LogEnd{}, false, false, fmt.Errorf("publish: read the log of a task: %w", err)
		}
		if this, is := terminal(ev); is {
			end, ok = this, true
		}
		closed = closed || ev.Final
	}
	return end, ok, closed, nil
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

// topicOf is the topic that has the log of a task.
func topicOf(taskID string) string { return "task:" + taskID }
