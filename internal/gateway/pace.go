package gateway

import (
	"context"
	"runtime"
	runtimemetrics "runtime/metrics"
	"sync/atomic"
	"time"
)

// pace has a crowd that comes at once let in one after another, while events are
// being delivered.
//
// All that a process has to do waits in the scheduler's queues, and they are
// served in turn: with a thousand connects under way, an event for a stream that
// is there waits behind all of them, at each goroutine on its way. So when some
// are under way already, the next one begins when nothing is ready that no
// processor has taken. That is no bound on how many are under way: while they wait
// for the backend, and not for a processor, more begin.
type pace struct {
	easy      int64         // set once: up to so many need not wait for their turn
	delivered func() uint64 // set once: events that were written to streams so far
	ready     func() uint64 // set once: goroutines that wait for a processor
	under     atomic.Int64  // connects under way, or waiting for their turn

	turn chan struct{} // size 1: who holds it is next; first come, first served
	// Owned by who holds the turn.
	seen   uint64 // delivered, when it was looked at last
	seenAt time.Time
}

const (
	// easyConnects is how many connects for each processor are no crowd.
	easyConnects = 2
	// breath is the least time between two turns. The scheduler hears of the network
	// when it has nothing else to do, which a crowd in a row would prevent.
	breath = 100 * time.Microsecond
	// maxBreaths bounds a turn: a machine that is always busy lets in 2,000 clients
	// a second.
	maxBreaths = 5
	// quietAfter is how long ago an event was written for nobody to be waiting.
	quietAfter = time.Second
)

func newPace(delivered func() uint64) *pace {
	return &pace{
		easy: easyConnects * int64(runtime.GOMAXPROCS(0)), turn: make(chan struct{}, 1),
		delivered: delivered, ready: readyGoroutines,
	}
}

// readyGoroutines is how many goroutines wait for a processor.
func readyGoroutines() uint64 {
	s := [1]runtimemetrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	runtimemetrics.Read(s[:])
	return s[0].Value.Uint64()
}

// begin waits for a connect's turn, for as long as its client stays, whose lifetime
// ctx is, and patience at most. It returns errCrowded if that was too short, or the
// cause of ctx's end. Without an error done must be called.
func (p *pace) begin(ctx context.Context, patience time.Duration) error {
	if p.under.Add(1) <= p.easy {
		return nil
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case p.turn <- struct{}{}:
		p.calm()
		<-p.turn
		return nil
	case <-late.C:
		p.done()
		return errCrowded
	case <-ctx.Done():
		p.done()
		return context.Cause(ctx)
	}
}

// calm waits until the next connect delays nobody who is there. It is called by
// who holds the turn.
func (p *pace) calm() {
	if n, now := p.delivered(), time.Now(); n != p.seen {
		p.seen, p.seenAt = n, now
	} else if now.Sub(p.seenAt) > quietAfter {
		return
	}
	for range maxBreaths {
		if time.Sleep(breath); p.ready() == 0 {
			return
		}
	}
}

func (p *pace) done() { p.under.Add(-1) }
