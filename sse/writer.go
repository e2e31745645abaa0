package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Defaults of [WriterOptions].
const (
	DefaultHeartbeat    = 15 * time.Second
	DefaultWriteTimeout = 30 * time.Second
)

// maxWrite is when Serve writes what it has, although more events are ready.
const maxWrite = 64 << 10

// ErrNotStream is why [Accept] refused a request that cannot be answered with a stream.
var ErrNotStream = errors.New("sse: the request cannot be answered with a stream")

// WriterOptions are the settings of a [Writer]. The zero value is ready to use.
type WriterOptions struct {
	// Retry asks the client to wait this long before it reconnects. Default: nothing is
	// sent, and browsers wait for about three seconds. Vary it from stream to stream, so
	// that clients which are cut together do not return together.
	Retry time.Duration

	// Heartbeat is the silence after which [Writer.Serve] sends a comment. It keeps
	// proxies from ending an idle stream, and finds clients that are gone. Default
	// [DefaultHeartbeat]; less than 0 sends none.
	Heartbeat time.Duration

	// WriteTimeout bounds one write. A client that takes nothing for so long is given
	// up. Default [DefaultWriteTimeout]; less than 0 is no bound.
	WriteTimeout time.Duration
}

// Writer is the server's side of one stream, over HTTP/1.1 or HTTP/2. Make it with
// [Accept].
//
// A Writer belongs to one goroutine, that of the handler, and must not be used after
// the handler has returned. Others hand their events to it, through a channel: see
// [Writer.Serve]. After an error each further call returns the same one; return from the
// handler then.
type Writer struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	opts WriterOptions
	buf  []byte // scratch buffer, used again by each call
	err  error  // of the first write that failed
}

// Accept answers a request with a stream: it sends the headers at once, and returns
// a Writer for what follows. opts may be nil. Read the request's body before.
//
// Headers that are set already are sent as well. Read and write timeouts of the
// [http.Server] do not end the stream.
//
// If Accept returns an error, it has answered the request or the client is gone: return
// from the handler. The error wraps [ErrNotStream] if the method is not GET or POST. It
// also does if the response cannot be flushed or has no deadlines. Then look for middleware
// whose ResponseWriter lacks an Unwrap method, see [http.ResponseController]. With an
// httptest.ResponseRecorder, which has no deadlines, use a WriteTimeout of less than 0.
//
// To keep a client from reconnecting, answer with 204 in place of Accept.
func Accept(w http.ResponseWriter, r *http.Request, opts *WriterOptions) (*Writer, error) {
	s := &Writer{w: w, rc: http.NewResponseController(w)}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.Heartbeat = cmp.Or(s.opts.Heartbeat, DefaultHeartbeat)
	s.opts.WriteTimeout = cmp.Or(s.opts.WriteTimeout, DefaultWriteTimeout)
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return nil, fmt.Errorf("%w: method %s", ErrNotStream, r.Method)
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open sends the headers.
func (s *Writer) open() error {
	if err := s.setDeadline(); err != nil {
		return s.refuse(err)
	}
	SetHeader(s.w.Header())
	if err := s.rc.Flush(); errors.Is(err, http.ErrNotSupported) {
		return s.refuse(err)
	} else if err != nil {
		return fmt.Errorf("sse: open stream: %w", err)
	}
	s.clearDeadline()
	if s.opts.Retry > 0 {
		return s.write(AppendRetry(s.buf[:0], s.opts.Retry))
	}
	return nil
}

// refuse answers a request whose response lacks what a stream needs.
func (s *Writer) refuse(err error) error {
	if !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("sse: open stream: %w", err)
	}
	s.w.Header().Del("Cache-Control")
	http.Error(s.w, "Streaming is not supported here", http.StatusInternalServerError)
	return fmt.Errorf("%w: the ResponseWriter can not be flushed or has no write deadline: %w", ErrNotStream, err)
}

// SetHeader sets the headers of a stream: no proxy may hold it back, compress it, or
// keep it. [Accept] does it; this is for handlers that write by themselves.
func SetHeader(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx
}

