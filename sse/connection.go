package sse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// "retry: 0" must not become a busy loop.
	minServerRetry = 100 * time.Millisecond

	excerptBytes = 1 << 10         // of the body of a refusal
	excerptWait  = 5 * time.Second // a refusal may have a body that does not end
)

// StatusError is an answer that is not a stream.
type StatusError struct {
	StatusCode  int
	ContentType string        // of the answer, not "text/event-stream" if StatusCode is 200
	RetryAfter  time.Duration // 0 if the answer had none
	Body        string        // how the body begins, 1 KiB at most
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sse: the server answered %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if e.StatusCode == http.StatusOK {
		fmt.Fprintf(&b, " with content type %q instead of text/event-stream", e.ContentType)
	}
	if e.Body != "" {
		fmt.Fprintf(&b, ": %q", e.Body)
	}
	return b.String()
}

// result is how a connection ended.
type result struct {
	opened bool  // a stream began, so the next wait is a short one
	final  bool  // do not connect again; err, if any, is for the caller
	err    error // never nil unless final
}

// connect does one request and yields the events of its answer. When it returns, the
// connection is closed.
func (c *Client) connect(ctx context.Context, yield func(Event, error) bool) result {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	req, err := c.request(ctx)
	if err != nil {
		return result{final: true, err: err}
	}
	dog := newWatchdog(c.opts.IdleTimeout, func() { cancel(ErrIdle) })
	resp, err := c.opts.HTTPClient.Do(req)
	dog.stop()
	if err != nil {
		return result{final: ctx.Err() == nil && refusedByTLS(err), err: connectError(ctx, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return result{final: true}
	}
	if !isStream(resp) {
		return c.refused(resp, func() { cancel(context.DeadlineExceeded) })
	}
	if c.opts.OnOpen != nil {
		c.opts.OnOpen(resp)
	}
	return c.receive(ctx, &watchedReader{resp.Body, dog}, yield)
}

// request builds the request of one connection.
func (c *Client) request(ctx context.Context) (*http.Request, error) {
	req, err := c.newRequest(ctx)
	if err != nil {
		return nil, fmt.Errorf("sse: build request: %w", err)
	}
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return nil, fmt.Errorf("sse: URL with scheme %q, want http or https", s)
	}
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	setDefault(req.Header, "Accept", "text/event-stream")
	setDefault(req.Header, "Cache-Control", "no-cache")
	for name, values := range c.opts.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Del("Last-Event-ID")
	switch {
	case c.lastID == "":
	case strings.ContainsFunc(c.lastID, isControl):
		inQuery(req, "lastEventId", c.lastID)
	default:
		req.Header.Set("Last-Event-ID", c.lastID)
	}
	return req, nil
}

// inQuery sets a parameter and leaves the rest of the query byte for byte.
func inQuery(req *http.Request, name, value string) {
	var fields []string
	for field := range strings.SplitSeq(req.URL.RawQuery, "&") {
		if has, _, _ := strings.Cut(field, "="); field != "" && has != name {
			fields = append(fields, field)
		}
	}
	u := *req.URL // may be shared by the requests of NewRequest
	u.RawQuery = strings.Join(append(fields, name+"="+url.QueryEscape(value)), "&")
	req.URL = &u
}

func (c *Client) newRequest(ctx context.Context) (*http.Request, error) {
	if c.opts.NewRequest == nil {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.opts.URL, nil)
	}
	req, err := c.opts.NewRequest(ctx)
	if err != nil {
		return nil, err
	}
	return req.WithContext(ctx), nil
}

func setDefault(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}

// isControl reports what net/http refuses to send in a header, though browsers do. An
// id may hold it: the stream format excludes NUL, CR and LF only.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }

// connectError leaves out the URL: the caller has it, and it may hold a token.
func connectError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return fmt.Errorf("sse: connect: %w", err)
}

// refusedByTLS reports whether a handshake failed for a reason that would not change.
func refusedByTLS(err error) bool {
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	// An alert of the server. crypto/tls exports no type for it.
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && !strings.Contains(op.Error(), "internal error")
}

// isStream reports whether resp is what EventSource accepts: 200 and the right type,
// with any parameters.
func isStream(resp *http.Response) bool {
	essence, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return resp.StatusCode == http.StatusOK &&
		strings.EqualFold(strings.TrimSpace(essence), "text/event-stream")
}

// refused makes an error of an answer that is not a stream.
func (c *Client) refused(resp *http.Response, cancel func()) result {
	timer := time.AfterFunc(excerptWait, cancel)
	defer timer.Stop()
	// The excerpt is what has arrived, whatever ended the read.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, excerptBytes))
	err := &StatusError{
		StatusCode:  resp.StatusCode,
		ContentType: resp.Header.Get("Content-Type"),
		RetryAfter:  retryAfter(resp.Header.Get("Retry-After")),
		Body:        validString(body),
	}
	retry := resp.StatusCode != http.StatusOK && c.opts.RetryStatus != nil && c.opts.RetryStatus(resp.StatusCode)
	return result{final: !retry, err: err}
}

// receive yields the events of one stream.
func (c *Client) receive(ctx context.Context, body io.Reader, yield func(Event, error) bool) result {
	dec := NewDecoder(body, DecoderOptions{
		// In the standard the id begins empty with each stream. Here an event without an
		// id still has the last one.
		LastEventID: c.lastID,
		OnComment:   c.opts.OnComment,
		MaxLine:     c.opts.MaxLine,
		MaxEvent:    c.opts.MaxEvent,
		OnTooLarge:  c.opts.OnTooLarge,
	})
	// Not only with an event: a block may hold nothing but an id or a retry time.
	defer c.keepPosition(dec)
	for ev, err := range dec.Events() {
		if err != nil {
			return streamResult(ctx, err)
		}
		c.keepPosition(dec)
		if !yield(ev, nil) {
			return result{final: true}
		}
	}
	return result{opened: true, err: io.EOF}
}

func (c *Client) keepPosition(dec *Decoder) {
	c.lastID = dec.LastEventID()
	if retry, ok := dec.Retry(); ok {
		c.retry = min(max(retry, minServerRetry), c.opts.MaxRetry)
	}
}

// streamResult returns what an error in the middle of a stream means. An error of the
// decoder is final: the same bytes would come again.
func streamResult(ctx context.Context, err error) result {
	if errors.Is(err, ErrLineTooLong) || errors.Is(err, ErrEventTooLarge) {
		return result{final: true, err: err}
	}
	if ctx.Err() != nil {
		return result{opened: true, err: context.Cause(ctx)}
	}
	return result{opened: true, err: fmt.Errorf("sse: read stream: %w", err)}
}
