package publish

import (
	"context"
	"encoding/json"
	"fmt"

	"tidegate/client"
	"tidegate/task"
)

var _ task.LogReader = (*Publisher)(nil)

// terminal are the event types that end a task.
var terminal = map[string]bool{"task_completed": true, "task_failed": true, "task_cancelled": true}

// Ended implements [task.LogReader]: it asks the gateway for the topic, and reads the
// events of one that is open. With it a service does not write the end of a task twice
// that another process has written, and does not use a key again whose log is closed.
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
	for ev, err := range p.opts.Client.Events(ctx, topic.Topic, client.EventQuery{}) {
		if client.CodeOf(err) == client.CodeTopicNotFound {
			return false, false, nil // deleted meanwhile
		}
		if err != nil {
			return false, false, fmt.Errorf("publish: read the log of a task: %w", err)
		}
		var data struct {
			Type string `json:"event_type"`
		}
		if ev.Name == task.EventTask && json.Unmarshal([]byte(ev.Data), &data) == nil && terminal[data.Type] {
			ended = true
		}
		closed = closed || ev.Final
	}
	return ended || closed, closed, nil
}

// topicOf is the topic that has the log of a task.
func topicOf(taskID string) string { return "task:" + taskID }
