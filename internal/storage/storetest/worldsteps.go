package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

func (w *world) trim(name string, keep int) error {
	s := w.of(name)
	if s.keep == 0 || keep < s.keep {
		s.keep = keep
	}
	w.node.store.Trim(name, keep)
	return w.check(name)
}

// purgeSome purges up to some event of the topic.
func (w *world) purgeSome(name string, part int) error {
	s := w.of(name)
	before := uint64(1)
	if n := len(s.events); n > 0 {
		before = s.events[part*n/100].Seq
	}
	return w.purge(name, before)
}

func (w *world) purge(name string, before uint64) error {
	if err := w.node.store.Purge(within(w.t), name, before); err != nil {
		return fmt.Errorf("Purge(%q, %d): %w", name, before, err)
	}
	s := w.of(name)
	s.purged = max(s.purged, before)
	for _, e := range s.events {
		e.gone = e.gone || e.Seq < before
	}
	return w.check(name)
}

func (w *world) delete(name string) error {
	e := topic.Entry{Topic: name, Delete: true}
	r := w.node.try(e)[0]
	if r.Err != nil {
		return fmt.Errorf("deletion of %q: %w", name, r.Err)
	}
	s := w.of(name)
	s.finished = false
	if err := w.stored(e, r.Seq, r.At); err != nil {
		return err
	}
	return w.purge(name, r.Seq)
}

func (w *world) large(name string) error {
	if w.c.MaxEvent == 0 || w.of(name).finished {
		return nil
	}
	r := w.node.try(text(name, strings.Repeat("x", 2*w.c.MaxEvent)))[0]
	if e, ok := errors.AsType[*wire.Error](r.Err); !ok || e.Status != http.StatusRequestEntityTooLarge {
		return fmt.Errorf("an event that is too large was answered %+v", r)
	}
	return nil
}

// fail has writes fail for a while. Events that have a key are sent until they are
// stored; they must be there once.
func (w *world) fail(pieces []piece) error {
	if w.node.in.FailWrites == nil {
		return w.append(pieces)
	}
	var again []topic.Entry
	w.node.in.FailWrites(true)
	for _, e := range w.entries(pieces) {
		s := w.of(e.Topic)
		if e.Close = false; s.finished || s.keys[e.Key] != nil {
			continue // it has an answer without a write
		}
		if e.Key != "" {
			again = append(again, e)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		r := w.node.tryIn(ctx, w.node.entries(e)...)[0]
		cancel()
		if r.Err == nil {
			return fmt.Errorf("an event was answered %+v while writes fail", r.Appended)
		}
		s.unsure[e.Data] = e
	}
	w.node.in.FailWrites(false)
	if err := w.recover(); err != nil {
		return err
	}
	for _, e := range again {
		if err := w.repeat(e); err != nil {
			return err
		}
	}
	return w.checkAll()
}

// recover publishes until the log takes events again.
func (w *world) recover() error {
	var last error
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		w.count++
		e := text("m:recover", fmt.Sprint(w.count, " recovered"))
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		r := w.node.tryIn(ctx, w.node.entries(e)...)[0]
		cancel()
		if r.Err == nil {
			return w.answered(e, r)
		}
		w.of(e.Topic).unsure[e.Data] = e
		last = r.Err
	}
	return fmt.Errorf("nothing is stored after writes succeed again: %w", last)
}

// repeat sends an event with a key again that may have been stored or not.
func (w *world) repeat(e topic.Entry) error {
	s := w.of(e.Topic)
	r := w.node.try(e)[0]
	switch {
	case r.Err == nil && r.Repeat && s.keys[e.Key] == nil: // it had been stored
		return w.stored(e, r.Seq, r.At)
	default:
		return w.answered(e, r)
	}
}

// reopen ends the log and opens it again.
func (w *world) reopen(kill bool) error {
	if kill {
		w.node.kill()
	} else {
		w.node.stop()
	}
	return w.begin()
}

// begin opens the log. What may have been there or not is known then.
func (w *world) begin() error {
	w.node = w.place.start(w.t)
	if err := w.checkAll(); err != nil {
		return err
	}
	for name, s := range w.topics {
		events, err := w.node.tryRead(name, 0, everything)
		if err != nil {
			return err
		}
		there := make(map[uint64]bool)
		for _, e := range events {
			there[e.Seq] = true
		}
		for _, e := range s.events {
			e.gone = e.gone || !there[e.Seq]
			e.may = e.may && e.gone || e.Seq < s.deleted
		}
		s.keep = 0
		clear(s.refused)
	}
	return w.checkApplied()
}

// checkApplied compares what a new hub was given with what must be there.
func (w *world) checkApplied() error {
	given := make(map[uint64]bool)
	for _, e := range w.node.rec.all() {
		given[e.Seq] = true
		if want := w.known(e.Seq); want != nil {
			if err := sameEvents([]topic.Stored{e}, []topic.Stored{want.Stored}); err != nil {
				return fmt.Errorf("a new hub is given other events: %w", err)
			}
		}
	}
	for name, s := range w.topics {
		for _, e := range s.events {
			if e.Seq >= w.node.rec.floor && !given[e.Seq] && !e.gone && !e.may && !e.expired(-time.Minute) {
				return fmt.Errorf("a new hub is not given event %d of %q, from %d on", e.Seq, name, w.node.rec.floor)
			}
		}
	}
	return nil
}

// travel keeps a copy of the log, or takes it back to the last one.
func (w *world) travel(save bool) error {
	if w.place.Save == nil || !save && w.saved == nil {
		return w.reopen(false)
	}
	w.node.stop()
	if save {
		w.place.Save(w.t)
		w.saved = w.clone()
		return w.begin()
	}
	w.place.Restore(w.t)
	for _, s := range w.topics {
		for _, e := range s.events {
			if e.Seq > w.saved.newest {
				w.lost[e.Seq] = e.At
			}
		}
	}
	w.shadow = *w.saved.clone()
	time.Sleep(2 * time.Millisecond) // the clock has moved on
	return w.begin()
}
