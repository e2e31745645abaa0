package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidegate/internal/storage/nats"
	"tidegate/internal/wire"
)

// failurePause is how often failures of one kind are logged: while storage is away
// there is one for each request.
const failurePause = time.Minute

// failures are the failures of one kind.
type failures struct {
	mu     sync.Mutex
	logged time.Time // guarded by mu, like all below: the last time, zero for never
	silent int       // failures since then
}

// next reports whether to log the next failure, and how many were not logged before it.
func (f *failures) next(now time.Time) (silent int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.logged.IsZero() && now.Sub(f.logged) < failurePause {
		f.silent++
		return 0, false
	}
	silent, f.logged, f.silent = f.silent, now, 0
	return silent, true
}

// failed logs why something could not be done for a topic, since the caller receives no
// more than a code. Errors with a code that says why are not logged, nor is a caller that
// has gone.
func (l *Log) failed(kind *failures, what, name string, err error) {
	code, known := errors.AsType[*wire.Error](err)
	if err == nil || known && code != nats.ErrStreamFull || errors.Is(err, context.Canceled) {
		return
	}
	if silent, ok := kind.next(time.Now()); ok {
		l.log.Warn(what, "topic", name, "error", err, "not_logged_before", silent)
	}
}

// withFullCode is err, with the code ENGINE_FULL if the log has no room.
func withFullCode(err error) error {
	if code := nats.Unavailable(err); code == nats.ErrStreamFull {
		return fmt.Errorf("%w: %w", code, err)
	}
	return err
}
