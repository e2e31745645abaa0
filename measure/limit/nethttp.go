package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// runNetHTTP serves streams with plain net/http handlers, until ctx ends.
func runNetHTTP(ctx context.Context, o options, ready func(public, internal string)) error {
	c := newCaller(o.callbackURL, callbackConns)
	defer c.close()
	if !o.callbacks {
		c.url = ""
	}
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", o.public)
	if err != nil {
		return fmt.Errorf("--public: %w", err)
	}
	internal, err := lc.Listen(ctx, "tcp", o.internal)
	if err != nil {
		_ = public.Close()
		return fmt.Errorf("--internal: %w", err)
	}
	ready(public.Addr().String(), internal.Addr().String())
	return serveBoth(ctx,
		server{public, newHandler(ctx, c)},
		server{internal, http.NotFoundHandler()})
}

type server struct {
	listener net.Listener
	handler  http.Handler
}

// serveBoth serves until ctx ends or one of the servers fails.
func serveBoth(ctx context.Context, servers ...server) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := make(chan error, len(servers))
	var wg sync.WaitGroup
	var started []*http.Server
	for _, s := range servers {
		h := &http.Server{
			Handler:           s.handler,
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return ctx },
		}
		started = append(started, h)
		wg.Go(func() {
			if err := h.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				broken <- err
				cancel()
			}
		})
	}
	<-ctx.Done() // ends all handlers
	for _, h := range started {
		shutdown(ctx, h)
	}
	wg.Wait()
	select {
	case err := <-broken:
		return err
	default:
		return nil
	}
}

// shutdown waits for the handlers, for a second at most.
func shutdown(ctx context.Context, h *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if h.Shutdown(ctx) != nil {
		_ = h.Close()
	}
}

// newHandler returns the handler of streams. The end of ctx aborts its callbacks.
func newHandler(ctx context.Context, c *caller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.url != "" {
			sent := callback{Action: actionConnect, Token: newToken().String(),
				Request: callbackRequest{URL: r.RequestURI, Headers: joined(r.Header)}}
			if err := c.call(ctx, sent); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer func() {
				sent.Action = actionDisconnect
				_ = c.call(ctx, sent) // the client has left, so nobody can be notified of an error
			}()
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		if http.NewResponseController(w).Flush() == nil {
			<-r.Context().Done()
		}
	})
}

// joined returns headers in the form that callbacks have.
func joined(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return m
}
