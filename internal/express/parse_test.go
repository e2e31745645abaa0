package express

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const (
	testTarget = "/internal/send"
	testLine   = "POST " + testTarget + " HTTP/1.1\r\n"
	testMax    = 1 << 20
)

// plain is a request that is taken, with further headers.
func plain(body string, headers ...string) string {
	head := []string{"Host: tidegate", "Content-Type: application/json", "Content-Length: " + strconv.Itoa(len(body))}
	return testLine + strings.Join(append(head, headers...), "\r\n") + "\r\n\r\n" + body
}

var taken = map[string]string{
	"no more than needed": plain(`{"a":1}`),
	"no body":             plain(""),
	"all that clients send": plain(`{"a":1}`, "User-Agent: x/1 (y; z)", "Accept: */*", "Accept-Encoding: gzip, br", "authorization: Bearer a.b",
		"CONNECTION: Keep-Alive", "X-Empty:", "X-Odd: \t\"ä\"\t", "traceparent: 00-ab-cd-01"),
	"no blanks":        testLine + "host:[::1]:80\r\ncontent-type:application/json\r\ncontent-length:02\r\n\r\n{}",
	"blanks all round": testLine + "Host:  a.b \t\r\nContent-Type:\tapplication/json \r\nContent-Length:   2  \r\n\r\n{}",
}

func TestPlainRequestsAreTaken(t *testing.T) {
	t.Parallel()
	for name, text := range taken {
		r, s := parse([]byte(text+"POST"), testLine, testMax)
		if s != complete || r.size != len(text) {
			t.Errorf("%s: parse = %v with %d bytes, want it whole with %d", name, s, r.size, len(text))
		}
		agree(t, text, r)
	}
	if r, _ := parse([]byte(taken["all that clients send"]), testLine, testMax); string(r.authorization) != "Bearer a.b" {
		t.Errorf("authorization = %q", r.authorization)
	}
}

func TestEveryBeginningOfAPlainRequestIsPartial(t *testing.T) {
	t.Parallel()
	for name, text := range taken {
		for n := range len(text) {
			if _, s := parse([]byte(text[:n]), testLine, testMax); s != partial {
				t.Errorf("%s: parse of the first %d bytes = %v, want partial", name, n, s)
			}
		}
	}
}

func TestUnusualRequestsAreForeign(t *testing.T) {
	t.Parallel()
	ok := plain("{}")
	for name, text := range map[string]string{
		"another method":           strings.Replace(ok, "POST", "PUT", 1),
		"lower-case method":        strings.Replace(ok, "POST", "post", 1),
		"another target":           strings.Replace(ok, testTarget, "/internal/sent", 1),
		"longer target":            strings.Replace(ok, testTarget, testTarget+"/", 1),
		"query":                    strings.Replace(ok, testTarget, testTarget+"?a", 1),
		"absolute target":          strings.Replace(ok, testTarget, "http://tidegate"+testTarget, 1),
		"HTTP/1.0":                 strings.Replace(ok, "1.1", "1.0", 1),
		"HTTP/1.10":                strings.Replace(ok, "1.1", "1.10", 1),
		"two blanks":               strings.Replace(ok, "POST ", "POST  ", 1),
		"leading CRLF":             "\r\n" + ok,
		"leading blank":            " " + ok,
		"HTTP/2":                   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"TLS":                      "\x16\x03\x01",
		"bare LF in request line":  strings.Replace(ok, "1.1\r\n", "1.1\n", 1),
		"bare LFs":                 strings.ReplaceAll(ok, "\r\n", "\n"),
		"bare LF after a header":   strings.Replace(ok, "tidegate\r\n", "tidegate\n", 1),
		"bare LF before the body":  strings.Replace(ok, "\r\n\r\n", "\r\n\n", 1),
		"bare CR in a value":       plain("{}", "X: a\rb"),
		"CRCRLF":                   plain("{}", "X: a\r"),
		"NUL in a value":           plain("{}", "X: a\x00b"),
		"DEL in a value":           plain("{}", "X: a\x7fb"),
		"NUL in a name":            plain("{}", "X\x00: a"),
		"name of no letters":       plain("{}", "X_Y: a"),
		"blank before the colon":   plain("{}", "X : a"),
		"no colon":                 plain("{}", "X"),
		"no name":                  plain("{}", ": a"),
		"folded header":            plain("{}", "X: a", " b: c"),
		"header folded with a tab": plain("{}", "X: a", "\tb"),
		"folded at the beginning":  strings.Replace(ok, "Host", " Host", 1),
		"no Host":                  strings.Replace(ok, "Host: tidegate\r\n", "", 1),
		"empty Host":               strings.Replace(ok, "tidegate", "", 1),
		"two Hosts":                plain("{}", "host: tidegate"),
		"Host of a path":           strings.Replace(ok, "tidegate", "a/b", 1),
		"Host of a user":           strings.Replace(ok, "tidegate", "a@b", 1),
		"no Content-Type":          strings.Replace(ok, "Content-Type: application/json\r\n", "", 1),
		"two Content-Types":        plain("{}", "Content-Type: application/json"),
		"NDJSON":                   strings.Replace(ok, "/json", "/x-ndjson", 1),
		"no Content-Length":        strings.Replace(ok, "Content-Length: 2\r\n", "", 1),
		"two Content-Lengths":      plain("{}", "Content-Length: 2"),
		"Content-Length of a sign": strings.Replace(ok, ": 2", ": +2", 1),
		"negative Content-Length":  strings.Replace(ok, ": 2", ": -2", 1),
		"hexadecimal length":       strings.Replace(ok, ": 2", ": 0x2", 1),
		"empty Content-Length":     strings.Replace(ok, ": 2", ": ", 1),
		"list of lengths":          strings.Replace(ok, ": 2", ": 2, 2", 1),
		"enormous length":          strings.Replace(ok, ": 2", ": 18446744073709551618", 1),
		"larger than may be":       strings.Replace(ok, ": 2", ": 1048577", 1),
		"larger than the buffer":   strings.Replace(ok, ": 2", ": 8100", 1),
		"chunked":                  plain("{}", "Transfer-Encoding: chunked"),
		"identity":                 plain("{}", "transfer-encoding: identity"),
		"gzip":                     plain("{}", "Content-Encoding: gzip"),
		"100-continue":             plain("{}", "Expect: 100-continue"),
		"Connection: close":        plain("{}", "Connection: close"),
		"Connection: upgrade":      plain("{}", "Connection: upgrade", "Upgrade: h2c"),
		"X45: an idempotency key":  plain("{}", "idempotency-KEY: k"),
		"trailers":                 plain("{}", "Trailer: X"),
		"X02 Origin":               plain("{}", "Origin: http://evil.example"),
		"X02 Origin null":          plain("{}", "oRIGIN:null"),
		"X02 empty Origin":         plain("{}", "Origin:"),
		"X02 Sec-Fetch-Site":       plain("{}", "Sec-Fetch-Site: cross-site"),
		"X02 Sec-Fetch-Mode":       plain("{}", "SEC-FETCH-MODE: cors"),
		"two Authorizations":       plain("{}", "Authorization: a", "Authorization: b"),
		"an empty one and another": plain("{}", "Authorization: ", "Authorization: b"),
	} {
		if r, s := parse([]byte(text), testLine, testMax); s != unusual {
			t.Errorf("%s: parse = %v %q, want unusual", name, s, r.body)
		}
	}
}

