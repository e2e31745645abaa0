package wire_test

import (
	"bytes"
	"encoding/json"
	"strings"

	"tidegate/internal/wire"
)

const topicsRequired = "Invalid request: topics is required and must be a non-empty array of strings"

// referenceMessage does what ParseMessage does, by way of encoding/json.
func referenceMessage(body []byte) (wire.Message, error) {
	fields, err := object(body)
	if err != nil {
		return wire.Message{}, err
	}
	var m wire.Message
	if err := referenceTarget(&m, fields); err != nil {
		return wire.Message{}, err
	}
	if raw, ok := fields["event"]; ok {
		if err := referenceEvent(&m, raw); err != nil {
			return wire.Message{}, err
		}
	}
	if raw, ok := fields["close"]; ok {
		switch string(raw) {
		case "true":
			m.Close = true
		case "false":
		default:
			return wire.Message{}, invalid(wire.CodeCloseType)
		}
	}
	if err := referenceOptions(&m, fields); err != nil {
		return wire.Message{}, err
	}
	if raw, ok := fields["event"]; ok && raw[0] == '{' {
		event, _ := object(raw)
		switch string(event["transient"]) {
		case "", "false":
		case "true":
			if m.Transient = true; m.Topic == "" || m.Close || m.IdempotencyKey != "" {
				return wire.Message{}, invalid(wire.CodeTransient)
			}
		default:
			return wire.Message{}, invalid(wire.CodeTransient)
		}
	}
	if m.Topic != "" && !m.HasEvent && !m.Close {
		return wire.Message{}, invalid(wire.CodeEventMissing)
	}
	return m, nil
}

// object splits a JSON object into its fields; an array and an empty body have none.
func object(body []byte) (map[string]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	var fields map[string]json.RawMessage
	switch {
	case len(body) == 0, body[0] == '[' && json.Valid(body):
		return nil, nil
	case body[0] == '{' && json.Unmarshal(body, &fields) == nil:
		return fields, nil
	}
	return nil, invalid(wire.CodeJSON)
}

func referenceTarget(m *wire.Message, fields map[string]json.RawMessage) error {
	rawToken, hasToken := fields["token"]
	rawTopic, hasTopic := fields["topic"]
	switch {
	case hasToken && hasTopic:
		return invalid(wire.CodeTarget)
	case hasTopic:
		topic, ok := text(rawTopic)
		if !ok || !wire.ValidTopic(topic) {
			return invalid(wire.CodeTopic)
		}
		m.Topic = topic
	default:
		token, ok := text(rawToken)
		if !ok || token == "" {
			return invalid(wire.CodeTokenMissing)
		}
		m.Token = token
	}
	return nil
}

func referenceEvent(m *wire.Message, raw json.RawMessage) error {
	if raw[0] != '{' && raw[0] != '[' {
		return invalid(wire.CodeEventType)
	}
	fields, err := object(raw)
	if err != nil {
		return err
	}
	data, ok := text(fields["data"])
	if !ok {
		return invalid(wire.CodeEventDataMissing)
	}
	m.HasEvent, m.Data = true, data
	if rawName, has := fields["name"]; has {
		name, ok := text(rawName)
		if !ok {
			return invalid(wire.CodeEventNameType)
		}
		if strings.ContainsAny(name, "\r\n\x00") {
			return invalid(wire.CodeEventName)
		}
		m.Name = name
	}
	return nil
}

func referenceOptions(m *wire.Message, fields map[string]json.RawMessage) error {
	raw, ok := fields["idempotency_key"]
	if !ok {
		return nil
	}
	key, ok := text(raw)
	if !ok || key == "" || len(key) > wire.MaxIdempotencyKeyBytes || m.Topic == "" {
		return invalid(wire.CodeIdempotencyKey)
	}
	m.IdempotencyKey = key
	return nil
}

// referenceSubscribe does what ParseSubscribe does, by way of encoding/json.
func referenceSubscribe(body []byte) (wire.SubscribeRequest, error) {
	fields, err := object(body)
	if err != nil {
		return wire.SubscribeRequest{}, err
	}
	var r wire.SubscribeRequest
	var ok bool
	if r.Token, ok = text(fields["token"]); !ok || r.Token == "" {
		return wire.SubscribeRequest{}, invalid(wire.CodeTokenMissing)
	}
	_, hasTopics := fields["topics"]
	rawAbsent, hasAbsent := fields["absent"]
	if (hasTopics || !hasAbsent) && (json.Unmarshal(fields["topics"], &r.Topics) != nil || len(r.Topics) == 0) {
		return wire.SubscribeRequest{}, wire.Errorf(400, wire.CodeTopic, topicsRequired)
	}
	for _, topic := range r.Topics {
		if !wire.ValidTopic(topic) {
			return wire.SubscribeRequest{}, invalid(wire.CodeTopic)
		}
	}
	if hasAbsent {
		if r.Absent, ok = referenceAbsent(rawAbsent); !ok {
			return wire.SubscribeRequest{}, invalid(wire.CodeAbsent)
		}
	}
	different := make(map[string]bool)
	for _, topic := range r.Topics {
		different[topic] = true
	}
	for _, a := range r.Absent {
		if different[a.Topic] = true; !wire.ValidTopic(a.Topic) {
			return wire.SubscribeRequest{}, invalid(wire.CodeTopic)
		}
	}
	if len(different) > wire.MaxTopics {
		return wire.SubscribeRequest{}, invalid(wire.CodeTopics)
	}
	if raw, has := fields["from"]; has {
		if r.From, ok = text(raw); !ok || r.From == "" {
			return wire.SubscribeRequest{}, invalid(wire.CodeFrom)
		}
	}
	if raw, has := fields["override"]; has {
		r.Override = string(raw) == "true"
		if !r.Override && string(raw) != "false" || r.Override && r.From == "" {
			return wire.SubscribeRequest{}, invalid(wire.CodeOverride)
		}
	}
	return r, nil
}

func referenceAbsent(raw json.RawMessage) (all []wire.AbsentTopic, ok bool) {
	var topics []map[string]json.RawMessage
	if json.Unmarshal(raw, &topics) != nil || len(topics) == 0 {
		return nil, false
	}
	for _, fields := range topics {
		name, ok := text(fields["topic"])
		var events []json.RawMessage
		if !ok || json.Unmarshal(fields["events"], &events) != nil || len(events) == 0 || len(events) > 100 {
			return nil, false
		}
		a := wire.AbsentTopic{Topic: name}
		for _, raw := range events {
			var m wire.Message
			if raw[0] != '{' || referenceEvent(&m, raw) != nil {
				return nil, false
			}
			a.Events = append(a.Events, wire.Event{Name: m.Name, Data: m.Data})
		}
		all = append(all, a)
	}
	return all, true
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

// invalid is the failure with this code that the contract words.
func invalid(code wire.Code) *wire.Error { return wire.Errorf(400, code, refused[code]) }
