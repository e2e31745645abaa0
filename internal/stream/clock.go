package stream

import (
	"context"
	"time"

	"tidegate/internal/wire"
)

// tick is a moment: milliseconds since the engine began, never 0. Only the
// distance of two moments less than three weeks apart means something, so what
// is measured with it is maxSpan at most.
type tick uint32

func tickOf(ms int64) tick { return max(1, tick(ms)) }

// maxSpan bounds the heartbeat and the write timeout.
const maxSpan = 2 * 7 * 24 * time.Hour

// expiry is a moment that may be far ahead: it counts in expiryUnits since the
// engine began, and is never 0. Two that are less than 397 days apart can be
// compared, however long the engine has been running.
type expiry uint32

const (
	expiryUnit = 16 // milliseconds
	// maxAge bounds how far ahead an expiry is.
	maxAge = 390 * 24 * time.Hour
)

// expiryAt is the first expiry that is not before ms.
func expiryAt(ms int64) expiry { return max(1, expiry((ms+expiryUnit-1)/expiryUnit)) }

// over says whether it has been reached at ms.
func (x expiry) over(ms int64) bool { return int32(expiry(ms/expiryUnit)-x) >= 0 }

// elapsed reads the time: milliseconds since the engine began.
func (e *Engine) elapsed() int64 { return time.Since(e.begun).Milliseconds() }

// now is elapsed as a tick.
func (e *Engine) now() tick { return tickOf(e.elapsed()) }

// lately is what the time was when the clock last looked; it costs nothing.
func (e *Engine) lately() tick { return tickOf(e.coarse.Load()) }

func (e *Engine) since(t tick) time.Duration {
	return time.Duration(int32(e.now()-t)) * time.Millisecond
}

// heartbeat is the comment that keeps idle connections alive through proxies.
var heartbeat = FrameOf([]byte(": heartbeat\n\n"), 0)

// bareBeat is the same for clients that take the blank line for the end of an event.
var bareBeat = FrameOf([]byte(": heartbeat\n"), 0)

// beat is the heartbeat of this engine's streams.
func (e *Engine) beat() *Frame {
	if e.opts.BareBeats {
		return bareBeat
	}
	return heartbeat
}

// clockStreams is up to how many streams the clock writes to by itself in one
// step: waking a worker for a few heartbeats would cost more than they do.
const clockStreams = 4 * chunkStreams

// Bounds of how often each stream is looked at, and of the steps in between.
const (
	maxRound = 2 * time.Second
	minRound = 10 * time.Millisecond
	step     = 100 * time.Millisecond
)

// round is how often the clock comes by at each stream: often enough that no
// heartbeat, timeout or age is late by more than a small part of itself. The
// streams have no timers: which of its slots the clock looks at next depends on
// the time alone, and that also spreads the heartbeats.
func (o Options) round() time.Duration {
	r := min(maxRound, o.Heartbeat/8, o.WriteTimeout/8)
	if o.MaxAge > 0 {
		r = min(r, o.MaxAge/128)
	}
	return max(r, minRound)
}

// watch is the clock.
func (e *Engine) watch(ctx context.Context) {
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
				s.look(b, silence)
			}
			b.flushHere(clockStreams)
			clear(some)
		}
	}
}

// look does what is due at a stream.
func (s *Stream) look(b *Batch, silence time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, now := s.engine, s.engine.lately()
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
