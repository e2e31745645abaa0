package sse

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrField is why the Append functions refuse an id or an event name that holds CR, LF
// or NUL. The line would end early, and the rest would be read as other fields. Their
// errors wrap it and name the field.
var ErrField = errors.New("sse: CR, LF or NUL is not allowed in a field")

// Event is one event of a stream, as it is sent and as it is received.
// The two differ where the format has defaults, so each field says both.
type Event struct {
	// ID is the event's id. Sent: "" writes no id line, and the receiver keeps the last
	// id that it has. Received: the last event id as it stands when the event is
	// dispatched, which may come from an earlier block.
	ID string

	// Name is the event's type. Sent: "" writes no event line. Received: never empty,
	// "message" where the stream named none.
	Name string

	// Data is the payload. Sent: CRLF, CR and LF all end a line, and each line
	// becomes one data line. Received: lines are joined with LF.
	Data string

	// Retry asks the receiver to wait this long before it reconnects, in whole
	// milliseconds, rounded up. Sent: 0 or less writes no retry line. Received: the
	// value of a retry line in this event's own block, otherwise 0.
	Retry time.Duration
}

// Append appends ev to dst as one block, ready to be written to a stream, and returns
// the longer slice. The order of lines is id, event, retry, data; empty data is one
// empty data line, so the event is dispatched all the same. For an id without an event
// see [AppendID].
//
// Append does not allocate when dst has room, and grows dst at most once when it has
// not. It does not check that strings are valid UTF-8: a receiver replaces what is not.
// It returns dst as it was, and an error that wraps [ErrField], for an id or a name
// that does not fit on a line.
func Append(dst []byte, ev Event) ([]byte, error) {
	if err := checkFields(ev.ID, ev.Name); err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, encodedLen(ev))
	if ev.ID != "" {
		dst = appendField(dst, "id: ", ev.ID)
	}
	if ev.Name != "" {
		dst = appendField(dst, "event: ", ev.Name)
	}
	if ev.Retry > 0 {
		dst = appendRetryLine(dst, ev.Retry)
	}
	dst = appendLines(dst, "data: ", ev.Data)
	return append(dst, '\n'), nil
}

// AppendID appends a block that holds only an id. The receiver dispatches no event for
// it, but resumes from this id when it reconnects. An empty id clears the one that the
// receiver has. Errors are those of [Append].
func AppendID(dst []byte, id string) ([]byte, error) {
	if err := checkFields(id, ""); err != nil {
		return dst, err
	}
	dst = appendField(dst, "id: ", id)
	return append(dst, '\n'), nil
}

// AppendComment appends a comment and a blank line. Receivers ignore comments, which
// makes them the way to keep a silent connection alive. Text of many lines becomes many
// comment lines. Like every function here it appends a whole block: inside of another
// block the blank line would end that one early.
func AppendComment(dst []byte, text string) []byte {
	dst = appendLines(dst, ": ", text)
	return append(dst, '\n')
}

// AppendRetry appends a block that holds only a retry line: the receiver is to wait d
// before it reconnects. d is sent in whole milliseconds, rounded up; less than 0 is 0.
func AppendRetry(dst []byte, d time.Duration) []byte {
	dst = appendRetryLine(dst, d)
	return append(dst, '\n')
}

func checkFields(id, name string) error {
	if !fitsOnLine(id) {
		return fmt.Errorf("id: %w", ErrField)
	}
	if !fitsOnLine(name) {
		return fmt.Errorf("event name: %w", ErrField)
	}
	return nil
}

// fitsOnLine makes three passes because each of them is vectorised, and together they
// are still faster than one loop over the bytes.
func fitsOnLine(s string) bool {
	return strings.IndexByte(s, '\n') < 0 &&
		strings.IndexByte(s, '\r') < 0 &&
		strings.IndexByte(s, 0) < 0
}

func appendField(dst []byte, prefix, value string) []byte {
	dst = append(dst, prefix...)
	dst = append(dst, value...)
	return append(dst, '\n')
}

func appendRetryLine(dst []byte, d time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, milliseconds(d), 10)
	return append(dst, '\n')
}

// milliseconds rounds up, so that a short wait never becomes none.
func milliseconds(d time.Duration) int64 {
	ms := max(d, 0) / time.Millisecond
	if d > ms*time.Millisecond {
		ms++
	}
	return int64(ms)
}

// appendLines appends text with prefix before each of its lines.
func appendLines(dst []byte, prefix, text string) []byte {
	// The next line end of each kind is looked up again only once it has been passed.
	// Looking for both on every line would be quadratic for text that has but one kind.
	lf, cr := indexFrom(text, '\n', 0), indexFrom(text, '\r', 0)
	for start := 0; ; {
		end := min(lf, cr)
		dst = appendField(dst, prefix, text[start:end])
		if end == len(text) {
			return dst
		}
		start = end + 1
		if strings.HasPrefix(text[end:], "\r\n") { // One line end, not two.
			start++
		}
		if lf < start {
			lf = indexFrom(text, '\n', start)
		}
		if cr < start {
			cr = indexFrom(text, '\r', start)
		}
	}
}

// indexFrom returns where c is first found in s at or after from, or len(s).
func indexFrom(s string, c byte, from int) int {
	if i := strings.IndexByte(s[from:], c); i >= 0 {
		return from + i
	}
	return len(s)
}

// encodedLen returns the exact length of ev as Append writes it. Room for more would be
// asked for in vain, and make Append allocate for a dst that is just large enough.
func encodedLen(ev Event) int {
	lf := strings.Count(ev.Data, "\n")
	cr := strings.Count(ev.Data, "\r")
	lines := 1 + lf + cr
	if cr > 0 {
		lines -= strings.Count(ev.Data, "\r\n")
	}
	n := len(ev.Data) - lf - cr + lines*len("data: \n") + len("\n")
	if ev.ID != "" {
		n += len("id: \n") + len(ev.ID)
	}
	if ev.Name != "" {
		n += len("event: \n") + len(ev.Name)
	}
	if ev.Retry > 0 {
		var digits [20]byte
		n += len("retry: \n") + len(strconv.AppendInt(digits[:0], milliseconds(ev.Retry), 10))
	}
	return n
}
