// Package api is a client of the internal API that outlives the servers it
// talks to: it goes on to the next one, and tries again.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// Client posts to the internal API of any of several servers. It may be used
// concurrently.
type Client struct {
	http   *http.Client
	bases  []string
	secret string
	turn   atomic.Uint64 // the base that is asked first
}

// New returns a client. bases are URLs such as http://127.0.0.1:8081; secret is
// the bearer token, "" for none. timeout is for one request, concurrency how many
// connections are kept. Close must be called.
func New(bases []string, secret string, timeout time.Duration, concurrency int) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency, DisableCompression: true}
	return &Client{http: &http.Client{Transport: transport, Timeout: timeout}, bases: bases, secret: secret}
}

// From returns a client that shares the connections of c and begins with another
// server, so that many of them are spread over all.
func (c *Client) From(n int) *Client {
	other := &Client{http: c.http, bases: c.bases, secret: c.secret}
	other.turn.Store(uint64(n))
	return other
}

// Close closes connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ErrRefused is wrapped by errors of answers that will not be other ones next
// time.
var ErrRefused = errors.New("the server refuses")

const maxAnswer = 16 << 20

// Post does one request with a JSON body and fills in answer from a 200. An error
// that wraps [ErrRefused] is final; after any other it is unknown what the server did.
func (c *Client) Post(ctx context.Context, path string, body []byte, answer any) error {
	text, err := c.post(ctx, path, "application/json", body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%w: an answer of 200 that is not JSON: %w: %.200s", ErrRefused, err, text)
	}
	return nil
}

// PostBatch posts NDJSON and gives the answer, which has a line for each.
func (c *Client) PostBatch(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.post(ctx, path, "application/x-ndjson", body)
}

// post goes on to the next server when one fails.
func (c *Client) post(ctx context.Context, path, kind string, body []byte) ([]byte, error) {
	turn := c.turn.Load()
	text, err := c.postTo(ctx, c.bases[turn%uint64(len(c.bases))]+path, kind, body)
	if err != nil && !errors.Is(err, ErrRefused) {
		c.turn.CompareAndSwap(turn, turn+1) // somebody else may have gone on already
	}
	return text, err
}

func (c *Client) postTo(ctx context.Context, url, kind string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	request.Header.Set("Content-Type", kind)
	if c.secret != "" {
		request.Header.Set("Authorization", "Bearer "+c.secret)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch status := response.StatusCode; {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case status == http.StatusOK:
		return text, nil
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return nil, fmt.Errorf("%d: %.200s", status, text)
	default:
		return nil, fmt.Errorf("%w a request: %d %.200s", ErrRefused, status, text)
	}
}

// Again does something until it works, is refused for good, or ctx ends, with
// growing pauses. It returns how many attempts it took.
func Again(ctx context.Context, do func() error) (attempts int, err error) {
	const shortest, longest = 10 * time.Millisecond, 500 * time.Millisecond
	for pause := shortest; ; pause = min(2*pause, longest) {
		attempts++
		if err = do(); err == nil || errors.Is(err, ErrRefused) {
			return attempts, err
		}
		if !Sleep(ctx, pause+rand.N(pause)) {
			return attempts, fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), err)
		}
	}
}

// Sleep waits and reports whether ctx let it.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
