// Package api is a client of the internal API of servers that may be down. It fails
// over to the next server and retries.
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

// Client posts to the internal API of one of several servers. It is safe for
// concurrent use.
type Client struct {
	http   *http.Client
	bases  []string
	secret string
	next   atomic.Uint64 // index in bases, modulo its length, of the server to use
}

// New returns a client. bases are URLs such as http://127.0.0.1:8081. secret is the
// bearer token, "" for none. timeout bounds one request, and concurrency bounds the
// idle connections to a server. The caller must call Close.
func New(bases []string, secret string, timeout time.Duration, concurrency int) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency, DisableCompression: true}
	return &Client{http: &http.Client{Transport: transport, Timeout: timeout}, bases: bases, secret: secret}
}

// StartingAt returns a client that shares the connections of c and starts with server
// n, so that many clients spread over all servers.
func (c *Client) StartingAt(n int) *Client {
	other := &Client{http: c.http, bases: c.bases, secret: c.secret}
	other.next.Store(uint64(n))
	return other
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ErrPermanent is wrapped by errors that a retry does not change.
var ErrPermanent = errors.New("the server rejected the request")

const maxAnswer = 16 << 20

// Post sends one request with a JSON body and decodes an answer of 200 into answer.
// An error that wraps [ErrPermanent] is final. After any other error, the server may or
// may not have processed the request.
func (c *Client) Post(ctx context.Context, path string, body []byte, answer any) error {
	text, err := c.post(ctx, path, "application/json", body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%w: the answer is 200 but not JSON: %w: %.200s", ErrPermanent, err, text)
	}
	return nil
}

// PostBatch posts NDJSON and returns the answer, which has one line for each line.
func (c *Client) PostBatch(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.post(ctx, path, "application/x-ndjson", body)
}

// post fails over to the next server after an error.
func (c *Client) post(ctx context.Context, path, contentType string, body []byte) ([]byte, error) {
	current := c.next.Load()
	text, err := c.postTo(ctx, c.bases[current%uint64(len(c.bases))]+path, contentType, body)
	if err != nil && !errors.Is(err, ErrPermanent) {
		c.next.CompareAndSwap(current, current+1) // another request may have failed over already
	}
	return text, err
}

func (c *Client) postTo(ctx context.Context, url, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPermanent, err)
	}
	request.Header.Set("Content-Type", contentType)
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
		return nil, fmt.Errorf("%w: %d %.200s", ErrPermanent, status, text)
	}
}

// Retry calls do until it succeeds, returns [ErrPermanent], or ctx ends. It pauses 10
// to 20 ms after the first attempt, and doubles the pause up to 0.5 to 1 s. It returns
// the number of attempts.
func Retry(ctx context.Context, do func() error) (attempts int, err error) {
	const shortest, longest = 10 * time.Millisecond, 500 * time.Millisecond
	for pause := shortest; ; pause = min(2*pause, longest) {
		attempts++
		if err = do(); err == nil || errors.Is(err, ErrPermanent) {
			return attempts, err
		}
		if !Sleep(ctx, pause+rand.N(pause)) {
			return attempts, fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), err)
		}
	}
}

// Sleep waits for d and reports whether ctx lasted that long.
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
