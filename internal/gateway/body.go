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

	// maxBodyTime is how long a caller may take to send a body.
	maxBodyTime = 30 * time.Second
)

var (
	errMediaType = wire.Errorf(http.StatusUnsupportedMediaType, wire.CodeMediaType,
		"Unsupported media type: send application/json or application/x-ndjson, UTF-8, plain or gzip")
	errTooLarge = wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge,
		"Body too large: see --max-body and --max-batch")
	errRead = wire.Errorf(http.StatusBadRequest, wire.CodeJSON, "Invalid request: the body could not be read")
)

// mediaType returns the type of a request's body, or errMediaType.
func mediaType(r *http.Request) (string, error) {
	if kind := r.Header.Get("Content-Type"); kind == typeJSON || kind == typeNDJSON {
		return kind, nil // the usual case
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

// openBody returns a request's body, decompressed. At most limit bytes can be read: of
// what comes in, and of what it decompresses to.
func openBody(w http.ResponseWriter, r *http.Request, limit int64) (io.ReadCloser, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	if _, bounded := r.Body.(interface{ Count(n int64) error }); !bounded { // by the listener already
		// A caller in this process has no connection, and so no deadline.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxBodyTime))
	}
	coding := r.Header.Get("Content-Encoding")
	if plain := coding == "" || coding == "identity"; plain && r.ContentLength >= 0 {
		return r.Body, nil // net/http reads no more than the Content-Length
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

// counted counts the bytes that a body decompresses to like the body's own, if the
// listener bounds how many are in memory.
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

// requestBuffer is what one request is read into and parsed with. Parsed messages
// point into it: they are invalid once it is put back.
type requestBuffer struct {
	body   bytes.Buffer
	parser wire.Parser
}

var requestBuffers = sync.Pool{New: func() any { return new(requestBuffer) }}

// keptBody is the largest buffer that is reused.
const keptBody = 64 << 10

func (in *requestBuffer) putBack() {
	if in.body.Cap() <= keptBody {
		in.body.Reset()
		requestBuffers.Put(in)
	}
}

// readBody reads the JSON body of a request. The result is valid until the
// buffer is put back.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, in *requestBuffer) ([]byte, error) {
	if kind, err := mediaType(r); err != nil || kind != typeJSON {
		return nil, errMediaType
	}
	body, err := openBody(w, r, g.opts.MaxBody)
	if err != nil {
		return nil, err
	}
	if n := r.ContentLength; n > 0 { // the announced bytes may never come
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
		return e // one of the listener's limits
	}
	return errRead
}
