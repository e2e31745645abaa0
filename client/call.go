package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const (
	mediaJSON  = "application/json"
	mediaLines = "application/x-ndjson"
)

// maxAnswerBytes bounds what is read of one answer of the gateway. A page of
// 100 streams with URLs of 64 KiB each fits.
const maxAnswerBytes = 16 << 20

// errAnswerTooLarge ends the reading of an answer. A listing asks for smaller pages then.
var errAnswerTooLarge = fmt.Errorf("client: an answer is larger than %d bytes", maxAnswerBytes)

// bounded reads an answer up to maxAnswerBytes.
type bounded struct {
	answer io.Reader
	left   int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errAnswerTooLarge
	}
	n, err := b.answer.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// call is one request to the gateway.
type call struct {
	name   string // for errors: the route, never the path, which may hold a token
	method string
	path   string
	query  url.Values
	media  string // of body
	body   []byte
	// repeatable says that doing it twice is as good as once.
	repeatable bool
}

// do makes the call, and repeats it as Options.Retries allows. It hands the body of
// a 200 answer to read, bounded.
func (c *Client) do(ctx context.Context, k call, read func(io.Reader) error) error {
	for retry := newRetry(c); ; {
		err := c.attempt(ctx, k, read)
		if err == nil {
			return nil
		}
		if !retry.wait(ctx, k, err) {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
}

// attempt makes the call once.
func (c *Client) attempt(ctx context.Context, k call, read func(io.Reader) error) error {
	attemptCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(attemptCtx, k)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		// A caller that gave up says nothing about the gateway.
		if ctx.Err() == nil {
			c.reachable.Store(false)
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, withoutURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	c.reachable.Store(true)
	body := &bounded{res.Body, maxAnswerBytes}
	if res.StatusCode != http.StatusOK {
		return readRefusal(res, body)
	}
	if err := read(body); err != nil {
		return fmt.Errorf("read answer: %w", err)
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
	if k.repeatable {
		// It is not sent. It makes net/http repeat the request if the gateway closes a
		// kept connection as the request goes out, see http.Transport.
		req.Header["Idempotency-Key"] = nil
	}
	if c.userAgent != "" {
		req.Header.Set("User-Agent", c.userAgent)
	}
	if secret := c.secret(); secret != "" {
		if !fitsHeader(secret) {
			return nil, errSecretForm
		}
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	return req, nil
}

// withoutURL takes the URL off an error of net/http: it may hold a token.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// into decodes a JSON answer to v. An answer that ends early counts as none.
func into(v any) func(io.Reader) error {
	return func(r io.Reader) error {
		err := json.NewDecoder(r).Decode(v)
		if err == nil || errors.Is(err, errAnswerTooLarge) {
			return err
		}
		_, syntax := errors.AsType[*json.SyntaxError](err)
		_, wrong := errors.AsType[*json.UnmarshalTypeError](err)
		if syntax || wrong {
			return foreignAnswer(http.StatusOK)
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
}

// encode renders v as JSON without the escapes for HTML, which would only make
// events larger. v is one of this package's own types, which always encode.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("client: encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
