package main

import (
	"bytes"
	"errors"
)

// request is the head of an HTTP/1.1 request, as far as this program needs it. Its slices
// point into the parsed text.
type request struct {
	method, target []byte
	length         int  // of the body, in bytes
	ndjson         bool // Content-Type: application/x-ndjson
}

const (
	maxHead = 16 << 10
	maxBody = 32 << 20
)

var errRequest = errors.New("unsupported request")

var (
	blankLine     = []byte("\r\n\r\n")
	lineEnd       = []byte("\r\n")
	colon         = []byte(":")
	space         = []byte(" ")
	version       = []byte("HTTP/1.1")
	contentLength = []byte("Content-Length")
	contentType   = []byte("Content-Type")
	transferCode  = []byte("Transfer-Encoding")
	ndjson        = []byte("application/x-ndjson")
)

// parseRequest parses the request head at the start of p. size is the length of the head
// with its blank line, or 0 if the head is not complete. Chunked bodies are an error.
func parseRequest(p []byte) (r request, size int, err error) {
	end := bytes.Index(p[:min(len(p), maxHead)], blankLine)
	if end < 0 {
		if len(p) >= maxHead {
			err = errRequest
		}
		return r, 0, err
	}
	line, fields, _ := bytes.Cut(p[:end], lineEnd)
	method, line, ok := bytes.Cut(line, space)
	target, protocol, ok2 := bytes.Cut(line, space)
	if !ok || !ok2 || len(method) == 0 || len(target) == 0 || !bytes.Equal(protocol, version) {
		return r, 0, errRequest
	}
	r.method, r.target = method, target
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, lineEnd)
		if !r.field(line) {
			return r, 0, errRequest
		}
	}
	return r, end + len(blankLine), nil
}

// field parses one header line and reports whether the request can be served.
func (r *request) field(line []byte) bool {
	name, value, ok := bytes.Cut(line, colon)
	if !ok || len(name) == 0 || bytes.IndexByte(value, '\n') >= 0 { // a bare LF could hide a header
		return false
	}
	switch len(name) { // the length excludes most headers
	case len(contentLength):
		if bytes.EqualFold(name, contentLength) {
			r.length, ok = parseLength(bytes.TrimSpace(value))
		}
	case len(contentType):
		if bytes.EqualFold(name, contentType) {
			kind, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(";"))
			r.ndjson = bytes.EqualFold(kind, ndjson)
		}
	case len(transferCode):
		ok = !bytes.EqualFold(name, transferCode)
	}
	return ok
}

func parseLength(digits []byte) (n int, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n > maxBody {
			return 0, false
		}
	}
	return n, len(digits) > 0
}
