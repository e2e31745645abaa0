package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// Waits before a repeat.
const (
	firstWait     = 100 * time.Millisecond
	longestWait   = 5 * time.Second
	maxRetryAfter = 30 * time.Second

	// keyLifetime is how long a gateway keeps an idempotency key. The last attempt ends
	// before.
	keyLifetime = 2 * time.Minute
)

// retry decides about the repeats of one call.
type retry struct {
	left    int
	next    time.Duration // the wait before the next repeat, without jitter
	timeout time.Duration // of one attempt
	began   time.Time
}

func newRetry(c *Client) *retry {
	return &retry{left: c.retries, next: firstWait, timeout: c.timeout, began: time.Now()}
}

// wait waits for the moment of the next attempt, after one that failed with err. It
// reports false if there is to be none.
func (r *retry) wait(ctx context.Context, k call, err error) bool {
	if r.left <= 0 || ctx.Err() != nil || !mayRepeat(k, err) {
		return false
	}
	d := r.next + rand.N(r.next/2+1)
	if e, ok := errors.AsType[*Error](err); ok {
		d = max(d, e.RetryAfter)
	}
	if d > maxRetryAfter || time.Since(r.began)+d+r.timeout > keyLifetime {
		return false
	}
	r.left--
	r.next = min(2*r.next, longestWait)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// mayRepeat reports whether a call that failed with err may be repeated. It must be able
// to succeed the next time, and what it asks for must not be done twice.
func mayRepeat(k call, err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return tookNothing(e) || k.repeatable && mayPass(e.Status)
	}
	return k.repeatable && errors.Is(err, ErrUnreachable) || neverSent(err)
}

// tookNothing reports whether a refusal is for now, and made before anything of
// the request was done.
func tookNothing(e *Error) bool {
	switch e.Code {
	case CodeBufferFull, CodeDraining, CodeNodeBusy, CodeTooMuchInFlight:
		return true
	}
	return e.Status == http.StatusTooManyRequests
}

func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// neverSent reports whether a request failed before its connection was open.
func neverSent(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}
