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
	// maxExpiring bounds the streams whose access ends at some time. Beyond it
	// none is let in: nothing would end it.
	maxExpiring = 1_000_000
	// expiryBatch is how many streams are ended by one request.
	expiryBatch = 1000
	// expiryRetry is when a stream that could not be ended is tried again.
	expiryRetry = time.Second
	// expiryLook is the longest pause between two looks at the clock, which may
	// have been set meanwhile.
	expiryLook = time.Minute
)

// errManyExpiring makes a client come again later.
var errManyExpiring = fmt.Errorf("%w: too many streams with an access token", errBusy)

// expiries end streams whose access has ended: one heap and one goroutine for
// all. They may be used concurrently.
type expiries struct {
	gateway *client.Client
	most    int
	metrics *metrics
	log     *slog.Logger
	wake    chan struct{} // size 1: the first to end is another one

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

// add has the stream of token ended at a time. It reports false if there is no
// room. A stream that is there already gets the new time.
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

// remove forgets a stream that has ended.
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

// due takes out the streams whose time has come, a batch at most, and tells how
// long the next may wait.
func (e *expiries) due(now time.Time) (tokens []string, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.order.Len() > 0 && len(tokens) < expiryBatch {
		x := e.order.First()
		if x.at.After(now) {
			return tokens, min(x.at.Sub(now), expiryLook)
		}
		e.order.Pop()
		delete(e.byToken, x.token)
		e.metrics.accessStreams.Dec()
		tokens = append(tokens, x.token)
	}
	return tokens, expiryLook
}

// run ends streams until ctx ends.
func (e *expiries) run(ctx context.Context) {
	timer := time.NewTimer(expiryLook)
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

// end tells streams that their access has ended, and ends them. What fails is
// tried again.
func (e *expiries) end(ctx context.Context, tokens []string) {
	batch := make([]client.Message, len(tokens))
	for i, token := range tokens {
		batch[i] = client.Message{Token: token, Close: true, Event: &client.Event{Name: task.EventClose, Data: `{"reason":"access_expired"}`}}
	}
	answers, err := e.gateway.SendBatch(ctx, batch)
	if err != nil && ctx.Err() == nil {
		e.log.Warn("streams whose access has ended are not ended yet", "count", len(tokens)-len(answers), "cause", err)
	}
	again := time.Now().Add(expiryRetry)
	for i, token := range tokens {
		switch {
		case i >= len(answers):
			e.add(token, again)
		case answers[i].Err() == nil:
			e.metrics.accessEnded.Inc()
		case client.CodeOf(answers[i].Err()) == client.CodeTokenNotFound: // it has left
		default: // such as a queue that is full
			e.add(token, again)
		}
	}
}
