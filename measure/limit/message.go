package main

import (
	"bytes"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// message is one event and its destination. Its slices are valid until the next scan,
// and as long as the scanned text does not change.
type message struct {
	token, name, data []byte
}

// everyone is the token of all streams.
const everyone = "*"

func (m message) toAll() bool { return string(m.token) == everyone }

var errMessage = errors.New(`not of the form {"token":"…","event":{"name":"…","data":"…"}}`)

// scanner parses messages. It accepts only the order of fields and the spacing of the
// clients, because a decoder for all JSON would cost more than the measured write. It
// parses strings fully. The zero value is ready to use. It is not safe for concurrent use.
type scanner struct {
	text []byte // the unescaped strings of the message
}

var (
	beforeToken = []byte(`{"token":"`)
	beforeName  = []byte(`,"event":{"name":"`)
	beforeData  = []byte(`,"data":"`)
	behindData  = []byte(`}}`)
)

// scan parses one message. Only white space may follow it.
func (s *scanner) scan(p []byte) (m message, err error) {
	s.text = s.text[:0]
	for _, part := range []struct {
		before []byte
		value  *[]byte
	}{{beforeToken, &m.token}, {beforeName, &m.name}, {beforeData, &m.data}} {
		var ok bool
		if p, ok = bytes.CutPrefix(p, part.before); !ok {
			return message{}, errMessage
		}
		if *part.value, p, ok = s.string(p); !ok {
			return message{}, errMessage
		}
	}
	p, ok := bytes.CutPrefix(p, behindData)
	// A line end in a name would start a new field of the event.
	if !ok || len(bytes.TrimSpace(p)) > 0 || bytes.ContainsAny(m.name, "\r\n") {
		return message{}, errMessage
	}
	return m, nil
}

// string parses a JSON string (RFC 8259, 7) after its opening quote. The value is a part
// of p if it has no escapes.
func (s *scanner) string(p []byte) (value, rest []byte, ok bool) {
	start, plain := len(s.text), 0 // p[plain:i] is not in s.text yet
	for i := 0; i < len(p); {
		switch c := p[i]; {
		case c == '"' && plain == 0:
			return p[:i], p[i+1:], true
		case c == '"':
			s.text = append(s.text, p[plain:i]...)
			return s.text[start:], p[i+1:], true
		case c < ' ':
			return nil, nil, false
		case c == '\\':
			s.text = append(s.text, p[plain:i]...)
			n := s.escape(p[i:])
			if n == 0 {
				return nil, nil, false
			}
			i += n
			plain = i
		default:
			i++
		}
	}
	return nil, nil, false
}

// escape appends the meaning of the escape at the start of p. It returns the length of
// the escape, or 0 if it is invalid. Half a surrogate pair becomes U+FFFD, as in
// encoding/json.
func (s *scanner) escape(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	c := p[1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, n := codeUnit(p), 6
		if r < 0 {
			return 0
		}
		if utf16.IsSurrogate(r) {
			if r = utf16.DecodeRune(r, codeUnit(p[n:])); r != utf8.RuneError {
				n += 6
			}
		}
		s.text = utf8.AppendRune(s.text, r)
		return n
	default:
		return 0
	}
	s.text = append(s.text, c)
	return 2
}

// codeUnit parses \uXXXX at the start of p. It returns -1 if there is none.
func codeUnit(p []byte) rune {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range p[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
