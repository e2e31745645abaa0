package outbound

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// Attempt records how far a request came. Use it for one request, and read it when the request is
// over.
type Attempt struct {
	reused, sent, answered atomic.Bool
}

// Trace returns a context; the attempt records the request that has it.
func (a *Attempt) Trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http retries by itself if nothing was written.
		GetConn:              func(string) { a.sent.Store(false) },
		GotConn:              func(info httptrace.GotConnInfo) { a.reused.Store(info.Reused) },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { a.sent.Store(info.Err == nil) },
		GotFirstResponseByte: func() { a.answered.Store(true) },
	})
}

// Sent reports whether the whole request was written: the other side may have acted on it.
func (a *Attempt) Sent() bool { return a.sent.Load() }

// Stale reports whether a failed request used a kept connection and received no byte of an answer.
// Most likely the other side closed the connection while the request was sent.
func (a *Attempt) Stale() bool { return a.reused.Load() && !a.answered.Load() }
