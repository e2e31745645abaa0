package gateway

import (
	"net/http"
	"time"

	"tidegate/internal/gateway/callback"
	"tidegate/internal/gateway/token"
	"tidegate/internal/limit"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
	"tidegate/sse"
)

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

// refuse answers a client whose callback was not accepted.
func (g *Gateway) refuse(w http.ResponseWriter, c *conn, a callback.Answer) {
	switch {
	case a.Abandoned: // the answer decides about a disconnect, see connect
	case a.Uncertain():
		g.ended(c, wire.Ending{Reason: wire.Failed, Detail: wire.DetailCallbackFailed})
	default:
		g.release(c)
	}
	g.unregister(c)
	e := refusal(a)
	g.opts.Log.Debug("stream refused", "token", token.Fingerprint(c.name()), "status", e.Status, "code", e.Code,
		"cause", a.Err, "undelivered", c.stream.Undelivered())
	g.refusals.Add(string(e.Code), peer.AddrOf(c.request.RemoteAddr()), "status", e.Status, "cause", a.Err)
	if e.Status == a.Status {
		a.RetryAfter.Set(w.Header())
	}
	g.turnAway(w, e)
}

// turnAway answers a client that gets no stream. EventSource never comes back
// after an error, so a drain or a cut-off, and with --retryable-rejections whatever
// may pass, is answered with an empty stream that says when to come.
func (g *Gateway) turnAway(w http.ResponseWriter, e *wire.Error) {
	g.metrics.refused(e.Code)
	passing := e.Status >= 500 || e.Status == http.StatusTooManyRequests
	if !comesBack(e) && !(g.opts.RetryableFail && passing) {
		wire.WriteError(w, e)
		return
	}
	wait := jitter(max(g.opts.Retry, comeBack))
	wait += callback.ParseRetryAfter(w.Header().Get("Retry-After"), time.Now()).Wait
	w.Header().Del("Retry-After")
	streamHeaders(w)
	_, _ = w.Write(sse.AppendRetry(nil, wait))
}

// comesBack reports whether a client must try again that gets no stream.
func comesBack(e *wire.Error) bool {
	switch e {
	case errDraining, errCutOff, errCrowded, errHeadersFull, limit.ErrAddress, limit.ErrRate:
		return true
	}
	return false
}

// comeBack is when a client that was turned away should try again.
const comeBack = 3 * time.Second
