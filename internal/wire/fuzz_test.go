package wire_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tidegate/internal/wire"
)

// seeds are bodies of both kinds, right and wrong.
func seeds(f *testing.F) {
	for _, body := range []string{
		``, `[]`, `{}`, `null`, `{"token":"t"}`, `{"token":"t","event":{"name":"n","data":"d"},"close":true}`,
		`{"topic":"a:b","event":{"data":"a\nb"},"idempotency_key":"k"}`, `{"token":"t","topic":"a"}`, `{"token":"t","event":[]}`,
		`{"token":"t","event":{"data":"\ud800"}}`, "{\"token\":\"\xff\"}", `{"token":"t","event":{"data":"d","name":"a\rb"}}`,
		`{"token":"t","topics":["a","b"],"from":"earliest"}`, `{"token":"t","topics":[null]}`, `{"token":"t","topics":"a"}`, `{"token":"t","close":1}`, `{"token":"t","absent":[{"topic":"b","events":[{"data":"d"}]}],"from":"x","override":true}`,
		` {"token" : "t" , "event" : {"data" : ""} } `, `{"token":"t","event":{"data":"d"},"event":null}`, `33331333333333333`, "{\"o\xe2\xe2n,\xdc\xc5\xebh`opics\":[\"a\"\x80\x00e,\r\x00", `{"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`,
	} {
		f.Add([]byte(body))
	}
}

// refusedOr checks that a failure is one of the known codes.
func refusedOr(t *testing.T, err error) (ok bool) {
	t.Helper()
	if err == nil {
		return true
	}
	if e, is := errors.AsType[*wire.Error](err); !is || e.Status != 400 || refused[e.Code] == "" {
		t.Errorf("refused with %v", err)
	}
	return false
}

func valid(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !utf8.ValidString(s) {
			t.Errorf("%q is not valid UTF-8", s)
		}
	}
}

// FuzzParseMessage holds that what is taken keeps the rules, that parsing is the
// same each time, and that the body is not changed.
func FuzzParseMessage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		m, err := wire.ParseMessage(body)
		again, errAgain := wire.ParseMessage(body)
		if m != again || !reflect.DeepEqual(err, errAgain) || !slices.Equal(before, body) {
			t.Errorf("two parses differ: %+v, %v and %+v, %v", m, err, again, errAgain)
		}
		if !refusedOr(t, err) {
			return
		}
		valid(t, m.Token, m.Topic, m.Name, m.Data, m.IdempotencyKey)
		if (m.Token == "") == (m.Topic == "") || m.Topic != "" && !wire.ValidTopic(m.Topic) {
			t.Errorf("%+v has not one target", m)
		}
		if strings.ContainsAny(m.Name, "\r\n\x00") || !m.HasEvent && m.Name+m.Data != "" || m.IdempotencyKey != "" && m.Topic == "" {
			t.Errorf("%+v breaks the rules", m)
		}
	})
}

// FuzzParseSubscribe holds the same of the other body, and that what is taken is
// written and read back as it was.
func FuzzParseSubscribe(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		r, err := wire.ParseSubscribe(body)
		again, errAgain := wire.ParseSubscribe(body)
		if !reflect.DeepEqual(r, again) || !reflect.DeepEqual(err, errAgain) || !slices.Equal(before, body) {
			t.Errorf("two parses differ: %+v, %v and %+v, %v", r, err, again, errAgain)
		}
		if !refusedOr(t, err) {
			return
		}
		valid(t, append(r.Topics, r.Token, r.From)...)
		for _, topic := range r.Topics {
			if !wire.ValidTopic(topic) {
				t.Errorf("topic %q was taken", topic)
			}
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err = wire.ParseSubscribe(written); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v is read back as %+v, %v", r, again, err)
		}
	})
}
