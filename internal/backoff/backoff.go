// Package backoff is how long to wait before something is tried again, and the wait
// itself. Packages sse and task have the same few lines of their own: they import
// nothing but the standard library.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Wait waits for d, or until ctx ends: then it returns the cause of that.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Exponential is the pause after so many failures in a row. It is first after one failure,
// doubles with each other one, and is never longer than longest. It varies
// between half of that and all of it, so that callers that fail together do not try again
// together. failures below 1 count as 1.
func Exponential(failures int, first, longest time.Duration) time.Duration {
	d := min(first, longest)
	for ; failures > 1 && d < longest; failures-- {
		if d > longest/2 {
			d = longest
			break
		}
		d *= 2
	}
	return d/2 + rand.N(d/2+1)
}
