package outbound

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// Attempt is how far a request came. It is for one request, and read when that
// is over.
type Attempt struct {
	reused, sent, answered atomic.Bool
}

// Trace has a request with the context that it returns watched.
func (a *Attempt) Trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http tries again by itself as long as nothing was written.
		GetConn:              func(string) { a.sent.Store(false) },
		GotConn:              func(info httptrace.GotConnInfo) { a.reused.Store(info.Reused) },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { a.sent.Store(info.Err == nil) },
		GotFirstResponseByte: func() { a.answered.Store(true) },
	})
}

// Sent reports whether the request went out whole: the other side may have acted
// on it.
func (a *Attempt) Sent() bool { return a.sent.Load() }

// Stale reports whether a request that failed went over a connection that had
// been used before and brought no byte of an answer: most likely the other side
// closed it as the request went out.
func (a *Attempt) Stale() bool { return a.reused.Load() && !a.answered.Load() }
