package gateway

import (
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// deliverers is how many disconnects are told at once.
	deliverers = 16
	// stopPatience is how long a stopping gateway goes on telling.
	stopPatience = 10 * time.Second

	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
	// stopPause is the longest pause of a stopping gateway.
	stopPause = 500 * time.Millisecond
)

// disconnects delivers disconnect callbacks: oldest first, retried while the
// backend is away, bounded in number and age. A disconnect enters only when its
// connect callback has been answered, so it never overtakes it. Nobody waits
// for it: not the end of a stream, not a sender.
type disconnects struct {
	call      *caller
	log       *slog.Logger
	metrics   *metrics
	most      int
	retention time.Duration

	mu      sync.Mutex
	items   deliveries // guarded by mu, like all below
	order   uint64
	out     int           // being delivered now
	paused  time.Time     // the backend is away: nothing goes out before this
	misses  int           // pauses in a row
	longest time.Duration // of a pause
	changed chan struct{}
}

// delivery is one disconnect on its way.
type delivery struct {
	body     callback
	order    uint64
	since    time.Time
	after    time.Time // not before
	attempts int
	at       int
}

func newDisconnects(o Options, c *caller, m *metrics) *disconnects {
	return &disconnects{
		call: c, log: o.Log, metrics: m, most: o.CallbackQueue, retention: o.CallbackRetention,
		longest: maxPause, changed: make(chan struct{}),
	}
}

// add queues a disconnect. If the queue is full, the oldest one is given up:
// the backend can find out from the listing of streams.
func (d *disconnects) add(body callback) {
	d.mu.Lock()
	var given *delivery
	if len(d.items) >= d.most {
		given = d.items.oldest()
		heap.Remove(&d.items, given.at)
	}
	d.order++
	heap.Push(&d.items, &delivery{body: body, order: d.order, since: time.Now()})
	d.notify()
	d.mu.Unlock()
	if given != nil {
		d.drop(given, "queue_full")
	}
}

func (d *disconnects) drop(item *delivery, why string) {
	d.call.requests.Release(item.body.request)
	d.metrics.disconnectsDropped.WithLabelValues(why).Inc()
	d.log.Warn("disconnect callback given up", "why", why, "token", fingerprint(item.body.token.String()),
		"reason", item.body.why.Reason, "detail", item.body.why.Detail, "attempts", item.attempts, "age", time.Since(item.since))
}

// notify wakes all that wait for a change. The caller holds the lock.
func (d *disconnects) notify() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *disconnects) depth() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.items) + d.out
}

// run delivers until ctx ends. Then it waits with settled for all that may still
// bring disconnects, and delivers what is left.
func (d *disconnects) run(ctx context.Context, settled func()) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var deliver sync.WaitGroup
	for range deliverers {
		deliver.Go(func() { d.deliver(work) })
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
	for {
		d.mu.Lock()
		left, changed := len(d.items)+d.out, d.changed
		d.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// deliver is one deliverer.
func (d *disconnects) deliver(ctx context.Context) {
	for {
		item, wait, changed := d.next()
		if item == nil {
			timer := time.NewTimer(wait)
			select {
			case <-changed:
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			timer.Stop()
			continue
		}
		attempt, cancel := context.WithTimeoutCause(ctx, d.call.timeout+callbackPatience, errNoAnswer)
		a, rest := d.call.call(attempt, &item.body)
		d.settle(item, a)
		rest()
		cancel()
		if ctx.Err() != nil {
			return
		}
	}
}

// next takes what is due, or says how long nothing will be.
func (d *disconnects) next() (item *delivery, wait time.Duration, changed chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.items) == 0 {
		return nil, time.Hour, d.changed
	}
	now, due := time.Now(), d.items[0].after
	if d.paused.After(due) {
		due = d.paused
	}
	if due.After(now) {
		return nil, due.Sub(now), d.changed
	}
	d.out++
	return heap.Pop(&d.items).(*delivery), 0, nil
}

// settle ends a delivery or queues it again.
func (d *disconnects) settle(item *delivery, a answer) {
	item.attempts++
	again := !a.accepted() && retryable(a)
	expired := again && time.Since(item.since) > d.retention
	d.mu.Lock()
	d.out--
	switch now := time.Now(); {
	case a.status > 0:
		d.misses, d.paused = 0, time.Time{}
	case !now.Before(d.paused): // those that were out together fail once
		d.misses++
		d.paused = now.Add(pause(d.misses, d.longest))
	}
	if again && !expired {
		item.after = time.Now().Add(pause(item.attempts, d.longest))
		heap.Push(&d.items, item)
	}
	d.notify()
	d.mu.Unlock()
	switch {
	case expired:
		d.drop(item, "too_old")
	case again:
	case a.accepted():
		d.call.requests.Release(item.body.request)
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

// pause doubles with each failure up to longest, with jitter.
func pause(failures int, longest time.Duration) time.Duration {
	d := min(longest, firstPause<<min(failures-1, 10))
	return d/2 + rand.N(d/2+1)
}

// deliveries is a heap by when an item is due, then by age.
type deliveries []*delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	if !d[i].after.Equal(d[j].after) {
		return d[i].after.Before(d[j].after)
	}
	return d[i].order < d[j].order
}
func (d deliveries) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].at, d[j].at = i, j
}

// Push implements heap.Interface.
func (d *deliveries) Push(x any) {
	item := x.(*delivery)
	item.at = len(*d)
	*d = append(*d, item)
}

// Pop implements heap.Interface.
func (d *deliveries) Pop() any {
	old := *d
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return item
}

// oldest finds the item that waits longest. It looks at all: it is needed only
// when the queue is full.
func (d deliveries) oldest() *delivery {
	oldest := d[0]
	for _, item := range d {
		if item.order < oldest.order {
			oldest = item
		}
	}
	return oldest
}
