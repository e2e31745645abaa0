package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"tidegate/measure/reliability/eventsource"
)

// entry is one event of a task's log.
type entry struct{ ID, Name, Data string }

// watch follows a task from its start to its end.
type watch struct {
	id     string
	lastID string
	seen   []entry // since the last reset
	resets int
	opened int
	over   bool          // connection_close has arrived, and the stream has ended properly
	done   chan struct{} // closed when follow returns
}

func newWatch(id string) *watch { return &watch{id: id, done: make(chan struct{})} }

// maxLog bounds the log of one task, in events.
const maxLog = 100_000

// follow opens one stream after another until the log has ended or ctx ends. It also
// leaves streams at random times.
func (w *watch) follow(ctx context.Context, public []string) {
	defer close(w.done)
	for attempt := 0; !w.over; attempt++ {
		_ = w.stream(ctx, public[attempt%len(public)], 3*time.Second) // it reconnects after any error
		if !w.over && !sleep(ctx, 50*time.Millisecond+rand.N(50*time.Millisecond)) {
			return
		}
	}
}

// read reads the log from its beginning.
func (w *watch) read(ctx context.Context, public []string) error {
	return retry(ctx, func(attempt int) error {
		w.lastID, w.seen, w.over = "", nil, false
		return w.stream(ctx, public[attempt%len(public)], 0)
	})
}

// stream opens one stream and reads to its end. It leaves after a random time with the
// mean life, or never if that is 0. It returns nil if the stream ended properly after
// connection_close.
func (w *watch) stream(ctx context.Context, base string, life time.Duration) error {
	s, err := eventsource.Open(ctx, eventsource.Request{
		Base: base, Target: "/api/sse/tasks?task_id=" + url.QueryEscape(w.id), LastEventID: w.lastID,
		Wait: 10 * time.Second, Idle: 5 * time.Second,
	})
	if status, ok := errors.AsType[*eventsource.StatusError](err); ok && status.Status == http.StatusNoContent {
		w.over = w.closed() // nothing follows its last id
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	w.opened++
	var until time.Time
	if life > 0 {
		until = time.Now().Add(time.Duration(rand.ExpFloat64() * float64(life)))
	}
	for {
		b, err := s.Next(until)
		if err == io.EOF && w.closed() {
			w.over = true
			return nil
		}
		if err != nil {
			return err
		}
		if b.HasID {
			w.lastID = b.ID
		}
		if !b.HasData {
			continue
		}
		if b.Name == "reset" {
			w.seen = nil
			w.resets++
			continue
		}
		if len(w.seen) >= maxLog {
			return &permanentError{0, fmt.Sprintf("the log of task %s has more than %d events", w.id, maxLog)}
		}
		w.seen = append(w.seen, entry{b.ID, b.Name, b.Data})
	}
}

// closed reports whether the last event ends the log.
func (w *watch) closed() bool {
	return len(w.seen) > 0 && w.seen[len(w.seen)-1].Name == "connection_close"
}

// waitForWatchers waits until all watchers have the whole log, or ctx ends.
func (j *job) waitForWatchers(ctx context.Context, all []*started) {
	for _, s := range all {
		if s.watched == nil {
			continue
		}
		select {
		case <-s.watched.done:
		case <-ctx.Done():
			return
		}
	}
}
