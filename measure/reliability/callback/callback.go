// Package callback is a backend that accepts every client and subscribes it to the
// topics in its URL, as in /any/path?topic=load:1&topic=load:2.
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

// Backend answers callbacks. Its methods are safe for concurrent use.
type Backend struct {
	api    *api.Client
	report func(record.Callback)
	listen net.Listener
	server *http.Server
	serve  sync.WaitGroup

	mu        sync.Mutex
	answering map[string]chan struct{} // connects being answered; closed once reported; guarded by mu, like the fields below
	open      map[string]bool          // accepted streams without a disconnect
	changed   chan struct{}            // closed and replaced when answering or open shrinks
}

const (
	// subscribeTime bounds how long a connect callback tries to subscribe. The gateway
	// waits 5 s for the answer.
	subscribeTime = 4 * time.Second

	maxBody = 1 << 20
)

// Listen answers callbacks at address. It calls report, concurrently, with each
// callback that it has answered. The caller must call Close.
func Listen(address string, c *api.Client, report func(record.Callback)) (*Backend, error) {
	listen, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks: %w; use another --callback-listen", err)
	}
	b := &Backend{api: c, report: report, listen: listen, answering: map[string]chan struct{}{}, open: map[string]bool{}, changed: make(chan struct{})}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	b.serve.Go(func() { _ = b.server.Serve(listen) }) // ends with Close
	return b, nil
}

// URL returns the URL for callbacks.
func (b *Backend) URL() string { return "http://" + b.listen.Addr().String() + "/callback" }

// Close aborts the callbacks in progress.
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
		defer b.endAnswer(stream, b.beginAnswer(stream))
	} else if wait := b.currentAnswer(stream); wait != nil {
		<-wait // the gateway has that answer already, so it is reported before this disconnect
	}
	connected := r.Context().Err() == nil // the gateway still waits for the answer
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "{}") // Flush reports the error
	sent := http.NewResponseController(w).Flush() == nil && connected
	b.add(record.Callback{
		Action: cb.Action, Stream: stream, Status: status, Sent: sent,
		Redelivered: cb.Redelivered, Reason: cb.Reason, Detail: cb.Detail, Gateway: cb.Gateway,
	})
}

// streamName returns a name for a token, which is a secret and must not be recorded.
func streamName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// connect subscribes a stream and returns the status of the answer.
func (b *Backend) connect(ctx context.Context, token, target string) int {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return http.StatusBadRequest
	}
	topics := u.Query()["topic"]
	if len(topics) == 0 {
		return http.StatusNotFound // not a client of the run, but a check of the gateway
	}
	body, err := json.Marshal(map[string]any{"token": token, "topics": topics})
	if err != nil {
		return http.StatusInternalServerError
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	server := b.api.StartingAt(rand.Int()) // every node must be able to subscribe another node's stream
	_, err = api.Retry(ctx, func() error {
		var answer struct{ Status string }
		return server.Post(ctx, "/internal/subscribe", body, &answer)
	})
	if err != nil {
		return http.StatusServiceUnavailable // the client retries
	}
	return http.StatusOK
}

// beginAnswer marks that the answer to a connect is being sent.
func (b *Backend) beginAnswer(stream string) (reported chan struct{}) {
	reported = make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answering[stream] = reported
	return reported
}

// endAnswer marks that the answer has been sent and reported.
func (b *Backend) endAnswer(stream string, reported chan struct{}) {
	close(reported)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answering[stream] == reported {
		delete(b.answering, stream)
	}
	b.notify()
}

// notify wakes WaitClosed. The caller holds b.mu.
func (b *Backend) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// currentAnswer returns a channel that is closed when the answer to the stream's
// connect has been reported, or nil if none is being sent.
func (b *Backend) currentAnswer(stream string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answering[stream]
}

// add reports a callback and updates the open streams.
func (b *Backend) add(cb record.Callback) {
	b.report(cb)
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

// WaitClosed waits until each accepted connect has its disconnect, or ctx ends.
func (b *Backend) WaitClosed(ctx context.Context) {
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
