package wire

import (
	"bytes"
	"encoding/json"
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

// ParseMessage reads one message. It checks in the order that the contract
// gives and returns the first failure as an *Error. Field names are compared
// byte for byte, unknown fields are ignored, and of a repeated field the last
// one counts.
func ParseMessage(body []byte) (Message, error) {
	fields, err := object(body)
	if err != nil {
		return Message{}, err
	}
	var m Message
	if err := m.target(fields); err != nil {
		return Message{}, err
	}
	if raw, ok := fields["event"]; ok {
		if err := m.event(raw); err != nil {
			return Message{}, err
		}
	}
	if raw, ok := fields["close"]; ok {
		switch string(raw) {
		case "true":
			m.Close = true
		case "false":
		default:
			return Message{}, invalid(CodeCloseType, "Invalid request: close must be a boolean")
		}
	}
	if err := m.options(fields); err != nil {
		return Message{}, err
	}
	return m, nil
}

// object splits a JSON object into its fields. An array has no fields, and so
// has an empty body: the callers of the original interface are told what is
// missing from them, not that they are no JSON.
func object(body []byte) (map[string]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	var fields map[string]json.RawMessage
	switch {
	case len(body) == 0, body[0] == '[' && json.Valid(body):
		return nil, nil
	case body[0] == '{' && json.Unmarshal(body, &fields) == nil:
		return fields, nil
	}
	return nil, invalid(CodeJSON, "Invalid request: body must be a JSON object")
}

func (m *Message) target(fields map[string]json.RawMessage) error {
	rawToken, hasToken := fields["token"]
	rawTopic, hasTopic := fields["topic"]
	switch {
	case hasToken && hasTopic:
		return invalid(CodeTarget, "Invalid request: give a token or a topic, not both")
	case hasTopic:
		topic, ok := text(rawTopic)
		if !ok || !ValidTopic(topic) {
			return errTopic()
		}
		m.Topic = topic
	default:
		token, ok := text(rawToken)
		if !ok || token == "" {
			return errToken()
		}
		m.Token = token
	}
	return nil
}

func (m *Message) event(raw json.RawMessage) error {
	if raw[0] != '{' && raw[0] != '[' {
		return invalid(CodeEventType, "Invalid request: event must be an object")
	}
	fields, err := object(raw)
	if err != nil {
		return err
	}
	data, ok := text(fields["data"])
	if !ok {
		return invalid(CodeEventDataMissing, "Invalid request: event.data is required and must be a string")
	}
	m.HasEvent, m.Data = true, data
	if rawName, has := fields["name"]; has {
		name, ok := text(rawName)
		if !ok {
			return invalid(CodeEventNameType, "Invalid request: event.name must be a string")
		}
		if strings.ContainsAny(name, "\r\n\x00") {
			return invalid(CodeEventName, "Invalid request: event.name must not contain CR, LF or NUL")
		}
		m.Name = name
	}
	return nil
}

func (m *Message) options(fields map[string]json.RawMessage) error {
	raw, ok := fields["idempotency_key"]
	if !ok {
		return nil
	}
	key, ok := text(raw)
	if !ok || key == "" || len(key) > MaxIdempotencyKeyBytes || m.Topic == "" {
		return invalid(CodeIdempotencyKey, "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic")
	}
	m.IdempotencyKey = key
	return nil
}

// ParseSubscribe reads the body of POST /internal/subscribe and unsubscribe.
// From is not looked at: what it may be, the topics know.
func ParseSubscribe(body []byte) (SubscribeRequest, error) {
	fields, err := object(body)
	if err != nil {
		return SubscribeRequest{}, err
	}
	var r SubscribeRequest
	var ok bool
	if r.Token, ok = text(fields["token"]); !ok || r.Token == "" {
		return SubscribeRequest{}, errToken()
	}
	if json.Unmarshal(fields["topics"], &r.Topics) != nil || len(r.Topics) == 0 {
		return SubscribeRequest{}, invalid(CodeTopic, "Invalid request: topics is required and must be a non-empty array of strings")
	}
	for _, topic := range r.Topics {
		if !ValidTopic(topic) {
			return SubscribeRequest{}, errTopic()
		}
	}
	if raw, has := fields["from"]; has {
		if r.From, ok = text(raw); !ok || r.From == "" {
			return SubscribeRequest{}, invalid(CodeFrom, "Invalid request: from must be \"earliest\", \"latest\" or an event id")
		}
	}
	return r, nil
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

// text decodes a JSON string; anything else, nothing at all too, is not ok.
func text(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

func invalid(code Code, message string) *Error {
	return Errorf(http.StatusBadRequest, code, message)
}

func errToken() *Error {
	return invalid(CodeTokenMissing, "Invalid request: token is required and must be a string")
}

func errTopic() *Error {
	return invalid(CodeTopic, "Invalid request: a topic must be a string of 1 to 256 bytes without control characters")
}
