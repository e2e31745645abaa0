package backend

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"tidegate/internal/wire"
	"tidegate/task"
)

// taskLogs keeps the topics of tasks in step with what the task service knows.
// It may be used concurrently.
type taskLogs struct {
	client  *Client
	service *task.Service
	lost    *todo // finished tasks whose log the gateway no longer has
	unused  *todo // forgotten tasks whose log may go
	metrics *metrics
	log     *slog.Logger
}

// settle is called when a stream was attached to the topics of tasks. A running
// task writes its own topic and needs nothing. The other two cases would leave
// the stream silent for ever:
//
//   - The task is over but its topic is open, because the gateway lost the log.
//     The task service writes it again. If it is open because the last events
//     are still on their way, what is written again comes after them, finds the
//     topic closed, and changes nothing.
//   - The task is unknown and its topic was never written to. Then the topic is
//     made one that says so and is closed, which also tells the client not to
//     come back. If it was written to, another process is at work on it; the
//     sweep looks after it if that one is gone.
func (t *taskLogs) settle(ctx context.Context, ids []string, topics map[string]wire.TopicInfo) error {
	var unknown []Message
	for _, id := range ids {
		state, told := topics[taskTopic(id)]
		if !told || state.Closed {
			continue
		}
		info, err := t.service.Get(ctx, id)
		if err != nil && !errors.Is(err, task.ErrNotFound) {
			return err
		}
		known := err == nil
		switch {
		case known && info.Status.Final():
			if !t.lost.add(id) {
				return errTooManyLost
			}
		case !known && state.Appended == 0:
			unknown = append(unknown, notFound(id, state.LastID)...)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return t.sendAll(ctx, unknown)
}

// notFound is the whole log of a task that does not exist. Streams that ask for
// it at the same time write it once, because their keys are the same. last is
// the topic's last event id: if the topic was deleted since the log was written
// there, the gateway still knows that id, and the keys, and must not take this
// log for a repeat.
func notFound(id, last string) []Message {
	if last != "" {
		last = ":" + last
	}
	data := encode(struct {
		Error  string `json:"error"`
		TaskID string `json:"task_id"`
	}{"Task not found", id})
	return []Message{
		{Topic: taskTopic(id), IdempotencyKey: id + ":missing:error" + last,
			Event: &Event{Name: "error", Data: string(data)}},
		closing(id, "task_not_found", id+":missing:close"+last),
	}
}

// errTooManyLost makes a client try again later, rather than wait at a topic
// that nobody writes.
var errTooManyLost = wire.Errorf(http.StatusServiceUnavailable, wire.CodeBufferFull, "too many task logs wait to be written again")

// closing is the message that ends the topic of a task.
func closing(id, reason, key string) Message {
	data := encode(struct {
		Reason string `json:"reason"`
	}{reason})
	return Message{Topic: taskTopic(id), Close: true, IdempotencyKey: key,
		Event: &Event{Name: task.EventClose, Data: string(data)}}
}

// sendAll sends a batch of which every message counts. A topic that is closed
// already is what the batch is for, and a key that is used has been sent, maybe by
// another process at another time.
func (t *taskLogs) sendAll(ctx context.Context, batch []Message) error {
	answers, err := t.client.SendBatch(ctx, batch)
	if err != nil {
		return err
	}
	for _, a := range answers {
		err := answerError(a)
		if err != nil && !isCode(err, wire.CodeTopicClosed) && !isCode(err, wire.CodeIdempotency) {
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
	// Forgotten since the stream was attached, which may still wait.
	topic, err := t.client.Topic(ctx, taskTopic(id))
	if isCode(err, wire.CodeTopicNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.settle(ctx, []string{id}, map[string]wire.TopicInfo{topic.Topic: topic})
}

// drop deletes the log of a task that nobody can ask for any more.
func (t *taskLogs) drop(ctx context.Context, id string) error {
	err := t.client.DeleteTopic(ctx, taskTopic(id))
	if isCode(err, wire.CodeTopicNotFound) {
		return nil
	}
	return err
}

// lostTask is the terminal event of a task whose process is gone.
func lostTask(id string, now time.Time) Message {
	data := encode(struct {
		EventType string          `json:"event_type"`
		TaskID    string          `json:"task_id"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{
		"task_failed", id, now.UTC().Format("2006-01-02T15:04:05.000000Z"),
		json.RawMessage(`{"error":"Task lost: the process that ran it is gone"}`),
	})
	return Message{Topic: taskTopic(id), IdempotencyKey: id + ":lost:failed",
		Event: &Event{Name: task.EventTask, Data: string(data)}}
}
