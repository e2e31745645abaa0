package bench

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"testing"
)

func TestRequestIsWhatABrowserSends(t *testing.T) {
	t.Parallel()
	d, err := endpointAt("http://127.0.0.1:8080/base/", "bench:a b")
	if err != nil {
		t.Fatal(err)
	}
	text := d.appendRequest(nil, 17)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	query := r.URL.Query()
	if r.URL.Path != "/base/bench/stream" || query.Get("id") != "17" || query.Get("topic") != "bench:a b" || r.Host != "127.0.0.1:8080" {
		t.Errorf("request for %s at %s", r.URL, r.Host)
	}
	if got := r.Header.Get("Accept"); got != "text/event-stream" {
		t.Errorf("Accept: %s", got)
	}
	if len(text) < 700 || len(text) > 900 {
		t.Errorf("a request of %d bytes, want some 800", len(text))
	}
	if n := len(r.Header.Get("Cookie")); n < 50 || n > 60 {
		t.Errorf("a cookie of %d bytes, want some 55", n)
	}
	for _, name := range []string{"Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "User-Agent", "Referer", "Accept-Language", "X-Forwarded-For"} {
		if r.Header.Get(name) == "" {
			t.Errorf("no header %s", name)
		}
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		t.Errorf("a newcomer has Last-Event-ID %q", id)
	}
	back := d
	back.LastIDs = []string{"a", "b", "c"}
	if again, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(back.appendRequest(nil, 17)))); err != nil || again.Header.Get("Last-Event-ID") != "c" {
		t.Errorf("one that comes back: %v, error %v", again, err)
	}
	other := d.appendRequest(nil, 17)
	if bytes.Equal(text, other) {
		t.Error("two clients have the same cookie")
	}
}

func TestTopicsOfStreams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		topic string
		each  bool
		want  string
	}{
		{"", false, ""}, {"", true, ""}, {"bench:1", false, "bench:1"}, {"bench:1", true, "bench:1-17"},
	} {
		if got := (endpoint{Topic: tt.topic, Each: tt.each}).topicOf(17); got != tt.want {
			t.Errorf("topic of stream 17 of %q, each %v: %q, want %q", tt.topic, tt.each, got, tt.want)
		}
	}
}

func TestParseHead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		head        string
		chunked, ok bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked", true, true},
		{"HTTP/1.1 200\r\ncontent-type: text/event-stream; charset=utf-8\r\nConnection: close", false, true},
		{"HTTP/1.1 200 OK\r\nContent-Type: text/html", false, false},
		{"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/event-stream", false, false},
		{"HTTP/1.1 204 No Content", false, false},
		{"nonsense", false, false},
		{"", false, false},
	} {
		chunked, err := parseHead([]byte(tt.head))
		if chunked != tt.chunked && tt.ok || (err == nil) != tt.ok {
			t.Errorf("parseHead(%q) = %v, %v; want %v, ok %v", tt.head, chunked, err, tt.chunked, tt.ok)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nbody")
	f.Fuzz(func(t *testing.T, text string) {
		end, body := headEnd([]byte(text))
		if end < 0 {
			return
		}
		if body < end || body > len(text) {
			t.Fatalf("headEnd = %d, %d of %d", end, body, len(text))
		}
		_, _ = parseHead([]byte(text[:end]))
	})
}

// A client address has fewer streams than ports, and is of the loopback
// network only if the gateway is.
func TestSource(t *testing.T) {
	t.Parallel()
	count := make(map[string]int)
	for id := range max(maxStreams, maxCount) {
		ip := source(net.IPv4(127, 0, 0, 1), [2]byte{7, 8}, id)
		if !ip.IsLoopback() {
			t.Fatalf("stream %d comes from %v", id, ip)
		}
		count[ip.String()]++
	}
	for ip, n := range count {
		if n > streamsOfAddress {
			t.Errorf("%d streams come from %s", n, ip)
		}
	}
	if ip := source(net.IPv4(192, 0, 2, 1), [2]byte{7, 8}, 1); ip != nil {
		t.Errorf("source for a remote gateway = %v, want the machine's own", ip)
	}
	if ip := source(net.IPv6loopback, [2]byte{7, 8}, 1); ip != nil {
		t.Errorf("source for ::1 = %v, want the machine's own", ip)
	}
}
