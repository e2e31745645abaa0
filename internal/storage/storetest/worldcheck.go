package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tidegate/internal/topic"
)

func (w *world) checkAll() error {
	for n := range modelTopics {
		if err := w.check(modelName(n)); err != nil {
			return err
		}
	}
	return w.check("m:recover")
}

// check compares a topic with what must be in it.
func (w *world) check(name string) error {
	events, err := w.node.tryRead(name, 0, everything)
	if err != nil {
		return err
	}
	s := w.of(name)
	there := make(map[uint64]bool)
	for _, e := range events {
		if there[e.Seq] = true; s.refused[e.Seq] {
			continue
		}
		if err := w.checkEvent(s, e); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	left := 0 // events that must be there, or may, from the newest on
	for _, e := range slices.Backward(s.events) {
		if e.gone {
			if at, exact, err := w.node.store.Time(within(w.t), e.Seq); err != nil || exact && (e.Age == 0 || at != e.At) {
				return fmt.Errorf("Time(%d) = %d, %v, %v: there is no event any more", e.Seq, at, exact, err)
			}
			if e.Age > 0 {
				left++ // it has expired, and may be counted all the same
			}
			continue
		}
		if left++; s.keep > 0 && left > s.keep-len(s.refused) {
			e.may = true
		}
		if !there[e.Seq] && !e.may && !e.expired(0) {
			return fmt.Errorf("%q: event %d is missing: %s", name, e.Seq, show(e.Stored))
		}
	}
	if err := w.checkLast(name, events); err != nil {
		return err
	}
	return w.checkRest(name, events)
}

// checkEvent judges an event that is there.
func (w *world) checkEvent(s *shadowTopic, e topic.Stored) error {
	i, known := slices.BinarySearchFunc(s.events, e.Seq, bySeq)
	if !known {
		return w.checkUnknown(s, e)
	}
	want := s.events[i]
	switch {
	case want.gone:
		return fmt.Errorf("event %d is there, and was dropped for good: %s", e.Seq, show(e))
	case want.expired(time.Minute):
		return fmt.Errorf("event %d is there, and has expired: %s", e.Seq, show(e))
	}
	if err := sameEvents([]topic.Stored{e}, []topic.Stored{want.Stored}); err != nil {
		return err
	}
	if e.PrevKnown && !e.Delete {
		for _, between := range s.events {
			if between.Seq > e.Prev && between.Seq < e.Seq && !between.gone && !between.may && !between.expired(0) {
				return fmt.Errorf("event %d comes behind %d, and its predecessor is said to be %d", e.Seq, between.Seq, e.Prev)
			}
		}
	}
	if at, exact, err := w.node.store.Time(within(w.t), e.Seq); err != nil || !exact || at != e.At {
		if err == nil && w.wentSince(s, e) {
			return nil
		}
		return fmt.Errorf("Time(%d) = %d, %v, %v; want %d", e.Seq, at, exact, err, e.At)
	}
	return nil
}

// wentSince reports whether an event that was read a moment ago is not there any more,
// because its topic is being trimmed.
func (w *world) wentSince(s *shadowTopic, e topic.Stored) bool {
	if s.keep == 0 {
		return false
	}
	left, err := w.node.tryRead(e.Topic, e.Seq, e.Seq+1)
	return err == nil && len(left) == 0
}

// checkUnknown judges an event that nobody was answered for: one that was refused,
// or that failed and was stored all the same.
func (w *world) checkUnknown(s *shadowTopic, e topic.Stored) error {
	w.node.rec.mu.Lock()
	refused := w.node.rec.refused[e.Seq]
	w.node.rec.mu.Unlock()
	if refused && w.c.LateRefusals {
		s.refused[e.Seq] = true
		return nil
	}
	entry, unsure := s.unsure[e.Data]
	if !unsure {
		return fmt.Errorf("event %d is there, and was never answered: %s", e.Seq, show(e))
	}
	if _, applied := w.node.rec.at(e.Seq); !applied && e.Seq >= w.node.rec.floor {
		return fmt.Errorf("event %d is there, and the hub was not given it: %s", e.Seq, show(e))
	}
	delete(s.unsure, e.Data)
	event := &shadowEvent{Stored: e}
	s.add(event)
	if entry.Key != "" {
		s.keys[entry.Key] = event
	}
	w.newest = max(w.newest, e.Seq)
	return nil
}

func (w *world) checkLast(name string, events []topic.Stored) error {
	e, ok, err := w.node.store.Last(within(w.t), name)
	s := w.of(name)
	for len(events) > 0 && s.refused[events[len(events)-1].Seq] {
		events = events[:len(events)-1]
	}
	switch {
	case err != nil:
		return fmt.Errorf("Last(%q): %w", name, err)
	case ok && s.refused[e.Seq]:
		return nil
	case ok != (len(events) > 0) && !w.anyExpires(name):
		return fmt.Errorf("Last(%q) = %s, %v; %d events are read", name, show(e), ok, len(events))
	case ok && len(events) > 0 && !w.anyExpires(name):
		return sameEvents([]topic.Stored{e}, events[len(events)-1:])
	}
	return nil
}

// anyExpires reports whether the topic changes while it is looked at.
func (w *world) anyExpires(name string) bool {
	return slices.ContainsFunc(w.of(name).events, func(e *shadowEvent) bool { return !e.gone && e.Age > 0 && e.expired(-time.Second) })
}

// checkRest checks what holds whatever happened.
func (w *world) checkRest(name string, events []topic.Stored) error {
	if lost := w.node.store.Lost(name); lost > 0 {
		return fmt.Errorf("Lost(%q) = %d: nothing was damaged", name, lost)
	}
	if d := w.node.store.Discarded(); d > 0 {
		return fmt.Errorf("position %d is discarded, and there was room", d)
	}
	s := w.of(name)
	for key, e := range s.keys {
		if e.gone || e.may || e.Age > 0 {
			continue
		}
		want := e.Entry
		want.Key = key
		got, ok, err := w.node.store.Find(within(w.t), want, 1, everything)
		if err == nil && !ok && w.wentSince(s, e.Stored) {
			continue
		}
		if err != nil || !ok || got.Seq != e.Seq || got.At != e.At {
			return fmt.Errorf("Find(%q, %q) = %+v, %v, %v; want %d", name, key, got, ok, err, e.Seq)
		}
		want.Data += "other"
		if got, ok, err = w.node.store.Find(within(w.t), want, 1, everything); !errors.Is(err, topic.ErrMismatch) {
			return fmt.Errorf("Find(%q, %q) of other content = %+v, %v, %v; want ErrMismatch", name, key, got, ok, err)
		}
	}
	if n := len(events); n > 2 { // a part of it
		from, before := events[1].Seq, events[n-1].Seq
		part, err := w.node.tryRead(name, from, before)
		if err != nil {
			return err
		}
		if err := sameEvents(part, events[1:n-1]); err != nil && !w.anyExpires(name) && s.keep == 0 {
			return fmt.Errorf("Read(%q) of [%d, %d): %w", name, from, before, err)
		}
	}
	return nil
}

// expired reports whether an event has expired so long ago, or will have by then.
func (e *shadowEvent) expired(ago time.Duration) bool {
	return e.Age > 0 && e.At+int64(e.Age)+int64(ago) <= time.Now().UnixNano()
}
