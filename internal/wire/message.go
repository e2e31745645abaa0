package wire

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// Bounds of what a message may name.
const (
	MaxTopicBytes          = 256 // of a topic's name
	MaxIdempotencyKeyBytes = 256
)

// Message is one checked message of POST /internal/send.
type Message struct {
	Token, Topic   string // exactly one of them is set
	HasEvent       bool
	Name, Data     string // of the event, if HasEvent
	Close          bool
	IdempotencyKey string // with a topic only; "" means none
}

// Clone gives a copy that shares no memory with m: one to keep, where m is what
// [Parser.Parse] gave.
func (m Message) Clone() Message {
	m.Token, m.Topic = strings.Clone(m.Token), strings.Clone(m.Topic)
	m.Name, m.Data = strings.Clone(m.Name), strings.Clone(m.Data)
	m.IdempotencyKey = strings.Clone(m.IdempotencyKey)
	return m
}

// What a body may be refused for.
var (
	errNotObject = invalid(CodeJSON, "Invalid request: body must be a JSON object")
	errTarget    = invalid(CodeTarget, "Invalid request: give a token or a topic, not both")
	errTopic     = invalid(CodeTopic, "Invalid request: a topic must be a string of 1 to 256 bytes without control characters")
	errToken     = invalid(CodeTokenMissing, "Invalid request: token is required and must be a string")
	errEvent     = invalid(CodeEventType, "Invalid request: event must be an object")
	errData      = invalid(CodeEventDataMissing, "Invalid request: event.data is required and must be a string")
	errNameType  = invalid(CodeEventNameType, "Invalid request: event.name must be a string")
	errName      = invalid(CodeEventName, "Invalid request: event.name must not contain CR, LF or NUL")
	errClose     = invalid(CodeCloseType, "Invalid request: close must be a boolean")
	errKey       = invalid(CodeIdempotencyKey, "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic")
	errTopics    = invalid(CodeTopic, "Invalid request: topics is required and must be a non-empty array of strings")
	errFrom      = invalid(CodeFrom, "Invalid request: from must be \"earliest\", \"latest\" or an event id")
)

func invalid(code Code, message string) *Error {
	return Errorf(http.StatusBadRequest, code, message)
}

// ValidTopic reports whether name can name a topic: 1 to 256 bytes of UTF-8
// without control characters.
func ValidTopic(name string) bool {
	if name == "" || len(name) > MaxTopicBytes || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 })
}

// Namespace is the part of a topic's name before the first colon, or all of it.
func Namespace(topic string) string {
	namespace, _, _ := strings.Cut(topic, ":")
	return namespace
}
