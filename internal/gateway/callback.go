package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"tidegate/internal/access"
	"tidegate/internal/gateway/admission"
	"tidegate/internal/outbound"
	"tidegate/internal/version"
	"tidegate/internal/wire"
)

const (
	// callbackPatience is how long a callback goes on after those who wait for
	// it have given up: its answer still tells whether a disconnect is due.
	callbackPatience = 30 * time.Second
	// maxLate bounds connect callbacks that go on without anybody waiting.
	maxLate = 1024
	// maxAnswer and maxAnswerTime are how much of an answer's body is read, and
	// for how long, before its connection is given up. What it says is not
	// looked at.
	maxAnswer     = 64 << 10
	maxAnswerTime = time.Second
	// usualBody is the size of most callbacks.
	usualBody = 1 << 10
)

// answer is what became of one callback.
type answer struct {
	status     int        // 0: none came
	retryAfter retryAfter // of the answer
	err        error      // why no status came
	sent       bool       // the request went out whole: the backend may have acted on it
	doubt      bool       // it went out whole once before, and no answer came
	abandoned  bool       // nobody waited for it: the callback goes on
}

// accepted says that the backend took the callback.
func (a answer) accepted() bool { return a.status >= 200 && a.status < 300 }

// maybe says that nobody knows: the request went out and no status came back.
func (a answer) maybe() bool { return a.status == 0 && a.sent || a.doubt && !a.accepted() }

// caller does callbacks over a pool of connections.
type caller struct {
	url     string
	secrets *access.Secrets
	gateway string // id, for receivers of more than one
	rt      http.RoundTripper
	fresh   http.RoundTripper // as rt, on a new connection
	timeout time.Duration
	slots   *admission.Slots // CallbackConcurrency: connect callbacks that are waited for
	late    chan struct{}    // size maxLate: those nobody waits for any more
	metrics *metrics
	// answered counts callbacks with a status: the backend is at work.
	answered atomic.Uint64
	// requests is what the requests of streams are packed in.
	requests *requests
}

func newCaller(o Options, gateway string, m *metrics, requests *requests) *caller {
	return &caller{
		gateway: gateway, requests: requests, url: o.CallbackURL, secrets: o.CallbackSecrets, rt: o.Transport, fresh: outbound.Fresh(o.Transport), timeout: o.CallbackTimeout,
		slots: admission.NewSlots(o.CallbackConcurrency), late: make(chan struct{}, maxLate), metrics: m,
	}
}

// connect does a connect callback. It waits for one of the slots, in turn
// with other addresses, as long as the client does, whose lifetime ctx is, and a
// client would. Once it has one it goes
// on without them, to find out what the backend thinks; but the slot is given
// back when nobody would wait any more: a backend that hangs must not hold up
// others. early is set when it has the slot in the first half of the time: whatever
// it comes to then is the backend's doing. rest is as in call.
func (c *caller) connect(ctx context.Context, body *callback, early *atomic.Bool) (a answer, rest func()) {
	wait := time.NewTimer(c.timeout)
	defer wait.Stop()
	begin := time.Now()
	switch err := c.slots.Acquire(ctx, &body.request, wait.C); {
	case errors.Is(err, admission.ErrTimeout):
		return answer{err: errNoSlot}, func() {}
	case err != nil:
		return answer{err: err}, func() {}
	}
	waited := time.Since(begin)
	if waited >= c.timeout-c.timeout/20 { // nobody waits much longer: leave the backend out of it
		c.slots.Release()
		return answer{err: errNoSlot}, func() {}
	}
	early.Store(waited < c.timeout/2)
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), c.timeout+callbackPatience-waited, errNoAnswer)
	finished, moved := make(chan struct{}), make(chan struct{})
	go func() { // ends with this function, which waits for it
		defer close(moved)
		select {
		case <-finished:
			c.slots.Release()
			return
		case <-wait.C:
		}
		c.slots.Release()
		select {
		case c.late <- struct{}{}:
			<-finished
			<-c.late
		default:
			cancel()
		}
	}()
	a, discard := c.call(ctx, body)
	close(finished)
	<-moved
	return a, func() {
		discard()
		cancel()
	}
}

var (
	errNoSlot   = errors.New("too many callbacks are waiting for the backend (--callback-concurrency)")
	errNoAnswer = errors.New("no answer in time")
	errCrowd    = errors.New("others are being asked about: the backend answers, but not so many at once")
)

// call posts one callback and gives its status as soon as it is there. It
// follows no redirects. The caller must call rest when the status has been
// acted on: it reads the answer's body, which may come late or never.
func (c *caller) call(ctx context.Context, body *callback) (a answer, rest func()) {
	begin := time.Now()
	a, response := c.post(ctx, body)
	if a.status > 0 {
		c.answered.Add(1)
	}
	c.metrics.callback(body.action, a, time.Since(begin))
	return a, func() { discard(response) }
}

// post does the request, and does it once more on a new connection if the backend
// seems to have closed the one that it went out on.
func (c *caller) post(ctx context.Context, body *callback) (answer, *http.Response) {
	payload := body.appendJSON(make([]byte, 0, usualBody), c.requests.Store, c.gateway)
	a, stale, response := c.attempt(ctx, c.rt, payload)
	if !stale || ctx.Err() != nil {
		return a, response
	}
	c.metrics.callbackRetries.Inc()
	doubt := a.sent
	a, _, response = c.attempt(ctx, c.fresh, payload)
	a.doubt = doubt
	return a, response
}

// attempt does one request. stale says that it failed and may succeed on a new
// connection.
func (c *caller) attempt(ctx context.Context, rt http.RoundTripper, payload []byte) (a answer, stale bool, response *http.Response) {
	var way outbound.Attempt
	r, err := http.NewRequestWithContext(way.Trace(ctx), http.MethodPost, c.url, bytes.NewReader(payload))
	if err != nil {
		return answer{err: err}, false, nil
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", version.UserAgent())
	if secret := c.secrets.First(); secret != "" {
		r.Header.Set(wire.SignatureHeader, wire.Sign([]byte(secret), wire.Signed{Method: r.Method, Target: r.URL.RequestURI(), Body: payload}, time.Now()))
	}
	response, err = rt.RoundTrip(r)
	if err != nil {
		return answer{err: err, sent: way.Sent()}, way.Stale(), nil
	}
	return answer{status: response.StatusCode, retryAfter: parseRetryAfter(response.Header.Get("Retry-After"), time.Now()), sent: true}, false, response
}

// discard reads an answer's body, so that its connection can be used again. One
// that is long or slow costs the connection, and so does 101, which has no end.
func discard(response *http.Response) {
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
