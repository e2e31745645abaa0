package express

import "bytes"

// request is one that was taken. Its parts lie in the buffer.
type request struct {
	host          []byte
	authorization []byte
	body          []byte
	size          int // of all of it
}

// state is what is to be done with bytes.
type state int

const (
	whole   state = iota // a request that is taken
	partial              // it may become one
	foreign              // it is net/http's
)

// parse looks for a plain request at the beginning of b, with this request line
// and its CRLF. What it takes, net/http would read the same way (RFC 9112);
// whatever it is not sure of is foreign.
func parse(b []byte, line string, maxBody int64) (r request, s state) {
	if begins := min(len(b), len(line)); string(b[:begins]) != line[:begins] {
		return r, foreign
	}
	if len(b) < len(line) {
		return r, partial
	}
	h, rest := headers{length: -1}, b[len(line):]
	for {
		var field []byte
		if field, rest, s = cutLine(rest); s != whole {
			return r, s
		}
		if len(field) == 0 {
			break
		}
		if !h.take(field) {
			return r, foreign
		}
	}
	size := int64(len(b)-len(rest)) + h.length
	switch {
	case h.length < 0 || h.length > maxBody || size > bufferBytes || h.hosts != 1 || h.types != 1:
		return r, foreign
	case int64(len(b)) < size:
		return r, partial
	}
	return request{host: h.host, authorization: h.authorization, body: rest[:h.length], size: int(size)}, whole
}

// cutLine cuts the next line off. One that ends with a bare LF is foreign: for
// net/http it is a line as well.
func cutLine(b []byte) (line, rest []byte, s state) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i < 0:
		return nil, b, partial
	case i == 0 || b[i-1] != '\r':
		return nil, b, foreign
	}
	return b[:i-1], b[i+1:], whole
}

// headers are those that matter.
type headers struct {
	length              int64 // -1: none has come
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
		return false // a browser's: net/http has who looks where its page is from
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

// is compares without regard to the case of letters; word is in lower case.
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

// begins says whether a text begins with a word, which is in lower case.
func begins(text []byte, word string) bool {
	return len(text) >= len(word) && is(text[:len(word)], word)
}

// isToken says whether all of it is of letters, digits and hyphens: names of
// other characters are legal, and rare.
func isToken(name []byte) bool {
	for _, c := range name {
		if !isAlphanumeric(c) && c != '-' {
			return false
		}
	}
	return true
}

// isText says whether a value has no control characters but tabs.
func isText(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost says whether a Host is a name or an address with or without a port.
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
