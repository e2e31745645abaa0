package callback

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/gateway/token"
	"tidegate/internal/heap"
)

const (
	// probes is how many deliveries are tried at once while the backend is away.
	probes = 4
	// maxStopTime is how long a stopping gateway goes on delivering.
	maxStopTime = 10 * time.Second

	// A failed delivery is retried after firstPause, then after twice the pause each
	// time, up to maxPause.
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
	// stopPause is the longest pause while the gateway stops.
	stopPause = 500 * time.Millisecond
	// suspendedPause is the time between two looks whether delivery may go on.
	suspendedPause = 100 * time.Millisecond
)

// Why disconnects are given up.
const (
	queueFull   = "queue_full"
	addressFull = "address_full"
	tooOld      = "too_old"
	refused     = "refused"
	stopped     = "stopped"
)

// DropReasons lists why disconnects are given up, as reported to [Metrics].
func DropReasons() []string { return []string{queueFull, addressFull, tooOld, refused, stopped} }

// QueueOptions configure a Queue. All fields without a comment on their zero value
// are required.
type QueueOptions struct {
	Size      int           // disconnects that wait; beyond it the oldest is given up
	Retention time.Duration // a disconnect that is older is given up when it fails
	Log       *slog.Logger

	// Ready is false while none may be delivered, because other nodes may soon do so;
	// nil: delivery is always allowed.
	// It is called with a lock held.
	Ready func() bool
	// Finished is called once for each disconnect that was delivered or given up,
	// Disowned for each that another node delivers instead. They must not block.
	Finished, Disowned func(*Message)
}

// Queue delivers disconnect callbacks: oldest first, retried while the backend is
// away, and bounded in number, in number for each address, and in age.
//
// A disconnect is added only when its connect callback has been answered, so it never
// overtakes it. Add never blocks: neither the end of a stream nor a sender waits for
// the backend. All methods may be called concurrently; Run once.
type Queue struct {
	opts   QueueOptions  // set once
	caller *Caller       // set once
	wake   chan struct{} // size 1: there may be something to deliver

	mu          sync.Mutex
	items       heap.Heap[*delivery] // guarded by mu, like all below; those that wait
	order       uint64               // of the youngest
	active      int                  // deliveries in progress
	pausedUntil time.Time            // the backend is away: nothing is delivered before
	failures    int                  // pauses in a row
	longest     time.Duration
	byAge       ageList                      // of items that wait or are in progress
	shares      map[netip.Addr]*addressShare // by [peer.Key]
	done        chan struct{}                // closed when nothing is left; nil while nobody waits for it
}

// NewQueue returns a queue that delivers by way of c. It starts nothing.
func NewQueue(c *Caller, o QueueOptions) *Queue {
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	return &Queue{
		opts: o, caller: c,
		wake: make(chan struct{}, 1), longest: maxPause, shares: make(map[netip.Addr]*addressShare),
		byAge: ageList{of: func(d *delivery) *links { return &d.age }},
	}
}

// Add queues a disconnect. If the queue is full, the oldest one is given up, or the
// oldest of the same address if that has more than its share: the backend can learn
// of these from the listing of streams.
func (q *Queue) Add(m Message) {
	q.mu.Lock()
	if m.Node.Disowned() {
		q.mu.Unlock()
		q.opts.Disowned(&m)
		return
	}
	q.order++
	item := &delivery{message: m, order: q.order, since: time.Now()}
	q.items.Push(item)
	q.link(item)
	excess, why := q.takeExcess(item)
	q.mu.Unlock()
	q.notify()
	if excess != nil {
		q.drop(excess, why)
	}
}

func (q *Queue) drop(item *delivery, why string) {
	q.opts.Finished(&item.message)
	q.caller.opts.Metrics.Dropped(why, 1)
	q.opts.Log.Warn("disconnect callback given up", "why", why, "token", token.Fingerprint(item.message.Name()),
		"reason", item.message.Why.Reason, "detail", item.message.Why.Detail, "attempts", item.attempts, "age", time.Since(item.since))
}

