// Package taskhttp serves the events of tasks from the program that runs them, for
// programs that have no gateway: browsers follow a task with EventSource.
//
//	mux.Handle("GET /tasks/{id}/events", taskhttp.Events(svc, nil))
//
// It is right for some thousands of streams, which end with the program. Beyond that
// give the service the Publisher of package task/publish, and let a gateway hold the
// streams. Who may see which task the handler does not know: put your own check before
// it.
package taskhttp

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"tidegate/sse"
	"tidegate/task"
)

// feedRoom is how many events wait for a client in its stream. More wait in the log.
const feedRoom = 64

// Events returns a handler that streams the events of a task, whose id is the path value
// "id". A stream has the whole log, or what comes after the client's last event id, and
// ends after the last event. opts may be nil.
//
// svc needs a Publisher that is a [task.LogWatcher], such as the default: without one
// Events panics.
//
//   - An unknown task is answered with 404, and a client that has seen the end with 204:
//     both keep EventSource from connecting again.
//   - 503 says that the store cannot be reached.
//   - If events are not held any more that the client has not seen, the stream begins
//     with an event "reset", whose data is {"reason":"history_lost"}. All events that are
//     held follow.
//
// A stream ends with the context of its request. http.Server.Shutdown waits for streams:
// let BaseContext return a context that ends when your program stops.
func Events(svc *task.Service, opts *sse.WriterOptions) http.Handler {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range svc.Watch(ended, "", "") { // of no task, to learn whether it can
		if errors.Is(err, errors.ErrUnsupported) {
			panic("taskhttp: " + err.Error())
		}
	}
	return &handler{svc, opts}
}

type handler struct {
	svc  *task.Service
	opts *sse.WriterOptions
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, after := r.PathValue("id"), sse.LastEventID(r)
	if status := h.check(r.Context(), id, after); status != http.StatusOK {
		w.WriteHeader(status)
		return
	}
	stream, err := sse.Accept(w, r, h.opts)
	if err != nil {
		return // Accept has answered
	}
	ctx, cancel := context.WithCancel(r.Context())
	feed := make(chan sse.Event, feedRoom)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(feed)
		h.feed(ctx, feed, id, after)
	})
	_ = stream.Serve(ctx, feed) // the client has left; or the log has ended
}

// check returns the status for a client that has seen all up to an event. For one that
// may have seen the end it looks whether more is there.
func (h *handler) check(ctx context.Context, id, after string) int {
	info, err := h.svc.Summary(ctx, id)
	if err != nil {
		return statusOf(err)
	}
	if !info.Status.Final() || after == "" {
		return http.StatusOK
	}
	for _, err := range h.svc.Watch(ctx, id, after) {
		if err == nil || errors.Is(err, task.ErrHistoryLost) {
			return http.StatusOK
		}
		return statusOf(err)
	}
	return http.StatusNoContent
}

func statusOf(err error) int {
	if errors.Is(err, task.ErrNotFound) {
		return http.StatusNotFound
	}
	return http.StatusServiceUnavailable
}

// feed passes on the events of a task until its end, or ctx's.
func (h *handler) feed(ctx context.Context, feed chan<- sse.Event, id, after string) {
	pass := func(ev sse.Event) bool {
		select {
		case feed <- ev:
			return true
		case <-ctx.Done():
			return false
		}
	}
	err := h.pass(ctx, pass, id, after)
	if errors.Is(err, task.ErrHistoryLost) && after != "" && pass(sse.Event{Name: "reset", Data: `{"reason":"history_lost"}`}) {
		_ = h.pass(ctx, pass, id, "") // the client comes again and learns why
	}
}

// pass passes on events until the end of a log or an error, which it returns.
func (h *handler) pass(ctx context.Context, pass func(sse.Event) bool, id, after string) error {
	for ev, err := range h.svc.Watch(ctx, id, after) {
		if err != nil {
			return err
		}
		if !pass(sse.Event{ID: ev.ID, Name: ev.Name, Data: string(ev.Data)}) {
			return context.Cause(ctx)
		}
	}
	return nil
}
