package wire

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The values of headers that all answers share. net/http reads or replaces such a slice, but never
// writes into it.
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

// decimal returns a number, which is not negative, as the value of a header.
func decimal(n int64) []string {
	if n < int64(len(decimals)) {
		return decimals[n]
	}
	return []string{strconv.FormatInt(n, 10)}
}

// buffers are scratch buffers for answers.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the size above which a buffer is not reused.
const maxBuffer = 4 << 10

func release(buf *[]byte) {
	if cap(*buf) <= maxBuffer {
		buffers.Put(buf)
	}
}

// WriteError answers a request with err. Every failure of the gateway goes through here, so all have
// the same form.
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

// WriteAnswer answers POST /internal/send with 200. It writes the same bytes as WriteJSON, with fewer
// allocations.
func WriteAnswer(w http.ResponseWriter, a SendAnswer) {
	buf := buffers.Get().(*[]byte)
	*buf = a.AppendJSON((*buf)[:0])
	write(w, http.StatusOK, *buf)
	release(buf)
}

// WriteJSON answers a request with v. If v cannot be encoded, it answers with [WriteError].
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		WriteError(w, err)
		return
	}
	write(w, status, body)
}

// write sends an answer. It drops the error of the write: the caller has left.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	NoSniff(h)
	h["Content-Type"], h["Cache-Control"], h["Content-Length"] = jsonType, noStore, decimal(int64(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// NoSniff makes browsers trust the Content-Type: text of others must not become a script or a page.
func NoSniff(h http.Header) { h["X-Content-Type-Options"] = nosniff }

// RetryAfter formats d for a Retry-After header: whole seconds, at least one.
func RetryAfter(d time.Duration) string { return decimal(wholeSeconds(d))[0] }

func wholeSeconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }
