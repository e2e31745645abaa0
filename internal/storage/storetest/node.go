package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/internal/topic"
)

// patience is how long something may take that must come.
var patience = patienceOf(os.Getenv(patienceVariable))

// patienceVariable has another patience, for who looks for a fault.
const patienceVariable = "TIDETEST_STORE_PATIENCE"

func patienceOf(s string) time.Duration {
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	return time.Minute
}

// everything is above each position.
const everything = math.MaxUint64

// node is a log that is open, and the hub that it feeds.
type node struct {
	t     testing.TB
	store Store
	in    Instance
	rec   *recorder
	end   func() // ends Run and waits for it
	dead  atomic.Bool
}

// open opens a place for the first time.
func open(t testing.TB, c Config) (Place, *node) {
	t.Helper()
	p := c.New(t)
	return p, p.start(t)
}

// start opens the log, and runs it until the test ends or it is stopped.
func (p Place) start(t testing.TB) *node {
	t.Helper()
	n := p.startWith(t, func(*recorder) {})
	n.caught()
	return n
}

func (p Place) startWith(t testing.TB, prepare func(*recorder)) *node {
	t.Helper()
	in := p.Open(t)
	n := &node{t: t, store: in.Store, in: in, rec: newRecorder(in.Store)}
	prepare(n.rec)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.store.Run(ctx, n.rec); err != nil && !n.dead.Load() {
			t.Errorf("Run = %v, want nil when its context ends", err)
		}
	})
	n.end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	closed := in.Close
	n.in.Close = sync.OnceValue(closed)
	t.Cleanup(func() {
		n.end()
		_ = n.in.Close()
		n.breaches()
	})
	return n
}

func (n *node) breaches() {
	n.t.Helper()
	n.rec.mu.Lock()
	defer n.rec.mu.Unlock()
	for _, b := range n.rec.breaches {
		n.t.Errorf("follower: %s", b)
	}
	n.rec.breaches = nil
}

func (n *node) caught() {
	n.t.Helper()
	if err := n.store.Caught(within(n.t)); err != nil {
		n.t.Fatalf("Caught = %v", err)
	}
}

// stop ends the log in order.
func (n *node) stop() {
	n.t.Helper()
	n.end()
	if err := n.in.Close(); err != nil {
		n.t.Fatalf("Close = %v", err)
	}
	n.breaches()
}

// kill ends the log as kill -9 does.
func (n *node) kill() {
	n.dead.Store(true)
	n.in.Kill()
	n.end()
	_ = n.in.Close()
}

// again stops the log and opens it anew.
func (n *node) again(p Place) *node {
	n.t.Helper()
	n.stop()
	return p.start(n.t)
}

// within gives a context that ends with the test, or when patience does.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

// entry is an event as a hub publishes it next.
func (n *node) entry(e topic.Entry) topic.Entry {
	n.t.Helper()
	return n.entries(e)[0]
}

// text is an event that says something.
func text(name, data string) topic.Entry {
	return topic.Entry{Topic: name, Name: "n", Data: data, HasEvent: true}
}

// texts are events of one topic.
func texts(name string, data ...string) (all []topic.Entry) {
	for _, d := range data {
		all = append(all, text(name, d))
	}
	return all
}

// entries completes events as a hub does that publishes them in one batch: it
// counts their numbers, and knows what was before the batch.
func (n *node) entries(batch ...topic.Entry) []topic.Entry {
	n.t.Helper()
	counted := make(map[string]uint64)
	batch = slices.Clone(batch)
	for i := range batch {
		e := &batch[i]
		k, err := n.know(e.Topic)
		if err != nil {
			n.t.Fatal(err)
		}
		if e.Delete {
			continue
		}
		counted[e.Topic]++
		e.Number, e.Prev, e.DeletedTo = k.number+counted[e.Topic], k.last, k.born
	}
	return batch
}

