package sse

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

// farFuture bounds every wait, so that adding to one cannot overflow.
const farFuture = 365 * 24 * time.Hour

// delay returns how long to wait before a reconnection, after so many others in a row
// that opened no stream. It is never shorter than what the server asked for, within MaxRetry.
func (c *Client) delay(reconnects int, err error) time.Duration {
	d := min(c.retry, farFuture)
	limit := min(c.opts.MaxDelay, farFuture)
	for range reconnects {
		if d >= limit {
			break
		}
		d = min(2*d, limit)
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		d = max(d, min(status.RetryAfter, c.opts.MaxRetry))
	}
	return d + rand.N(d/2+1)
}

// sleep waits for d and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryAfter reads a Retry-After header, seconds or a date (RFC 9110 10.2.3). What is
// neither, or in the past, is 0.
func retryAfter(value string) time.Duration {
	if s, ok := parseDecimal(value, math.MaxInt64/int64(time.Second)); ok {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}

// watchdog calls a function when it is not stopped in time, counted from when it was made
// or last started. It is nil when there is no timeout.
type watchdog struct {
	timer *time.Timer
	wait  time.Duration
}

func newWatchdog(wait time.Duration, expired func()) *watchdog {
	if wait <= 0 {
		return nil
	}
	return &watchdog{timer: time.AfterFunc(wait, expired), wait: wait}
}

func (w *watchdog) start() {
	if w != nil {
		w.timer.Reset(w.wait)
	}
}

func (w *watchdog) stop() {
	if w != nil {
		w.timer.Stop()
	}
}

// watchedReader runs the watchdog while it waits for bytes, and only then.
type watchedReader struct {
	src io.Reader
	dog *watchdog
}

func (r *watchedReader) Read(p []byte) (int, error) {
	r.dog.start()
	defer r.dog.stop()
	return r.src.Read(p)
}
