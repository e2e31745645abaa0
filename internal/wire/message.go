package wire

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// Bounds of the names in a message.
const (
	MaxTopicBytes          = 256 // of a topic's name
	MaxIdempotencyKeyBytes = 256
	// MaxTopics bounds the topics of one subscribe, and of one stream.
	MaxTopics = 10_000
)

// Message is one checked message of POST /internal/send.
type Message struct {
	Token, Topic   string // exactly one of them is set
	HasEvent       bool
	Name, Data     string // of the event, if HasEvent
	Transient      bool   // for the streams attached now; not stored
	Close          bool
	IdempotencyKey string // with a topic only; "" means none
}

// Clone returns a copy that shares no memory with m. Use it to keep a message of [Parser.Parse].
func (m Message) Clone() Message {
	parts := [...]*string{&m.Token, &m.Topic, &m.Name, &m.Data, &m.IdempotencyKey}
	var all strings.Builder // one allocation for all
	all.Grow(len(m.Token) + len(m.Topic) + len(m.Name) + len(m.Data) + len(m.IdempotencyKey))
	for _, part := range parts {
		all.WriteString(*part)
	}
	text := all.String()
	for _, part := range parts {
		n := len(*part)
		*part, text = text[:n], text[n:]
	}
	return m
}

// The errors of a body.
var (
	errNotObject = invalid(CodeJSON, "Invalid request: body must be a JSON object")
	errTarget    = invalid(CodeTarget, "Invalid request: give a token or a topic, not both")
	errTopic     = invalid(CodeTopic, "Invalid request: a topic must be a string of 1 to 256 bytes without control characters, other than \".\", \"..\" and \"/\"")
	errToken     = invalid(CodeTokenMissing, "Invalid request: token is required and must be a string")
	errEvent     = invalid(CodeEventType, "Invalid request: event must be an object")
	errData      = invalid(CodeEventDataMissing, "Invalid request: event.data is required and must be a string")
	errNameType  = invalid(CodeEventNameType, "Invalid request: event.name must be a string")
	errName      = invalid(CodeEventName, "Invalid request: event.name must not contain CR, LF or NUL")
	errClose     = invalid(CodeCloseType, "Invalid request: close must be a boolean")
	errNothing   = invalid(CodeEventMissing, "Invalid request: for a topic, event or close is required; the fields are topic, event.name, event.data, event.transient, close and idempotency_key")
	errKeys      = invalid(CodeIdempotencyKey, "Invalid request: Idempotency-Key must be one header of 1 to 256 bytes, goes with a topic, and must not differ from idempotency_key")
	errTransient = invalid(CodeTransient, "Invalid request: event.transient must be a boolean, and goes with a topic, without close and idempotency_key")
	errKey       = invalid(CodeIdempotencyKey, "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic")
	errTopics    = invalid(CodeTopic, "Invalid request: topics is required and must be a non-empty array of strings")
	errManyTopic = invalid(CodeTopics, "Invalid request: too many topics: 10000 are the most for one stream")
	errAbsent    = invalid(CodeAbsent, "Invalid request: absent must be an array of objects with a topic and 1 to 100 events, each with data and maybe a name without CR, LF or NUL")
	errOverride  = invalid(CodeOverride, "Invalid request: override must be a boolean, and needs from")
	errFrom      = invalid(CodeFrom, "Invalid request: from must be \"earliest\", \"latest\" or an event id")
)

func invalid(code Code, message string) *Error {
	return Errorf(http.StatusBadRequest, code, message)
}

// ErrManyTopics says that a stream would follow more than MaxTopics topics.
var ErrManyTopics = errManyTopic

// ValidTopic reports whether name can name a topic: 1 to 256 bytes of UTF-8
// without control characters. Names that cannot be a segment of a path, such as "..", are not allowed:
// such a topic could be published to, but not read or deleted.
func ValidTopic(name string) bool {
	if name == "" || name == "." || name == ".." || name == "/" || len(name) > MaxTopicBytes || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 })
}

// Namespace returns the part of a topic's name before the first colon, or the whole name.
func Namespace(topic string) string {
	namespace, _, _ := strings.Cut(topic, ":")
	return namespace
}