// notify makes dispatch look again.
func (q *Queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends. Then it calls quiesce, which must return when nobody
// adds disconnects any more, and delivers what is left, for 10 s at most.
func (q *Queue) Run(ctx context.Context, quiesce func()) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var deliver sync.WaitGroup
	due := make(chan *delivery)
	deliver.Go(func() { q.dispatch(work, due) })
	for range q.caller.opts.Concurrency {
		deliver.Go(func() {
			for item := range due {
				q.deliver(work, item)
			}
		})
	}
	<-ctx.Done()
	q.shortenPauses()
	limit, cancel := context.WithTimeout(work, maxStopTime)
	defer cancel()
	quiet := make(chan struct{})
	go func() { quiesce(); close(quiet) }() // ends with the last connect callback, in maxLateTime at most
	select {
	case <-quiet:
		q.drain(limit)
	case <-limit.Done():
	}
	stop()
	deliver.Wait()
	if left := q.Depth(); left > 0 {
		q.caller.opts.Metrics.Dropped(stopped, left)
		q.opts.Log.Error("stopped with disconnect callbacks undelivered: the backend does not answer", "count", left)
	}
	return nil
}

// shortenPauses makes pauses short from now on, and ends those that have begun: a
// stopping gateway has no time for long ones.
func (q *Queue) shortenPauses() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.longest = stopPause
	latest := time.Now().Add(stopPause)
	q.items.Update(func(item *delivery) {
		if item.after.After(latest) {
			item.after = latest
		}
	})
	if q.pausedUntil.After(latest) {
		q.pausedUntil = latest
	}
	q.notify()
}

// drain waits until nothing waits or is in progress.
func (q *Queue) drain(ctx context.Context) {
	q.mu.Lock()
	q.done = make(chan struct{})
	done := q.done
	q.checkDone()
	q.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// dispatch hands out what is due, until ctx ends.
func (q *Queue) dispatch(ctx context.Context, due chan<- *delivery) {
	defer close(due)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		item, wait := q.next()
		if item != nil {
			select {
			case due <- item:
				continue
			case <-ctx.Done(): // the item counts as undelivered
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// deliver posts one callback.
func (q *Queue) deliver(ctx context.Context, item *delivery) {
	if item.message.Node.Disowned() { // since it was handed out
		q.leave(item)
		return
	}
	attempt, cancel := context.WithTimeoutCause(ctx, q.caller.opts.Timeout+maxLateTime, errNoAnswer)
	defer cancel()
	a, discard := q.caller.call(attempt, &item.message)
	q.resolve(item, a)
	discard()
}

// leave ends a delivery that another node makes.
func (q *Queue) leave(item *delivery) {
	q.mu.Lock()
	q.active--
	q.unlink(item)
	q.checkDone()
	q.mu.Unlock()
	q.notify()
	q.opts.Disowned(&item.message)
}

// resolve ends a delivery with its answer, or queues it again.
func (q *Queue) resolve(item *delivery, a Answer) {
	item.attempts++
	again := a.Retryable()
	expired := again && time.Since(item.since) > q.opts.Retention
	q.mu.Lock()
	q.active--
	disowned := again && item.message.Node.Disowned() // while it was in progress
	switch now := time.Now(); {
	case a.Status > 0:
		q.failures, q.pausedUntil = 0, time.Time{}
	case !now.Before(q.pausedUntil): // those that were in progress together fail once
		q.failures++
		q.pausedUntil = now.Add(backoff.Exponential(q.failures, firstPause, q.longest))
	}
	if again && !expired && !disowned {
		item.after = time.Now().Add(backoff.Exponential(item.attempts, firstPause, q.longest))
		q.items.Push(item)
	} else {
		q.unlink(item)
	}
	q.checkDone()
	q.mu.Unlock()
	q.notify()
	switch {
	case disowned:
		q.opts.Disowned(&item.message)
	case expired:
		q.drop(item, tooOld)
	case again:
	case a.Accepted():
		q.opts.Finished(&item.message)
	default:
		q.drop(item, refused)
	}
}