// LastEventID returns the id of the last event that the client of a request has
// received, or "" for a client that begins. It reads the Last-Event-ID header, or else
// lastEventId in the query, for clients that cannot set a header. Treat it as input: a
// client can send anything.
func LastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	query := r.URL.Query()
	return cmp.Or(query.Get("lastEventId"), query.Get("lastEventID"))
}

// Send sends one event. An error that wraps [ErrField] means that the event has not
// been sent, and the stream is intact. Send allocates only to make room for an event that
// is larger than those before.
func (s *Writer) Send(ev Event) error {
	block, err := Append(s.buf[:0], ev)
	if err != nil {
		return err
	}
	return s.write(block)
}

// SendID sets the id from which the client resumes, without an event. Errors are those
// of Send.
func (s *Writer) SendID(id string) error {
	block, err := AppendID(s.buf[:0], id)
	if err != nil {
		return err
	}
	return s.write(block)
}

// Comment sends a comment, which clients ignore.
func (s *Writer) Comment(text string) error {
	return s.write(AppendComment(s.buf[:0], text))
}

// Write sends blocks that were made by [Append] and its relatives, for events that many
// streams share. blocks is not kept.
func (s *Writer) Write(blocks []byte) (int, error) {
	if err := s.send(blocks); err != nil {
		return 0, err
	}
	return len(blocks), nil
}

// Serve sends the events that come through a channel, and heartbeats. Events that are ready
// together go out together. It returns nil when the channel is closed, and the cause of ctx
// when ctx is done. If an event cannot be sent, it returns the error of Send.
//
// For ctx take the request's, which ends when the client leaves. Better, derive one that
// also ends when your program stops: http.Server.Shutdown waits for streams.
//
// A client may be slower than the sender. Give the channel room, and never block on it: end
// the stream when it is full, by closing the channel or by ctx.
func (s *Writer) Serve(ctx context.Context, events <-chan Event) error {
	var beat <-chan time.Time // nil, which is never ready, without heartbeats
	var timer *time.Timer
	if s.opts.Heartbeat > 0 {
		timer = time.NewTimer(s.opts.Heartbeat)
		defer timer.Stop()
		beat = timer.C
	}
	for {
		var err error
		open := true
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			open, err = s.sendReady(ev, events)
		case <-beat:
			err = s.Comment("heartbeat")
		}
		if err != nil || !open {
			return err
		}
		if timer != nil {
			timer.Reset(s.opts.Heartbeat)
		}
	}
}

// sendReady sends ev and the events that are ready behind it. open is false if there
// are no more.
func (s *Writer) sendReady(ev Event, events <-chan Event) (open bool, err error) {
	blocks := s.buf[:0]
	for open = true; ; {
		var bad error
		if blocks, bad = Append(blocks, ev); bad != nil {
			return open, errors.Join(s.write(blocks), bad)
		}
		if len(blocks) >= maxWrite {
			return open, s.write(blocks)
		}
		select {
		case ev, open = <-events:
			if open {
				continue
			}
		default:
		}
		return open, s.write(blocks)
	}
}

// write sends blocks that are in the scratch buffer, and keeps that for the next call.
func (s *Writer) write(blocks []byte) error {
	if cap(blocks) <= 2*maxWrite {
		s.buf = blocks
	}
	return s.send(blocks)
}

func (s *Writer) send(blocks []byte) error {
	if s.err != nil || len(blocks) == 0 {
		return s.err
	}
	err := s.setDeadline()
	if err == nil {
		_, err = s.w.Write(blocks)
	}
	if err == nil {
		err = s.rc.Flush()
	}
	if err != nil {
		s.err = fmt.Errorf("sse: write stream: %w", err)
		return s.err
	}
	s.clearDeadline()
	return nil
}

func (s *Writer) setDeadline() error {
	if s.opts.WriteTimeout < 0 {
		return nil
	}
	return s.rc.SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout))
}

// clearDeadline ends what setDeadline began, or a WriteTimeout of the server. On
// HTTP/2 a deadline that passes while nothing is written resets the stream.
func (s *Writer) clearDeadline() { _ = s.rc.SetWriteDeadline(time.Time{}) }
