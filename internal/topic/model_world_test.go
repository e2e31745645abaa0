package topic_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
)

// world is a trivial reference beside a hub: it knows all events that ever were,
// and what each client has of them.
type world struct {
	t         *testing.T
	rng       *rand.Rand
	hub       *topic.Hub
	seq       uint64 // events ever
	names     []string
	topics    map[string]*ref
	bySeq     map[uint64]string // which topic an event is of
	clients   []*client
	deletedTo int  // clients ever
	wide      bool // events are spread

	absent map[string]string // which topics that do not exist an id says its client knows of

	store *fakeStore // nil: the logs end with the hub
	opts  topic.Options
}

// ref is all that ever was in a topic.
type ref struct {
	name      string
	keep      topic.Retention
	events    []entry
	deletedTo int // events before this index are of a topic that was deleted
	closed    bool
}

type entry struct {
	seq     uint64
	visible bool // a close without an event is not
}

func newWorld(t *testing.T, seed uint64, store *fakeStore) *world {
	spaces := map[string]topic.Retention{
		"all":   {Events: 1000, Replay: topic.ReplayAll},
		"short": {Events: 4, Replay: topic.ReplayAll},
		"held":  {Events: 4, Replay: topic.ReplayHeld},
		"last":  {Events: 1, Replay: topic.ReplayLast},
		"live":  {Replay: topic.ReplayNone},
	}
	if store != nil {
		delete(spaces, "live") // what keeps nothing cannot be read back
	}
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), store: store,
		opts:   topic.Options{Namespaces: spaces, Default: topic.Retention{Events: 5, Replay: topic.ReplayNone}},
		topics: make(map[string]*ref), bySeq: make(map[uint64]string), absent: make(map[string]string),
	}
	if w.start(); w.chance(50) {
		w.opts.MaxBytes = 500 // hardly anything stays in memory
		w.start()
	}
	for _, space := range []string{"all", "all", "all", "short", "short", "held", "held", "last", "other", "other", "live"} {
		name := space + ":" + strconv.Itoa(len(w.names))
		keep, ok := spaces[space]
		if !ok {
			keep = topic.Retention{Events: 5, Replay: topic.ReplayNone}
		}
		w.names = append(w.names, name)
		w.topics[name] = &ref{name: name, keep: keep}
	}
	return w
}

// start makes the hub, which has of a store as much as it likes.
func (w *world) start() {
	if w.store == nil {
		w.opts.MaxBytes = 0
		w.hub = topic.New(w.opts)
		return
	}
	w.hub = w.store.start(w.opts, w.rng.IntN(40))
}

// restart ends the hub, and all streams with it, and makes another.
func (w *world) restart() {
	w.t.Log("restart")
	for _, c := range w.clients {
		switch w.deliverPending(c); {
		case c.conn == nil:
		case c.conn.open:
			c.cut(w.anyByte(c.conn))
		default:
			c.cut(0)
		}
	}
	w.start()
	if w.wide {
		w.hub.FanOutOver(1+w.rng.IntN(2), 1+w.rng.IntN(8))
	}
}

// id is the plain id of an event.
func (w *world) id(seq uint64) string {
	if w.store == nil || seq == 0 {
		return w.hub.ID(seq, 0)
	}
	return w.hub.ID(seq, timeAt(seq))
}

// deliverPending has a stream get what is on its way to it, so that it can be looked at.
func (w *world) deliverPending(c *client) {
	if c.conn != nil {
		w.hub.DeliverPending(stream.NewBatch(), c.conn.member)
	}
}

// ghosts are some topics that do not exist.
func (w *world) ghosts() []string {
	return []string{"ghost:1", "ghost:2", "ghost:3"}[w.rng.IntN(3):][:1]
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *world) pick() *ref { return w.topics[w.names[w.rng.IntN(len(w.names))]] }

// held is how many events the hub must have.
func (r *ref) held() int { return min(len(r.events)-r.deletedTo, r.keep.Events) }

// first is the index of the oldest event that is held.
func (r *ref) first() int { return len(r.events) - r.held() }

// lost is the position of the newest event that is not held, 0 if there is none.
func (r *ref) lost() uint64 {
	if r.first() == 0 {
		return 0
	}
	return r.events[r.first()-1].seq
}

// after is the index of the first event above a position.
func (r *ref) after(seq uint64) int {
	i, _ := slices.BinarySearchFunc(r.events, seq+1, func(e entry, seq uint64) int {
		return int(int64(e.seq) - int64(seq))
	})
	return i
}

// visible is the first index from i on that a client can see.
func (r *ref) visible(i int) int {
	for i < len(r.events) && !r.events[i].visible {
		i++
	}
	return i
}

