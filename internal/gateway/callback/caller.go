package callback

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/internal/access"
	"tidegate/internal/gateway/admission"
	"tidegate/internal/outbound"
	"tidegate/internal/packed"
	"tidegate/internal/version"
	"tidegate/internal/wire"
)

const (
	// maxLateTime is how long a callback goes on after nobody waits for it any more:
	// its answer still decides whether a disconnect is due.
	maxLateTime = 30 * time.Second
	// maxLate bounds connect callbacks that nobody waits for.
	maxLate = 1024
	// maxAnswer and maxAnswerTime bound what is read of an answer's body, and for how
	// long, before its connection is given up. The body itself is ignored.
	maxAnswer     = 64 << 10
	maxAnswerTime = time.Second
	// usualBody is the size of most callbacks.
	usualBody = 1 << 10
)

// Options configure a Caller and its Queue. All fields without a comment on their
// zero value are required.
type Options struct {
	URL         string            // of the backend; "": no callback is ever posted
	Transport   http.RoundTripper // follows no redirects
	Secrets     *access.Secrets   // the first signs callbacks; nil: none does
	Gateway     string            // identifies this process to receivers of several
	Timeout     time.Duration     // until the status of a connect callback
	Concurrency int               // callbacks of each kind at once
	Requests    *packed.Store     // holds the requests of messages
	Metrics     Metrics
}

// Metrics counts callbacks. Its methods may be called concurrently, and must not
// block.
type Metrics interface {
	// Called reports a callback that has ended; status is 0 if it had no answer.
	Called(action wire.Action, status int, took time.Duration)
	// Resent reports a callback that is sent once more on a new connection.
	Resent()
	// Dropped reports n disconnects that were given up, and why.
	Dropped(why string, n int)
}

// Caller posts callbacks over a pool of connections. All methods may be called
// concurrently.
type Caller struct {
	opts  Options           // set once
	fresh http.RoundTripper // set once: as opts.Transport, on a new connection

	slots    *admission.Slots // Concurrency: connect callbacks that a client waits for
	late     chan struct{}    // size maxLate: those that nobody waits for any more
	answered atomic.Uint64    // callbacks with a status: evidence that the backend works
	pending  sync.WaitGroup   // connect callbacks
}

// NewCaller returns a caller. It starts nothing.
func NewCaller(o Options) *Caller {
	return &Caller{
		opts: o, fresh: outbound.Fresh(o.Transport),
		slots: admission.NewSlots(o.Concurrency), late: make(chan struct{}, maxLate),
	}
}

// Waiting is how many connect callbacks have a client that waits.
func (c *Caller) Waiting() int { return c.slots.InUse() }

// Late is how many connect callbacks go on although nobody waits for them.
func (c *Caller) Late() int { return len(c.late) }

// Wait returns when all connect callbacks have ended, those included that nobody
// waits for. Call it when Connect is not called any more.
func (c *Caller) Wait() { c.pending.Wait() }

// Call posts one callback and returns its answer, after Timeout at most.
func (c *Caller) Call(ctx context.Context, m *Message) Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, errNoAnswer)
	defer cancel()
	a, discard := c.call(ctx, m)
	discard()
	return a
}

// call posts one callback and returns as soon as there is a status. The caller must
// call discard after acting on it: it reads the answer's body, which may come late
// or never.
func (c *Caller) call(ctx context.Context, m *Message) (a Answer, discard func()) {
	begin := time.Now()
	a, response := c.post(ctx, m)
	if a.Status > 0 {
		c.answered.Add(1)
	}
	c.opts.Metrics.Called(m.Action, a.Status, time.Since(begin))
	return a, func() { discardBody(response) }
}

// post sends the request, and sends it once more on a new connection if the backend
// seems to have closed the first one before it read the request.
func (c *Caller) post(ctx context.Context, m *Message) (Answer, *http.Response) {
	payload := m.appendJSON(make([]byte, 0, usualBody), c.opts.Requests, c.opts.Gateway)
	a, stale, response := c.attempt(ctx, c.opts.Transport, payload)
	if !stale || ctx.Err() != nil {
		return a, response
	}
	c.opts.Metrics.Resent()
	uncertain := a.sent
	a, _, response = c.attempt(ctx, c.fresh, payload)
	a.uncertain = uncertain
	return a, response
}

// attempt sends one request. stale reports that it failed and may succeed on a new
// connection.
func (c *Caller) attempt(ctx context.Context, rt http.RoundTripper, payload []byte) (a Answer, stale bool, response *http.Response) {
	var way outbound.Attempt
	r, err := http.NewRequestWithContext(way.Trace(ctx), http.MethodPost, c.opts.URL, bytes.NewReader(payload))
	if err != nil {
		return Answer{Err: err}, false, nil
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", version.UserAgent())
	if secret := c.opts.Secrets.First(); secret != "" {
		r.Header.Set(wire.SignatureHeader, wire.Sign([]byte(secret), wire.Signed{Method: r.Method, Target: r.URL.RequestURI(), Body: payload}, time.Now()))
	}
	response, err = rt.RoundTrip(r)
	if err != nil {
		return Answer{Err: err, sent: way.Sent()}, way.Stale(), nil
	}
	retry := ParseRetryAfter(response.Header.Get("Retry-After"), time.Now())
	return Answer{Status: response.StatusCode, RetryAfter: retry, sent: true}, false, response
}

// discardBody reads an answer's body, so that its connection can be used again. A
// long or slow body costs the connection, and so does 101, which has no end.
func discardBody(response *http.Response) {
	if response == nil {
		return
	}
	defer response.Body.Close()
	if response.StatusCode < http.StatusOK {
		return
	}
	late := time.AfterFunc(maxAnswerTime, func() { _ = response.Body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
}
