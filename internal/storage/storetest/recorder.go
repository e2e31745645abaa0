package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/internal/topic"
)

// recorder is the hub that a log feeds. It keeps all that it is given, answers as
// a hub does, and notes each breach of the contract of [topic.Follower].
type recorder struct {
	store     Store
	receivers int           // what it says of each event
	pause     chan struct{} // Apply waits until it is closed; nil: it does not

	applying sync.Mutex // held by Apply, which is called by one goroutine at a time

	mu         sync.Mutex
	breaches   []string // guarded by mu, like all below
	begun      int
	floor      uint64
	floorAt    int64
	generation string
	events     []topic.Stored
	refused    map[uint64]bool
	topics     map[string]known
	moved      chan struct{} // closed at the next event
}

// known is what a hub knows of a topic.
type known struct {
	last, number, born uint64
	closed             bool
}

func newRecorder(s Store) *recorder {
	return &recorder{
		store: s, receivers: 1,
		refused: make(map[uint64]bool), topics: make(map[string]known), moved: make(chan struct{}),
	}
}

// breach notes a breach. The caller holds the lock.
func (r *recorder) breach(format string, args ...any) {
	if len(r.breaches) < 10 {
		r.breaches = append(r.breaches, fmt.Sprintf(format, args...))
	}
}

// Key implements [topic.Follower].
func (r *recorder) Key(string) {}

// Begin implements [topic.Follower].
func (r *recorder) Begin(floor uint64, at int64, generation string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	r.floor, r.floorAt, r.generation = floor, at, generation
	if generation == "" {
		r.breach("Begin without a generation")
	}
	r.events = nil
	clear(r.topics)
	clear(r.refused)
	r.move()
}

// Apply implements [topic.Follower].
func (r *recorder) Apply(events []topic.Stored) []topic.Applied {
	if !r.applying.TryLock() {
		r.mu.Lock()
		r.breach("Apply is called while another Apply runs")
		r.mu.Unlock()
		r.applying.Lock()
	}
	defer r.applying.Unlock()
	if r.pause != nil {
		<-r.pause
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	applied := make([]topic.Applied, len(events))
	for i, e := range events {
		applied[i] = r.apply(e)
	}
	r.move()
	return applied
}

func (r *recorder) apply(e topic.Stored) topic.Applied {
	r.judgeEvent(e)
	r.events = append(r.events, e)
	k, ok := r.topics[e.Topic]
	switch {
	case e.Delete:
		r.topics[e.Topic] = known{last: e.Seq, born: e.Seq}
		return topic.Applied{}
	case ok && k.closed:
		r.refused[e.Seq] = true
		return topic.Applied{Err: topic.ErrClosed}
	}
	r.topics[e.Topic] = known{last: e.Seq, number: max(k.number+1, e.Number), born: max(k.born, e.DeletedTo), closed: e.Close}
	return topic.Applied{Receivers: r.receivers}
}

// judgeEvent compares an event with what was given before. The caller holds the lock.
func (r *recorder) judgeEvent(e topic.Stored) {
	if r.begun == 0 {
		r.breach("event %d was applied before Begin", e.Seq)
	}
	if e.Seq < r.floor {
		r.breach("event %d was applied, which is below the floor %d", e.Seq, r.floor)
	}
	if e.At <= 0 {
		r.breach("event %d was stored at %d", e.Seq, e.At)
	}
	if n := len(r.events); n > 0 {
		switch before := r.events[n-1]; {
		case e.Seq <= before.Seq:
			r.breach("event %d was applied after %d", e.Seq, before.Seq)
		case e.At < before.At: // ids are placed by their time
			r.breach("event %d was stored at %d, before the one at %d", e.Seq, e.At, before.Seq)
		}
	}
	if e.PrevKnown && e.Prev >= e.Seq {
		r.breach("event %d has the predecessor %d", e.Seq, e.Prev)
	}
}

// Common implements [topic.Follower].
func (r *recorder) Common(ctx context.Context) (position uint64, at int64, err error) {
	for _, e := range slices.Backward(r.all()) {
		at, exact, err := r.store.Time(ctx, e.Seq)
		if err != nil || exact && at == e.At {
			return e.Seq, e.At, err
		}
	}
	return 0, 0, nil
}

// Rewind implements [topic.Follower].
func (r *recorder) Rewind(head uint64, generation string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation = generation
	r.events = slices.DeleteFunc(r.events, func(e topic.Stored) bool { return e.Seq > head })
	maps.DeleteFunc(r.topics, func(_ string, k known) bool { return k.last > head })
	r.move()
}

// move wakes those that wait. The caller holds the lock.
func (r *recorder) move() {
	close(r.moved)
	r.moved = make(chan struct{})
}

// all is what was applied.
func (r *recorder) all() []topic.Stored {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// of is what counts of a topic, of what was applied: without refused events.
func (r *recorder) of(name string) []topic.Stored {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []topic.Stored
	for _, e := range r.events {
		if e.Topic == name && !r.refused[e.Seq] {
			found = append(found, e)
		}
	}
	return found
}

// at gives an applied event.
func (r *recorder) at(seq uint64) (e topic.Stored, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := slices.BinarySearchFunc(r.events, seq, func(e topic.Stored, seq uint64) int {
		switch {
		case e.Seq < seq:
			return -1
		case e.Seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		return e, false
	}
	return r.events[i], true
}

// state is what is known of a topic, as far as events were applied.
func (r *recorder) state(name string) (k known, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok = r.topics[name]
	return k, ok
}

// learn notes what was looked up of a topic, unless events came meanwhile.
func (r *recorder) learn(name string, k known) known {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, ok := r.topics[name]; ok {
		return now
	}
	r.topics[name] = k
	return k
}

// until waits for something to become true of what was applied.
func (r *recorder) until(t testing.TB, what string, holds func(*recorder) bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		r.mu.Lock()
		done, moved := holds(r), r.moved
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-moved:
		case <-late.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
