package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// callbackConns bounds the idle connections to the backend.
	callbackConns = 64
	// callbackTimeout bounds one callback.
	callbackTimeout = 30 * time.Second
	maxAnswer       = 64 << 10
)

const (
	actionConnect    = "connect"
	actionDisconnect = "disconnect"
)

// caller sends callbacks with the client of net/http, as a gateway does. It is safe for
// concurrent use.
type caller struct {
	url       string // "" for no callbacks
	transport *http.Transport
}

func newCaller(url string, conns int) *caller {
	return &caller{url: url, transport: &http.Transport{
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}}
}

func (c *caller) close() { c.transport.CloseIdleConnections() }

// callback is the body of a callback.
type callback struct {
	Action  string          `json:"action"`
	Token   string          `json:"token"`
	Request callbackRequest `json:"request"`
}

type callbackRequest struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// call sends one callback.
func (c *caller) call(ctx context.Context, sent callback) error {
	if c.url == "" {
		return nil
	}
	body, err := json.Marshal(sent)
	if err != nil {
		return err
	}
	return c.post(ctx, body)
}

// post sends one callback body. An answer other than 2xx is an error.
func (c *caller) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callbackTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("callback: the backend answered %s", resp.Status)
	}
	// Read the answer to its end, so that the connection can be reused.
	_, err = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if err != nil && err != io.EOF {
		return fmt.Errorf("callback: read the answer: %w", err)
	}
	return nil
}

// tokenSize is the length of a token: 16 random bytes in base64url.
const tokenSize = 22

type token [tokenSize]byte

func newToken() (t token) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	base64.RawURLEncoding.Encode(t[:], random[:])
	return t
}

func (t token) String() string { return string(t[:]) }
