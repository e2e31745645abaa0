package main

import (
	"bufio"
	"io"
	"strings"
)

// reader parses the blocks of a stream, as far as honest clients need, over any
// transport.
type reader struct {
	body  io.ReadCloser
	lines *bufio.Reader
}

type block struct{ id, name, data string }

func newReader(body io.ReadCloser) *reader { return &reader{body, bufio.NewReader(body)} }

// next waits for a block that is not empty.
func (r *reader) next() (block, error) {
	var b block
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return block{}, err
		}
		line = strings.TrimRight(line, "\r\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			if line == "" && b != (block{}) {
				return b, nil
			}
		case "id":
			b.id = value
		case "event":
			b.name = value
		case "data":
			b.data = value
		}
	}
}

// untilID waits for the first id: then the stream has a position.
func (r *reader) untilID() error {
	for {
		if b, err := r.next(); err != nil || b.id != "" {
			return err
		}
	}
}

// Close closes the stream.
func (r *reader) Close() { _ = r.body.Close() }