// publish appends an event, or closes, or both, in the hub and here.
func (w *world) publish(r *ref, hasEvent, end bool) {
	w.t.Helper()
	takers := w.takers(r)
	w.t.Logf("publish %d to %s for %d, event: %v, close: %v", w.seq+1, r.name, len(takers), hasEvent, end)
	got, err := w.hub.Publish(ctx, topic.Publication{
		Topic: r.name, HasEvent: hasEvent, Data: strconv.FormatUint(w.seq+1, 10), Close: end,
	})
	if r.closed {
		if !errors.Is(err, topic.ErrClosed) {
			w.t.Fatalf("publish to the closed topic %s: %v, want ErrClosed", r.name, err)
		}
		return
	}
	if err != nil {
		w.t.Fatalf("publish to %s: %v", r.name, err)
	}
	w.seq++
	r.events = append(r.events, entry{w.seq, hasEvent})
	w.bySeq[w.seq] = r.name
	if want := w.id(w.seq); got.ID != want {
		w.t.Fatalf("publish to %s: id %q, want %q", r.name, got.ID, want)
	}
	for _, c := range takers {
		c.expect(r, len(r.events)-1)
	}
	// Spread, an event counts those at the topic, also one that will not take it.
	if got.Receivers != len(takers) && !(w.wide && got.Receivers == w.streams(r)) {
		w.t.Fatalf("publish to %s: %d receivers, want %d", r.name, got.Receivers, len(takers))
	}
	if end {
		r.closed = r.keep.Events > 0 // what keeps nothing is not kept
		w.finish(r)
		if !r.closed {
			w.forget(r)
		}
	}
}

// miss has other nodes publish more than a topic keeps, of which the hub is given
// what is left.
func (w *world) miss(r *ref) {
	w.t.Helper()
	if w.store == nil || r.closed || r.keep.Events > 10 {
		return
	}
	count, takers := r.keep.Events+1+w.rng.IntN(4), w.takers(r)
	w.t.Logf("others publish %d to %s for %d", count, r.name, len(takers))
	var left []topic.Stored
	for range count {
		w.seq++
		e := w.store.elsewhere(r.name, strconv.FormatUint(w.seq, 10))
		r.events = append(r.events, entry{w.seq, true})
		w.bySeq[w.seq] = r.name
		left = append(left, e)
	}
	w.store.Trim(r.name, r.keep.Events)
	w.hub.Apply(left[count-r.keep.Events:])
	for _, c := range takers {
		if r.keep.Replay != topic.ReplayLast {
			c.resets++
			c.queued++
		}
		for i := r.first(); i < len(r.events); i++ {
			c.expect(r, i)
		}
	}
}

// remove deletes a topic.
func (w *world) remove(r *ref) {
	w.t.Helper()
	exists := r.held() > 0 || w.streams(r) > 0
	w.t.Logf("delete %s", r.name)
	if err := w.hub.Delete(ctx, r.name); (err == nil) != exists {
		w.t.Fatalf("delete %s: %v; it exists: %v", r.name, err, exists)
	}
	if exists && w.store != nil { // which has an event for it
		w.seq++
		r.events = append(r.events, entry{seq: w.seq})
		w.bySeq[w.seq] = r.name
	}
	if exists {
		r.deletedTo, r.closed = len(r.events), false
		w.finish(r)
		w.forget(r)
	}
}

// forget says that what has the name from now on is another topic, which no
// stream is at.
func (w *world) forget(r *ref) {
	for _, c := range w.clients {
		if c.conn != nil {
			delete(c.conn.over, r.name)
			delete(c.wants, r.name)
		}
	}
}

// takers are the streams that a live event is queued for.
func (w *world) takers(r *ref) (takers []*conn) {
	for _, c := range w.clients {
		if c.conn != nil && c.conn.at[r.name] != nil && c.conn.sink.ending == nil && !c.conn.sink.full {
			takers = append(takers, c.conn)
		}
	}
	return takers
}

func (w *world) streams(r *ref) (n int) {
	for _, c := range w.clients {
		if c.conn != nil && c.conn.at[r.name] != nil {
			n++
		}
	}
	return n
}

// finish takes the streams of a topic that ended out of it.
func (w *world) finish(r *ref) {
	for _, c := range w.clients {
		if c.conn != nil && c.conn.at[r.name] != nil {
			delete(c.conn.at, r.name)
			c.conn.finished, c.conn.over[r.name] = true, r.closed
			c.conn.endIfDone()
		}
	}
}

// check compares what the hub says of a topic.
func (w *world) check(r *ref) {
	w.t.Helper()
	info, err := w.hub.Info(ctx, r.name)
	if exists := r.held() > 0 || w.streams(r) > 0; !exists {
		if !errors.Is(err, topic.ErrNotFound) {
			w.t.Fatalf("%s: %+v, %v; want ErrNotFound: nothing is held and nobody is there", r.name, info, err)
		}
		return
	}
	if w.store != nil {
		info.Events = r.held() // some may be in the store only
	}
	got := fmt.Sprint(info.Events, info.Streams, info.Closed, info.LastID)
	last := ""
	if len(r.events) > 0 {
		last = w.id(r.events[len(r.events)-1].seq)
	}
	if want := fmt.Sprint(r.held(), w.streams(r), r.closed, last); got != want {
		w.t.Fatalf("%s: events, streams, closed, last id: %s, want %s", r.name, got, want)
	}
}
