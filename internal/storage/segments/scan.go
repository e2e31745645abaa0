package segments

import (
	"bytes"
	"errors"
	"io"
)

// scanned is a record of a file, or bytes that are none.
type scanned struct {
	off  int64
	end  int64
	kind kind   // 0 for damage
	body []byte // valid until the next
	raw  []byte // the whole record
}

// scanOptions say what of a file is read.
type scanOptions struct {
	salt     uint32
	from, to int64 // bytes
	buffer   []byte
}

// scanBuffer is how much of a file is read at once. Larger records make it grow.
const scanBuffer = 1 << 20

// scanFile gives the records of a file one after the other. Where there is none it
// looks for the next one, and gives what was in between as damage. Zeros up to the
// end are not damage: room that was reserved and not used. An error of the visitor
// ends it and is returned.
func scanFile(f io.ReaderAt, o scanOptions, visit func(scanned) error) error {
	s := scanner{file: f, o: o, pos: o.from, buf: o.buffer[:0], start: o.from}
	if cap(s.buf) < scanBuffer {
		s.buf = make([]byte, 0, scanBuffer)
	}
	for {
		r, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
	}
}

type scanner struct {
	file  io.ReaderAt
	o     scanOptions
	pos   int64 // of the next record
	start int64 // of buf
	buf   []byte
	eof   bool // there is nothing behind buf
}

// fill makes sure that n bytes from pos on are at hand, or all that there are.
func (s *scanner) fill(n int) ([]byte, error) {
	have := s.buf[s.pos-s.start:]
	if len(have) >= n || s.eof {
		return have, nil
	}
	size := max(n, scanBuffer)
	if cap(s.buf) < size {
		grown := make([]byte, len(have), size)
		copy(grown, have)
		s.buf = grown
	} else {
		s.buf = s.buf[:copy(s.buf[:cap(s.buf)], have)]
	}
	s.start = s.pos
	rest := min(int64(cap(s.buf)-len(s.buf)), s.o.to-s.start-int64(len(s.buf)))
	if rest <= 0 {
		s.eof = true
		return s.buf, nil
	}
	got, err := s.file.ReadAt(s.buf[len(s.buf):len(s.buf)+int(rest)], s.start+int64(len(s.buf)))
	s.buf = s.buf[:len(s.buf)+got]
	if errors.Is(err, io.EOF) {
		s.eof, err = true, nil
	}
	if s.start+int64(len(s.buf)) >= s.o.to {
		s.eof = true
	}
	return s.buf, err
}

// next gives what comes next; io.EOF at the end.
func (s *scanner) next() (scanned, error) {
	r, ok, err := s.peek()
	if ok {
		s.pos = r.end
	}
	if ok || err != nil {
		return r, err
	}
	return s.damage()
}

// damage looks for the next record, where there is none.
func (s *scanner) damage() (scanned, error) {
	from, zeros, tried := s.pos, true, true
	for {
		b, err := s.fill(1)
		switch {
		case err != nil:
			return scanned{}, err
		case len(b) == 0 && zeros:
			return scanned{}, io.EOF
		case len(b) == 0:
			return scanned{off: from, end: s.pos}, nil
		}
		skip := 0
		if tried {
			skip = 1
		}
		i := bytes.IndexByte(b[skip:], recordMagic)
		tried = i >= 0
		if skip += i; i < 0 {
			skip = len(b)
		}
		zeros = zeros && allZero(b[:skip])
		s.pos += int64(skip)
		if !tried {
			continue
		}
		if _, ok, err := s.peek(); ok || err != nil {
			return scanned{off: from, end: s.pos}, err
		}
	}
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// peek gives the record at pos, if there is one.
func (s *scanner) peek() (r scanned, ok bool, err error) {
	b, err := s.fill(recordHeader)
	if err != nil {
		return r, false, err
	}
	if len(b) == 0 {
		return r, false, io.EOF
	}
	h, ok := headOf(b, min(mostRecord, s.o.to-s.pos))
	if !ok {
		return r, false, nil
	}
	if b, err = s.fill(h.size); err != nil || len(b) < h.size {
		return r, false, err
	}
	b = b[:h.size]
	if sum(b, s.o.salt) != h.sum {
		return r, false, nil
	}
	return scanned{off: s.pos, end: s.pos + int64(h.size), kind: h.kind, body: b[recordHeader:], raw: b}, true, nil
}
