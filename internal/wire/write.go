package wire

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The values of headers that all answers share. net/http reads such a slice and
// replaces it, but never writes into it.
var (
	jsonType = []string{"application/json; charset=utf-8"}
	noStore  = []string{"no-store"}
	nosniff  = []string{"nosniff"}
	decimals = smallDecimals()
)

func smallDecimals() (table [1024][]string) {
	for n := range table {
		table[n] = []string{strconv.Itoa(n)}
	}
	return table
}

// decimal gives a number, which is not negative, as the value of a header.
func decimal(n int64) []string {
	if n < int64(len(decimals)) {
		return decimals[n]
	}
	return []string{strconv.FormatInt(n, 10)}
}

// buffers are for answers that are written and done with at once.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is how large a buffer may be that is kept.
const maxBuffer = 4 << 10

func release(buf *[]byte) {
	if cap(*buf) <= maxBuffer {
		buffers.Put(buf)
	}
}

// WriteError answers a request with err. Every failure of every route of the
// gateway goes through here, so each has the same shape.
func WriteError(w http.ResponseWriter, err error) {
	e := ErrorOf(err)
	if e.RetryAfter > 0 {
		w.Header()["Retry-After"] = decimal(wholeSeconds(e.RetryAfter))
	}
	buf := buffers.Get().(*[]byte)
	*buf = append(e.appendJSON(append((*buf)[:0], `{"error":`...)), '}')
	write(w, e.Status, *buf)
	release(buf)
}

// WriteAnswer answers POST /internal/send with 200. It writes what WriteJSON
// would, for less.
func WriteAnswer(w http.ResponseWriter, a SendAnswer) {
	buf := buffers.Get().(*[]byte)
	*buf = a.AppendJSON((*buf)[:0])
	write(w, http.StatusOK, *buf)
	release(buf)
}

// WriteJSON answers a request with v; if that cannot be written as JSON, with
// what [WriteError] makes of it.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		WriteError(w, err)
		return
	}
	write(w, status, body)
}

// write sends an answer. The error of the write is dropped: it means that the
// caller has left, and nobody else can be told.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	NoSniff(h)
	h["Content-Type"], h["Cache-Control"], h["Content-Length"] = jsonType, noStore, decimal(int64(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// NoSniff has browsers take an answer for what its Content-Type says: text that
// somebody else chose must not become a script or a page.
func NoSniff(h http.Header) { h["X-Content-Type-Options"] = nosniff }

// RetryAfter renders d for a Retry-After header: whole seconds, at least one.
func RetryAfter(d time.Duration) string { return decimal(wholeSeconds(d))[0] }

func wholeSeconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }
