package backend

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"tidegate/internal/wire"
)

// maxRequestBytes bounds the body of a REST request.
const maxRequestBytes = 1 << 20

// maxEchoBytes bounds what an error repeats of a request.
const maxEchoBytes = 2048

// Refusals of a body that is not parsed.
var (
	errMediaType = &answerableError{status: http.StatusUnsupportedMediaType, Message: "Content-Type must be application/json"}
	errNotObject = badRequest("Body must be a JSON object")
)

// isJSON reports whether a Content-Type is JSON.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// strictness decides about unknown fields.
type strictness int

const (
	refuseUnknown strictness = iota // an unknown field is a mistake
	ignoreUnknown                   // for requests of programs written for the replaced service
)

// readBody decodes the JSON object that a request carries into v. Its errors are
// answerable.
func readBody(w http.ResponseWriter, r *http.Request, v any, unknown strictness) error {
	if !isJSON(r.Header.Get("Content-Type")) {
		return errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errBodyTooLarge
	}
	if e := bounded(err); e != nil {
		return e
	}
	if err != nil || !json.Valid(body) {
		return errInvalidJSON
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return errNotObject
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if unknown == refuseUnknown {
		decoder.DisallowUnknownFields()
	}
	return bodyError(decoder.Decode(v))
}

// bounded returns the answer to a body that a limit of the listener has cut off, or nil.
func bounded(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &answerableError{status: e.Status, Message: e.Message, Code: e.Code}
	}
	return nil
}

// bodyError turns an error of encoding/json into one for the caller.
func bodyError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field[strings.LastIndexByte(e.Field, '.')+1:] // without the names of embedded structs
		return badRequest("Field %s must be a %s", field, e.Type.Kind())
	}
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return badRequest("Unknown field: %s", cut(strings.Trim(field, `"`), maxEchoBytes))
	}
	return errInvalidJSON
}
