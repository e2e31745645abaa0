// Package callback is a backend: it lets every client in and subscribes it to
// the topics that its URL asks for, as in /any/path?topic=load:1&topic=load:2.
package callback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/record"
)

// Backend takes callbacks. Its methods may be called concurrently.
type Backend struct {
	api    *api.Client
	told   func(record.Callback)
	listen net.Listener
	server *http.Server
	serve  sync.WaitGroup

	mu        sync.Mutex
	answering map[string]chan struct{} // connects whose answer goes out, closed once it is booked; guarded by mu, like all below

	open    map[string]bool // accepted and without a disconnect
	changed chan struct{}   // closed and replaced when there is less of either
}

const (
	// subscribeTime bounds how long a connect callback tries to subscribe. The
	// gateway waits 5 s for its status.
	subscribeTime = 4 * time.Second

	maxBody = 1 << 20
)

// Listen begins to take callbacks at address. told is called with each one that
// was answered, concurrently. Close must be called.
func Listen(address string, c *api.Client, told func(record.Callback)) (*Backend, error) {
	listen, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks: %w; choose another --callback-listen", err)
	}
	b := &Backend{api: c, told: told, listen: listen, answering: map[string]chan struct{}{}, open: map[string]bool{}, changed: make(chan struct{})}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	b.serve.Go(func() { _ = b.server.Serve(listen) }) // it ends when it is closed
	return b, nil
}

// URL is where callbacks are taken.
func (b *Backend) URL() string { return "http://" + b.listen.Addr().String() + "/callback" }

// Close ends all callbacks that are under way.
func (b *Backend) Close() error {
	err := b.server.Close()
	b.serve.Wait()
	return err
}

// ServeHTTP implements http.Handler.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var cb struct {
		Action, Token, Reason, Detail, Gateway string
		Redelivered                            bool
		Request                                struct{ URL string }
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(body, &cb)
	}
	if err != nil || cb.Token == "" || cb.Action != record.Connect && cb.Action != record.Disconnect {
		http.Error(w, "not a callback", http.StatusBadRequest)
		return
	}
	stream, status := streamName(cb.Token), http.StatusOK
	if cb.Action == record.Connect {
		status = b.connect(r.Context(), cb.Token, cb.Request.URL)
		defer b.answered(stream, b.answer(stream))
	} else if wait := b.answerOf(stream); wait != nil {
		<-wait // the gateway had it before us: it must not look as if this one had come first
	}
	there := r.Context().Err() == nil // who asked has not gone meanwhile
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "{}") // an error comes again at the flush
	sent := http.NewResponseController(w).Flush() == nil && there
	b.book(record.Callback{
		Action: cb.Action, Stream: stream, Status: status, Sent: sent,
		Redelivered: cb.Redelivered, Reason: cb.Reason, Detail: cb.Detail, Gateway: cb.Gateway,
	})
}

// streamName stands for a token where the token itself must not be.
func streamName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// connect subscribes and gives the status to answer.
func (b *Backend) connect(ctx context.Context, token, target string) int {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return http.StatusBadRequest
	}
	topics := u.Query()["topic"]
	if len(topics) == 0 {
		return http.StatusNotFound // not one of ours: somebody looks whether the gateway works
	}
	body, err := json.Marshal(map[string]any{"token": token, "topics": topics})
	if err != nil {
		return http.StatusInternalServerError
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	server := b.api.From(rand.Int()) // any node must be able to subscribe a stream of another
	_, err = api.Again(ctx, func() error {
		var answer struct{ Status string }
		return server.Post(ctx, "/internal/subscribe", body, &answer)
	})
	if err != nil {
		return http.StatusServiceUnavailable // the client comes again
	}
	return http.StatusOK
}

// answer says that the answer to a connect goes out now.
func (b *Backend) answer(stream string) (booked chan struct{}) {
	booked = make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answering[stream] = booked
	return booked
}

// answered says that it has gone out and is booked.
func (b *Backend) answered(stream string, booked chan struct{}) {
	close(booked)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answering[stream] == booked {
		delete(b.answering, stream)
	}
	b.notify()
}

// notify wakes Quiet. b.mu is held.
func (b *Backend) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// answerOf is closed when the answer of a connect is booked; nil if none is under way.
func (b *Backend) answerOf(stream string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answering[stream]
}

func (b *Backend) book(cb record.Callback) {
	b.told(cb)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case cb.Action == record.Connect && cb.Status == http.StatusOK && cb.Sent:
		b.open[cb.Stream] = true
	case cb.Action == record.Disconnect:
		delete(b.open, cb.Stream)
		b.notify()
	}
}

// Quiet waits until each accepted connect has its disconnect, or ctx ends.
func (b *Backend) Quiet(ctx context.Context) {
	for {
		b.mu.Lock()
		left, changed := len(b.open)+len(b.answering), b.changed
		b.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
