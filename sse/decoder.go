package sse

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"
	"unicode/utf8"
)

// Defaults of [DecoderOptions]. They hold any event whose data is 1 MiB with room to spare.
const (
	DefaultMaxLine  = 4 << 20
	DefaultMaxEvent = 16 << 20
)

var (
	// ErrLineTooLong ends a sequence of events when a line is longer than MaxLine.
	ErrLineTooLong = errors.New("sse: line is longer than MaxLine")

	// ErrEventTooLarge ends a sequence of events when the data of one event is longer
	// than MaxEvent.
	ErrEventTooLarge = errors.New("sse: event is larger than MaxEvent")
)

// SyntaxError is what a strict [Decoder] finds wrong with a stream.
type SyntaxError struct {
	Line   int // counted from 1
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("sse: line %d: %s", e.Line, e.Reason)
}

// DecoderOptions are the settings of a [Decoder]. The zero value is ready to use.
type DecoderOptions struct {
	// LastEventID is the id to begin with: the one that the stream was asked to resume
	// after. Events have it until the stream sends another.
	LastEventID string

	// OnComment, if set, is called with the text of each comment, one leading space
	// removed, from the goroutine that ranges over the events.
	OnComment func(text string)

	// Strict makes malformed input end the sequence with a [*SyntaxError]. The standard
	// wants it ignored or repaired, so this is for testing the sender of a stream.
	// Malformed are an unknown field, a retry that is not a number, and an id with NUL.
	// So are text that is not UTF-8, and a stream that ends without a blank line.
	Strict bool

	// MaxLine bounds a line, in bytes without its end. Default [DefaultMaxLine].
	MaxLine int

	// MaxEvent bounds the data of one event, in bytes. Default [DefaultMaxEvent].
	MaxEvent int

	// OnTooLarge, if set, makes an event that exceeds MaxLine or MaxEvent be dropped,
	// and the stream go on with the next. It is called once for each, with an error
	// that is [ErrLineTooLong] or [ErrEventTooLarge]. The id of such an event counts,
	// so that it is not asked for again. Without OnTooLarge the sequence ends.
	OnTooLarge func(err error)
}

// Decoder reads a stream by the rules of WHATWG HTML 9.2.6. It holds at most about two
// lines of MaxLine and one event of MaxEvent bytes, whatever is sent.
//
// A Decoder starts no goroutines and is not safe for concurrent use.
type Decoder struct {
	opts  DecoderOptions
	lines *lineReader
	line  int   // number of the line being read
	err   error // what ended the stream

	// What the standard calls the buffers, filled by the lines of one block.
	data    []byte // every line of data, each followed by LF
	name    string
	id      string        // takes effect when the block ends
	retry   time.Duration // of this block
	inBlock bool          // there was a line since the last blank one
	dropped bool          // the block is too large; it makes no event

	lastID       string
	reconnection time.Duration
	hasRetry     bool
}

// NewDecoder returns a Decoder that reads from r. It reads ahead, so r should not be
// used by others.
func NewDecoder(r io.Reader, opts DecoderOptions) *Decoder {
	opts.MaxLine = cmp.Or(opts.MaxLine, DefaultMaxLine)
	opts.MaxEvent = cmp.Or(opts.MaxEvent, DefaultMaxEvent)
	lines := newLineReader(r, opts.MaxLine)
	lines.drop = opts.OnTooLarge != nil
	return &Decoder{
		opts:   opts,
		lines:  lines,
		id:     opts.LastEventID,
		lastID: opts.LastEventID,
	}
}

// Decode returns the events of r, read with default options. See [Decoder.Events].
func Decode(r io.Reader) iter.Seq2[Event, error] {
	return NewDecoder(r, DecoderOptions{}).Events()
}

// Events returns the events of the stream in order, each as soon as the blank line
// that ends it has been read. The sequence ends at the end of the stream; an event
// that is not complete by then is dropped, as the standard demands.
//
// An error is the last element, with a zero Event: what the reader returned,
// [ErrLineTooLong], [ErrEventTooLarge] or, if Strict, a [*SyntaxError].
//
// Ranging again after a break goes on with the next event.
func (d *Decoder) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			ev, err := d.next()
			if err == io.EOF {
				return
			}
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// LastEventID returns the id to resume after. Like the id of an event it changes only
// when a block is complete, also by a block that has an id and no data.
func (d *Decoder) LastEventID() string { return d.lastID }

// Retry returns the reconnection time that the stream asked for, and whether it did.
// It changes with the retry line itself, also in a block that is never completed.
func (d *Decoder) Retry() (time.Duration, bool) { return d.reconnection, d.hasRetry }

