package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tidegate/client"
	"tidegate/task"
)

// taskLogs keeps the topics of tasks consistent with the task service. Its methods may be
// called concurrently.
type taskLogs struct {
	gateway *client.Client
	service *task.Service
	lost    *retrySet // finished tasks whose log the gateway has lost
	unused  *retrySet // deleted tasks whose log may be deleted
	metrics *metrics
	log     *slog.Logger
}

// unknown returns those of some tasks that the service does not know.
func (t *taskLogs) unknown(ctx context.Context, ids []string) (map[string]bool, error) {
	var unknown map[string]bool
	for _, id := range ids {
		_, err := t.service.Summary(ctx, id)
		switch {
		case err == nil:
		case !errors.Is(err, task.ErrNotFound):
			return nil, err
		case unknown == nil:
			unknown = map[string]bool{id: true}
		default:
			unknown[id] = true
		}
	}
	return unknown, nil
}

// restoreLost is called after a stream was attached to the topics of tasks. A running task
// writes its own topic and needs nothing. If a task has ended and its topic is open, the
// gateway has lost the log, and the stream would stay silent. The task service then writes
// the log again. The topic may also be open because the last events are still on their way.
// The repeated ones then come after them, find the topic closed, and change nothing.
//
// The topic of an unknown task was written to, or it would be absent. Another process runs
// that task. If that process is gone, the sweep closes the topic.
func (t *taskLogs) restoreLost(ctx context.Context, ids []string, topics map[string]client.Topic) error {
	for _, id := range ids {
		topic, attached := topics[taskTopic(id)]
		if !attached || topic.Closed {
			continue
		}
		info, err := t.service.Summary(ctx, id)
		if err != nil && !errors.Is(err, task.ErrNotFound) {
			return err
		}
		if err == nil && info.Status.Final() && !t.lost.add(id) {
			return errTooManyLost
		}
	}
	return nil
}

// notFound returns what a stream receives for a task that does not exist. Nothing of it is
// stored: a client can ask for any number of ids.
func notFound(id string) client.AbsentTopic {
	end := closing(id, "task_not_found", "")
	data := encode(struct {
		Error  string `json:"error"`
		TaskID string `json:"task_id"`
	}{"Task not found", id})
	return client.AbsentTopic{Topic: taskTopic(id), Events: []client.Event{
		{Name: "error", Data: string(data)}, {Name: end.Event.Name, Data: end.Event.Data},
	}}
}

// errTooManyLost asks the client to try again later. Accepted now, it would wait at a
// topic without a writer.
var errTooManyLost = fmt.Errorf("%w: too many task logs wait to be written again", errBusy)

// closing returns the message that closes the topic of a task.
func closing(id, reason, key string) client.Message {
	data := encode(struct {
		Reason string `json:"reason"`
	}{reason})
	return client.Message{Topic: taskTopic(id), Close: true, IdempotencyKey: key,
		Event: &client.Event{Name: task.EventClose, Data: string(data)}}
}

// sendAll sends a batch, and returns the first refusal. A closed topic is not one: the
// batch is for closing it. Neither is a used key: another process may have sent the same.
func (t *taskLogs) sendAll(ctx context.Context, batch []client.Message) error {
	answers, err := t.gateway.SendBatch(ctx, batch)
	if err != nil {
		return err
	}
	for _, a := range answers {
		err := a.Err()
		if err != nil && client.CodeOf(err) != client.CodeTopicClosed && client.CodeOf(err) != client.CodeIdempotencyMismatch {
			return err
		}
	}
	return nil
}

// republish makes the task service write the log of a finished task again.
func (t *taskLogs) republish(ctx context.Context, id string) error {
	err := t.service.Republish(ctx, id)
	if !errors.Is(err, task.ErrNotFound) {
		return err
	}
	// The task was deleted since the stream was attached, and the stream may still wait.
	// The task has existed, so its topic may be written to.
	topic, err := t.gateway.Topic(ctx, taskTopic(id))
	switch {
	case client.CodeOf(err) == client.CodeTopicNotFound:
		return nil
	case err != nil:
		return err
	case topic.Closed || topic.Appended > 0:
		return nil
	}
	first := notFound(id).Events[0]
	return t.sendAll(ctx, []client.Message{
		{Topic: taskTopic(id), IdempotencyKey: id + ":forgotten:error", Event: &client.Event{Name: first.Name, Data: first.Data}},
		closing(id, "task_not_found", id+":forgotten:close"),
	})
}

// drop deletes the log of a task that the service has deleted.
func (t *taskLogs) drop(ctx context.Context, id string) error {
	err := t.gateway.DeleteTopic(ctx, taskTopic(id))
	if client.CodeOf(err) == client.CodeTopicNotFound {
		return nil
	}
	return err
}

// lostTask returns the terminal event of a task whose process is gone.
func lostTask(id string, now time.Time) client.Message {
	data := encode(struct {
		EventType string          `json:"event_type"`
		TaskID    string          `json:"task_id"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{
		"task_failed", id, now.UTC().Format("2006-01-02T15:04:05.000000Z"),
		json.RawMessage(`{"error":"Task lost: the process that ran it is gone"}`),
	})
	return client.Message{Topic: taskTopic(id), IdempotencyKey: id + ":lost:failed",
		Event: &client.Event{Name: task.EventTask, Data: string(data)}}
}
