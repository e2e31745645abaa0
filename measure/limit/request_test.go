package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const streamRequest = "GET /bench/stream?id=7&topic=a HTTP/1.1\r\nHost: 127.0.0.1:1\r\nCookie: session=0; theme=dark\r\nAccept: text/event-stream\r\n\r\n"

func TestParseRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     request
	}{
		{"a stream", streamRequest, request{method: []byte("GET"), target: []byte("/bench/stream?id=7&topic=a")}},
		{"no headers", "GET / HTTP/1.1\r\n\r\n", request{method: []byte("GET"), target: []byte("/")}},
		{"a message", "POST /internal/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n",
			request{method: []byte("POST"), target: []byte("/internal/send"), length: 12}},
		{"lines, in other spelling", "POST /internal/send HTTP/1.1\r\ncontent-type:Application/X-NDJSON; charset=utf-8\r\nCONTENT-LENGTH:  0 \r\n\r\n",
			request{method: []byte("POST"), target: []byte("/internal/send"), ndjson: true}},
	} {
		got, size, err := parseRequest([]byte(c.in + "next"))
		if err != nil || size != len(c.in) || show(got) != show(c.want) {
			t.Errorf("%s: parseRequest = %s, %d, %v; want %s, %d", c.name, show(got), size, err, show(c.want), len(c.in))
		}
	}
}

func show(r request) string {
	return fmt.Sprintf("{%q %q length %d, ndjson %v}", r.method, r.target, r.length, r.ndjson)
}

func TestARequestInPiecesIsNotCompleteBeforeItsBlankLine(t *testing.T) {
	t.Parallel()
	for n := range len(streamRequest) {
		if _, size, err := parseRequest([]byte(streamRequest[:n])); size != 0 || err != nil {
			t.Fatalf("parseRequest(%q) = %d, %v; want 0, nil", streamRequest[:n], size, err)
		}
	}
}

func TestParseRequestRejects(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"no target":         "GET HTTP/1.1\r\n\r\n",
		"an empty method":   " / HTTP/1.1\r\n\r\n",
		"HTTP/1.0":          "GET / HTTP/1.0\r\n\r\n",
		"TLS":               "\x16\x03\x01\x02\x00\r\n\r\n",
		"no header":         "GET / HTTP/1.1\r\nnothing\r\n\r\n",
		"a header unnamed":  "GET / HTTP/1.1\r\n: x\r\n\r\n",
		"a bare line feed":  "GET / HTTP/1.1\r\nX: \nContent-Length: 1\r\n\r\n",
		"a chunked body":    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"no length":         "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
		"a negative length": "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"a long length":     "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"a long head":       "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", maxHead),
	} {
		if r, size, err := parseRequest([]byte(in)); err == nil {
			t.Errorf("%s: parseRequest = %s, %d; want an error", name, show(r), size)
		}
	}
}

// FuzzParseRequest: a request that net/http accepts too must mean the same to both.
func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(streamRequest))
	f.Add([]byte("POST /internal/send HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, size, err := parseRequest(in)
		if err != nil || size == 0 {
			return
		}
		if size > len(in) || size > maxHead || r.length < 0 || r.length > maxBody {
			t.Fatalf("parseRequest(%q) = %s, %d: out of bounds", in, show(r), size)
		}
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return // stricter than we are
		}
		defer std.Body.Close()
		if std.Method != string(r.method) || std.RequestURI != string(r.target) {
			t.Fatalf("parseRequest(%q) = %s; net/http has %s %s", in, show(r), std.Method, std.RequestURI)
		}
		if std.ContentLength > 0 && int(std.ContentLength) != r.length {
			t.Fatalf("parseRequest(%q) = %s; net/http has a length of %d", in, show(r), std.ContentLength)
		}
	})
}
