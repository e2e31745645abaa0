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

// taskLogs keeps the topics of tasks in step with what the task service knows.
// It may be used concurrently.
type taskLogs struct {
	gateway *client.Client
	service *task.Service
	lost    *retrySet // finished tasks whose log the gateway no longer has
	unused  *retrySet // forgotten tasks whose log may go
	metrics *metrics
	log     *slog.Logger
}

// unknown says which of some tasks are not known.
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

// settle is called when a stream was attached to the topics of tasks. A running
// task writes its own topic and needs nothing. One that is over and whose topic is
// open would leave the stream silent for ever: the gateway has lost the log. The
// task service writes it again. If the topic is open because the last events are
// still on their way, what is written again comes after them, finds the topic
// closed, and changes nothing.
//
// The topic of a task that is not known was written to, or it would be absent:
// another process is at work on it; the sweep looks after it if that one is gone.
func (t *taskLogs) settle(ctx context.Context, ids []string, topics map[string]client.Topic) error {
	for _, id := range ids {
		state, told := topics[taskTopic(id)]
		if !told || state.Closed {
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

// notFound is what a stream is told of a task that does not exist. Nothing of it is
// stored: anybody can make up any number of ids.
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

// errTooManyLost makes a client try again later, rather than wait at a topic
// that nobody writes.
var errTooManyLost = fmt.Errorf("%w: too many task logs wait to be written again", errBusy)

// closing is the message that ends the topic of a task.
func closing(id, reason, key string) client.Message {
	data := encode(struct {
		Reason string `json:"reason"`
	}{reason})
	return client.Message{Topic: taskTopic(id), Close: true, IdempotencyKey: key,
		Event: &client.Event{Name: task.EventClose, Data: string(data)}}
}

// sendAll sends a batch of which every message counts. A topic that is closed
// already is what the batch is for, and a key that is used has been sent, maybe by
// another process at another time.
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

// republish has the log of a finished task written again.
func (t *taskLogs) republish(ctx context.Context, id string) error {
	err := t.service.Republish(ctx, id)
	if !errors.Is(err, task.ErrNotFound) {
		return err
	}
	// Forgotten since the stream was attached, which may still wait: the task was
	// known, so its topic may be written to.
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

// drop deletes the log of a task that nobody can ask for any more.
func (t *taskLogs) drop(ctx context.Context, id string) error {
	err := t.gateway.DeleteTopic(ctx, taskTopic(id))
	if client.CodeOf(err) == client.CodeTopicNotFound {
		return nil
	}
	return err
}

// lostTask is the terminal event of a task whose process is gone.
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
