package callback

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// Answer is the result of one callback.
type Answer struct {
	Status     int        // 0: none was received
	RetryAfter RetryAfter // of the answer
	Err        error      // why there is no status
	Abandoned  bool       // the client no longer waits: the callback goes on without it

	sent      bool // the request went out whole: the backend may have acted on it
	uncertain bool // an earlier attempt went out whole and had no answer
}

var (
	errNoSlot     = errors.New("too many callbacks are waiting for the backend (--callback-concurrency)")
	errNoAnswer   = errors.New("no answer in time")
	errOverloaded = errors.New("callbacks of other clients are before it: the backend answers, but not so many at once")
)

// Accepted reports whether the backend took the callback.
func (a Answer) Accepted() bool { return a.Status >= 200 && a.Status < 300 }

// Uncertain reports that the backend may have accepted: a request went out, and no
// status came back.
func (a Answer) Uncertain() bool { return a.Status == 0 && a.sent || a.uncertain && !a.Accepted() }

// Overloaded reports that the callback was not posted in time because others were
// before it, although the backend answers.
func (a Answer) Overloaded() bool { return errors.Is(a.Err, errOverloaded) }

// TimedOut reports that the backend did not answer in time. A backend that cannot be
// connected to does not count.
func (a Answer) TimedOut() bool {
	if a.Status != 0 {
		return false
	}
	if errors.Is(a.Err, errNoSlot) || errors.Is(a.Err, errNoAnswer) || errors.Is(a.Err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](a.Err)
	return ok && e.Timeout() && !isDial(a.Err)
}

func isDial(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// Retryable reports whether the backend is away or in trouble, so that the same
// callback may succeed later. A wrong secret counts as trouble: somebody will put it
// right.
func (a Answer) Retryable() bool {
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return !a.Accepted() && (a.Status < 400 || a.Status >= 500)
}
