package segments

import (
	"context"
	"time"
)

// maintain does what the log has to do by itself, until ctx ends.
func (l *Log) maintain(ctx context.Context) {
	tick := time.NewTicker(l.opts.maintain)
	defer tick.Stop()
	var s scrubber
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.probe()
			l.expire()
			s.step(ctx, l, int64(float64(l.opts.scrubRate)*l.opts.maintain.Seconds()))
		case <-l.wake:
		}
		l.syncSealed()
		l.dropEmpty()
		for ctx.Err() == nil && l.rewriteSome(ctx) {
		}
	}
}

// probe writes something where writing has failed, so that it is known when that has
// passed; and notes what has waited long enough.
func (l *Log) probe() {
	l.mu.Lock()
	failed, waiting := l.trouble.writing != nil, len(l.controls)+len(l.trims) > 0
	if failed && !waiting {
		l.note(control{kind: kindPad})
	}
	l.mu.Unlock()
	if failed || waiting {
		_ = l.writeControls() // tried again
	}
}

// writeControls writes what is to be noted, without waiting for events to come.
func (l *Log) writeControls() (err error) {
	l.queue.exclusive(func() {
		l.mu.Lock()
		over := l.closed
		l.mu.Unlock()
		if err = errClosed; !over {
			err = l.writeGroup(nil)
		}
	})
	return err
}

// expire drops events that have outlived their age from the index. It knows about when
// an event was stored, so it may be late; readers look at the event itself.
func (l *Log) expire() {
	now := l.opts.now().UnixNano()
	l.eachTopic(func(t *topicIndex) {
		if t.age <= 0 {
			return
		}
		n := 0
		for n < len(t.places) && l.storedBy(t.places[n])+int64(t.age) <= now {
			n++
		}
		if n > 0 {
			l.cut(t, 0, n)
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys.expire(now)
}

// storedBy is when the event at a place had been stored at the latest, about.
func (l *Log) storedBy(p place) int64 {
	s := l.segments.of(p)
	if at, ok := s.times.latest(p.seq); ok {
		return at
	}
	return s.lastAt
}

// syncSealed has segments on the disk that were left.
func (l *Log) syncSealed() {
	l.mu.Lock()
	var some []*segment
	for _, s := range l.segments.list {
		if s.sealed && !s.synced {
			s.use()
			some = append(some, s)
		}
	}
	l.mu.Unlock()
	defer l.release(some)
	for _, s := range some {
		err := s.file.Datasync()
		if err == nil {
			err = l.fs.SyncDir(l.opts.Dir)
		}
		if err != nil {
			_ = l.failing("sync a segment", err)
			return
		}
		l.mu.Lock()
		s.synced = true
		l.mu.Unlock()
	}
}

// dropEmpty removes the oldest segments as long as nothing in them counts.
func (l *Log) dropEmpty() {
	for {
		l.mu.Lock()
		if len(l.segments.list) < 2 || l.segments.list[0].live > 0 {
			l.mu.Unlock()
			return
		}
		s := l.segments.list[0]
		fl := floors{dropped: l.segments.list[1].base}
		for _, h := range s.holes { // its record is gone
			fl.discarded = max(fl.discarded, h.to+1)
		}
		l.floors.raise(fl)
		l.note(control{kind: kindFloor, from: l.floors.dropped, to: l.floors.discarded})
		l.mu.Unlock()
		_ = l.writeControls() // first, so that it does not pass for missing; on a full disk it has to
		l.dropOldest(s)
	}
}
