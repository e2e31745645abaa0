package main

import (
	"bytes"
	"strconv"
)

// framer encodes events as chunks of a chunked body. The zero value is ready to use. It
// is not safe for concurrent use.
type framer struct {
	block []byte // encoded first, because its size precedes it
}

// append appends the event of m as one chunk (RFC 9112, 7.1).
func (f *framer) append(b []byte, m message) []byte {
	f.block = appendBlock(f.block[:0], m.name, m.data)
	b = strconv.AppendInt(b, int64(len(f.block)), 16)
	b = append(b, "\r\n"...)
	b = append(b, f.block...)
	return append(b, "\r\n"...)
}

// appendBlock appends an event in the format of event streams (WHATWG HTML, 9.2.5),
// without an id.
func appendBlock(b, name, data []byte) []byte {
	if len(name) > 0 {
		b = append(b, "event: "...)
		b = append(b, name...)
		b = append(b, '\n')
	}
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			break
		}
		b = appendDataLine(b, data[:end])
		if bytes.HasPrefix(data[end:], lineEnd) {
			end++
		}
		data = data[end+1:]
	}
	return append(appendDataLine(b, data), '\n')
}

func appendDataLine(b, line []byte) []byte {
	b = append(b, "data: "...)
	b = append(b, line...)
	return append(b, '\n')
}
