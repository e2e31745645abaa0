package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrUnreachable is wrapped by the error of a call that got no whole answer. The
// connection was refused or broke, or the time was over. It is then unknown whether the
// gateway did what it was asked.
var ErrUnreachable = errors.New("client: gateway unreachable")

// Code names a failure. Codes are part of the gateway's API: none is ever renamed.
type Code string

// The codes that a caller may want to act on. The gateway has more; its reference
// page of errors lists them all.
const (
	CodeTokenNotFound       Code = "TOKEN_NOT_FOUND"      // 404: the client has left
	CodeTopicNotFound       Code = "TOPIC_NOT_FOUND"      // 404
	CodeTopicClosed         Code = "TOPIC_CLOSED"         // 409: a message with Close has ended it
	CodeIdempotencyMismatch Code = "IDEMPOTENCY_MISMATCH" // 422: the key was used with other content
	CodeInvalidTopic        Code = "INVALID_TOPIC"        // 400: no name of a topic
	CodeBodyTooLarge        Code = "BODY_TOO_LARGE"       // 413: above the gateway's --max-body
	CodeUnauthorized        Code = "UNAUTHORIZED"         // 401: wrong or missing secret
	CodeBufferFull          Code = "BUFFER_FULL"          // 503: nothing was taken, try again later
	CodeDraining            Code = "DRAINING"             // 503: the gateway stops
	CodeNodeBusy            Code = "NODE_BUSY"            // 503: another node of the cluster is asked too much
	CodeTooMuchInFlight     Code = "TOO_MUCH_IN_FLIGHT"   // 503: bytes of bodies and answers
	CodeEngineUnavailable   Code = "ENGINE_UNAVAILABLE"   // 503: storage is away; the event may be stored
)

// Error is what the gateway refuses, or what something in front of it does.
type Error struct {
	// Status is the HTTP status.
	Status int `json:"-"`
	// Message is one sentence for people.
	Message string `json:"message"`
	// Code is for programs. It is "" if the answer is not one of a gateway, such as the
	// error page of a proxy.
	Code Code `json:"code"`
	// RetryAfter is how long the gateway asks to wait before a repeat; 0 if it does not.
	RetryAfter time.Duration `json:"-"`
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return string(e.Code) + ": " + e.Message
}

// CodeOf returns the code of the [*Error] that err wraps, or "" if it wraps none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// IncompleteError is the last element of a listing that misses what some nodes of a
// cluster hold, because they did not answer. All that the others hold came before it.
type IncompleteError struct {
	Nodes []string // that did not answer
}

func (e *IncompleteError) Error() string {
	return "client: listing is incomplete: no answer from " + strings.Join(e.Nodes, ", ")
}

// readRefusal reads an answer other than 200.
func readRefusal(res *http.Response, body io.Reader) *Error {
	var answer struct {
		Error *Error `json:"error"`
	}
	err := json.NewDecoder(body).Decode(&answer)
	e := answer.Error
	if err != nil || e == nil || e.Code == "" {
		e = foreignAnswer(res.StatusCode)
	}
	e.Status = res.StatusCode
	e.RetryAfter = parseRetryAfter(res.Header.Get("Retry-After"))
	return e
}

// foreignAnswer is the error of an answer that no gateway gives. A repeat would be answered
// in the same way, unless the status says otherwise.
func foreignAnswer(status int) *Error {
	what := "without an error code"
	if status == http.StatusOK {
		what = "with another answer than a gateway's"
	}
	return &Error{Status: status, Message: fmt.Sprintf("status %d %s: is this the gateway's internal listener?", status, what)}
}

// parseRetryAfter reads seconds or a date (RFC 9110 10.2.3). What is neither, or in
// the past, is 0.
func parseRetryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// incomplete returns an [*IncompleteError], or nil if no node is missing.
func incomplete(missing map[string]bool) error {
	if len(missing) == 0 {
		return nil
	}
	return &IncompleteError{Nodes: slices.Sorted(maps.Keys(missing))}
}
