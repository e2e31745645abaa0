package packed_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// reference is the request made the simple way.
func reference(r *http.Request) wire.Request {
	headers := map[string]string{}
	for name, values := range r.Header {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	headers["host"] = r.Host
	return wire.Request{URL: r.RequestURI, Headers: headers, Method: r.Method, RemoteAddr: r.RemoteAddr}
}

func referenceJSON(t *testing.T, request wire.Request) string {
	t.Helper()
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(request); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// check compares all that can be asked of a packed request with r.
func check(t *testing.T, s *packed.Store, p packed.Request, r *http.Request) {
	t.Helper()
	want := reference(r)
	if diff := cmp.Diff(want, s.Unpack(p)); diff != "" {
		t.Errorf("Unpack (-want +got):\n%s", diff)
	}
	if got, want := string(s.AppendJSON([]byte("x"), p)), "x"+referenceJSON(t, want); got != want {
		t.Errorf("AppendJSON:\n got %s\nwant %s", got, want)
	}
	if p.URL() != want.URL || p.Method() != want.Method || p.RemoteAddr() != want.RemoteAddr {
		t.Errorf("URL, Method, RemoteAddr = %q, %q, %q, want %q, %q, %q",
			p.URL(), p.Method(), p.RemoteAddr(), want.URL, want.Method, want.RemoteAddr)
	}
}

// checkEmpty says that the table holds nothing any more.
func checkEmpty(t *testing.T, s *packed.Store) {
	t.Helper()
	if got := s.Stats(); got.Lines != 0 || got.Bytes != 0 {
		t.Errorf("all requests released: Stats = %+v, want no lines and no bytes", got)
	}
}

// browser is what Chromium sends for an EventSource; its cookie and its target
// are those of the nth client. There are 60 versions of it and four languages.
func browser(t testing.TB, n int) *http.Request {
	t.Helper()
	const text = "GET /events/dashboard?session=%016[1]x HTTP/1.1\r\n" +
		"Host: app.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"sec-ch-ua-platform: \"Windows\"\r\n" +
		"User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%[2]d.0.0.0 Safari/537.36\r\n" +
		"Accept: text/event-stream\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"%[2]d\", \"Google Chrome\";v=\"%[2]d\", \"Not_A Brand\";v=\"99\"\r\n" +
		"Cache-Control: no-cache\r\n" +
		"sec-ch-ua-mobile: ?0\r\n" +
		"Sec-Fetch-Site: same-origin\r\n" +
		"Sec-Fetch-Mode: cors\r\n" +
		"Sec-Fetch-Dest: empty\r\n" +
		"Referer: https://app.example.com/dashboard\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: %[3]s\r\n" +
		"Cookie: session=%032[4]x\r\n\r\n"
	languages := []string{"en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9", "pl,en;q=0.7"}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(
		fmt.Sprintf(text, n*7919, 100+n%60, languages[n%len(languages)], n*104729))))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:%d", n>>16&255, n>>8&255, n&255, 1024+n%60000)
	if n%3 == 0 {
		r.Header.Set("Last-Event-ID", fmt.Sprintf("%08x-%d", n, n))
	}
	return r
}
