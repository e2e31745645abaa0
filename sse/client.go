package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// Defaults of [ClientOptions].
const (
	DefaultRetry    = 3 * time.Second
	DefaultMaxDelay = 30 * time.Second
	DefaultMaxRetry = time.Hour
)

// ErrIdle is why a connection was given up that brought nothing for IdleTimeout.
var ErrIdle = errors.New("sse: no byte arrived within IdleTimeout")

// ClientOptions are the settings of a [Client]. Either URL or NewRequest is needed.
//
// The hooks are called from the goroutine that ranges over the events, and the client
// waits for them.
type ClientOptions struct {
	// URL is what to GET. Not used if NewRequest is set.
	URL string

	// NewRequest builds the request of one connection, for another method, a body or
	// credentials that expire. It must return a new request each time. An error of it
	// ends the sequence.
	NewRequest func(ctx context.Context) (*http.Request, error)

	// HTTPClient does the requests, redirects included. Default: one without a timeout
	// on http.DefaultTransport. A Timeout would cut every stream that lasts longer.
	HTTPClient *http.Client

	// Header is added to each request, in place of headers with the same name.
	// Last-Event-ID does not belong here, see LastEventID.
	Header http.Header

	// LastEventID is the id to resume after on the first connection. Default none.
	LastEventID string

	// Retry is the time to wait before a reconnection, until the server sends another
	// by a retry field. Default [DefaultRetry].
	Retry time.Duration

	// MaxDelay is where the wait stops doubling while connections keep failing. A
	// longer wait that the server asks for is kept all the same, up to MaxRetry.
	// Default [DefaultMaxDelay].
	MaxDelay time.Duration

	// MaxRetry bounds what the server may ask for, by a retry field or a Retry-After
	// header. Otherwise a mistyped number could silence a client for months. Default
	// [DefaultMaxRetry].
	MaxRetry time.Duration

	// MaxReconnects bounds the reconnections in a row of which none opened a stream.
	// 0 is no bound. Less than 0 never reconnects: the sequence ends with the first
	// stream, and without an error if the server ended that in order.
	MaxReconnects int

	// IdleTimeout gives a connection up, and reconnects, when no byte has arrived for
	// so long, headers included. Set it to twice the server's heartbeat or more: a peer
	// that just vanished is not noticed otherwise. Time in which the client waits for
	// its own caller does not count. Default 0, no timeout.
	IdleTimeout time.Duration

	// RetryStatus says which statuses other than 200 and 204 are worth another attempt.
	// A Retry-After header of such an answer is honoured. Default none: like
	// EventSource, the client gives up at the first.
	RetryStatus func(status int) bool

	// MaxLine and MaxEvent are limits of the decoder, see [DecoderOptions].
	MaxLine  int
	MaxEvent int

	// OnTooLarge, if set, is called for each event that exceeds one of them. The event
	// is dropped and the stream goes on, see [DecoderOptions]. Without it the sequence
	// ends.
	OnTooLarge func(err error)

	// OnOpen is called for each stream that opens, before its first event. It must not
	// touch the body.
	OnOpen func(resp *http.Response)

	// OnComment is called with the text of each comment.
	OnComment func(text string)

	// OnReconnect is called before each wait for a reconnection. err is why the last
	// connection ended. It is io.EOF if the server ended the stream in order, [ErrIdle], a
	// [*StatusError] that RetryStatus accepted, or an error of the network.
	OnReconnect func(err error, delay time.Duration)
}

// Client receives one stream of events and keeps receiving it across connections, as
// EventSource does (WHATWG HTML 9.2.3).
//
// A Client belongs to one goroutine at a time. The hooks and the body of the range loop
// run in that goroutine and may call its methods. Any number of Clients may share an
// HTTPClient and a Header.
type Client struct {
	opts   ClientOptions
	lastID string
	retry  time.Duration // the wait before a reconnection, without backoff
}

// NewClient returns a Client that connects when its events are ranged over.
func NewClient(opts ClientOptions) *Client {
	opts.Header = opts.Header.Clone()
	if opts.HTTPClient == nil {
		opts.HTTPClient = &http.Client{}
	}
	opts.Retry = cmp.Or(max(opts.Retry, 0), DefaultRetry)
	opts.MaxDelay = cmp.Or(max(opts.MaxDelay, 0), DefaultMaxDelay)
	opts.MaxRetry = cmp.Or(max(opts.MaxRetry, 0), DefaultMaxRetry)
	return &Client{opts: opts, lastID: opts.LastEventID, retry: opts.Retry}
}

// LastEventID returns the id that the next connection will resume after.
func (c *Client) LastEventID() string { return c.lastID }

// Events connects and returns the events of the stream, across as many connections as
// it takes. Before each reconnection it waits for the server's retry time, or Retry. The
// wait doubles after each attempt that opens no stream, up to MaxDelay. Jitter adds up to
// half of it, so that clients that were cut together do not return together.
//
// The sequence ends without an error when the server answers 204. An error is its last
// element:
//
//   - the cause of ctx, once ctx is done;
//   - a [*StatusError] for any other status than 200, unless RetryStatus accepts it, and
//     for a content type other than text/event-stream;
//   - [ErrLineTooLong] or [ErrEventTooLarge], without OnTooLarge;
//   - a TLS error that another attempt would only repeat: a certificate that is not
//     trusted ([*crypto/tls.CertificateVerificationError]) or not accepted, a server without TLS;
//   - an error of NewRequest, or a URL that cannot be sent;
//   - what ended the last connection, once MaxReconnects is used up.
//
// An id that a header cannot carry, because it has a control character, is sent in the
// query as lastEventId instead.
//
// A break closes the connection. Ranging again connects again and resumes after
// [Client.LastEventID].
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := c.run(ctx, yield); err != nil {
			yield(Event{}, err)
		}
	}
}

// run connects until there is a reason not to. It returns nil if there is nothing left
// to yield: the consumer has had enough, or the server has.
func (c *Client) run(ctx context.Context, yield func(Event, error) bool) error {
	for reconnects := 0; ; reconnects++ {
		res := c.connect(ctx, yield)
		switch {
		case res.final:
			return res.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case res.opened:
			reconnects = 0
		}
		if err, stop := c.giveUp(reconnects, res.err); stop {
			return err
		}
		delay := c.delay(reconnects, res.err)
		if c.opts.OnReconnect != nil {
			c.opts.OnReconnect(res.err, delay)
		}
		if !sleep(ctx, delay) {
			return context.Cause(ctx)
		}
	}
}

// giveUp applies MaxReconnects after a connection that ended with err.
func (c *Client) giveUp(reconnects int, err error) (final error, stop bool) {
	switch limit := c.opts.MaxReconnects; {
	case limit < 0 && err == io.EOF:
		return nil, true
	case limit < 0:
		return err, true
	case limit > 0 && reconnects >= limit:
		return fmt.Errorf("sse: no stream after %d reconnections: %w", limit, err), true
	}
	return nil, false
}
