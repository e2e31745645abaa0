// Package publish writes the events of tasks to the topics of a gateway, for programs
// that run tasks of their own. A [Publisher] is the [task.Publisher] of a service:
// browsers then follow its tasks through the gateway.
//
//	tide, err := client.New(client.Options{URL: "http://127.0.0.1:8081"})
//	…
//	svc, err := task.New(task.Options{Publisher: publish.New(publish.Options{Client: tide})})
//
// It does what is easy to get wrong:
//
//   - The event that closes a log goes out by itself, after all before it are stored. In
//     one batch with them it could be taken while the one before it is refused; the log
//     would then end without saying how the task did.
//   - An event that the gateway can never take, such as one that is too large, is reported
//     as a [task.RejectedError], so that the service replaces it.
//   - A log that is closed already has these events: that is no error.
//   - The service tries everything else again. The keys of the events make repeats
//     harmless.
package publish

import (
	"context"
	"errors"
	"net/http"

	"tidegate/client"
	"tidegate/task"
)

// Options configure a [Publisher]. Client is required.
type Options struct {
	// Client carries the events to the gateway.
	Client *client.Client
	// Observe, if set, is called with what became of each event, concurrently for
	// different tasks.
	Observe func(Outcome)
}

// Outcome is what became of one event.
type Outcome string

// The outcomes.
const (
	Taken    Outcome = "taken"
	There    Outcome = "already_closed" // the log is closed, so it has the event
	Rejected Outcome = "rejected"       // can never be taken
	Failed   Outcome = "failed"         // is tried again
)

// Publisher appends events to topics named "task:" and the id of the task. It is safe
// for concurrent use.
type Publisher struct{ opts Options }

var _ task.Publisher = (*Publisher)(nil)

// New returns a Publisher. It does not call the gateway. It panics without a Client.
func New(opts Options) *Publisher {
	if opts.Client == nil {
		panic("publish: Options.Client is required")
	}
	if opts.Observe == nil {
		opts.Observe = func(Outcome) {}
	}
	return &Publisher{opts}
}

// Publish implements [task.Publisher].
func (p *Publisher) Publish(ctx context.Context, taskID string, events []task.Event) error {
	for start := 0; start < len(events); {
		n := 1
		for !events[start].Close && start+n < len(events) && !events[start+n].Close {
			n++
		}
		if err := p.batch(ctx, taskID, start, events[start:start+n]); err != nil {
			return err
		}
		start += n
	}
	return nil
}

// batch sends some events, the first of which is number start of what Publish was given.
func (p *Publisher) batch(ctx context.Context, taskID string, start int, events []task.Event) error {
	messages := make([]client.Message, len(events))
	for i, e := range events {
		messages[i] = client.Message{
			Topic: topicOf(taskID), Event: &client.Event{Name: e.Name, Data: string(e.Data)},
			Close: e.Close, IdempotencyKey: e.Key,
		}
	}
	results, err := p.opts.Client.SendBatch(ctx, messages)
	// A rejection is returned before any other error: the service deals with it at
	// once, and then tries what else failed again with the rest.
	var rejected *task.RejectedError
	var failed error
	for i, r := range results {
		outcome := judge(r)
		p.opts.Observe(outcome)
		switch {
		case outcome == Rejected && rejected == nil:
			rejected = &task.RejectedError{Index: start + i, Err: r.Err()}
		case outcome == Failed && failed == nil:
			failed = r.Err()
		}
	}
	for range len(events) - len(results) {
		p.opts.Observe(Failed)
	}
	if rejected != nil {
		return rejected
	}
	return errors.Join(err, failed)
}

// judge says what a result means for an event of a task.
//
// A closed topic counts as taken. The task service is its only writer, so a closed topic
// has this event: it is a repeat after the gateway has dropped its key. Trying again would
// not open the topic anyway. A key that was used with other content is that of another
// process, which has written the log again from another progress.
func judge(r client.Result) Outcome {
	switch code := client.CodeOf(r.Err()); {
	case r.Err() == nil:
		return Taken
	case code == client.CodeTopicClosed, code == client.CodeIdempotencyMismatch:
		return There
	case r.Code == http.StatusBadRequest, r.Code == http.StatusRequestEntityTooLarge:
		return Rejected
	}
	return Failed
}
