package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	firstBuffer   = 4 << 10 // most streams never need more
	maxEmptyReads = 100     // reads in a row without a byte and without an error
)

// headBytes is how much of a dropped line is returned: enough to find its field.
const headBytes = 16

// errDropped is of a line that is too long, where such lines are dropped.
var errDropped = errors.New("dropped")

// lineReader splits a stream into lines. A line ends with LF, CR or CRLF (WHATWG 9.2.6).
// It is returned as soon as its end has been read. After a CR the reader does not wait
// for an LF; it drops that LF when it comes.
type lineReader struct {
	src io.Reader
	max int // bytes of a line, without its end

	drop     bool // lines that are longer are dropped; else they end the stream
	dropping bool // the rest of the line at start is dropped

	buf        []byte
	start, end int // buf[start:end] has been read but not handed out

	// The first LF and CR at or after start, or end when there is none. Remembering
	// both keeps the search linear for streams that use only one of them.
	lf, cr int

	dropLF bool  // the last line ended with CR, so an LF that follows belongs to it
	err    error // what src returned; reported once the lines before it are handed out
}

func newLineReader(src io.Reader, maxLine int) *lineReader {
	return &lineReader{src: src, max: maxLine, buf: make([]byte, firstBuffer)}
}

// next returns the next line without its end. The slice is valid until the next call.
// At the end of the stream it returns io.EOF, and [lineReader.partial] reports whether
// bytes without a line end are left. Of a line that is dropped it returns the
// beginning, with errDropped; what the reader holds does not grow with it.
func (l *lineReader) next() ([]byte, error) {
	if err := l.skip(); err != nil {
		return nil, err
	}
	for {
		if l.dropLF && l.start < l.end {
			l.dropLF = false
			if l.buf[l.start] == '\n' {
				l.start++
			}
		}
		i := l.find()
		if i-l.start > l.max && l.drop {
			l.dropping = true
			return l.buf[l.start : l.start+min(headBytes, l.max+1)], errDropped
		}
		if i-l.start > l.max {
			return nil, fmt.Errorf("%w of %d bytes", ErrLineTooLong, l.max)
		}
		if i < l.end {
			line := l.buf[l.start:i]
			l.dropLF = l.buf[i] == '\r'
			l.start = i + 1
			return line, nil
		}
		if l.err != nil {
			return nil, l.err
		}
		l.fill()
	}
}

// skip drops the rest of a line that is too long.
func (l *lineReader) skip() error {
	for l.dropping {
		if i := l.find(); i < l.end {
			l.dropLF = l.buf[i] == '\r'
			l.start, l.dropping = i+1, false
			return nil
		}
		l.start = l.end
		if l.err != nil {
			return l.err
		}
		l.fill()
	}
	return nil
}

// partial reports whether the stream ended inside of a line.
func (l *lineReader) partial() bool { return l.start < l.end }

// find returns where the line that begins at start ends, or end.
func (l *lineReader) find() int {
	if l.lf < l.start {
		l.lf = l.index('\n', l.start)
	}
	if l.cr < l.start {
		l.cr = l.index('\r', l.start)
	}
	return min(l.lf, l.cr)
}

func (l *lineReader) index(c byte, from int) int {
	if i := bytes.IndexByte(l.buf[from:l.end], c); i >= 0 {
		return from + i
	}
	return l.end
}

// fill reads once. It is called only when no line end is left in the buffer.
func (l *lineReader) fill() {
	l.makeRoom()
	searched := l.end
	n, err := l.read(l.buf[l.end:])
	l.end += n
	l.err = err
	l.lf = l.index('\n', searched)
	l.cr = l.index('\r', searched)
}

// makeRoom moves what is left to the front of the buffer, and doubles a buffer that is
// full. A line longer than max never gets here, so the buffer never exceeds 2*max or
// firstBuffer, whichever is more.
func (l *lineReader) makeRoom() {
	if l.start > 0 { // At most once a line, or long lines would take quadratic time.
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}
}

func (l *lineReader) read(p []byte) (int, error) {
	for range maxEmptyReads {
		if n, err := l.src.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
