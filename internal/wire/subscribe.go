package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// ParseSubscribe reads the body of POST /internal/subscribe and unsubscribe, by
// the rules of [Parser.Parse]. From is not looked at: what it may be, the topics
// know.
func ParseSubscribe(body []byte) (SubscribeRequest, error) {
	s := scanner{body: bytes.TrimSpace(body)}
	var token, topics, from value
	for more := s.hasFields() && s.enter(); more; more = s.next() {
		switch string(s.name()) {
		case "token":
			token = s.value()
		case "topics":
			topics = s.value()
		case "from":
			from = s.value()
		default:
			s.value()
		}
	}
	if !s.done() {
		return SubscribeRequest{}, errNotObject
	}
	var p Parser
	r := SubscribeRequest{Token: strings.Clone(p.text(token)), From: strings.Clone(p.text(from))}
	switch {
	case r.Token == "":
		return SubscribeRequest{}, errToken
	case topics.kind != kindArray || json.Unmarshal(topics.raw, &r.Topics) != nil || len(r.Topics) == 0:
		return SubscribeRequest{}, errTopics
	case slices.ContainsFunc(r.Topics, func(name string) bool { return !ValidTopic(name) }):
		return SubscribeRequest{}, errTopic
	case tooMany(r.Topics):
		return SubscribeRequest{}, errManyTopic
	case from.kind != kindAbsent && r.From == "":
		return SubscribeRequest{}, errFrom
	}
	return r, nil
}

// tooMany says whether there are more different names than a stream may follow.
func tooMany(names []string) bool {
	if len(names) <= MaxTopics {
		return false
	}
	different := make(map[string]struct{}, MaxTopics+1)
	for _, name := range names {
		if different[name] = struct{}{}; len(different) > MaxTopics {
			return true
		}
	}
	return false
}
