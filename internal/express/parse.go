package express

import "bytes"

// request is a request that is handled here. Its parts point into the buffer.
type request struct {
	host          []byte
	authorization []byte
	body          []byte
	size          int // of the whole request
}

// state is what the bytes at the start of a buffer are.
type state int

const (
	complete state = iota // a request that is handled here
	partial               // the start of what may become one
	unusual               // left to net/http
)

// parse reads a plain request at the start of b, with this request line and its CRLF.
// net/http reads a complete one in the same way (RFC 9112); everything in doubt is
// unusual.
func parse(b []byte, line string, maxBody int64) (r request, s state) {
	if begins := min(len(b), len(line)); string(b[:begins]) != line[:begins] {
		return r, unusual
	}
	if len(b) < len(line) {
		return r, partial
	}
	h, rest := headers{length: -1}, b[len(line):]
	for {
		var field []byte
		if field, rest, s = cutLine(rest); s != complete {
			return r, s
		}
		if len(field) == 0 {
			break
		}
		if !h.take(field) {
			return r, unusual
		}
	}
	size := int64(len(b)-len(rest)) + h.length
	switch {
	case h.length < 0 || h.length > maxBody || size > bufferBytes || h.hosts != 1 || h.types != 1:
		return r, unusual
	case int64(len(b)) < size:
		return r, partial
	}
	return request{host: h.host, authorization: h.authorization, body: rest[:h.length], size: int(size)}, complete
}

// cutLine cuts off the next line. One that ends with a bare LF is unusual: net/http
// accepts it as a line.
func cutLine(b []byte) (line, rest []byte, s state) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i < 0:
		return nil, b, partial
	case i == 0 || b[i-1] != '\r':
		return nil, b, unusual
	}
	return b[:i-1], b[i+1:], complete
}

// headers are the header fields that matter.
type headers struct {
	length              int64 // -1: none was read
	hosts, types, auths int
	host, authorization []byte
}

// take reads a header line and reports whether it is plain.
func (h *headers) take(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || !isToken(line[:colon]) {
		return false
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	if !isText(value) {
		return false
	}
	switch {
	case is(name, "content-length"):
		return h.length < 0 && h.readLength(value)
	case is(name, "content-type"):
		h.types++
		return string(value) == "application/json"
	case is(name, "host"):
		h.hosts++
		h.host = value
		return isHost(value)
	case is(name, "authorization"):
		h.auths++
		h.authorization = value
		return h.auths == 1
	case is(name, "origin"), begins(name, "sec-fetch-"):
		return false // from a browser: the handlers of net/http check the page's origin
	case is(name, "connection"):
		return is(value, "keep-alive")
	case is(name, "transfer-encoding"), is(name, "content-encoding"), is(name, "expect"), is(name, "upgrade"),
		is(name, "te"), is(name, "trailer"), is(name, "http2-settings"), is(name, "keep-alive"), is(name, "proxy-connection"),
		is(name, "idempotency-key"):
		return false
	}
	return true
}

// readLength takes one to nine digits.
func (h *headers) readLength(value []byte) bool {
	if len(value) == 0 || len(value) > 9 {
		return false
	}
	h.length = 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		h.length = 10*h.length + int64(c-'0')
	}
	return true
}

// is compares without regard to case; word is in lower case.
func is(text []byte, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// begins reports whether a text starts with a word, which is in lower case.
func begins(text []byte, word string) bool {
	return len(text) >= len(word) && is(text[:len(word)], word)
}

// isToken reports whether a name has letters, digits and hyphens only. Other characters
// are legal, and rare.
func isToken(name []byte) bool {
	for _, c := range name {
		if !isAlphanumeric(c) && c != '-' {
			return false
		}
	}
	return true
}

// isText reports whether a value has no control characters but tabs.
func isText(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost reports whether a value can be a name or an address, with or without a port.
func isHost(value []byte) bool {
	for _, c := range value {
		if !isAlphanumeric(c) && c != '.' && c != ':' && c != '-' && c != '[' && c != ']' && c != '_' {
			return false
		}
	}
	return len(value) > 0
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
