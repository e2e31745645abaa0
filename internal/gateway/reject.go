package gateway

import (
	"fmt"
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
	Message: "Shutting down: try again later", RetryAfter: retryDelay}

// errCutOff is for a client that connected while the other nodes gave this one up. The
// node goes on under another name.
var errCutOff = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineUnavailable,
	Message: "Cut off from the other nodes: try again later", RetryAfter: retryDelay}

// errOverloaded is for a client of a reconnect storm: the backend answers, but it was
// not asked about this client in time. After an error a browser would never come back,
// and neither would the others in the queue.
var errOverloaded = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeTooManyConnections,
	Message: "Too many connects at once: try again later", RetryAfter: retryDelay}

// rejectAnswer answers a client whose callback was not accepted.
func (g *Gateway) rejectAnswer(w http.ResponseWriter, c *conn, a callback.Answer) {
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
	g.reject(w, e)
}

// reject answers a client that gets no stream. EventSource never reconnects after an
// error. So a client that should try again receives an empty stream with a retry field:
// during a drain, after a cut-off, beyond a limit; with --retryable-rejections also if
// the backend fails for now.
func (g *Gateway) reject(w http.ResponseWriter, e *wire.Error) {
	g.metrics.refused(e.Code)
	transient := e.Status >= 500 || e.Status == http.StatusTooManyRequests
	if !mustRetry(e) && !(g.opts.RetryableFail && transient) {
		wire.WriteError(w, e)
		return
	}
	wait := jitter(max(g.opts.Retry, retryDelay))
	wait += callback.ParseRetryAfter(w.Header().Get("Retry-After"), time.Now()).Wait
	w.Header().Del("Retry-After")
	streamHeaders(w)
	_, _ = w.Write(sse.AppendRetry(nil, wait))
}

// mustRetry reports whether a client that gets no stream must try again later.
func mustRetry(e *wire.Error) bool {
	switch e {
	case errDraining, errCutOff, errOverloaded, errHeadersFull, limit.ErrAddress, limit.ErrRate:
		return true
	}
	return false
}

// retryDelay is when a rejected client should try again.
const retryDelay = 3 * time.Second

// refusal is the answer for a client whose connect callback was not accepted.
func refusal(a callback.Answer) *wire.Error {
	text := fmt.Sprintf("Backend returned %d", a.Status)
	switch {
	case a.Overloaded():
		return errOverloaded
	case a.TimedOut():
		return wire.Errorf(http.StatusGatewayTimeout, wire.CodeGatewayTimeout, "Gateway timeout")
	case a.Status == 0:
		return wire.Errorf(http.StatusServiceUnavailable, wire.CodeBackendUnavailable, "Backend unavailable")
	case a.Status == http.StatusUnauthorized:
		return wire.Errorf(a.Status, wire.CodeBackendAuthFailed, text)
	case a.Status == http.StatusForbidden:
		return wire.Errorf(a.Status, wire.CodeBackendForbidden, text)
	case a.Status >= 400 && a.Status <= 599:
		return wire.Errorf(a.Status, wire.CodeBackendError, text)
	default: // 1xx, 3xx, and numbers that are no status code
		return wire.Errorf(http.StatusBadGateway, wire.CodeBackendError, text)
	}
}
