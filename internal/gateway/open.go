package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/stream"
	"sluice/internal/wire"
	"sluice/sse"
)

// Streams handles requests that open a stream. One that can be parked outlives
// its request.
func (g *Gateway) Streams(w http.ResponseWriter, r *http.Request) {
	g.allowOrigin(w, r)
	switch r.Method {
	case http.MethodGet, http.MethodPost:
	case http.MethodOptions:
		w.Header().Set("Allow", streamMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.Header().Set("Allow", streamMethods)
		wire.WriteError(w, wire.Errorf(http.StatusMethodNotAllowed, wire.CodeMethodNotAllowed,
			"A stream is opened with GET or POST"))
		return
	}
	if !g.door.enter() {
		g.turnAway(w, errDraining)
		return
	}
	served := false
	defer func() {
		if !served { // else it leaves with its end, see [conn.Ended]
			g.door.leave()
		}
	}()
	if err := g.admit(w, r); err != nil {
		g.turnAway(w, wire.ErrorOf(err))
		return
	}
	c := g.register(r)
	if !g.welcome(w, r, c) {
		return
	}
	streamHeaders(w)
	served = true
	if c.stream.Serve(w, r, g.firstFrame(), g.age()) {
		panic(http.ErrAbortHandler) // the client must see a cut, not an end
	}
}

const streamMethods = "GET, POST, OPTIONS"

// maxStreamBody bounds the body of a POST that opens a stream. It is read, so
// that the end of the connection can be seen behind it, and dropped.
const maxStreamBody = 64 << 10

// admit makes the checks that need no backend, and reserves a place.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request) error {
	if g.opts.CallbackURL == "" {
		return wire.Errorf(http.StatusServiceUnavailable, wire.CodeNotConfigured, "Service not configured")
	}
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxStreamBody))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge,
				"The body of a request for a stream may have 64 KiB at most; it is not used")
		} else if err != nil {
			panic(http.ErrAbortHandler) // the client did not send what it announced
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	if !g.table.reserve(g.opts.MaxConns) {
		return &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeTooManyConnections,
			Message: "Too many connections", RetryAfter: 5 * time.Second}
	}
	return nil
}

var errDraining = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeDraining,
	Message: "Shutting down: come again", RetryAfter: comeBack}

// errCutOff is for a client that came when this node was given up by the others,
// and goes on under another name.
var errCutOff = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineUnavailable,
	Message: "Cut off from the other nodes: come again", RetryAfter: comeBack}

// errCrowded is for a client that came with so many others that the backend was
// not asked about it in time, although it answers: were it told an error, a
// browser would never come back, and with it all who could not be first.
var errCrowded = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeTooManyConnections,
	Message: "Too many connects at once: come again", RetryAfter: comeBack}

// welcome asks the backend, and answers a client that gets no stream.
func (g *Gateway) welcome(w http.ResponseWriter, r *http.Request, c *conn) bool {
	if err := g.pace.begin(r.Context()); err != nil {
		g.leaveUnrecorded(w, r, c, errCrowded)
		return false
	}
	defer g.pace.done()
	if g.door.isShut() { // a drain that began meanwhile may not have seen it
		g.leaveUnrecorded(w, r, c, errDraining)
		return false
	}
	if g.record(r.Context(), c); r.Context().Err() != nil {
		g.unregister(c) // the client has left, and the backend has not heard of it
		g.release(c)
		g.metrics.ended(wire.Ending{Reason: wire.ClientClosed, Detail: wire.DetailDuringCallback})
		return false
	}
	answer, waited := g.connect(r.Context(), c)
	if !waited {
		return false
	}
	if !answer.accepted() {
		g.refuse(w, c, answer)
		return false
	}
	if c.open.Store(true); c.node != g.identity() || c.node.disowned.Load() {
		g.ended(c, wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost}) // cut off meanwhile
		g.turnAway(w, errCutOff)
		return false
	}
	if g.opts.Topics.Open(&c.member) {
		w.WriteHeader(http.StatusNoContent)
		g.ended(c, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailTopicFinished})
		return false
	}
	return true
}

// leaveUnrecorded is the end of a client that nobody else has heard of: it has
// left, or e is why it gets no stream.
func (g *Gateway) leaveUnrecorded(w http.ResponseWriter, r *http.Request, c *conn, e *wire.Error) {
	g.unregister(c)
	g.requests.Release(c.request)
	if r.Context().Err() != nil {
		g.metrics.ended(wire.Ending{Reason: wire.ClientClosed, Detail: wire.DetailDuringCallback})
		return
	}
	g.turnAway(w, e)
}

func (g *Gateway) register(r *http.Request) *conn {
	c := &conn{
		gateway:  g,
		token:    newToken(),
		node:     g.identity(),
		sequence: g.table.next(g.opts.Peers != nil),
		openedAt: time.Now().UnixNano(),
		request:  g.requests.Pack(r),
	}
	c.stream.Init(g.engine, c)
	c.member.Init(&c.stream, c.request.LastEventID())
	g.table.add(c)
	return c
}

// Ended implements stream.Owner.
func (c *conn) Ended(why wire.Ending) {
	c.gateway.ended(c, why)
	c.gateway.door.leave()
}

// handshake joins the two that end a connect callback: its answer, and a client
// that no longer waits for it.
type handshake struct {
	mu        sync.Mutex
	answer    answer
	done      bool
	abandoned *wire.Ending
}

// abandon says that the client is not there for the answer any more. It is too
// late for that if the answer is there.
func (h *handshake) abandon(why wire.Ending) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.done {
		h.abandoned = &why
	}
	return !h.done
}

