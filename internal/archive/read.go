package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line, in bytes: the largest event with each byte escaped.
const maxLine = 512 << 20

// ErrCut says that the end of an archive is missing.
var ErrCut = errors.New("the archive was cut off: its last line is missing; export it again")

// Reader reads an archive.
type Reader struct {
	in     *bufio.Reader
	line   []byte // scratch buffer
	number int    // of the current line
	header Header
	events uint64
	last   uint64
	ended  bool
}

// NewReader reads the first line.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10)}
	text, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the archive is empty: give the output of tidegate storage export")
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(text, &r.header) != nil || r.header.Format != Format {
		return nil, fmt.Errorf("not an archive of tidegate storage export: the first line lacks %q", Format)
	}
	if r.header.Version != version {
		return nil, fmt.Errorf("the archive has version %d, and this program reads version %d: use the program that wrote it", r.header.Version, version)
	}
	return r, nil
}

// Header is the first line.
func (r *Reader) Header() Header { return r.header }

// Next returns the next event, and io.EOF after the last one of a whole archive.
func (r *Reader) Next() (Event, error) {
	if r.ended {
		return Event{}, io.EOF
	}
	text, err := r.next()
	if errors.Is(err, io.EOF) {
		return Event{}, ErrCut
	}
	if err != nil {
		return Event{}, err
	}
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // a field of a later version must not be lost
	if err := decoder.Decode(&l); err != nil {
		return Event{}, r.wrong(err)
	}
	if l.End {
		return Event{}, r.end(l.Events)
	}
	e, err := l.event()
	switch {
	case err != nil:
		return Event{}, r.wrong(err)
	case e.Seq <= r.last || e.Seq > r.header.Last:
		return Event{}, r.wrong(fmt.Errorf("position %d is not between %d and %d", e.Seq, r.last, r.header.Last))
	}
	r.last = e.Seq
	r.events++
	return e, nil
}

// end checks that all events were there.
func (r *Reader) end(events uint64) error {
	if events != r.events {
		return r.wrong(fmt.Errorf("the archive names %d events, and has %d", events, r.events))
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return r.wrong(errors.New("there is more text after the last line"))
	}
	r.ended = true
	return io.EOF
}

func (r *Reader) wrong(err error) error { return fmt.Errorf("archive, line %d: %w", r.number, err) }

// next returns the next line that is not blank, without its line end. It is valid until the next
// call.
func (r *Reader) next() ([]byte, error) {
	for {
		r.line = r.line[:0]
		for {
			part, err := r.in.ReadSlice('\n')
			if r.line = append(r.line, part...); len(r.line) > maxLine {
				return nil, r.wrong(fmt.Errorf("longer than %d bytes", maxLine))
			}
			if err == nil || errors.Is(err, io.EOF) && len(r.line) > 0 {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, err
			}
		}
		r.number++
		if text := bytes.TrimSpace(r.line); len(text) > 0 {
			return text, nil
		}
	}
}
