package express

import (
	"net/http"
	"strconv"
	"time"
)

// answer collects a response, which is written at once.
type answer struct {
	header http.Header
	status int // 0: not set yet
	body   []byte
	out    []byte

	date   []byte // rendered, of second
	second int64
}

func (a *answer) reset() {
	if a.header == nil {
		a.header = make(http.Header, 4)
	}
	clear(a.header)
	a.status, a.body = 0, a.body[:0]
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. The first status counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// render returns the response as it is written. It is valid until the next call.
func (a *answer) render() []byte {
	a.WriteHeader(http.StatusOK) // unless one is set
	out := append(a.out[:0], "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(a.status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(a.status)...)
	out = append(out, "\r\n"...)
	for name, values := range a.header {
		if name == "Content-Length" {
			continue // added below
		}
		for _, value := range values {
			out = append(out, name...)
			out = append(out, ": "...)
			out = append(out, value...)
			out = append(out, "\r\n"...)
		}
	}
	out = append(out, "Date: "...)
	out = append(out, a.now()...)
	out = append(out, "\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(a.body)), 10)
	out = append(out, "\r\n\r\n"...)
	a.out = append(out, a.body...)
	return a.out
}

// now is the time in the format of RFC 9110, section 5.6.7.
func (a *answer) now() []byte {
	if t := time.Now(); t.Unix() != a.second {
		a.second = t.Unix()
		a.date = t.UTC().AppendFormat(a.date[:0], http.TimeFormat)
	}
	return a.date
}
