package segments

import (
	"errors"
	"fmt"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// commit puts a group that was written into the index, and passes it to the hub.
func (l *Log) commit(seg *segment) {
	w := &l.writing
	l.mu.Lock()
	defer l.mu.Unlock()
	seg.size += int64(len(w.buf))
	for i := range w.items {
		it := &w.items[i]
		if it.t == nil {
			continue
		}
		e := &w.events[it.event]
		newest, closed := it.t.newest, it.t.closed // of the group's last
		l.push(it.t, place{seq: e.Seq, seg: seg.id, off: it.off}, seg, closed)
		it.t.newest, it.t.pending = newest, it.t.pending-1
		if it.keyed {
			l.keys.add(it.key, e.Seq, e.At)
		}
	}
	if n := len(w.events); n > 0 {
		newest := &w.events[n-1]
		seg.events += n
		seg.last, seg.lastAt = newest.Seq, newest.At
		seg.times.add(newest.Seq, newest.At)
	}
	l.stats.Groups++
	l.stats.Appends += uint64(len(w.events))
	if l.opts.Power {
		l.stats.Syncs++
	}
	l.trouble.passed()
}

// answer sets the result of each entry.
func (l *Log) answer(applied []topic.Applied) {
	w := &l.writing
	for i := range w.items {
		it := &w.items[i]
		res := &it.r.results[it.i]
		if it.t == nil {
			*res = l.repeated(it)
			continue
		}
		e, a := &w.events[it.event], applied[it.event]
		if a.Err != nil {
			l.takeOut(it, e.Seq)
			res.Err = a.Err
			continue
		}
		res.Appended = topic.Appended{Seq: e.Seq, At: e.At, Receivers: a.Receivers}
	}
}

// repeated answers an entry whose key was used before. It succeeds also if the first event is
// not there any more.
func (l *Log) repeated(it *item) topic.Result {
	e := &it.r.entries[it.i]
	l.count(func(s *Stats) { s.Repeats++ })
	if it.as >= 0 {
		first := &l.writing.items[it.as]
		res := first.r.results[first.i]
		if res.Err == nil && !first.r.entries[first.i].SameContent(e) {
			return topic.Result{Err: topic.ErrMismatch}
		}
		res.Receivers, res.Repeat = 0, true
		return res
	}
	// An event that cannot be read counts as one that is not there.
	if stored, found, err := l.at(e.Topic, it.first.seq); err == nil && found && !stored.SameContent(e) {
		return topic.Result{Err: topic.ErrMismatch}
	}
	return topic.Result{Appended: topic.Appended{Seq: it.first.seq, At: it.first.at, Repeat: true}}
}

// takeOut drops an event that the hub has refused.
func (l *Log) takeOut(it *item, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(control{kind: kindVoid, from: seq, to: seq})
	if it.keyed {
		l.keys.refuse(it.key, seq)
	}
	if i := it.t.from(seq); i < len(it.t.places) && it.t.places[i].seq == seq {
		l.cut(it.t, i, i+1)
	}
}

// failing notes why nothing can be written, and returns the error for the caller. Errors with
// a code stay as they are.
func (l *Log) failing(what string, err error) error {
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err
	}
	err = fmt.Errorf("%s: %w", what, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble.failed(err, l.opts.now()) {
		l.log.Error("the event log cannot be written", "error", err)
	}
	return err
}
