package gateway

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"tidegate/internal/wire"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"

	// bodyPatience is how long a caller may take to send a body.
	bodyPatience = 30 * time.Second
)

var (
	errMediaType = wire.Errorf(http.StatusUnsupportedMediaType, wire.CodeMediaType,
		"Unsupported media type: send application/json or application/x-ndjson, UTF-8, plain or gzip")
	errTooLarge = wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge,
		"Body too large: see --max-body and --max-batch")
	errRead = wire.Errorf(http.StatusBadRequest, wire.CodeJSON, "Invalid request: the body could not be read")
)

// mediaType gives the type of a request's body, or errMediaType.
func mediaType(r *http.Request) (string, error) {
	if kind := r.Header.Get("Content-Type"); kind == typeJSON || kind == typeNDJSON {
		return kind, nil // nearly all
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeJSON && kind != typeNDJSON {
		return "", errMediaType
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", errMediaType
	}
	return kind, nil
}

// open gives a request's body, unpacked, of which at most limit bytes can be
// read; both what comes in and what it unpacks to are bounded.
func openBody(w http.ResponseWriter, r *http.Request, limit int64) (io.ReadCloser, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	if _, bounded := r.Body.(interface{ Count(n int64) error }); !bounded { // by the listener
		// Not every connection has deadlines: a caller in this process has none.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
	}
	coding := r.Header.Get("Content-Encoding")
	if plain := coding == "" || coding == "identity"; plain && r.ContentLength >= 0 {
		return r.Body, nil // net/http sees to it that there is no more than announced
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	switch coding {
	case "", "identity":
		return body, nil
	case "gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, errRead
		}
		return http.MaxBytesReader(w, counted(r.Body, unpacked), limit), nil
	}
	return nil, errMediaType
}

// counted is a reader of what a body unpacks to. The bytes count as the body's own
// do, where the listener bounds how many are under way.
func counted(body io.Reader, unpacked io.ReadCloser) io.ReadCloser {
	if c, ok := body.(interface{ Count(n int64) error }); ok {
		return countingReader{unpacked, c.Count}
	}
	return unpacked
}

type countingReader struct {
	io.ReadCloser
	count func(n int64) error
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if countErr := r.count(int64(n)); countErr != nil {
		return 0, countErr
	}
	return n, err
}

// inbox is what one request is read into, and taken apart with. What was parsed
// of it is gone when it is put back.
type inbox struct {
	body   bytes.Buffer
	parser wire.Parser
}

var inboxes = sync.Pool{New: func() any { return new(inbox) }}

// keptBody is how large a buffer may be to be kept for the next request.
const keptBody = 64 << 10

func (in *inbox) putBack() {
	if in.body.Cap() <= keptBody {
		in.body.Reset()
		inboxes.Put(in)
	}
}

// readBody reads the JSON body of a request. What it gives is valid until the
// inbox is put back.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, in *inbox) ([]byte, error) {
	if kind, err := mediaType(r); err != nil || kind != typeJSON {
		return nil, errMediaType
	}
	body, err := openBody(w, r, g.opts.MaxBody)
	if err != nil {
		return nil, err
	}
	if n := r.ContentLength; n > 0 { // what is announced may never come
		in.body.Grow(int(min(n, keptBody)) + bytes.MinRead)
	}
	_, err = in.body.ReadFrom(body)
	return in.body.Bytes(), bodyError(err)
}

func bodyError(err error) error {
	if err == nil {
		return nil
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return errTooLarge
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e // a limit of the listener
	}
	return errRead
}
