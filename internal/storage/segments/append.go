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

// appendPatience bounds the waits of an AppendAll without a deadline: for room, and for the
// write.
const appendPatience = 10 * time.Second

// perEntry is about the memory of a waiting entry besides its texts, in bytes.
const perEntry = 256

// errBusy refuses an append if too much waits to be written for too long.
var errBusy = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineUnavailable,
	Message: "Too many events are waiting to be stored: try again", RetryAfter: time.Second}

// AppendAll stores events, see [topic.Store]. The events of one call are written at once,
// together with those of other calls that wait at that moment: all are stored or none. If
// ctx ends first it is unknown whether they are. An event that is too large is refused with
// a *wire.Error of status 413. One behind the end of its topic is refused with
// [topic.ErrClosed]. The others are stored.
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

// failed returns results with err for all entries that have none. It does not touch those that
// the writer may still set.
func failed(results []topic.Result, err error) []topic.Result {
	all := make([]topic.Result, len(results))
	for i := range all {
		all[i].Err = err
	}
	return all
}

// submit queues a request and returns when it is written.
func (l *Log) submit(ctx context.Context, r *request) error {
	room := min(r.bytes, l.opts.MaxWaiting)
	if !l.isRunning() || !l.room.TryAcquire(room) {
		if err := l.awaitRoom(ctx, room); err != nil {
			return err
		}
	}
	defer l.room.Release(room) // if ctx has ended, the writer may use the memory for a moment longer
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

// isRunning reports whether Run has called the hub's Begin.
func (l *Log) isRunning() bool {
	select {
	case <-l.begun:
		return true
	default:
		return false
	}
}

// awaitRoom waits until there is room for a request in the queue.
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

// Trim drops all but the newest keep events of a topic, at once. Expired events that are behind
// others count as kept. After a restart dropped events may be there again until the next
// Trim.
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
	return l.writeControls()
}

// dropBelow drops the n oldest events of a topic, and notes that in the log.
func (l *Log) dropBelow(t *topicIndex, n int) {
	below := t.places[n-1].seq + 1
	if _, noted := l.trims[t.name]; noted || len(l.trims) < maxControls {
		l.trims[t.name] = below
	}
	l.cut(t, 0, n)
}

// takeControls takes the control records and trims that the next group writes. The caller owns
// the map.
func (l *Log) takeControls() (controls []control, trims map[string]uint64) {
	controls, l.controls = l.controls, nil
	if len(l.trims) > 0 {
		trims, l.trims = l.trims, make(map[string]uint64)
	}
	return controls, trims
}

// restoreControls puts back what could not be written.
func (l *Log) restoreControls(controls []control, trims map[string]uint64) {
	l.controls = slices.Concat(controls, l.controls)
	for name, below := range trims {
		l.trims[name] = max(l.trims[name], below)
	}
}

// note queues a control record for the next group. There are few; if there are too many, the
// oldest are merged into a floor for all topics.
func (l *Log) note(m control) {
	if len(l.controls) < maxControls {
		l.controls = append(l.controls, m)
		return
	}
	if m.kind == kindHole {
		l.floors.discarded = max(l.floors.discarded, m.to+1)
	}
}
