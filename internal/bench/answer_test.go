package bench

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		status     int
		closing    bool
		body       string
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Type: a\r\ncontent-length: 3\r\n\r\nabc", 200, false, "abc"},
		{"no reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, false, ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n", 200, false, "abc"},
		{"close", "HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 503, true, "x"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", 200, true, ""},
	} {
		in := bufio.NewReader(strings.NewReader(tt.text + "next"))
		status, closing, body, err := readAnswer(in, []byte("old")[:0])
		if err != nil || status != tt.status || closing != tt.closing || string(body) != tt.body {
			t.Errorf("%s: %d, closing %v, %q, %v; want %d, %v, %q", tt.name, status, closing, body, err, tt.status, tt.closing, tt.body)
		}
		if rest, _ := in.Peek(4); string(rest) != "next" {
			t.Errorf("%s: %q comes next, want what is behind the answer", tt.name, rest)
		}
	}
}

func TestReadAnswerRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxAnswerLines+1) + "\r\n",
		"HTTP/1.1 200 " + strings.Repeat("x", 1<<20),
	} {
		if status, _, body, err := readAnswer(bufio.NewReader(strings.NewReader(text)), nil); err == nil {
			t.Errorf("readAnswer(%.60q) = %d, %q, want an error", text, status, body)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, body, err := readAnswer(bufio.NewReader(bytes.NewReader(text)), nil)
		if err == nil && len(body) > len(text) {
			t.Errorf("a body of %d bytes out of %d", len(body), len(text))
		}
	})
}

func TestSenderPostsOverOneConnection(t *testing.T) {
	t.Parallel()
	from := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from <- r.RemoteAddr
		if r.Method != http.MethodPost || r.URL.Path != "/base/internal/send" || r.Header.Get("Authorization") != "Bearer s3" {
			w.WriteHeader(http.StatusTeapot)
		}
		if _, err := w.Write([]byte(r.Header.Get("Content-Type"))); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	a, err := apiAt(server.URL+"/base/", "s3")
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, mediaType := range []string{typeJSON, typeNDJSON} {
		if answer, err := s.post(sendPath, mediaType, []byte("{}")); err != nil || string(answer) != mediaType {
			t.Errorf("post = %q, %v, want %q", answer, err, mediaType)
		}
	}
	if _, err := s.post("/elsewhere", typeJSON, nil); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("post to a wrong path: error %v, want one with the status", err)
	}
	if a, b, c := <-from, <-from, <-from; a != b || b != c {
		t.Errorf("requests came from %s, %s and %s, want one connection", a, b, c)
	}
}

func TestAllTaken(t *testing.T) {
	t.Parallel()
	const good, bad = `{"status":"ok","code":200}` + "\n", `{"code":503,"error":{"code":"BUFFER_FULL"}}` + "\n"
	for _, tt := range []struct {
		answer string
		ok     bool
	}{
		{good + good, true}, {good, false}, {good + good + good, false}, {good + bad, false}, {"<html>", false}, {"", false},
	} {
		if err := allTaken([]byte(tt.answer), 2); (err == nil) != tt.ok {
			t.Errorf("allTaken(%q, 2) = %v, want ok %v", tt.answer, err, tt.ok)
		}
	}
}
