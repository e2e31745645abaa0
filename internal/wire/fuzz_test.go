package wire_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/internal/wire"
)

func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{
		`{"token":"t","event":{"name":"n","data":"d"},"close":true}`, `{"topic":"task:1","event":{"data":"a\r\nb"},"idempotency_key":"k"}`,
		`{"token":"t","topic":"x"}`, `{"token":"t","event":[]}`, `[]`, ``, `null`, `{"topic":"\ud800"}`, `{"token":"t","event":{"data":"d","name":"\u0000"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wire.ParseMessage(body)
		again, errAgain := wire.ParseMessage(body)
		if m != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("ParseMessage(%q) is not the same twice", body)
		}
		if err != nil {
			if e, ok := errors.AsType[*wire.Error](err); !ok || e.Status != 400 || e.Code == "" || e.Message == "" {
				t.Fatalf("ParseMessage(%q): %v is not an answer for the caller", body, err)
			}
			return
		}
		if (m.Token == "") == (m.Topic == "") {
			t.Fatalf("ParseMessage(%q) = %+v, want a token or a topic", body, m)
		}
		if m.Topic != "" && !wire.ValidTopic(m.Topic) {
			t.Fatalf("ParseMessage(%q) let topic %q through", body, m.Topic)
		}
		if strings.ContainsAny(m.Name, "\r\n\x00") || !m.HasEvent && m.Name+m.Data != "" {
			t.Fatalf("ParseMessage(%q) = %+v", body, m)
		}
		if !utf8.ValidString(m.Token + m.Name + m.Data) {
			t.Fatalf("ParseMessage(%q) = %+v is not UTF-8", body, m)
		}
	})
}

func FuzzParseSubscribe(f *testing.F) {
	for _, seed := range []string{
		`{"token":"t","topics":["a","b"],"from":"latest"}`, `{"token":"t","topics":null}`, `{"token":"t","topics":[[]]}`, `{"topics":["a"]}`, `[1]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := wire.ParseSubscribe(body)
		if err != nil {
			if _, ok := errors.AsType[*wire.Error](err); !ok {
				t.Fatalf("ParseSubscribe(%q): %v is not an answer for the caller", body, err)
			}
			return
		}
		if r.Token == "" || len(r.Topics) == 0 {
			t.Fatalf("ParseSubscribe(%q) = %+v", body, r)
		}
		for _, topic := range r.Topics {
			if !wire.ValidTopic(topic) {
				t.Fatalf("ParseSubscribe(%q) let topic %q through", body, topic)
			}
		}
	})
}
