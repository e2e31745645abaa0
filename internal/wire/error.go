package wire

import (
	"errors"
	"net/http"
	"time"
)

// Code names a failure. It is part of the interface: a code is never renamed, and callers may switch on
// it. [CodeTable] describes each.
type Code string

// The codes, each with its HTTP status.
const (
	CodeTokenMissing       Code = "INVALID_TOKEN_MISSING"      // 400
	CodeEventType          Code = "INVALID_EVENT_TYPE"         // 400
	CodeEventDataMissing   Code = "INVALID_EVENT_DATA_MISSING" // 400
	CodeEventNameType      Code = "INVALID_EVENT_NAME_TYPE"    // 400
	CodeEventName          Code = "INVALID_EVENT_NAME"         // 400: CR, LF or NUL in a name
	CodeCloseType          Code = "INVALID_CLOSE_TYPE"         // 400
	CodeTransient          Code = "INVALID_TRANSIENT"          // 400: no boolean, or with a token, a close or a key
	CodeEventMissing       Code = "INVALID_EVENT_MISSING"      // 400: a message for a topic without event and close
	CodeTarget             Code = "INVALID_TARGET"             // 400: token and topic together
	CodeTopic              Code = "INVALID_TOPIC"              // 400
	CodeTopics             Code = "INVALID_TOPICS"             // 400: too many of them
	CodeAbsent             Code = "INVALID_ABSENT"             // 400: not topics with events
	CodeOverride           Code = "INVALID_OVERRIDE"           // 400: no boolean, or without from
	CodeFrom               Code = "INVALID_FROM"               // 400: not earliest, latest or an event id
	CodeIdempotencyKey     Code = "INVALID_IDEMPOTENCY_KEY"    // 400
	CodeParameter          Code = "INVALID_PARAMETER"          // 400: a query parameter of a listing
	CodeJSON               Code = "INVALID_JSON"               // 400
	CodeRouteNotAvailable  Code = "ROUTE_NOT_AVAILABLE"        // 400: of the backend, outside testing mode
	CodeMediaType          Code = "UNSUPPORTED_MEDIA_TYPE"     // 415
	CodeBodyTooLarge       Code = "BODY_TOO_LARGE"             // 413
	CodeTokenNotFound      Code = "TOKEN_NOT_FOUND"            // 404
	CodeTopicNotFound      Code = "TOPIC_NOT_FOUND"            // 404
	CodeTopicClosed        Code = "TOPIC_CLOSED"               // 409
	CodeIdempotency        Code = "IDEMPOTENCY_MISMATCH"       // 422: the key was used with other content
	CodeBufferFull         Code = "BUFFER_FULL"                // 503
	CodeTooManyTopics      Code = "TOO_MANY_TOPICS"            // 503
	CodeTooManyConnections Code = "TOO_MANY_CONNECTIONS"       // 503
	CodeAddressLimit       Code = "TOO_MANY_FROM_ADDRESS"      // 429
	CodeConnectRate        Code = "CONNECT_RATE_EXCEEDED"      // 429
	CodeInflight           Code = "TOO_MUCH_IN_FLIGHT"         // 503: bytes of bodies and answers
	CodeHeadersFull        Code = "HEADERS_FULL"               // 503: memory for request headers
	CodeBodyTooSlow        Code = "BODY_TOO_SLOW"              // 408
	CodeHeaderTooLarge     Code = "HEADER_TOO_LARGE"           // 431
	CodeDraining           Code = "DRAINING"                   // 503
	CodeUnauthorized       Code = "UNAUTHORIZED"               // 401
	CodeForbidden          Code = "FORBIDDEN"                  // 403
	CodeUnknownHost        Code = "UNKNOWN_HOST"               // 421: --allowed-host
	CodeCrossSite          Code = "CROSS_SITE"                 // 403: a page of another site
	CodeNotFound           Code = "NOT_FOUND"                  // 404: no such route
	CodeMethodNotAllowed   Code = "METHOD_NOT_ALLOWED"         // 405
	CodeNotConfigured      Code = "SERVICE_NOT_CONFIGURED"     // 503
	CodeBackendAuthFailed  Code = "BACKEND_AUTH_FAILED"        // 401
	CodeBackendForbidden   Code = "BACKEND_FORBIDDEN"          // 403
	CodeBackendError       Code = "BACKEND_ERROR"              // the backend's own, or 502
	CodeBackendUnavailable Code = "BACKEND_UNAVAILABLE"        // 503
	CodeGatewayTimeout     Code = "GATEWAY_TIMEOUT"            // 504
	CodeEngineUnavailable  Code = "ENGINE_UNAVAILABLE"         // 503: storage or a node does not answer
	CodeEngineFull         Code = "ENGINE_FULL"                // 503: storage is full
	CodeNodeBusy           Code = "NODE_BUSY"                  // 503: another node gets too many requests
	CodeInternal           Code = "INTERNAL"                   // 500
)

// Error is a failure as a caller sees it: an HTTP status, a code and a sentence. It marshals as the
// inside of {"error":{"message":…,"code":…}}. Functions return shared values: copy one to change it.
type Error struct {
	Status     int           `json:"-"`
	Message    string        `json:"message"`
	Code       Code          `json:"code"`
	RetryAfter time.Duration `json:"-"` // sent as Retry-After, rounded up to seconds; 0 sends none
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf makes an Error without RetryAfter.
func Errorf(status int, code Code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// ErrorOf returns the Error inside err, or a 500 that does not reveal err: an error without a code is
// for the log, not for the caller.
func ErrorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return errInternal
}

var errInternal = Errorf(http.StatusInternalServerError, CodeInternal, "Internal error")

// appendJSON appends e as encoding/json writes it.
func (e *Error) appendJSON(dst []byte) []byte {
	dst = appendQuoted(append(dst, `{"message":`...), e.Message)
	dst = appendQuoted(append(dst, `,"code":`...), string(e.Code))
	return append(dst, '}')
}
