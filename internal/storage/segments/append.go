package segments

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// appendPatience bounds each of the waits of an AppendAll whose caller has no bound:
// for room, and to be written.
const appendPatience = 10 * time.Second

// perEntry is what an entry that waits takes beside its texts, about.
const perEntry = 256

// errBusy is what is answered when too much waits to be written for too long.
var errBusy = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineUnavailable,
	Message: "Too many events are waiting to be stored: try again", RetryAfter: time.Second}

// AppendAll stores events, see [topic.Store]. Those of one call are written at once,
// with those of other calls that wait at that moment: all of them are stored or
// none. If ctx ends before that it is not known whether they are. An event that is
// too large is refused with a *wire.Error of status 413, and one behind the end of
// its topic with [topic.ErrClosed]; both do not harm the others.
func (l *Log) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	results := make([]topic.Result, len(entries))
	r := &request{entries: entries, results: results}
	for i := range entries {
		size := len(entries[i].Topic) + len(entries[i].Name) + len(entries[i].Data)
		if size > l.opts.MaxEvent {
			results[i].Err = wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge,
				fmt.Sprintf("Event too large: it is %d bytes in the event log, which takes %d", size, l.opts.MaxEvent))
			continue
		}
		r.bytes += int64(size) + perEntry
	}
	if err := l.submit(ctx, r); err != nil {
		return failed(results, err)
	}
	return results
}

// failed gives results of which all that have none yet have an error. What the writer
// may still be at is not touched.
func failed(results []topic.Result, err error) []topic.Result {
	all := make([]topic.Result, len(results))
	for i := range all {
		all[i].Err = err
	}
	return all
}

// submit has a request written, and returns when it is.
func (l *Log) submit(ctx context.Context, r *request) error {
	room := min(r.bytes, l.opts.MaxWaiting)
	if !l.isRunning() || !l.room.TryAcquire(room) {
		if err := l.awaitRoom(ctx, room); err != nil {
			return err
		}
	}
	defer l.room.Release(room) // where ctx has ended, the writer may have it for a moment longer
	lead, err := l.queue.enter(r)
	if err == nil && !lead {
		lead, err = l.queue.wait(ctx, r)
	}
	if err != nil || !lead {
		return err
	}
	l.writing.group = l.queue.take(r, l.writing.group)
	_ = l.writeGroup(l.writing.group) // each of them has been answered
	l.queue.finish(l.writing.group)
	return nil
}

// isRunning tells whether the hub has been given its beginning.
func (l *Log) isRunning() bool {
	select {
	case <-l.begun:
		return true
	default:
		return false
	}
}

// awaitRoom waits until a request may join those that wait to be written.
func (l *Log) awaitRoom(ctx context.Context, room int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, appendPatience, errBusy)
	defer cancel()
	select {
	case <-l.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := l.room.Acquire(ctx, room); err != nil {
		l.count(func(s *Stats) { s.Refused++ })
		return errBusy
	}
	return nil
}

// count changes the counters.
func (l *Log) count(change func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.stats)
}

// Trim drops all but the newest keep events of a topic, at once. Events that have
// expired count as kept, if they are behind others that have not. After a start what
// was dropped may be there again until the next Trim.
func (l *Log) Trim(name string, keep int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.index.topics[name]; ok && !l.closed && len(t.places) > keep {
		l.dropBelow(t, len(t.places)-max(keep, 0))
	}
}

// Purge drops the events of a topic whose positions are below before. When it returns
// nil, they do not come back.
func (l *Log) Purge(_ context.Context, name string, before uint64) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	dropped := false
	if t, ok := l.index.topics[name]; ok {
		if i := t.from(before); i > 0 {
			l.dropBelow(t, i)
			dropped = true
		}
	}
	l.mu.Unlock()
	if !dropped {
		return nil
	}
	return l.writeMarks()
}

// dropBelow drops the n oldest events of a topic, and has that noted in the log.
func (l *Log) dropBelow(t *topicIndex, n int) {
	below := t.places[n-1].seq + 1
	if _, noted := l.trims[t.name]; noted || len(l.trims) < maxMarks {
		l.trims[t.name] = below
	}
	l.cut(t, 0, n)
}

// takeMarks gives what has to be noted with the next group. The map is the caller's
// alone from then on.
func (l *Log) takeMarks() (marks []mark, trims map[string]uint64) {
	marks, l.marks = l.marks, nil
	if len(l.trims) > 0 {
		trims, l.trims = l.trims, make(map[string]uint64)
	}
	return marks, trims
}

// restoreMarks puts back what could not be noted.
func (l *Log) restoreMarks(marks []mark, trims map[string]uint64) {
	l.marks = slices.Concat(marks, l.marks)
	for name, below := range trims {
		l.trims[name] = max(l.trims[name], below)
	}
}

// note has a mark written with the next group. Of holes and the like there are few;
// where there are too many, the oldest are merged into what is true for all topics.
func (l *Log) note(m mark) {
	if len(l.marks) < maxMarks {
		l.marks = append(l.marks, m)
		return
	}
	if m.kind == kindHole {
		l.floors.discarded = max(l.floors.discarded, m.to+1)
	}
}
