package gateway

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"sluice/internal/wire"
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
	// Not every connection has deadlines: a caller in this process has none.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
	body := http.MaxBytesReader(w, r.Body, limit)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, errRead
		}
		return http.MaxBytesReader(w, unpacked, limit), nil
	}
	return nil, errMediaType
}

// readBody reads the JSON body of a request.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, err := mediaType(r); err != nil || kind != typeJSON {
		return nil, errMediaType
	}
	body, err := openBody(w, r, g.opts.MaxBody)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	return data, bodyError(err)
}

func bodyError(err error) error {
	if err == nil {
		return nil
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return errTooLarge
	}
	return errRead
}