// know finds out what a hub knows of a topic: of events that it was given, else by
// looking.
func (n *node) know(name string) (known, error) {
	if k, ok := n.rec.state(name); ok {
		return k, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, ok, err := n.store.Last(ctx, name)
	switch {
	case err != nil:
		return known{}, fmt.Errorf("Last(%q) = %w", name, err)
	case !ok:
		return n.rec.learn(name, known{}), nil
	case e.Delete:
		return n.rec.learn(name, known{last: e.Seq, born: e.Seq}), nil
	case e.PrevKnown:
		return n.rec.learn(name, known{last: e.Seq, number: e.Number, born: e.DeletedTo, closed: e.Close}), nil
	}
	var k known
	err = n.store.Read(ctx, name, 1, e.Seq+1, func(e topic.Stored) error {
		switch {
		case e.Delete:
			k = known{last: e.Seq, born: e.Seq}
		case !k.closed:
			k = known{last: e.Seq, number: max(k.number+1, e.Number), born: max(k.born, e.DeletedTo), closed: e.Close}
		}
		return nil
	})
	if err != nil {
		return known{}, fmt.Errorf("Read(%q) = %w", name, err)
	}
	return n.rec.learn(name, k), nil
}

// try publishes a batch and gives the answers.
func (n *node) try(batch ...topic.Entry) []topic.Result {
	n.t.Helper()
	return n.tryIn(within(n.t), n.entries(batch...)...)
}

// tryIn publishes a batch as it is.
func (n *node) tryIn(ctx context.Context, batch ...topic.Entry) []topic.Result {
	n.t.Helper()
	results := n.store.AppendAll(ctx, batch)
	if len(results) != len(batch) {
		n.t.Fatalf("AppendAll of %d entries has %d results", len(batch), len(results))
	}
	return results
}

// publish publishes a batch that must be stored.
func (n *node) publish(batch ...topic.Entry) []topic.Result {
	n.t.Helper()
	results := n.try(batch...)
	for i, r := range results {
		if r.Err != nil {
			n.t.Fatalf("entry %d of %d, at %q: %v", i, len(batch), batch[i].Topic, r.Err)
		}
	}
	return results
}

// each publishes events one by one.
func (n *node) each(all ...topic.Entry) (results []topic.Result) {
	n.t.Helper()
	for _, e := range all {
		results = append(results, n.publish(e)...)
	}
	return results
}

// read gives all that is stored of a topic.
func (n *node) read(name string) []topic.Stored {
	n.t.Helper()
	return n.readRange(name, 0, everything)
}

func (n *node) readRange(name string, from, before uint64) []topic.Stored {
	n.t.Helper()
	events, err := n.tryRead(name, from, before)
	if err != nil {
		n.t.Fatal(err)
	}
	return events
}

// tryRead reads, and checks what holds for all reads.
func (n *node) tryRead(name string, from, before uint64) (events []topic.Stored, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wrong error
	err = n.store.Read(ctx, name, from, before, func(e topic.Stored) error {
		switch {
		case e.Topic != name:
			wrong = fmt.Errorf("Read(%q) gives an event of %q", name, e.Topic)
		case e.Seq < from || e.Seq >= before:
			wrong = fmt.Errorf("Read(%q) of [%d, %d) gives %d", name, from, before, e.Seq)
		case len(events) > 0 && e.Seq <= events[len(events)-1].Seq:
			wrong = fmt.Errorf("Read(%q) gives %d after %d", name, e.Seq, events[len(events)-1].Seq)
		}
		events = append(events, e)
		return nil
	})
	if err != nil {
		return events, fmt.Errorf("Read(%q) = %w", name, err)
	}
	return events, wrong
}

// verify compares what is stored of topics with what was applied, from the floor on.
func (n *node) verify(names ...string) {
	n.t.Helper()
	for _, name := range names {
		held := slices.DeleteFunc(n.read(name), func(e topic.Stored) bool { return e.Seq < n.rec.floor })
		if err := sameEvents(held, n.rec.of(name)); err != nil {
			n.t.Errorf("Read(%q), beside what was applied: %v", name, err)
		}
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// isClosed reports whether an answer is that of an event behind the topic's end.
func isClosed(r topic.Result) bool { return errors.Is(r.Err, topic.ErrClosed) }

// numbered makes n texts.
func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}
