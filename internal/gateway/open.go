package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"tidegate/internal/gateway/callback"
	"tidegate/internal/gateway/token"
	"tidegate/internal/packed"
	"tidegate/internal/stream"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// Streams answers requests that open a stream. A stream that can be parked outlives
// its request.
func (g *Gateway) Streams(w http.ResponseWriter, r *http.Request) {
	g.opts.CORS.Allow(w, r, streamMethods)
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
	if !g.gate.Enter() {
		g.reject(w, errDraining)
		return
	}
	served := false
	defer func() {
		if !served { // a served stream leaves when it ends, see [conn.Ended]
			g.gate.Leave()
		}
	}()
	if err := g.admit(w, r); err != nil {
		g.reject(w, wire.ErrorOf(err))
		return
	}
	c, err := g.count(w, r)
	if err != nil {
		g.table.unreserve()
		g.reject(w, err)
		return
	}
	g.register(c)
	if !g.accept(w, r, c) {
		return
	}
	streamHeaders(w)
	served = true
	if c.stream.Serve(w, r, g.firstFrame(), g.age()) {
		panic(http.ErrAbortHandler) // the client must see a cut, not an end
	}
}

const streamMethods = "GET, POST, OPTIONS"

// maxStreamBody bounds the body of a POST that opens a stream. The body is read, so
// that the end of the connection can be seen after it, and dropped.
const maxStreamBody = 64 << 10

// admit makes the checks that need no backend, and reserves a place in the table.
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

// accept asks the backend, and answers the client if it gets no stream. It reports
// whether the stream is open.
func (g *Gateway) accept(w http.ResponseWriter, r *http.Request, c *conn) bool {
	g.opts.Topics.CatchUp(r.Context(), &c.member) // first, while it holds no slot that others wait for
	if err := g.limiter.Acquire(r.Context(), &c.request); err != nil {
		g.rejectUnreported(w, r, c, errOverloaded)
		return false
	}
	defer g.limiter.Release()
	if g.gate.Closed() { // a drain that started meanwhile may not have seen it
		g.rejectUnreported(w, r, c, errDraining)
		return false
	}
	if g.record(r.Context(), c); r.Context().Err() != nil {
		g.unregister(c) // the client has left, and the backend does not know of it
		g.release(c)
		g.metrics.ended(callback.DuringCallback)
		return false
	}
	answer, waited := g.connect(r.Context(), c, g.connectHeaders(r))
	if !waited {
		g.unregister(c)
		g.metrics.ended(callback.DuringCallback)
		return false
	}
	if !answer.Accepted() {
		g.rejectAnswer(w, c, answer)
		return false
	}
	if c.open.Store(true); c.node != g.identity() || c.node.Disowned() {
		g.ended(c, wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost}) // cut off meanwhile
		g.reject(w, errCutOff)
		return false
	}
	if g.opts.Topics.Open(&c.member) {
		w.WriteHeader(http.StatusNoContent)
		g.ended(c, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailTopicFinished})
		return false
	}
	return true
}

// connect asks the backend whether a client may stay. waited is false if the client
// has left.
func (g *Gateway) connect(ctx context.Context, c *conn, extra []packed.Header) (a callback.Answer, waited bool) {
	m := &callback.Message{Action: wire.Connect, Token: c.token, Node: &c.node.Node, Request: c.request, Extra: extra}
	return g.callbacks.Connect(ctx, m, func(a callback.Answer, why wire.Ending) {
		if a.Accepted() || a.Uncertain() {
			g.reportDisconnect(c, why)
		} else {
			g.release(c)
		}
	})
}

// rejectUnreported answers a client that the backend does not know of: e is why it gets
// no stream, unless it has left.
func (g *Gateway) rejectUnreported(w http.ResponseWriter, r *http.Request, c *conn, e *wire.Error) {
	g.unregister(c)
	g.requests.Release(c.request)
	if r.Context().Err() != nil {
		g.metrics.ended(callback.DuringCallback)
		return
	}
	g.reject(w, e)
}

// count counts a stream for its client in the limits, and keeps its request.
func (g *Gateway) count(w http.ResponseWriter, r *http.Request) (*conn, *wire.Error) {
	c := new(conn)
	err := g.opts.Limits.OpenStream(r, &c.hold)
	if err == nil {
		if c.request, err = g.requests.keep(g.asSent(r)); err != nil {
			g.opts.Limits.Release(&c.hold)
		}
	}
	if err != nil && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // the connection may be one too many itself
	}
	return c, err
}

// register fills in c, which has its request, and makes it known: from now on it
// receives sends.
func (g *Gateway) register(c *conn) {
	c.token = token.New()
	c.node = g.identity()
	c.sequence = g.table.next(g.opts.Peers != nil)
	c.openedIn = uptime()
	c.stream.Init(g.engine, c)
	c.member.Init(&c.stream, c.request.LastEventID())
	g.table.add(c)
}

// asSent is a request with the address of its client, if a trusted proxy reports it.
func (g *Gateway) asSent(r *http.Request) *http.Request {
	client := g.opts.From.Client(r)
	if !client.Forwarded || !client.Addr.IsValid() {
		return r
	}
	sent := *r
	sent.RemoteAddr = client.Addr.String()
	return &sent
}

// Ended implements stream.Owner.
func (c *conn) Ended(why wire.Ending) {
	c.node.gateway.ended(c, why)
	c.node.gateway.gate.Leave()
}

// ended removes a stream that was accepted, and reports its disconnect. It is called
// once for each.
func (g *Gateway) ended(c *conn, why wire.Ending) {
	g.unregister(c)
	g.metrics.ended(why)
	g.opts.Log.Debug("stream ended", "token", token.Fingerprint(c.name()), "reason", why.Reason, "detail", why.Detail,
		"duration", c.age())
	g.reportDisconnect(c, why)
}

// unregister makes the token unknown and drops what is queued for it. It may be called
// more than once.
func (g *Gateway) unregister(c *conn) {
	if g.table.remove(c) {
		g.opts.Limits.Release(&c.hold)
		g.opts.Topics.Leave(&c.member)
		c.stream.Abort(nil, wire.Ending{Reason: wire.ClientClosed}) // not served, or over
	}
}

// reportDisconnect queues a stream's disconnect callback, which keeps its request until
// it is delivered.
func (g *Gateway) reportDisconnect(c *conn, why wire.Ending) {
	g.disconnects.Add(callback.Message{
		Action:      wire.Disconnect,
		Why:         why,
		Token:       c.token,
		Node:        &c.node.Node,
		Request:     c.request,
		DurationMS:  c.age().Milliseconds(),
		Undelivered: c.stream.Undelivered(),
	})
}

// age is how old a stream may get: --max-age, less up to a tenth, so that streams that
// were opened together do not end together.
func (g *Gateway) age() time.Duration {
	if g.opts.MaxAge <= 0 {
		return 0
	}
	return g.opts.MaxAge - rand.N(g.opts.MaxAge/10+1)
}

// firstFrame is what follows the headers; nil for nothing.
func (g *Gateway) firstFrame() *stream.Frame {
	if g.opts.Retry <= 0 {
		return nil
	}
	return retryFrame(g.opts.Retry)
}

// retryFrame is a retry field: after about d the client reconnects.
func retryFrame(d time.Duration) *stream.Frame {
	return stream.FrameOf(sse.AppendRetry(nil, jitter(d)), 0)
}

// streamHeaders sets the headers of every stream.
func streamHeaders(w http.ResponseWriter) {
	sse.SetHeader(w.Header())
	wire.NoSniff(w.Header())
}

// jitter spreads d by half of it either way, so that clients that were asked together
// do not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }
