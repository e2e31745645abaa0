package gateway

import (
	"context"
	"errors"
	"runtime"
	runtimemetrics "runtime/metrics"
	"sync/atomic"
	"syscall"
	"time"
)

// pace has a crowd that comes at once let in one after another, while events are
// being delivered.
//
// All that a process has to do waits in the scheduler's queues, and they are
// served in turn: with a thousand connects under way, an event for a stream that
// is there waits behind all of them, at each goroutine on its way. And a processor
// that is always busy lets whoever wakes up wait, in the kernel's queues as well.
// So when some are under way already, the next one begins when nothing is ready
// that no processor has taken, and the process has used no more than its share
// since the one before. That is no bound on how many are under way: while they
// wait for the backend, and not for a processor, more begin. Addresses take turns, so
// that a crowd from one of them holds up nobody else.
type pace struct {
	easy      int64                // set once: up to so many need not wait for their turn
	delivered func() uint64        // set once: events for streams that were there, so far
	ready     func() uint64        // set once: goroutines that wait for a processor
	used      func() time.Duration // set once: processor time of this process so far
	hurry     func() bool          // set once: says that nobody is to wait any more
	patience  time.Duration        // set once: bounds the wait for a turn
	under     atomic.Int64         // connects under way, or waiting for their turn

	turn *turns // one place: who has it is next
	// Owned by who holds the turn.
	seen   uint64 // delivered, when it was looked at last
	seenAt time.Time
	turnAt time.Time     // when the last one began
	before time.Duration // used, at that time
}

const (
	// easyConnects is how many connects for each processor are no crowd.
	easyConnects = 2
	// breath is the least time between two turns. The scheduler hears of the network
	// when it has nothing else to do, which a crowd in a row would prevent.
	breath = 100 * time.Microsecond
	// paceShare is which part of the processors a process may use while a crowd is
	// let in: one of so many. With a third the slowest events for those who are there
	// take about twice as long as in quiet times (see bench/README.md).
	paceShare = 4
	// maxTurn bounds a turn, for where more is used without any crowd.
	maxTurn = 5 * time.Millisecond
	// turnPatience bounds the wait for a turn. A crowd too large to be let in within
	// half of it at the share's pace is let in faster.
	turnPatience = 20 * time.Second
	// quietAfter is how long ago an event came for nobody to be waiting.
	quietAfter = time.Second
)

func newPace(delivered func() uint64, hurry func() bool) *pace {
	return &pace{
		easy: easyConnects * int64(runtime.GOMAXPROCS(0)), turn: newTurns(1),
		delivered: delivered, ready: readyGoroutines, used: processorTime,
		hurry: hurry, patience: turnPatience,
	}
}

// readyGoroutines is how many goroutines wait for a processor.
func readyGoroutines() uint64 {
	s := [1]runtimemetrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	runtimemetrics.Read(s[:])
	return s[0].Value.Uint64()
}

// processorTime is what this process has used so far. The kernel counts it up to
// the moment, see getrusage(2).
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// begin waits for a connect's turn, for as long as its client stays, whose lifetime
// ctx is, and turnPatience at most. It returns errCrowded if that was too short, or
// the cause of ctx's end. Without an error done must be called.
func (p *pace) begin(ctx context.Context, who waiting) error {
	if p.under.Add(1) <= p.easy {
		return nil
	}
	late := time.NewTimer(p.patience)
	defer late.Stop()
	if err := p.turn.take(ctx, who, late.C); err != nil {
		p.done()
		if errors.Is(err, errLate) {
			return errCrowded
		}
		return err
	}
	p.calm()
	p.turn.give()
	return nil
}

// calm waits until the next connect delays nobody who is there. It is called by
// who holds the turn.
func (p *pace) calm() {
	now := time.Now()
	if n := p.delivered(); n != p.seen {
		p.seen, p.seenAt = n, now
	} else if now.Sub(p.seenAt) > quietAfter {
		return
	}
	for end := now.Add(p.longest()); now.Before(end) && !p.hurry(); {
		time.Sleep(breath)
		if now = time.Now(); p.ready() == 0 && p.spare(now) {
			break
		}
	}
	p.turnAt, p.before = now, p.used()
}

// longest is how long the turn may take for all who wait to have theirs in time.
func (p *pace) longest() time.Duration {
	return min(maxTurn, p.patience/2/time.Duration(max(1, p.under.Load())))
}

// spare says that the process has used no more than its share since the last turn.
func (p *pace) spare(now time.Time) bool {
	since := min(now.Sub(p.turnAt), p.patience)
	return p.used()-p.before <= since*time.Duration(runtime.GOMAXPROCS(0))/paceShare
}

func (p *pace) done() { p.under.Add(-1) }
