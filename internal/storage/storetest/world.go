package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/topic"
)

// world is a log, and what must be in it.
type world struct {
	t     testing.TB
	c     Config
	place Place
	node  *node
	count int // entries ever

	shadow
	saved *shadow
	lost  map[uint64]int64 // events that were lost when the log went back: when they were stored
}

// shadow is what is known of the log.
type shadow struct {
	topics map[string]*shadowTopic
	newest uint64 // position
}

type shadowTopic struct {
	events   []*shadowEvent // by position
	keys     map[string]*shadowEvent
	unsure   map[string]topic.Entry // by data: nobody knows whether they were taken
	refused  map[uint64]bool        // since the log was opened
	keep     int                    // the least that trims asked for since the log was opened; 0: none
	purged   uint64
	deleted  uint64
	finished bool
}

// shadowEvent is an event that was answered.
type shadowEvent struct {
	topic.Stored
	gone bool // it must not be there
	may  bool // it may be there
}

func newWorld(t testing.TB, c Config) *world {
	w := &world{t: t, c: c, place: c.New(t), shadow: shadow{topics: make(map[string]*shadowTopic)}, lost: make(map[uint64]int64)}
	w.node = w.place.start(t)
	return w
}

func modelName(n int) string { return fmt.Sprint("m:", n) }

func (w *world) of(name string) *shadowTopic {
	s, ok := w.topics[name]
	if !ok {
		s = &shadowTopic{keys: make(map[string]*shadowEvent), unsure: make(map[string]topic.Entry), refused: make(map[uint64]bool)}
		w.topics[name] = s
	}
	return s
}

func (s *shadow) clone() *shadow {
	c := &shadow{topics: make(map[string]*shadowTopic), newest: s.newest}
	for name, t := range s.topics {
		n := *t
		n.events, n.keys = nil, make(map[string]*shadowEvent)
		copies := make(map[*shadowEvent]*shadowEvent)
		for _, e := range t.events {
			copied := *e
			copies[e] = &copied
			n.events = append(n.events, &copied)
		}
		for k, e := range t.keys {
			n.keys[k] = copies[e]
		}
		n.unsure, n.refused = maps.Clone(t.unsure), maps.Clone(t.refused)
		c.topics[name] = &n
	}
	return c
}

