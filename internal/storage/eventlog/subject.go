package eventlog

import (
	"encoding/base64"
	"strings"

	"tidegate/internal/storage/nats"
)

// A topic is one token of a subject. Names that NATS takes as they are stay readable in its
// tools. All others become "=" and base64url, which no plain name is.

const evSubjects = "ev." // what comes before the token

func encodeTopic(topic string) string {
	if isPlainTopic(topic) {
		return topic
	}
	return "=" + base64.RawURLEncoding.EncodeToString([]byte(topic))
}

// decodeTopic is the inverse of encodeTopic. ok is false for anything else.
func decodeTopic(token string) (topic string, ok bool) {
	encoded, isEncoded := strings.CutPrefix(token, "=")
	if !isEncoded {
		return token, isPlainTopic(token)
	}
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if topic = string(b); err != nil || encodeTopic(topic) != token {
		return "", false
	}
	return topic, true
}

func isPlainTopic(topic string) bool {
	for i := range len(topic) {
		switch c := topic[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return topic != ""
}

// topicSubject is where the events of a topic are published.
func topicSubject(e *nats.Engine, topic string) string {
	return e.Subject(evSubjects + encodeTopic(topic))
}

// topicOf is the topic whose events are published at a subject.
func topicOf(e *nats.Engine, subject string) (topic string, ok bool) {
	token, ok := strings.CutPrefix(subject, e.Subject(evSubjects))
	if !ok {
		return "", false
	}
	return decodeTopic(token)
}
