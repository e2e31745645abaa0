package gateway

import (
	"container/heap"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"tidegate/internal/backoff"
)

const (
	// probes is how many are told at once while the backend is away.
	probes = 4
	// stopPatience is how long a stopping gateway goes on telling.
	stopPatience = 10 * time.Second

	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
	// stopPause is the longest pause of a stopping gateway.
	stopPause = 500 * time.Millisecond
	// unsteadyPause is between two looks whether disconnects may be told again.
	unsteadyPause = 100 * time.Millisecond
)

// disconnects delivers disconnect callbacks: oldest first, retried while the
// backend is away, bounded in number, for each address too, and in age. A disconnect enters only when its
// connect callback has been answered, so it never overtakes it. Nobody waits
// for it: not the end of a stream, not a sender.
type disconnects struct {
	call      *caller
	log       *slog.Logger
	metrics   *metrics
	over      func(*callback) // called once for each that was told, or given up
	steady    func() bool     // false while none may be told, see Ledger
	most      int
	atOnce    int // told at the same time
	retention time.Duration
	wake      chan struct{} // size 1: there may be something to tell

	mu      sync.Mutex
	items   deliveries // guarded by mu, like all below
	order   uint64
	out     int           // being delivered now
	paused  time.Time     // the backend is away: nothing goes out before this
	misses  int           // pauses in a row
	longest time.Duration // of a pause
	first   *delivery     // the oldest item, told or not; the others follow by age
	last    *delivery
	parts   map[netip.Addr]*addressPart // by [peer.Key]
	done    chan struct{}               // closed when nothing is left; nil while nobody waits for it
}

func newDisconnects(o Options, c *caller, m *metrics, over func(*callback)) *disconnects {
	steady := func() bool { return true }
	if o.Ledger != nil {
		steady = o.Ledger.Steady
	}
	return &disconnects{
		over: over, steady: steady,
		call: c, log: o.Log, metrics: m, most: o.CallbackQueue, atOnce: o.CallbackConcurrency, retention: o.CallbackRetention,
		wake: make(chan struct{}, 1), longest: maxPause, parts: make(map[netip.Addr]*addressPart),
	}
}

// add queues a disconnect. If the queue is full, the oldest one is given up, or
// the oldest of the same address if that has more than its share: the backend can
// find out from the listing of streams.
func (d *disconnects) add(body callback) {
	d.mu.Lock()
	if body.node.disowned.Load() {
		d.mu.Unlock()
		d.call.requests.Release(body.request)
		return
	}
	d.order++
	item := &delivery{body: body, order: d.order, since: time.Now()}
	heap.Push(&d.items, item)
	d.link(item)
	given, why := d.tooMany(item)
	d.mu.Unlock()
	d.notify()
	if given != nil {
		d.drop(given, why)
	}
}

func (d *disconnects) drop(item *delivery, why string) {
	d.over(&item.body)
	d.metrics.disconnectsDropped.WithLabelValues(why).Inc()
	d.log.Warn("disconnect callback given up", "why", why, "token", fingerprint(item.body.name()),
		"reason", item.body.why.Reason, "detail", item.body.why.Detail, "attempts", item.attempts, "age", time.Since(item.since))
}

// notify has dispatch look again.
func (d *disconnects) notify() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends. Then it waits with settled for all that may still
// bring disconnects, and delivers what is left.
func (d *disconnects) run(ctx context.Context, settled func()) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var deliver sync.WaitGroup
	due := make(chan *delivery)
	deliver.Go(func() { d.dispatch(work, due) })
	for range d.atOnce {
		deliver.Go(func() {
			for item := range due {
				d.tell(work, item)
			}
		})
	}
	<-ctx.Done()
	d.hurry()
	patience, cancel := context.WithTimeout(work, stopPatience)
	defer cancel()
	calm := make(chan struct{})
	go func() { settled(); close(calm) }() // ends with the last connect callback, in callbackPatience at most
	select {
	case <-calm:
		d.empty(patience)
	case <-patience.Done():
	}
	stop()
	deliver.Wait()
	if left := d.depth(); left > 0 {
		d.metrics.disconnectsDropped.WithLabelValues("stopped").Add(float64(left))
		d.log.Error("stopped with disconnect callbacks undelivered: the backend does not answer", "count", left)
	}
	return nil
}

// hurry shortens the pauses, also those that have begun: there is no time left
// for long ones.
func (d *disconnects) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.longest = stopPause
	latest := time.Now().Add(stopPause)
	for _, item := range d.items {
		if item.after.After(latest) {
			item.after = latest
		}
	}
	heap.Init(&d.items)
	if d.paused.After(latest) {
		d.paused = latest
	}
	d.notify()
}

// empty waits until nothing is queued or being delivered.
func (d *disconnects) empty(ctx context.Context) {
	d.mu.Lock()
	d.done = make(chan struct{})
	done := d.done
	d.checkDone()
	d.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// dispatch hands out what is due, until ctx ends.
func (d *disconnects) dispatch(ctx context.Context, due chan<- *delivery) {
	defer close(due)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		item, wait := d.next()
		if item != nil {
			select {
			case due <- item:
				continue
			case <-ctx.Done(): // it counts as undelivered
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-d.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell does one callback.
func (d *disconnects) tell(ctx context.Context, item *delivery) {
	if item.body.node.disowned.Load() { // while it waited for its turn
		d.leave(item)
		return
	}
	attempt, cancel := context.WithTimeoutCause(ctx, d.call.timeout+callbackPatience, errNoAnswer)
	defer cancel()
	a, rest := d.call.call(attempt, &item.body)
	d.settle(item, a)
	rest()
}

// leave leaves a disconnect to others.
func (d *disconnects) leave(item *delivery) {
	d.mu.Lock()
	d.out--
	d.unlink(item)
	d.checkDone()
	d.mu.Unlock()
	d.notify()
	d.call.requests.Release(item.body.request)
}

// settle ends a delivery or queues it again.
func (d *disconnects) settle(item *delivery, a answer) {
	item.attempts++
	again := !a.accepted() && retryable(a)
	expired := again && time.Since(item.since) > d.retention
	d.mu.Lock()
	d.out--
	disowned := again && item.body.node.disowned.Load() // while it was out
	switch now := time.Now(); {
	case a.status > 0:
		d.misses, d.paused = 0, time.Time{}
	case !now.Before(d.paused): // those that were out together fail once
		d.misses++
		d.paused = now.Add(backoff.Exponential(d.misses, firstPause, d.longest))
	}
	if again && !expired && !disowned {
		item.after = time.Now().Add(backoff.Exponential(item.attempts, firstPause, d.longest))
		heap.Push(&d.items, item)
	} else {
		d.unlink(item)
	}
	d.checkDone()
	d.mu.Unlock()
	d.notify()
	switch {
	case disowned:
		d.call.requests.Release(item.body.request)
	case expired:
		d.drop(item, "too_old")
	case again:
	case a.accepted():
		d.over(&item.body)
	default:
		d.drop(item, "refused")
	}
}

// retryable tells a backend that is away or in trouble from one that has
// decided. A wrong secret counts as trouble: it will be put right.
func retryable(a answer) bool {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return a.status < 400 || a.status >= 500
}