// next reads lines until one of them completes an event.
func (d *Decoder) next() (Event, error) {
	for d.err == nil {
		var line []byte
		d.line++
		if line, d.err = d.lines.next(); d.err == errDropped {
			d.err = nil
			d.dropLine(line)
			continue
		} else if d.err != nil {
			break
		}
		if d.line == 1 {
			// Only here is a byte order mark not text.
			line = bytes.TrimPrefix(line, []byte("\uFEFF"))
		}
		if len(line) > 0 {
			d.inBlock = true
			d.err = d.process(line)
		} else if ev, ok := d.dispatch(); ok {
			return ev, nil
		}
	}
	if d.err == io.EOF && d.opts.Strict && (d.inBlock || d.lines.partial()) {
		d.err = d.malformed("the stream ends without a blank line")
	}
	return Event{}, d.err
}

// process handles one line that is not blank.
func (d *Decoder) process(line []byte) error {
	if d.opts.Strict && !utf8.Valid(line) {
		return d.malformed("not valid UTF-8")
	}
	if text, ok := bytes.CutPrefix(line, []byte(":")); ok {
		if d.opts.OnComment != nil {
			d.opts.OnComment(validString(bytes.TrimPrefix(text, []byte(" "))))
		}
		return nil
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	return d.field(name, bytes.TrimPrefix(value, []byte(" ")))
}

// field handles one field. Names are compared as they are: "Data" is not a data field.
func (d *Decoder) field(name, value []byte) error {
	switch string(name) {
	case "data":
		return d.appendData(value)
	case "event":
		d.name = validString(value)
	case "id":
		if bytes.IndexByte(value, 0) >= 0 {
			return d.malformed("id with NUL")
		}
		d.id = validString(value)
	case "retry":
		ms, ok := parseDecimal(string(value), math.MaxInt64/int64(time.Millisecond))
		if !ok {
			return d.malformed("retry is not a number")
		}
		d.retry = time.Duration(ms) * time.Millisecond
		d.reconnection, d.hasRetry = d.retry, true
	default:
		return d.malformed("unknown field")
	}
	return nil
}

// dropLine is process for a line that is too long, of which only the head is known.
// A comment or an unknown field means nothing anyway.
func (d *Decoder) dropLine(head []byte) {
	d.inBlock = true
	name, _, whole := bytes.Cut(bytes.TrimPrefix(head, []byte("\uFEFF")), []byte(":"))
	known := string(name) == "data" || string(name) == "event" || string(name) == "id"
	if known || !whole && len(head) < headBytes { // MaxLine is shorter than a name
		d.drop(fmt.Errorf("%w of %d bytes", ErrLineTooLong, d.opts.MaxLine))
	}
}

// drop keeps the block from becoming an event.
func (d *Decoder) drop(err error) {
	if !d.dropped {
		d.opts.OnTooLarge(err)
	}
	d.dropped, d.data = true, nil
}

func (d *Decoder) appendData(value []byte) error {
	if d.dropped {
		return nil
	}
	d.data = appendValid(d.data, value)
	if len(d.data) > d.opts.MaxEvent && d.opts.OnTooLarge != nil {
		d.drop(fmt.Errorf("%w of %d bytes", ErrEventTooLarge, d.opts.MaxEvent))
		return nil
	}
	if len(d.data) > d.opts.MaxEvent {
		return fmt.Errorf("%w of %d bytes", ErrEventTooLarge, d.opts.MaxEvent)
	}
	d.data = append(d.data, '\n')
	return nil
}

// dispatch ends the block. There is an event if the block had a data line.
func (d *Decoder) dispatch() (ev Event, ok bool) {
	d.lastID = d.id
	if n := len(d.data); n > 0 {
		ev = Event{
			ID:    d.lastID,
			Name:  cmp.Or(d.name, "message"),
			Data:  string(d.data[:n-1]), // without the LF after the last line
			Retry: d.retry,
		}
		ok = true
	}
	d.data, d.name, d.retry, d.inBlock, d.dropped = d.data[:0], "", 0, false, false
	return ev, ok
}

// malformed returns an error if the decoder is strict; otherwise the line is ignored.
func (d *Decoder) malformed(reason string) error {
	if !d.opts.Strict {
		return nil
	}
	return &SyntaxError{Line: d.line, Reason: reason}
}

// parseDecimal reads a number that consists of ASCII digits only, with no sign and at
// least one digit. What is greater than limit is limit.
func parseDecimal(s string, limit int64) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		digit := int64(c - '0')
		if n > (limit-digit)/10 {
			n = limit
			continue // the rest must be digits all the same
		}
		n = n*10 + digit
	}
	return n, s != ""
}
