package backend

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tidegate/client"
	"tidegate/internal/heap"
	"tidegate/task"
)

const (
	// maxExpiring bounds the streams whose access expires. Beyond it a stream is refused,
	// because nothing would end it.
	maxExpiring = 1_000_000
	// expiryBatch is how many streams one request ends.
	expiryBatch = 1000
	// expiryRetry is the wait before a stream that could not be ended is tried again.
	expiryRetry = time.Second
	// expiryCheck is the longest wait before the clock is read again: it may have been set
	// meanwhile.
	expiryCheck = time.Minute
)

// errManyExpiring asks the client to try again later.
var errManyExpiring = fmt.Errorf("%w: too many streams with an access token", errBusy)

// expiries ends streams whose access has expired, with one heap and one goroutine for
// all. Its methods may be called concurrently.
type expiries struct {
	gateway *client.Client
	most    int
	metrics *metrics
	log     *slog.Logger
	wake    chan struct{} // size 1: another stream has become the first

	mu      sync.Mutex
	order   heap.Heap[*expiry] // guarded by mu, like all below
	byToken map[string]*expiry
}

// expiry is one stream.
type expiry struct {
	heap.Place
	token string
	at    time.Time
}

// Before implements [heap.Item].
func (x *expiry) Before(other *expiry) bool { return x.at.Before(other.at) }

func newExpiries(gateway *client.Client, m *metrics, log *slog.Logger) *expiries {
	return &expiries{gateway: gateway, most: maxExpiring, metrics: m, log: log, wake: make(chan struct{}, 1), byToken: map[string]*expiry{}}
}

// add schedules the end of a stream, or changes its time. It reports false if there is
// no room.
func (e *expiries) add(token string, at time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.byToken[token]
	switch {
	case x != nil:
		x.at = at
		e.order.Fix(x)
	case e.order.Len() >= e.most:
		return false
	default:
		x = &expiry{token: token, at: at}
		e.byToken[token] = x
		e.order.Push(x)
		e.metrics.accessStreams.Inc()
	}
	if e.order.First() == x {
		e.notify()
	}
	return true
}

// remove drops a stream that has ended.
func (e *expiries) remove(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.byToken[token]; x != nil {
		e.order.Remove(x)
		delete(e.byToken, token)
		e.metrics.accessStreams.Dec()
	}
}

func (e *expiries) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.order.Len()
}

func (e *expiries) notify() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// due removes the streams whose time has come, one batch at most. It returns how long to
// wait for the next.
func (e *expiries) due(now time.Time) (tokens []string, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.order.Len() > 0 && len(tokens) < expiryBatch {
		x := e.order.First()
		if x.at.After(now) {
			return tokens, min(x.at.Sub(now), expiryCheck)
		}
		e.order.Pop()
		delete(e.byToken, x.token)
		e.metrics.accessStreams.Dec()
		tokens = append(tokens, x.token)
	}
	return tokens, expiryCheck
}

// run ends streams until ctx ends.
func (e *expiries) run(ctx context.Context) {
	timer := time.NewTimer(expiryCheck)
	defer timer.Stop()
	for {
		tokens, wait := e.due(time.Now())
		if len(tokens) > 0 {
			e.end(ctx, tokens)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.wake:
		}
	}
}

// end sends streams the reason and ends them. Those that fail are scheduled again.
func (e *expiries) end(ctx context.Context, tokens []string) {
	batch := make([]client.Message, len(tokens))
	for i, token := range tokens {
		batch[i] = client.Message{Token: token, Close: true, Event: &client.Event{Name: task.EventClose, Data: `{"reason":"access_expired"}`}}
	}
	answers, err := e.gateway.SendBatch(ctx, batch)
	if err != nil && ctx.Err() == nil {
		e.log.Warn("could not end streams whose access has expired; will retry", "count", len(tokens)-len(answers), "cause", err)
	}
	again := time.Now().Add(expiryRetry)
	for i, token := range tokens {
		switch {
		case i >= len(answers):
			e.add(token, again)
		case answers[i].Err() == nil:
			e.metrics.accessEnded.Inc()
		case client.CodeOf(answers[i].Err()) == client.CodeTokenNotFound: // the client has left
		default: // such as a queue that is full
			e.add(token, again)
		}
	}
}