// connect does the connect callback. The callback is let finish even if the
// client leaves or is told that it took too long: if the backend accepts, or
// may have, a disconnect follows it. waited is false if the client has left.
func (g *Gateway) connect(ctx context.Context, c *conn) (a answer, waited bool) {
	var h handshake
	var early atomic.Bool
	answered, before := make(chan struct{}), g.callbacks.answered.Load()
	g.door.inside.Go(func() {
		a, rest := g.callbacks.connect(ctx, &callback{action: wire.Connect, token: c.token, node: c.node, request: c.request}, &early)
		defer rest()
		defer close(answered)
		h.mu.Lock()
		h.answer, h.done = a, true
		abandoned := h.abandoned
		h.mu.Unlock()
		switch {
		case abandoned == nil:
		case a.accepted() || a.maybe():
			g.tellDisconnect(c, *abandoned)
		default:
			g.release(c)
		}
	})
	timeout := time.NewTimer(g.opts.CallbackTimeout)
	defer timeout.Stop()
	late := answer{err: errNoAnswer, abandoned: true}
	select {
	case <-answered:
		return g.crowded(h.answer, &early, before), true
	case <-timeout.C:
		if h.abandon(wire.Ending{Reason: wire.Failed, Detail: wire.DetailCallbackTimeout}) {
			g.unregister(c)
			return g.crowded(late, &early, before), true
		}
	case <-ctx.Done():
		why := wire.Ending{Reason: wire.ClientClosed, Detail: wire.DetailDuringCallback}
		if h.abandon(why) {
			g.unregister(c)
			g.metrics.ended(why)
			return late, false
		}
	}
	<-answered
	return g.crowded(h.answer, &early, before), true
}

// crowded tells a connect that others were in front of from one that the backend
// does not answer. before is how many it had answered when the client came.
func (g *Gateway) crowded(a answer, early *atomic.Bool, before uint64) answer {
	if a.status == 0 && isTimeout(a.err) && !early.Load() && g.callbacks.answered.Load() != before {
		a.err = errCrowd
	}
	return a
}

// refuse answers a client whose callback was not accepted.
func (g *Gateway) refuse(w http.ResponseWriter, c *conn, a answer) {
	switch {
	case a.abandoned: // whoever waits for the answer goes on with it
	case a.maybe():
		g.ended(c, wire.Ending{Reason: wire.Failed, Detail: wire.DetailCallbackFailed})
	default:
		g.release(c)
	}
	g.unregister(c)
	e := refusal(a)
	g.opts.Log.Info("stream refused", "token", fingerprint(c.name()), "status", e.Status, "code", e.Code,
		"cause", a.err, "undelivered", c.stream.Undelivered())
	if a.retryAfter != "" && e.Status == a.status {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	g.turnAway(w, e)
}

// turnAway answers a client that gets no stream. EventSource never comes back
// after an error, so a drain or a cut-off, and with --retryable-rejections whatever
// may pass, is answered with an empty stream that says when to come.
func (g *Gateway) turnAway(w http.ResponseWriter, e *wire.Error) {
	g.metrics.refused(e.Code)
	passing := e.Status >= 500 || e.Status == http.StatusTooManyRequests
	if e != errDraining && e != errCutOff && e != errCrowded && !(g.opts.RetryableFail && passing) {
		wire.WriteError(w, e)
		return
	}
	wait := jitter(max(g.opts.Retry, comeBack))
	if seconds, err := strconv.ParseUint(w.Header().Get("Retry-After"), 10, 16); err == nil {
		wait += time.Duration(seconds) * time.Second
	}
	w.Header().Del("Retry-After")
	streamHeaders(w)
	_, _ = w.Write(sse.AppendRetry(nil, wait))
}

// ended takes a stream that was accepted out of everything and tells the
// backend. It is called once for each.
func (g *Gateway) ended(c *conn, why wire.Ending) {
	g.unregister(c)
	g.metrics.ended(why)
	g.opts.Log.Debug("stream ended", "token", fingerprint(c.name()), "reason", why.Reason, "detail", why.Detail,
		"duration", c.age())
	g.tellDisconnect(c, why)
}

// unregister makes the token unknown. What was queued for it stays uncounted
// until the disconnect is told.
func (g *Gateway) unregister(c *conn) {
	if g.table.remove(c) {
		g.opts.Topics.Leave(&c.member)
		c.stream.Abort(nil, wire.Ending{Reason: wire.ClientClosed}) // not served, or over
	}
}

// tellDisconnect queues the disconnect, with which the stream's request ends too.
func (g *Gateway) tellDisconnect(c *conn, why wire.Ending) {
	g.disconnects.add(callback{
		action:      wire.Disconnect,
		why:         why,
		token:       c.token,
		node:        c.node,
		request:     c.request,
		durationMS:  c.age().Milliseconds(),
		undelivered: c.stream.Undelivered(),
	})
}

// age is how old a stream may get: --max-age, spread over a tenth of it.
func (g *Gateway) age() time.Duration {
	if g.opts.MaxAge <= 0 {
		return 0
	}
	return g.opts.MaxAge - rand.N(g.opts.MaxAge/10+1)
}

// firstFrame is what goes out behind the headers.
func (g *Gateway) firstFrame() *stream.Frame {
	if g.opts.Retry <= 0 {
		return nil
	}
	return retryFrame(g.opts.Retry)
}

// retryFrame tells the client when to come back.
func retryFrame(d time.Duration) *stream.Frame {
	return stream.FrameOf(sse.AppendRetry(nil, jitter(d)), 0)
}

// streamHeaders are the headers of every stream. No proxy may hold it back,
// pack it, or keep it.
func streamHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// comeBack is when a client that was turned away should try again.
const comeBack = 3 * time.Second

// jitter spreads d by half of it either way, so that clients who were told
// together do not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }
