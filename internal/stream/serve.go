package stream

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"tidegate/internal/wire"
)

// connKey is where a request's context has its connection.
type connKey struct{}

// ConnContext is the [http.Server.ConnContext] of a server whose streams are to
// be parked: it lets Serve see what the connection is before taking it over.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Serve answers a request with the stream: headers, which must be set in w, and
// first, unless that is nil, at once, then what is pushed. A stream that lives
// longer than age, unless that is 0, ends with that reason; an age of more than
// 390 days counts as so many.
//
// Serve returns when the request's goroutine is not needed any more. For a
// stream that could be parked that is at once; w and r are not kept. For others
// it is at the stream's end; cut then says that the client must see a cut instead
// of an end: the caller has to panic with [http.ErrAbortHandler].
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request, first *Frame, age time.Duration) (cut bool) {
	h := &handler{w: w, rc: http.NewResponseController(w), wake: make(chan struct{}, 1), http2: r.ProtoMajor > 1}
	if c := s.engine.parks(r); c != nil {
		w.Header().Set("Connection", "close") // it will not be used again
		_ = h.rc.SetWriteDeadline(time.Now().Add(s.engine.opts.WriteTimeout))
		if h.writeHead() == nil && s.park(h.rc, c, first, age) {
			return false
		}
		_ = h.rc.SetWriteDeadline(time.Time{})
	}
	return h.serve(r.Context(), s, first, age)
}

// begin is where the stream becomes what the engine watches: from here on it is
// served, by the caller at first.
func (s *Stream) begin(c *link, first *Frame, age time.Duration) {
	s.mu.Lock()
	s.slot = s.engine.slots.add(s)
	s.conn = c
	now := s.engine.elapsed()
	s.last = tickOf(now)
	if age > 0 {
		left := max(0, min(age, maxAge)-s.engine.opts.round()) // the clock finds it up to a round late
		s.expires = expiryAt(now + left.Milliseconds())
	}
	if first != nil {
		s.queue.prepend(Item{first, Control})
	}
	if s.engine.stopped.Load() { // it may have come too late for CutAll
		s.cutLocked(nil, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain})
	}
	s.state |= served | writing
}

// handler is the connection of a stream that has the goroutine of its request.
type handler struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	wake  chan struct{} // size 1: somebody has set writing for the goroutine
	http2 bool

	// Owned by the goroutine.
	headed bool // the headers have been sent, or at least tried
	ended  bool
	cut    bool

	mu   sync.Mutex
	gone bool // guarded by mu: w must not be touched any more
}

// writeHead sends the headers, unless they have been tried before.
func (h *handler) writeHead() error {
	if !h.headed {
		h.headed = true
		h.w.WriteHeader(http.StatusOK)
	}
	return h.rc.Flush()
}

func (h *handler) serve(ctx context.Context, s *Stream, first *Frame, age time.Duration) (cut bool) {
	// A client that leaves is seen by net/http, which ends the context.
	stop := context.AfterFunc(ctx, func() {
		b := NewBatch()
		s.Abort(b, wire.Ending{Reason: wire.ClientClosed})
		b.Flush()
	})
	defer stop()
	s.begin(&link{h}, first, age)
	s.stuck = s.last
	s.mu.Unlock()
	err := h.writeHead()
	s.mu.Lock()
	if s.stuck = 0; ctx.Err() != nil {
		s.leaves()
	} else if err != nil {
		s.broken(err)
	}
	for {
		p := pens.Get().(*pen)
		s.run(p)
		s.engine.report(p)
		pens.Put(p)
		if h.ended {
			return h.cut
		}
		<-h.wake
		s.mu.Lock()
	}
}

func (h *handler) start()        { h.wake <- struct{}{} } // never blocks: writing is set once
func (h *handler) chunked() bool { return false }

func (h *handler) write(p []byte) error {
	_, err := h.w.Write(p)
	if err == nil {
		err = h.rc.Flush()
	}
	if err != nil && h.http2 {
		// Its errors are not exported. They mean that the client has reset the
		// stream, or left with all of them.
		return io.ErrClosedPipe
	}
	return err
}

// interrupt sets a deadline in the past. A response that has none, such as a
// recorder in tests, does not block either.
func (h *handler) interrupt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.gone {
		_ = h.rc.SetWriteDeadline(time.Unix(1, 0))
	}
}

func (h *handler) close(clean bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone, h.ended, h.cut = true, true, !clean
}
