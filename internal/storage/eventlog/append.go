package eventlog

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

const (
	// appendTimeout bounds an AppendAll whose context has no deadline.
	appendTimeout = 10 * time.Second
	// countTimeout is how long to wait for the receivers of other nodes.
	countTimeout = 250 * time.Millisecond
	// takeOutTimeout bounds the removal of a refused event.
	takeOutTimeout = time.Second
	// maxAppends bounds the events that are on their way into the log.
	maxAppends = 10_000
	// appendOverhead is about the memory of an event on its way, besides its texts, in bytes.
	appendOverhead = 1024
	// maxTogether bounds the events of one call that are on their way together. A larger
	// call goes on when they have been answered.
	maxTogether = 512
)

var (
	// errUnanswered: the server has not said in time whether the event is stored.
	errUnanswered = errors.New("eventlog: no answer from the event log in time")
	// errNoRoom refuses an event while too many others are on their way.
	errNoRoom = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeBufferFull,
		Message: "Too many events are waiting for storage: nothing was stored, send it again", RetryAfter: time.Second}
)

// AppendAll stores events and waits for them to come back in the tail, see [topic.Store]. It
// tries until ctx ends, or for 10 seconds if ctx has no deadline. After that it is unknown
// whether an event is stored. If the event is too large for the log, the error is a
// *wire.Error with status 413. If the log has no room and the event is not stored, it is one
// with ENGINE_FULL.
//
// 10,000 events, and Options.MaxInflight bytes of them, may be on their way.
// Others wait for room until ctx ends; then they fail with BUFFER_FULL and are not
// stored.
//
// Events of different topics do not wait for each other. An event is published when the
// server has acknowledged the one before it of the same topic. If that one is lost later,
// it fails, and the events that were published behind it do not.
func (l *Log) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, appendTimeout, errUnanswered)
		defer cancel()
	}
	a := newAppendBatch(ctx, l, entries)
	for from := 0; from < len(entries); {
		from += a.appendSome(from)
	}
	for i, r := range a.results {
		l.failed(&l.failedAppends, "event not stored, or not known to be", entries[i].Topic, r.Err)
	}
	return a.results
}

// quota bounds the events that are on their way, by number and bytes.
type quota struct {
	most   int64 // bytes
	events *semaphore.Weighted
	bytes  *semaphore.Weighted

	usedEvents, usedBytes atomic.Int64
	refused               atomic.Uint64
}

func (r *quota) init(most int64) {
	r.most, r.events, r.bytes = most, semaphore.NewWeighted(maxAppends), semaphore.NewWeighted(most)
}

// sizeOf is how many bytes an event counts.
func (r *quota) sizeOf(e *topic.Entry) int64 {
	return min(int64(len(e.Topic)+len(e.Name)+len(e.Data)+len(e.Key)+appendOverhead), r.most)
}

// enter waits for room. It returns errNoRoom if the deadline of ctx passes first.
func (r *quota) enter(ctx context.Context, events int, bytes int64) error {
	err := r.events.Acquire(ctx, int64(events))
	if err == nil {
		if err = r.bytes.Acquire(ctx, bytes); err != nil {
			r.events.Release(int64(events))
		}
	}
	if err == nil {
		r.usedEvents.Add(int64(events))
		r.usedBytes.Add(bytes)
		return nil
	}
	r.refused.Add(uint64(events))
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause // the caller has gone
	}
	return errNoRoom
}

func (r *quota) leave(events int, bytes int64) {
	r.usedEvents.Add(-int64(events))
	r.usedBytes.Add(-bytes)
	r.events.Release(int64(events))
	r.bytes.Release(bytes)
}

// removeRefused deletes an event from the log that the hubs of all nodes refuse. It would
// only take room.
func (l *Log) removeRefused(ctx context.Context, seq uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOutTimeout)
	defer cancel()
	if err := l.ev.DeleteMsg(ctx, seq); err != nil {
		l.log.Debug("refused event stays in the log", "position", seq, "error", err)
	}
}

// repeat answers an event whose key was used before. The time of the first event, and
// whether its content was the same, are known only while it is there.
func (l *Log) repeat(ctx context.Context, seq uint64, e topic.Entry) (topic.Appended, error) {
	first, at, found, err := l.at(ctx, seq)
	switch {
	case err != nil:
		return topic.Appended{}, err
	case found && !first.SameContent(&e):
		return topic.Appended{}, topic.ErrMismatch
	}
	l.tally.add(func(s *Stats) { s.Repeats++ })
	return topic.Appended{Seq: seq, At: at, Repeat: true}, nil
}
