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

// connKey is the key of a connection in the context of its requests.
type connKey struct{}

// ConnContext is the [http.Server.ConnContext] of a server whose streams are to be
// parked: it gives Serve access to the connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Serve answers a request with the stream: at once the headers that are set in w, and
// first, unless that is nil; then what is pushed. A stream that becomes older than age
// ends; 0 is no bound, and more than 390 days count as 390 days.
//
// Serve returns when the request's goroutine is not needed any more. A stream that can
// be parked returns at once; w and r are not used after that. Others return at their
// end. cut then reports that the client must see a broken connection instead of an end:
// the caller has to panic with [http.ErrAbortHandler].
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request, first *Frame, age time.Duration) (cut bool) {
	h := &handler{w: w, rc: http.NewResponseController(w), wake: make(chan struct{}, 1), http2: r.ProtoMajor > 1}
	if c := s.engine.parkable(r); c != nil {
		w.Header().Set("Connection", "close") // no request will follow on it
		_ = h.rc.SetWriteDeadline(time.Now().Add(s.engine.opts.WriteTimeout))
		if h.writeHead() == nil && s.park(h.rc, c, first, age) {
			return false
		}
		_ = h.rc.SetWriteDeadline(time.Time{})
	}
	return h.serve(r.Context(), s, first, age)
}

// begin makes the stream one that the engine serves. It returns with the lock held and
// writing set: the caller writes first.
func (s *Stream) begin(c *link, first *Frame, age time.Duration) {
	s.mu.Lock()
	s.slot = s.engine.slots.add(s)
	s.conn = c
	now := s.engine.elapsed()
	s.last = tickOf(now)
	if age > 0 {
		left := max(0, min(age, maxAge)-s.engine.opts.round()) // the clock is up to a round late
		s.expires = expiryAt(now + left.Milliseconds())
	}
	if first != nil {
		s.queue.prepend(Item{first, Control})
	}
	if s.engine.stopped.Load() { // CutAll may have missed it
		s.cutLocked(nil, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain})
	}
	s.state |= served | writing
}

// handler is the connection of a stream that uses the goroutine of its request.
type handler struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	wake  chan struct{} // size 1: another goroutine has set writing for this one
	http2 bool

	// Owned by the goroutine.
	headed bool // sending the headers was tried
	ended  bool
	cut    bool

	mu   sync.Mutex
	gone bool // guarded by mu: w must not be touched any more
}

// writeHead sends the headers, once.
func (h *handler) writeHead() error {
	if !h.headed {
		h.headed = true
		h.w.WriteHeader(http.StatusOK)
	}
	return h.rc.Flush()
}

func (h *handler) serve(ctx context.Context, s *Stream, first *Frame, age time.Duration) (cut bool) {
	// net/http ends the context when the client leaves.
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
		s.clientLeft()
	} else if err != nil {
		s.writeFailed(err)
	}
	for {
		sc := scratchPool.Get().(*scratch)
		s.run(sc)
		s.engine.report(sc)
		scratchPool.Put(sc)
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
		// The errors of HTTP/2 are not exported. They mean that the client has reset
		// the stream, or closed the connection.
		return io.ErrClosedPipe
	}
	return err
}

// interrupt sets a deadline in the past. A response without deadlines, such as a test's
// recorder, does not block.
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
