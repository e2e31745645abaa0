package stream

import (
	"context"
	"time"

	"sluice/internal/wire"
)

// tick is a moment: milliseconds since the engine began, never 0. Only the
// distance of two moments less than three weeks apart means something.
type tick uint32

// now reads the time.
func (e *Engine) now() tick { return max(1, tick(time.Since(e.begun).Milliseconds())) }

// lately is what the time was when the clock last looked; it costs nothing.
func (e *Engine) lately() tick { return tick(e.coarse.Load()) }

func (e *Engine) since(t tick) time.Duration {
	return time.Duration(int32(e.now()-t)) * time.Millisecond
}

// heartbeat is the comment that keeps idle connections alive through proxies.
var heartbeat = FrameOf([]byte(": heartbeat\n\n"), 0)

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
		e.coarse.Store(uint32(e.now()))
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
	case s.expires != 0 && ago(s.expires) >= 0:
		s.ending = endingOf(wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailMaxAge})
		s.readyLocked(b)
	case s.state&(ready|writing|blocked) == 0 && ago(s.last) >= silence:
		s.queue.add(Item{heartbeat, Control})
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