func TestAnUnusualRequestIsForeignAtItsFirstOddLine(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"G", "\n", "POST /internal/send HTTP/1.1\n", "GET / HTTP/1.1\n", testLine + "A: b\n", testLine + "\n"} {
		if _, s := parse([]byte(text), testLine, testMax); s != unusual {
			t.Errorf("parse(%q) = %v, want unusual: net/http would not wait for more", text, s)
		}
	}
}

// agree fails unless net/http reads a request that was taken the same way.
func agree(t *testing.T, text string, r request) {
	t.Helper()
	from := bytes.NewReader([]byte(text))
	buffered := bufio.NewReader(from)
	req, err := http.ReadRequest(buffered)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", text, err)
	}
	body, err := io.ReadAll(req.Body)
	consumed := len(text) - from.Len() - buffered.Buffered()
	switch {
	case err != nil || !bytes.Equal(body, r.body):
		t.Errorf("the body of %q is %q for net/http (%v), %q here", text, body, err, r.body)
	case consumed != r.size:
		t.Errorf("%q is %d bytes for net/http, %d here", text, consumed, r.size)
	case req.Method != "POST" || req.RequestURI != testTarget || req.Proto != "HTTP/1.1":
		t.Errorf("%q is %s %s %s", text, req.Method, req.RequestURI, req.Proto)
	case req.Host == "" || req.Close || req.TransferEncoding != nil || req.ContentLength != int64(len(r.body)):
		t.Errorf("%q: Host %q, close %v, encoded %v, length %d", text, req.Host, req.Close, req.TransferEncoding, req.ContentLength)
	case len(req.Header["Content-Type"]) != 1 || req.Header.Get("Content-Type") != "application/json":
		t.Errorf("%q is of type %q", text, req.Header["Content-Type"])
	case req.Header.Get("Authorization") != string(r.authorization) || len(req.Header["Authorization"]) > 1:
		t.Errorf("%q has Authorization %q for net/http, %q here", text, req.Header["Authorization"], r.authorization)
	}
	for _, name := range []string{"Expect", "Content-Encoding", "Transfer-Encoding", "Upgrade", "Te", "Trailer"} {
		if req.Header[name] != nil {
			t.Errorf("%q was taken with %s", text, name)
		}
	}
	for name, values := range req.Header {
		if strings.ContainsAny(strings.Join(values, ""), "\x00\r\n\x7f") || name == "" {
			t.Errorf("%q was taken with the header %q: %q", text, name, values)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range taken {
		f.Add([]byte(text))
		f.Add([]byte(text + text))
	}
	for _, headers := range []string{"X: a\rb", "X : a", " X: a", "Content-Length: 2", "Transfer-Encoding: chunked", "Host: b", "Authorization:\r\nAuthorization: x", "X: a\n"} {
		f.Add([]byte(plain("{}", headers)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, s := parse(b, testLine, testMax)
		if s != complete {
			return
		}
		agree(t, string(b), r)
		for n := range r.size {
			if _, s := parse(b[:n], testLine, testMax); s != partial {
				t.Fatalf("%q is taken, its first %d bytes are %v", b, n, s)
			}
		}
	})
}
