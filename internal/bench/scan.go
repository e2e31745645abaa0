package bench

import (
	"bytes"
	"errors"
)

// scanner finds the marks in the body of one stream. It undoes the chunked
// framing and looks at lines that begin with "data:" or are comments, nothing
// else: a client that decoded events would cost more than the gateway it
// measures. The zero value reads a body without chunks.
type scanner struct {
	chunked bool
	state   chunkState
	digits  int8   // of the chunk's size seen so far
	left    int64  // size of the chunk; inData: bytes of it still to come
	line    []byte // beginning of a line that is not complete
	alien   int64  // data lines that are no event of ours
	beats   int64  // comments
}

type chunkState int8

// Where in the chunked framing the next byte is (RFC 9112, 7.1).
const (
	inSize chunkState = iota
	inExtension
	inData
	behindData
	atEnd
)

const (
	maxSizeDigits = 8
	maxLine       = 64 << 10
)

var (
	errChunk = errors.New("body is not in chunked framing")
	errLine  = errors.New("a line is longer than any that was sent")
)

// scan appends the marks that p completes to marks.
func (s *scanner) scan(marks []mark, p []byte) ([]mark, error) {
	if !s.chunked {
		return s.lines(marks, p)
	}
	var err error
	for len(p) > 0 && err == nil {
		switch s.state {
		case inSize, inExtension:
			err = s.sizeByte(p[0])
			p = p[1:]
		case inData:
			n := min(int64(len(p)), s.left)
			marks, err = s.lines(marks, p[:n])
			p = p[n:]
			if s.left -= n; s.left == 0 {
				s.state = behindData
			}
		case behindData:
			switch p[0] {
			case '\r':
			case '\n':
				s.state, s.digits, s.left = inSize, 0, 0
			default:
				err = errChunk
			}
			p = p[1:]
		case atEnd:
			return marks, nil // trailers
		}
	}
	return marks, err
}

// sizeByte reads one byte of the line before a chunk.
func (s *scanner) sizeByte(c byte) error {
	switch {
	case c == '\n' && s.digits > 0:
		s.state = inData
		if s.left == 0 {
			s.state = atEnd
		}
		return nil
	case s.state == inExtension, c == '\r':
		return nil
	case c == ';' && s.digits > 0:
		s.state = inExtension
		return nil
	}
	digit := hexDigit(c)
	if digit < 0 || s.digits == maxSizeDigits {
		return errChunk
	}
	s.left = s.left<<4 | int64(digit)
	s.digits++
	return nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// lines splits the body into lines. Of one that is cut, the beginning is kept.
func (s *scanner) lines(marks []mark, p []byte) ([]mark, error) {
	for {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		if len(s.line)+len(line) > maxLine {
			return marks, errLine
		}
		if !whole {
			s.line = append(s.line, line...)
			return marks, nil
		}
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line = s.line
		}
		if data, is := bytes.CutPrefix(line, dataField); is {
			if m, ok := parseMark(bytes.TrimPrefix(data, blank)); ok {
				marks = append(marks, m)
			} else {
				s.alien++
			}
		} else if len(line) > 0 && line[0] == ':' {
			s.beats++
		}
		s.line = s.line[:0]
		p = rest
	}
}

var dataField, blank = []byte("data:"), []byte(" ")
