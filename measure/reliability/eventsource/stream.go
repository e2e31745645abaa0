// Package eventsource opens one stream and parses it. It has no defaults and does not
// reconnect. A judge of a server must not share code with it, so this package does not
// use the project's own client. A fuzz test compares the two.
package eventsource

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// MaxBlock bounds a line and the data of one block, in bytes.
const MaxBlock = 2 << 20

// Errors of [Stream.Next].
var (
	ErrIdle    = errors.New("nothing arrived for the idle timeout")
	ErrUntil   = errors.New("the given time has passed")
	ErrTooLong = fmt.Errorf("a block is longer than %d bytes", MaxBlock)
)

// StatusError is returned for an answer that is not a stream.
type StatusError struct {
	Status int
	Body   string // its first 1024 bytes
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %d: %.200s", e.Status, e.Body)
}

// Request says which stream to open.
type Request struct {
	Base        string        // http://host:port, without TLS
	Target      string        // path and query
	LastEventID string        // "" for none
	Wait        time.Duration // timeout for the connection, and again for the answer's head
	Idle        time.Duration // longest time without a byte, comments included; 0 for no limit
}

// Block is the content between two blank lines, if it has an id or data.
type Block struct {
	ID      string
	HasID   bool
	Name    string
	Data    string
	HasData bool // false if the block is not an event
}

// Stream is an open stream. Only one goroutine may use it, except for Close.
type Stream struct {
	conn  net.Conn
	body  *bufio.Reader
	idle  time.Duration
	until time.Time // argument of the current Next
	stop  func() bool
}

// Open opens a stream. The end of ctx closes it. An answer other than 200 with
// text/event-stream is a [*StatusError].
func Open(ctx context.Context, r Request) (*Stream, error) {
	u, err := url.Parse(r.Base)
	if err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	dialer := net.Dialer{Timeout: r.Wait}
	conn, err := dialer.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	s := &Stream{conn: conn, idle: r.Idle, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if err := s.handshake(u.Host, r); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// handshake sends the request and reads the head of the answer.
func (s *Stream) handshake(host string, r Request) error {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", r.Target, host)
	if r.LastEventID != "" {
		fmt.Fprintf(&b, "Last-Event-ID: %s\r\n", r.LastEventID)
	}
	b.WriteString("\r\n")
	_ = s.conn.SetDeadline(time.Now().Add(r.Wait)) // a write reports the same error
	if _, err := io.WriteString(s.conn, b.String()); err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(s.conn, 4096), nil)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	contentType, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if response.StatusCode != http.StatusOK || contentType != "text/event-stream" {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024)) // the error shows what was read
		return &StatusError{response.StatusCode, string(text)}
	}
	_ = s.conn.SetDeadline(time.Time{})
	s.body = bufio.NewReaderSize(&timedReader{s, response.Body}, 4096)
	return nil
}

// Close closes the connection, so that the server sees the client leave.
func (s *Stream) Close() {
	s.stop()
	_ = s.conn.Close()
}

// Next waits for the next block. It returns io.EOF if the server ended the stream
// properly, [ErrIdle] after a silence, [ErrUntil] once until has passed (zero for
// never), or another error. After an error, the stream can only be closed.
func (s *Stream) Next(until time.Time) (Block, error) {
	s.until = until
	return readBlock(s.body)
}

// timedReader sets the deadline of each read.
type timedReader struct {
	s    *Stream
	body io.Reader
}

func (r *timedReader) Read(p []byte) (int, error) {
	deadline, why := r.s.until, ErrUntil
	if r.s.idle > 0 {
		if d := time.Now().Add(r.s.idle); deadline.IsZero() || d.Before(deadline) {
			deadline, why = d, ErrIdle
		}
	}
	if err := r.s.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := r.body.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = why
	}
	return n, err
}

// readBlock reads lines up to the blank line after an id or data.
func readBlock(r *bufio.Reader) (Block, error) {
	var b Block
	var data []byte
	for {
		line, err := readLine(r)
		if err != nil {
			return Block{}, err
		}
		if len(line) == 0 {
			if b.HasID || b.HasData {
				b.Data = string(bytes.TrimSuffix(data, []byte("\n")))
				return b, nil
			}
			b, data = Block{}, data[:0]
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":")) // a comment has an empty name
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "id":
			b.ID, b.HasID = string(value), true
		case "event":
			b.Name = string(value)
		case "data":
			data, b.HasData = append(append(data, value...), '\n'), true
			if len(data) > MaxBlock {
				return Block{}, ErrTooLong
			}
		}
	}
}

// readLine reads a line without its LF or CRLF. It drops a last line without an end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		if err == nil && long == nil {
			return trimEnd(part), nil
		}
		long = append(long, part...)
		switch {
		case len(long) > MaxBlock:
			return nil, ErrTooLong
		case err == nil:
			return trimEnd(long), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
