package backend

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"tidegate/internal/outbound"
	"tidegate/internal/wire"
)

// ErrUnreachable is returned by the methods of [Client] when no whole answer
// came: the connection was refused or broke, or the time was over. Whether the
// gateway did what it was asked is then unknown.
var ErrUnreachable = errors.New("backend: gateway unreachable")

// maxAnswerBytes bounds what is read of one answer of the gateway. A page of
// 100 streams with URLs of 64 KiB each fits.
const maxAnswerBytes = 16 << 20

// ClientOptions configure a [Client]. BaseURL is required.
type ClientOptions struct {
	// BaseURL is where the gateway's internal listener is, such as
	// "http://127.0.0.1:8081": scheme and host only, without "/internal".
	BaseURL string
	// Secret gives what is sent as "Authorization: Bearer …"; "" sends none, and so
	// does a nil Secret. It is asked for each call.
	Secret func() string
	// Transport carries the calls; default: a pool of keep-alive connections
	// of its own. An in-process gateway gives its handler here.
	Transport http.RoundTripper
	// Timeout bounds one call from the first byte to the last; default 5s.
	Timeout time.Duration
}

// Client calls the gateway's internal API. Its methods may be called
// concurrently. What the gateway refuses comes back as an error that holds a
// [*wire.Error] (use errors.AsType); everything else is [ErrUnreachable] or an
// answer that is not the gateway's. No error text contains a token.
type Client struct {
	base    string
	secret  func() string
	timeout time.Duration
	http    *http.Client

	mu        sync.Mutex
	reachable bool // whether the latest call got an answer
}

// NewClient checks the options. It does not call the gateway.
func NewClient(opts ClientOptions) (*Client, error) {
	base, err := baseURL(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	transport := opts.Transport
	if transport == nil {
		transport = outbound.New(outbound.Options{Proxy: http.ProxyFromEnvironment})
	}
	return &Client{
		base:    base,
		secret:  opts.Secret,
		timeout: cmp.Or(opts.Timeout, 5*time.Second),
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// baseURL refuses what would be a call to the wrong place. A path is the
// mistake that people make: the client adds /internal itself.
func baseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("backend: gateway URL must be http://HOST:PORT or https://HOST:PORT")
	case u.User != nil:
		return "", errors.New("backend: gateway URL must not contain a user; give the secret by its own option")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("backend: gateway URL must end after the port: leave out the path and the query")
	}
	return u.Scheme + "://" + u.Host, nil
}

// Reachable reports whether the latest call got an answer, of any kind. It is
// false before the first call.
func (c *Client) Reachable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reachable
}

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// call is one request to the gateway.
type call struct {
	name   string // for errors: the route, never the path, which may hold a token
	method string
	path   string
	query  url.Values
	media  string // of body
	body   []byte
	// again says that doing it twice is as good as once. Then net/http repeats it
	// if the gateway closes a connection as the request goes out.
	again bool
}

// do makes the call and hands the body of a 200 answer to read, bounded.
func (c *Client) do(ctx context.Context, k call, read func(io.Reader) error) error {
	callCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(callCtx, k)
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		// A caller that gave up says nothing about the gateway.
		if ctx.Err() == nil {
			c.setReachable(false)
		}
		return fmt.Errorf("%s: %w: %w", k.name, ErrUnreachable, withoutURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	c.setReachable(true)
	body := io.LimitReader(res.Body, maxAnswerBytes)
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", k.name, refusal(res, body))
	}
	if err := read(body); err != nil {
		return fmt.Errorf("%s: read answer: %w", k.name, err)
	}
	// What is left of the body is read so that the connection can be used again.
	_, _ = io.Copy(io.Discard, body)
	return nil
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, bytes.NewReader(k.body))
	if err != nil {
		return nil, withoutURL(err)
	}
	if k.media != "" {
		req.Header.Set("Content-Type", k.media)
	}
	if k.again {
		req.Header["Idempotency-Key"] = nil // is not sent, see http.Transport
	}
	if c.secret != nil {
		if secret := c.secret(); secret != "" {
			req.Header.Set("Authorization", "Bearer "+secret)
		}
	}
	return req, nil
}

func (c *Client) setReachable(ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reachable = ok
}

// withoutURL takes the URL off an error of net/http: it may hold a token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// refusal reads an answer other than 200.
func refusal(res *http.Response, body io.Reader) error {
	var answer struct {
		Error *wire.Error `json:"error"`
	}
	err := json.NewDecoder(body).Decode(&answer)
	if err != nil || answer.Error == nil || answer.Error.Code == "" {
		return fmt.Errorf("status %d without an error code: is this the gateway's internal listener?", res.StatusCode)
	}
	answer.Error.Status = res.StatusCode
	if secs, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && secs > 0 {
		answer.Error.RetryAfter = time.Duration(secs) * time.Second
	}
	return answer.Error
}

// into decodes a JSON answer to v. An answer that ends early counts as none.
func into(v any) func(io.Reader) error {
	return func(r io.Reader) error {
		if err := json.NewDecoder(r).Decode(v); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil
	}
}

// isCode reports whether err is the gateway's refusal with this code.
func isCode(err error, code wire.Code) bool {
	e, ok := errors.AsType[*wire.Error](err)
	return ok && e.Code == code
}
