package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// ParseSubscribe reads the body of POST /internal/subscribe and unsubscribe, by the rules of
// [Parser.Parse]. It does not check From: package topic does. One of Topics and Absent is enough.
func ParseSubscribe(body []byte) (SubscribeRequest, error) {
	s := scanner{body: bytes.TrimSpace(body)}
	var f subscribeFields
	for more := s.hasFields() && s.enter(); more; more = s.next() {
		f.take(&s)
	}
	if !s.done() {
		return SubscribeRequest{}, errNotObject
	}
	r, err := f.check()
	if err != nil {
		return SubscribeRequest{}, err
	}
	return r, nil
}

// subscribeFields are the known fields, as parts of the body.
type subscribeFields struct{ token, topics, from, override, absent value }

func (f *subscribeFields) take(s *scanner) {
	switch string(s.name()) {
	case "token":
		f.token = s.value()
	case "topics":
		f.topics = s.value()
	case "from":
		f.from = s.value()
	case "override":
		f.override = s.value()
	case "absent":
		f.absent = s.value()
	default:
		s.value()
	}
}

func (f *subscribeFields) check() (SubscribeRequest, *Error) {
	var p Parser
	r := SubscribeRequest{Token: strings.Clone(p.text(f.token)), From: strings.Clone(p.text(f.from)), Override: f.override.kind == kindTrue}
	needed := f.topics.kind != kindAbsent || f.absent.kind == kindAbsent
	switch {
	case r.Token == "":
		return r, errToken
	case needed && (f.topics.kind != kindArray || json.Unmarshal(f.topics.raw, &r.Topics) != nil || len(r.Topics) == 0):
		return r, errTopics
	case slices.ContainsFunc(r.Topics, func(name string) bool { return !ValidTopic(name) }):
		return r, errTopic
	case f.absent.kind != kindAbsent && !f.takeAbsent(&r):
		return r, errAbsent
	case slices.ContainsFunc(r.Absent, func(a AbsentTopic) bool { return !ValidTopic(a.Topic) }):
		return r, errTopic
	case tooMany(r.Topics, r.Absent):
		return r, errManyTopic
	case f.from.kind != kindAbsent && r.From == "":
		return r, errFrom
	case f.override.kind != kindAbsent && f.override.kind != kindTrue && f.override.kind != kindFalse, r.Override && r.From == "":
		return r, errOverride
	}
	return r, nil
}

// maxAbsentEvents bounds the events for one topic that does not exist.
const maxAbsentEvents = 100

// takeAbsent reads the topics that may not exist. It reports whether they are valid.
func (f *subscribeFields) takeAbsent(r *SubscribeRequest) bool {
	if f.absent.kind != kindArray {
		return false
	}
	s := scanner{body: f.absent.raw} // the scanner has read it before: it is valid JSON
	for more := s.enter(); more; more = s.next() {
		if s.peek() != '{' {
			return false
		}
		a, ok := takeAbsentTopic(&s)
		if !ok {
			return false
		}
		r.Absent = append(r.Absent, a)
	}
	return len(r.Absent) > 0
}

func takeAbsentTopic(s *scanner) (a AbsentTopic, ok bool) {
	var name, events value
	for more := s.enter(); more; more = s.next() {
		switch string(s.name()) {
		case "topic":
			name = s.value()
		case "events":
			events = s.value()
		default:
			s.value()
		}
	}
	var p Parser
	if a.Topic = strings.Clone(p.text(name)); name.kind != kindText || events.kind != kindArray {
		return a, false
	}
	in := scanner{body: events.raw}
	for more := in.enter(); more; more = in.next() {
		var f messageFields
		f.scanEvent(&in)
		var m Message
		if f.event.kind != kindObject || len(a.Events) == maxAbsentEvents || p.checkEvent(&f, &m) != nil {
			return a, false
		}
		a.Events = append(a.Events, Event{Name: strings.Clone(m.Name), Data: strings.Clone(m.Data)})
	}
	return a, len(a.Events) > 0
}

// tooMany reports whether there are more different names than a stream may follow.
func tooMany(names []string, absent []AbsentTopic) bool {
	if len(names)+len(absent) <= MaxTopics {
		return false
	}
	different := make(map[string]struct{}, MaxTopics+1)
	for _, name := range names {
		different[name] = struct{}{}
	}
	for _, a := range absent {
		different[a.Topic] = struct{}{}
	}
	return len(different) > MaxTopics
}