// run runs a history and returns what is wrong.
func (w *world) run(h []step) error {
	for i, s := range h {
		if err := w.step(s); err != nil {
			return fmt.Errorf("step %d (%v): %w", i, s, err)
		}
	}
	if err := w.checkAll(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	if err := w.reopen(false); err != nil {
		return fmt.Errorf("opened again at the end: %w", err)
	}
	return nil
}

func (w *world) step(s step) error {
	switch s.kind {
	case stepAppend, stepBatch:
		return w.append(s.what)
	case stepBurst:
		return w.burst(s.what)
	case stepTrim:
		return w.trim(modelName(s.topic), s.n)
	case stepPurge:
		return w.purgeSome(modelName(s.topic), s.n)
	case stepDelete:
		return w.delete(modelName(s.topic))
	case stepReopen:
		return w.reopen(false)
	case stepKill:
		return w.reopen(w.node.in.Kill != nil)
	case stepFail:
		return w.fail(s.what)
	case stepSave, stepRestore:
		return w.travel(s.kind == stepSave)
	case stepWait:
		if w.c.Bubble {
			time.Sleep(time.Duration(s.n) * time.Second)
		}
		return nil
	case stepLarge:
		return w.large(modelName(s.topic))
	}
	return w.check(modelName(s.topic))
}

// entries makes entries of pieces: the same key has the same content, most times.
func (w *world) entries(pieces []piece) (all []topic.Entry) {
	for _, p := range pieces {
		w.count++
		e := text(modelName(p.topic), fmt.Sprint(w.count, " ")+strings.Repeat("x", p.size))
		if p.key > 0 {
			e.Key = fmt.Sprint(w.of(e.Topic).deleted, ".", p.key)
			if w.count%5 > 0 {
				e.Data = fmt.Sprint("same ", e.Key)
			}
		}
		e.Close, e.Age = p.close, time.Duration(p.aged)*time.Minute
		all = append(all, e)
	}
	return all
}

func (w *world) append(pieces []piece) error {
	if len(pieces) == 0 {
		return nil
	}
	batch := w.entries(pieces)
	for i, r := range w.node.try(batch...) {
		if err := w.answered(batch[i], r); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

// burst publishes entries at the same time. Only positions show their order.
func (w *world) burst(pieces []piece) error {
	batch := w.entries(pieces)
	results := make([]topic.Result, len(batch))
	var all sync.WaitGroup
	for i, e := range batch {
		batch[i].Close = false
		e = w.node.entry(batch[i])
		all.Go(func() { results[i] = w.node.store.AppendAll(context.Background(), []topic.Entry{e})[0] })
	}
	all.Wait()
	order := make([]int, len(batch))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { // repeats come behind their first
		ra, rb := results[a], results[b]
		if (ra.Repeat || ra.Err != nil) != (rb.Repeat || rb.Err != nil) {
			if ra.Repeat || ra.Err != nil {
				return 1
			}
			return -1
		}
		return int(int64(ra.Seq) - int64(rb.Seq))
	})
	for _, i := range order {
		if err := w.answered(batch[i], results[i]); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

// answered judges an answer, and notes what must be there from now on.
func (w *world) answered(e topic.Entry, r topic.Result) error {
	s := w.of(e.Topic)
	first, known := s.keys[e.Key]
	age := time.Duration(0)
	if known = known && e.Key != ""; known {
		age = time.Duration(time.Now().UnixNano() - first.At)
	}
	switch {
	case errors.Is(r.Err, topic.ErrClosed):
		if !s.finished {
			return fmt.Errorf("an event at %q, which is not closed, was refused", e.Topic)
		}
		return nil
	case errors.Is(r.Err, topic.ErrMismatch):
		if !known || first.SameContent(&e) {
			return fmt.Errorf("key %q was used for the same, or never, and a mismatch is answered", e.Key)
		}
		return nil
	case r.Err != nil:
		return fmt.Errorf("at %q: %w", e.Topic, r.Err)
	case r.Repeat && s.finished && r.Seq > s.last(): // of one that was refused: the hub takes it for that
		return nil
	case r.Repeat:
		there := known && !first.gone && !first.may && !first.expired(0)
		if !known || first.Seq != r.Seq || r.At != first.At && (r.At != 0 || there) || there && !first.SameContent(&e) {
			return fmt.Errorf("key %q was answered with a repeat of %+v, and its first is %v", e.Key, r.Appended, first)
		}
		if age > topic.KeyLife+time.Second {
			return fmt.Errorf("key %q was answered with a repeat after %v", e.Key, age)
		}
		return nil
	case s.finished && !s.endMayBeDropped():
		return fmt.Errorf("%q is closed, and an event was taken at %d", e.Topic, r.Seq)
	case known && age < topic.KeyLife-time.Second && (!w.c.KeysGo || !first.gone && !first.may):
		return fmt.Errorf("key %q was used %v ago at %d, and a new event was taken at %d", e.Key, age, first.Seq, r.Seq)
	}
	return w.stored(e, r.Seq, r.At)
}

// stored notes an event that the hub was given.
func (w *world) stored(e topic.Entry, seq uint64, at int64) error {
	s := w.of(e.Topic)
	got, ok := w.node.rec.at(seq)
	switch {
	case !ok:
		return fmt.Errorf("position %d was answered, and the hub was not given it", seq)
	case got.Topic != e.Topic || got.Data != e.Data || got.Close != e.Close || got.Delete != e.Delete || got.HasEvent != e.HasEvent || got.At != at:
		return fmt.Errorf("position %d was answered at %d, and the hub was given %s there", seq, at, show(got))
	case w.known(seq) != nil:
		return fmt.Errorf("position %d is used again", seq)
	case w.lost[seq] == at:
		return fmt.Errorf("position %d is that of an event that was lost, and of the same time", seq)
	}
	delete(s.unsure, e.Data)
	event := &shadowEvent{Stored: got}
	s.add(event)
	if e.Key != "" {
		s.keys[e.Key] = event
	}
	w.newest = max(w.newest, seq)
	if s.finished = e.Close; e.Delete {
		s.deleted = seq
		for _, old := range s.events {
			old.may = old.may || old.Seq < seq
		}
	}
	return nil
}

// endMayBeDropped reports whether the end of the topic has been dropped, or may have been.
func (s *shadowTopic) endMayBeDropped() bool {
	n := len(s.events)
	return n == 0 || s.events[n-1].gone || s.events[n-1].may || s.events[n-1].expired(0)
}

// last is the position of the newest event.
func (s *shadowTopic) last() uint64 {
	if n := len(s.events); n > 0 {
		return s.events[n-1].Seq
	}
	return 0
}

func (s *shadowTopic) add(e *shadowEvent) {
	i, _ := slices.BinarySearchFunc(s.events, e.Seq, bySeq)
	s.events = slices.Insert(s.events, i, e)
}

func (w *world) known(seq uint64) *shadowEvent {
	for _, s := range w.topics {
		if i, ok := slices.BinarySearchFunc(s.events, seq, bySeq); ok {
			return s.events[i]
		}
	}
	return nil
}

func bySeq(e *shadowEvent, seq uint64) int {
	switch {
	case e.Seq < seq:
		return -1
	case e.Seq > seq:
		return 1
	}
	return 0
}
