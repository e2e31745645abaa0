package wire_test

import (
	"errors"
	"strings"
	"testing"

	"sluice/internal/wire"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]wire.Message{
		`{"token":"t"}`:                     {Token: "t"},
		`{"token":"t","event":{"data":""}}`: {Token: "t", HasEvent: true},
		`{"token":"t","event":{"name":"n","data":"d"},"close":true}`:               {Token: "t", HasEvent: true, Name: "n", Data: "d", Close: true},
		`{"topic":"task:1","close":false,"idempotency_key":"k"}`:                   {Topic: "task:1", IdempotencyKey: "k"},
		` {"token":"t","TOKEN":1,"id":"x","event":{"data":"d","id":1,"retry":2}} `: {Token: "t", HasEvent: true, Data: "d"},
		`{"token":"a","token":"b"}`:                                                {Token: "b"},
		`{"token":"t","event":{"name":"","data":"a\r\nb\u0000"}}`:                  {Token: "t", HasEvent: true, Data: "a\r\nb\x00"},
		`{"topic":"Zürich: 東京","event":{"data":"\ud800"}}`:                         {Topic: "Zürich: 東京", HasEvent: true, Data: "\ufffd"},
	} {
		got, err := wire.ParseMessage([]byte(body))
		if err != nil || got != want {
			t.Errorf("ParseMessage(%s) = %+v, %v; want %+v", body, got, err, want)
		}
	}
}

// The rows are in the order of the checks: each body fails at its own check and
// at all that come after it, so that a check done too early shows.
func TestParseMessageChecksInOrder(t *testing.T) {
	t.Parallel()
	const rest = `,"event":null,"close":1,"idempotency_key":2}`
	for _, c := range []struct {
		body    string
		code    wire.Code
		message string
	}{
		{`{"token":1,`, wire.CodeJSON, "Invalid request: body must be a JSON object"},
		{`null`, wire.CodeJSON, "Invalid request: body must be a JSON object"},
		{`"text"`, wire.CodeJSON, "Invalid request: body must be a JSON object"},
		{`{} {}`, wire.CodeJSON, "Invalid request: body must be a JSON object"},
		{`{"token":"t","topic":"x"` + rest, wire.CodeTarget, "Invalid request: give a token or a topic, not both"},
		{`{"topic":""` + rest, wire.CodeTopic, "Invalid request: a topic must be a string of 1 to 256 bytes without control characters"},
		{``, wire.CodeTokenMissing, "Invalid request: token is required and must be a string"},
		{`[]`, wire.CodeTokenMissing, "Invalid request: token is required and must be a string"},
		{`{}`, wire.CodeTokenMissing, "Invalid request: token is required and must be a string"},
		{`{"token":null` + rest, wire.CodeTokenMissing, "Invalid request: token is required and must be a string"},
		{`{"token":""` + rest, wire.CodeTokenMissing, "Invalid request: token is required and must be a string"},
		{`{"token":"t"` + rest, wire.CodeEventType, "Invalid request: event must be an object"},
		{`{"token":"t","event":"x","close":1}`, wire.CodeEventType, "Invalid request: event must be an object"},
		{`{"token":"t","event":[],"close":1}`, wire.CodeEventDataMissing, "Invalid request: event.data is required and must be a string"},
		{`{"token":"t","event":{"data":null,"name":1},"close":1}`, wire.CodeEventDataMissing, "Invalid request: event.data is required and must be a string"},
		{`{"token":"t","event":{"data":"d","name":null},"close":1}`, wire.CodeEventNameType, "Invalid request: event.name must be a string"},
		{`{"token":"t","event":{"data":"d","name":"a\rb"},"close":1}`, wire.CodeEventName, "Invalid request: event.name must not contain CR, LF or NUL"},
		{`{"token":"t","event":{"data":"d","name":"a\nb"},"close":1}`, wire.CodeEventName, "Invalid request: event.name must not contain CR, LF or NUL"},
		{`{"token":"t","event":{"data":"d","name":"\u0000"},"close":1}`, wire.CodeEventName, "Invalid request: event.name must not contain CR, LF or NUL"},
		{`{"token":"t","event":{"data":"d"},"close":null,"idempotency_key":2}`, wire.CodeCloseType, "Invalid request: close must be a boolean"},
		{`{"token":"t","close":"true"}`, wire.CodeCloseType, "Invalid request: close must be a boolean"},
		{`{"token":"t","idempotency_key":"k"}`, wire.CodeIdempotencyKey, "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic"},
		{`{"topic":"t","idempotency_key":""}`, wire.CodeIdempotencyKey, "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic"},
		{`{"topic":"t","idempotency_key":2}`, wire.CodeIdempotencyKey, "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic"},
	} {
		_, err := wire.ParseMessage([]byte(c.body))
		e, ok := errors.AsType[*wire.Error](err)
		if !ok || e.Code != c.code || e.Message != c.message || e.Status != 400 {
			t.Errorf("ParseMessage(%s): %v, want 400 %s: %s", c.body, err, c.code, c.message)
		}
	}
}

func TestParseSubscribe(t *testing.T) {
	t.Parallel()
	got, err := wire.ParseSubscribe([]byte(`{"token":"t","topics":["a","b:c"],"from":"earliest"}`))
	if err != nil || got.Token != "t" || strings.Join(got.Topics, " ") != "a b:c" || got.From != "earliest" {
		t.Errorf("ParseSubscribe = %+v, %v", got, err)
	}
	for body, want := range map[string]wire.Code{
		`{"topics":["a"]}`:                         wire.CodeTokenMissing,
		`{"token":"t"}`:                            wire.CodeTopic,
		`{"token":"t","topics":[]}`:                wire.CodeTopic,
		`{"token":"t","topics":"a"}`:               wire.CodeTopic,
		`{"token":"t","topics":["a",1]}`:           wire.CodeTopic,
		`{"token":"t","topics":["a",""]}`:          wire.CodeTopic,
		`{"token":"t","topics":["a"],"from":""}`:   wire.CodeFrom,
		`{"token":"t","topics":["a"],"from":null}`: wire.CodeFrom,
		`nonsense`: wire.CodeJSON,
	} {
		_, err := wire.ParseSubscribe([]byte(body))
		if e, ok := errors.AsType[*wire.Error](err); !ok || e.Code != want {
			t.Errorf("ParseSubscribe(%s): %v, want %s", body, err, want)
		}
	}
}

func TestValidTopic(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "task:1": true, "with space": true, strings.Repeat("x", 256): true, "é": true,
		"": false, strings.Repeat("x", 257): false, "a\nb": false, "\x7f": false, "\u0085": false, "\xff": false,
	} {
		if got := wire.ValidTopic(name); got != want {
			t.Errorf("ValidTopic(%q) = %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]string{"task:1": "task", "version": "version", ":x": "", "a:b:c": "a"} {
		if got := wire.Namespace(name); got != want {
			t.Errorf("Namespace(%q) = %q, want %q", name, got, want)
		}
	}
}
