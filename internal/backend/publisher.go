package backend

import (
	"context"
	"net/http"

	"tidegate/internal/wire"
	"tidegate/task"
)

var _ task.Publisher = (*publisher)(nil)

// publisher writes the events of tasks to their topics.
type publisher struct {
	client  *Client
	metrics *metrics
}

// Publish implements [task.Publisher].
//
// The event that closes a topic goes out by itself, after all before it are in
// the log. In one batch with them it could be taken while the one before it is
// refused, and the log would end without saying how the task did.
func (p *publisher) Publish(ctx context.Context, id string, events []task.Event) error {
	for start := 0; start < len(events); {
		n := 1
		for !events[start].Close && start+n < len(events) && !events[start+n].Close {
			n++
		}
		if err := p.appendBatch(ctx, id, start, events[start:start+n]); err != nil {
			return err
		}
		start += n
	}
	return nil
}

// appendBatch sends one batch, whose first event is number start of what Publish
// was given.
func (p *publisher) appendBatch(ctx context.Context, id string, start int, events []task.Event) error {
	batch := make([]Message, len(events))
	for i, e := range events {
		batch[i] = Message{
			Topic:          taskTopic(id),
			Event:          &Event{Name: e.Name, Data: string(e.Data)},
			Close:          e.Close,
			IdempotencyKey: e.Key,
		}
	}
	answers, err := p.client.SendBatch(ctx, batch)
	// A refusal is told before any other error: it is dealt with at once, and
	// what else failed is then tried again with the rest.
	var rejected *task.RejectedError
	var failed error
	for i, a := range answers {
		outcome, lineErr := judge(a)
		p.metrics.published.WithLabelValues(outcome).Inc()
		switch {
		case outcome == outcomeRejected && rejected == nil:
			rejected = &task.RejectedError{Index: start + i, Err: lineErr}
		case outcome == outcomeFailed && failed == nil:
			failed = lineErr
		}
	}
	if unanswered := len(events) - len(answers); unanswered > 0 {
		p.metrics.published.WithLabelValues(outcomeFailed).Add(float64(unanswered))
	}
	switch {
	case rejected != nil:
		return rejected
	case err != nil:
		return err
	default:
		return failed
	}
}

// What became of one event, as the metric names it.
const (
	outcomeTaken    = "taken"
	outcomeThere    = "already_closed"
	outcomeRejected = "rejected"
	outcomeFailed   = "failed"
)

// judge says what an answer means for an event of a task.
//
// A closed topic counts as "taken". The task service is its only writer, so what
// is closed already holds this event: it is a repeat after the gateway has
// forgotten its key. Had somebody else closed the topic, trying again would not
// open it either.
func judge(a wire.SendAnswer) (outcome string, err error) {
	err = answerError(a)
	switch {
	case err == nil:
		return outcomeTaken, nil
	case a.Code == http.StatusConflict && isCode(err, wire.CodeTopicClosed),
		// Another process has written the log again, and knew another progress.
		isCode(err, wire.CodeIdempotency):
		return outcomeThere, nil
	case a.Code == http.StatusBadRequest, a.Code == http.StatusRequestEntityTooLarge:
		return outcomeRejected, err
	default:
		return outcomeFailed, err
	}
}
