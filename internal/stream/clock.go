package stream

import (
	"context"
	"time"

	"tidegate/internal/wire"
)

// tick is a time in milliseconds since the engine started, never 0. It wraps around:
// only two ticks less than three weeks apart can be compared, hence maxSpan.
type tick uint32

func tickOf(ms int64) tick { return max(1, tick(ms)) }

// maxSpan bounds the heartbeat and the write timeout.
const maxSpan = 2 * 7 * 24 * time.Hour

// expiry is a time that may be far ahead, in expiryUnits since the engine started,
// never 0. Two that are less than 397 days apart can be compared, however long the
// engine has been running.
type expiry uint32

const (
	expiryUnit = 16 // milliseconds
	// maxAge bounds how far ahead an expiry is.
	maxAge = 390 * 24 * time.Hour
)

// expiryAt is the first expiry that is not before ms.
func expiryAt(ms int64) expiry { return max(1, expiry((ms+expiryUnit-1)/expiryUnit)) }

// over reports whether it is reached at ms.
func (x expiry) over(ms int64) bool { return int32(expiry(ms/expiryUnit)-x) >= 0 }

// elapsed is how many milliseconds ago the engine started.
func (e *Engine) elapsed() int64 { return time.Since(e.startedAt).Milliseconds() }

// now is elapsed as a tick.
func (e *Engine) now() tick { return tickOf(e.elapsed()) }

// coarseNow is now as the clock read it last, some 100 ms ago at most. It is cheap.
func (e *Engine) coarseNow() tick { return tickOf(e.coarse.Load()) }

func (e *Engine) since(t tick) time.Duration {
	return time.Duration(int32(e.now()-t)) * time.Millisecond
}

// heartbeat is the comment that keeps idle connections alive through proxies.
var heartbeat = FrameOf([]byte(": heartbeat\n\n"), 0)

// bareBeat is the same, for clients that take the blank line for the end of an event.
var bareBeat = FrameOf([]byte(": heartbeat\n"), 0)

// beat is the heartbeat frame of this engine.
func (e *Engine) beat() *Frame {
	if e.opts.BareBeats {
		return bareBeat
	}
	return heartbeat
}

// clockStreams bounds the streams that the clock writes to itself in one step: waking a
// worker for a few heartbeats costs more than they do.
const clockStreams = 4 * chunkStreams

// How often the clock checks each stream, and the step in which it goes on.
const (
	maxRound = 2 * time.Second
	minRound = 10 * time.Millisecond
	step     = 100 * time.Millisecond
)

// round is the time in which the clock checks every stream once: short enough that no
// heartbeat, timeout or age is late by more than a small part of itself. Streams have
// no timers. The clock goes through the slots at an even speed, which also spreads the
// heartbeats.
func (o Options) round() time.Duration {
	r := min(maxRound, o.Heartbeat/8, o.WriteTimeout/8)
	if o.MaxAge > 0 {
		r = min(r, o.MaxAge/128)
	}
	return max(r, minRound)
}

// runClock checks all streams once a round, until ctx ends.
func (e *Engine) runClock(ctx context.Context) {
	round := e.opts.round()
	steps := max(1, int(round/step))
	ticker := time.NewTicker(round / time.Duration(steps))
	defer ticker.Stop()
	silence := max(e.opts.Heartbeat-round-2*round/time.Duration(steps), e.opts.Heartbeat/2)
	var some []*Stream
	for i := 0; ; i = (i + 1) % steps {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		e.coarse.Store(e.elapsed())
		n := e.slots.size()
		for at, end := n*i/steps, n*(i+1)/steps; at < end; at += pageStreams {
			some = e.slots.some(some[:0], at, min(end, at+pageStreams))
			b := NewBatch().Hold()
			for _, s := range some {
				s.check(b, silence)
			}
			b.flushHere(clockStreams)
			clear(some)
		}
	}
}

// check ends a stream that is stuck or too old, and queues a heartbeat if one is due.
func (s *Stream) check(b *Batch, silence time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, now := s.engine, s.engine.coarseNow()
	ago := func(t tick) time.Duration { return time.Duration(int32(now-t)) * time.Millisecond }
	switch {
	case s.state&(served|closed) != served:
	case s.stuck != 0 && ago(s.stuck) >= e.opts.WriteTimeout:
		s.cutLocked(b, wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer})
	case s.ending != 0:
	case s.expires != 0 && s.expires.over(e.coarse.Load()):
		s.ending = endingOf(wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailMaxAge})
		s.readyLocked(b)
	case s.state&(ready|writing|blocked) == 0 && ago(s.last) >= silence:
		s.queue.add(Item{e.beat(), Control})
		s.readyLocked(b)
	}
}

// CutAll ends all streams at once.
func (e *Engine) CutAll() {
	var some []*Stream
	for at, n := 0, e.slots.size(); at < n; at += pageStreams {
		some = e.slots.some(some[:0], at, at+pageStreams)
		b := NewBatch()
		for _, s := range some {
			s.Abort(b, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain})
		}
		b.Flush()
	}
}
