// Package publish writes the events of tasks to the topics of a gateway, for
// programs that run tasks of their own: a [Publisher] is the [task.Publisher] of
// a service whose tasks browsers follow through the gateway.
//
//	logs, err := publish.New(publish.Options{URL: "http://127.0.0.1:8081"})
//	…
//	svc, err := task.New(task.Options{Publisher: logs})
//
// It does what is easy to get wrong. The event that closes a log goes out by
// itself, after all before it are there: in one batch with them it could be taken
// while the one before it is refused, and the log would end without saying how the
// task did. An event that can never be taken, because it is too large, say, is
// reported as a [task.RejectedError], so that the service replaces it in place of
// trying for ever. A log that is closed already has these events: that is no
// error. Everything else is tried again by the service, and the keys of the events
// make repeats harmless.
package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tidegate/task"
)

// Options say where events go: either URL or Send is needed.
type Options struct {
	// URL is the gateway's internal listener, such as "http://127.0.0.1:8081".
	URL string
	// Secret is the gateway's --internal-secret, "" for none.
	Secret string
	// HTTPClient does the requests; default: one with a pool of its own.
	HTTPClient *http.Client
	// Timeout bounds one request; default 10s.
	Timeout time.Duration

	// Send takes a batch in place of URL, for programs that have a way of their own
	// to the gateway. It returns the answers in order; with an error they may be
	// fewer than the messages.
	Send func(ctx context.Context, batch []Message) ([]Answer, error)
	// Observe, if set, is told what became of each event.
	Observe func(Outcome)
}

// Message is one event on its way, as POST /internal/send takes it.
type Message struct {
	Topic          string `json:"topic"`
	Event          Event  `json:"event"`
	Close          bool   `json:"close,omitempty"`
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Event is the event in a [Message].
type Event struct {
	Name string `json:"name,omitempty"`
	Data string `json:"data"`
}

// Answer is what the gateway says of one message.
type Answer struct {
	Status int    // as HTTP has it; 2xx is taken
	Code   string // of the error, such as "BODY_TOO_LARGE"
	Text   string // of the error
}

// Error is an [Answer] that is a refusal.
type Error struct{ Answer }

func (e *Error) Error() string {
	return fmt.Sprintf("publish: the gateway answered %d %s: %s", e.Status, e.Code, e.Text)
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

// Publisher appends events to topics named "task:" and the id of the task. It is
// safe for concurrent use.
type Publisher struct{ opts Options }

var _ task.Publisher = (*Publisher)(nil)

// New checks the options. It calls nobody.
func New(opts Options) (*Publisher, error) {
	if opts.Observe == nil {
		opts.Observe = func(Outcome) {}
	}
	if opts.Send != nil {
		return &Publisher{opts}, nil
	}
	u, err := url.Parse(opts.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("publish: URL must be that of the gateway's internal listener, such as http://127.0.0.1:8081, without a path")
	}
	opts.URL = u.Scheme + "://" + u.Host + "/internal/send"
	opts.Timeout = cmp.Or(max(opts.Timeout, 0), 10*time.Second)
	if opts.HTTPClient == nil {
		opts.HTTPClient = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	p := &Publisher{opts}
	p.opts.Send = p.post
	return p, nil
}

// Publish implements [task.Publisher].
func (p *Publisher) Publish(ctx context.Context, taskID string, events []task.Event) error {
	for start := 0; start < len(events); {
		n := 1
		for !events[start].Close && start+n < len(events) && !events[start+n].Close && n < maxLines {
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
	messages := make([]Message, len(events))
	for i, e := range events {
		messages[i] = Message{Topic: "task:" + taskID, Event: Event{e.Name, string(e.Data)}, Close: e.Close, IdempotencyKey: e.Key}
	}
	answers, err := p.opts.Send(ctx, messages)
	// A refusal is told before any other error: it is dealt with at once, and
	// what else failed is then tried again with the rest.
	var rejected *task.RejectedError
	var failed error
	for i, a := range answers[:min(len(answers), len(events))] {
		outcome := judge(a)
		p.opts.Observe(outcome)
		switch {
		case outcome == Rejected && rejected == nil:
			rejected = &task.RejectedError{Index: start + i, Err: &Error{a}}
		case outcome == Failed && failed == nil:
			failed = &Error{a}
		}
	}
	for range len(events) - len(answers) {
		p.opts.Observe(Failed)
	}
	switch {
	case rejected != nil:
		return rejected
	case err != nil:
		return err
	case failed == nil && len(answers) < len(events):
		return fmt.Errorf("publish: the gateway answered %d of %d events", len(answers), len(events))
	}
	return failed
}

// judge says what an answer means for an event of a task.
//
// A closed topic counts as taken. The task service is its only writer, so what is
// closed already holds this event: it is a repeat after the gateway has forgotten
// its key. Had somebody else closed the topic, trying again would not open it
// either. A key that was used with other content is that of another process that
// has written the log again, and knew another progress.
func judge(a Answer) Outcome {
	switch {
	case a.Status/100 == 2:
		return Taken
	case a.Status == http.StatusConflict && a.Code == "TOPIC_CLOSED", a.Code == "IDEMPOTENCY_MISMATCH":
		return There
	case a.Status == http.StatusBadRequest, a.Status == http.StatusRequestEntityTooLarge:
		return Rejected
	}
	return Failed
}
