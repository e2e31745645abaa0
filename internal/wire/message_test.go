package wire_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tidegate/internal/wire"

	"github.com/google/go-cmp/cmp"
)

// refused are the failures of one field, in the words that callers rely on.
var refused = map[wire.Code]string{
	wire.CodeTokenMissing:     "Invalid request: token is required and must be a string",
	wire.CodeEventType:        "Invalid request: event must be an object",
	wire.CodeEventDataMissing: "Invalid request: event.data is required and must be a string",
	wire.CodeEventNameType:    "Invalid request: event.name must be a string",
	wire.CodeEventName:        "Invalid request: event.name must not contain CR, LF or NUL",
	wire.CodeCloseType:        "Invalid request: close must be a boolean",
	wire.CodeTarget:           "Invalid request: give a token or a topic, not both",
	wire.CodeTopic:            "Invalid request: a topic must be a string of 1 to 256 bytes without control characters, other than \".\", \"..\" and \"/\"",
	wire.CodeIdempotencyKey:   "Invalid request: idempotency_key must be a string of 1 to 256 bytes, and goes with a topic",
	wire.CodeEventMissing:     "Invalid request: for a topic, event or close is required; the fields are topic, event.name, event.data, event.transient, close and idempotency_key",
	wire.CodeTransient:        "Invalid request: event.transient must be a boolean, and goes with a topic, without close and idempotency_key",
	wire.CodeTopics:           "Invalid request: too many topics: 10000 are the most for one stream",
	wire.CodeAbsent:           "Invalid request: absent must be an array of objects with a topic and 1 to 100 events, each with data and maybe a name without CR, LF or NUL",
	wire.CodeOverride:         "Invalid request: override must be a boolean, and needs from",
	wire.CodeJSON:             "Invalid request: body must be a JSON object",
	wire.CodeFrom:             "Invalid request: from must be \"earliest\", \"latest\" or an event id",
}

// check compares what a parser returns with the code that is wanted, "" for none.
func check(t *testing.T, body string, err error, want wire.Code) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%.100s: %v, want no error", body, err)
		}
		return
	}
	e, ok := errors.AsType[*wire.Error](err)
	if !ok || e.Code != want || e.Status != http.StatusBadRequest || e.Message != refused[want] {
		t.Errorf("%.100s: %v (%+v), want 400 %s %q", body, err, e, want, refused[want])
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]wire.Code{
		// Not an object. An array and an empty body have no token.
		``: wire.CodeTokenMissing, ` `: wire.CodeTokenMissing, `[]`: wire.CodeTokenMissing, `[{"token":"t"}]`: wire.CodeTokenMissing,
		`null`: wire.CodeJSON, `"t"`: wire.CodeJSON, `1`: wire.CodeJSON, `true`: wire.CodeJSON, `{`: wire.CodeJSON, `{}x`: wire.CodeJSON,
		`{"token":"t",}`: wire.CodeJSON, `{'token':'t'}`: wire.CodeJSON, `{}{}`: wire.CodeJSON, "\xff": wire.CodeJSON,
		strings.Repeat("[", 100_000): wire.CodeJSON,

		`{}`: wire.CodeTokenMissing, `{"token":""}`: wire.CodeTokenMissing, `{"token":null}`: wire.CodeTokenMissing,
		`{"token":1}`: wire.CodeTokenMissing, `{"token":["t"]}`: wire.CodeTokenMissing, `{"Token":"t"}`: wire.CodeTokenMissing,
		`{"token":"t","topic":"a"}`: wire.CodeTarget, `{"token":null,"topic":"a"}`: wire.CodeTarget,
		`{"topic":""}`: wire.CodeTopic, `{"topic":null}`: wire.CodeTopic, `{"topic":7}`: wire.CodeTopic, `{"topic":"a\nb"}`: wire.CodeTopic,

		`{"token":"t","event":null}`: wire.CodeEventType, `{"token":"t","event":"x"}`: wire.CodeEventType,
		`{"token":"t","event":1}`: wire.CodeEventType, `{"token":"t","event":true}`: wire.CodeEventType,
		`{"token":"t","event":[]}`: wire.CodeEventDataMissing, `{"token":"t","event":["data"]}`: wire.CodeEventDataMissing,
		`{"token":"t","event":{}}`: wire.CodeEventDataMissing, `{"token":"t","event":{"data":null}}`: wire.CodeEventDataMissing,
		`{"token":"t","event":{"data":{}}}`: wire.CodeEventDataMissing, `{"token":"t","event":{"name":"n"}}`: wire.CodeEventDataMissing,
		`{"token":"t","event":{"name":1}}`:               wire.CodeEventDataMissing, // data is looked at first
		`{"token":"t","event":{"data":"d","name":null}}`: wire.CodeEventNameType, `{"token":"t","event":{"data":"d","name":1}}`: wire.CodeEventNameType,
		`{"token":"t","event":{"data":"d","name":"a\nb"}}`: wire.CodeEventName, `{"token":"t","event":{"data":"d","name":"a\rb"}}`: wire.CodeEventName,
		`{"token":"t","event":{"data":"d","name":"a\u0000b"}}`: wire.CodeEventName,

		`{"token":"t","close":null}`: wire.CodeCloseType, `{"token":"t","close":"true"}`: wire.CodeCloseType,
		`{"token":"t","close":1}`: wire.CodeCloseType, `{"token":"t","close":[true]}`: wire.CodeCloseType,

		// X43: what is for a topic and says nothing is most likely written wrong.
		`{"topic":"zz"}`: wire.CodeEventMissing, `{"topic":"zz","data":"x"}`: wire.CodeEventMissing, `{"topic":"zz","evnt":{"data":"x"}}`: wire.CodeEventMissing,
		`{"topic":"zz","close":false}`: wire.CodeEventMissing, `{"topic":"zz","Event":{"data":"x"},"idempotency_key":"k"}`: wire.CodeEventMissing, `{"topic":"zz","closed":true}`: wire.CodeEventMissing,
		`{"topic":"a","event":{"data":"d","transient":1}}`: wire.CodeTransient, `{"topic":"a","event":{"data":"d","transient":null}}`: wire.CodeTransient, `{"topic":"a","event":{"data":"d","transient":"true"}}`: wire.CodeTransient,
		`{"token":"t","event":{"data":"d","transient":true}}`: wire.CodeTransient, `{"topic":"a","event":{"data":"d","transient":true},"close":true}`: wire.CodeTransient, `{"topic":"a","event":{"data":"d","transient":true},"idempotency_key":"k"}`: wire.CodeTransient,
		`{"topic":"a","event":{"transient":true}}`: wire.CodeEventDataMissing,
		// X46: a path cannot name these.
		`{"topic":".","close":true}`: wire.CodeTopic, `{"topic":"..","close":true}`: wire.CodeTopic, `{"topic":"/","close":true}`: wire.CodeTopic, `{"topic":"\u002e\u002e","close":true}`: wire.CodeTopic,

		`{"token":"t","idempotency_key":"k"}`: wire.CodeIdempotencyKey, `{"topic":"a","idempotency_key":""}`: wire.CodeIdempotencyKey,
		`{"topic":"a","idempotency_key":null}`: wire.CodeIdempotencyKey, `{"topic":"a","idempotency_key":1}`: wire.CodeIdempotencyKey,
		`{"topic":"a","idempotency_key":"` + strings.Repeat("k", 257) + `"}`: wire.CodeIdempotencyKey,
	} {
		m, err := wire.ParseMessage([]byte(body))
		check(t, body, err, want)
		if m != (wire.Message{}) {
			t.Errorf("%.100s is refused and yet gives %+v", body, m)
		}
	}
}

// TestTheFirstFailureIsReported takes a message in which everything is wrong and
// mends one thing after the other: the checks come in the order of the contract.
func TestTheFirstFailureIsReported(t *testing.T) {
	t.Parallel()
	type step struct {
		field, value string // "" takes the field away
		want         wire.Code
	}
	rest := []step{
		{"event", `{"name":0}`, wire.CodeEventDataMissing},
		{"event", `{"name":0,"data":""}`, wire.CodeEventNameType},
		{"event", `{"name":"\n","data":""}`, wire.CodeEventName},
		{"event", `{"name":"n","data":""}`, wire.CodeCloseType},
		{"close", `false`, wire.CodeIdempotencyKey},
	}
	for _, steps := range [][]step{
		{{"token", `0`, wire.CodeTarget}, {"topic", ``, wire.CodeTokenMissing}, {"token", `"t"`, wire.CodeEventType}},
		{{"token", `0`, wire.CodeTarget}, {"token", ``, wire.CodeTopic}, {"topic", `"a"`, wire.CodeEventType}},
	} {
		names := []string{"token", "topic", "event", "close", "idempotency_key"}
		message := map[string]string{"token": "0", "topic": "0", "event": "0", "close": "0", "idempotency_key": "0"}
		for _, step := range append(steps, rest...) {
			message[step.field] = step.value
			slices.Reverse(names) // their order in the body is no matter
			var fields []string
			for _, name := range names {
				if message[name] != "" {
					fields = append(fields, `"`+name+`":`+message[name])
				}
			}
			body := "{" + strings.Join(fields, ",") + "}"
			_, err := wire.ParseMessage([]byte(body))
			check(t, body, err, step.want)
		}
	}
}

func TestMessagesThatAreTaken(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]wire.Message{
		`{"token":"t"}`: {Token: "t"},
		" \n{\"token\" : \"t\" , \"close\" : true } \n":                   {Token: "t", Close: true},
		`{"token":"t","close":false,"more":[1]}`:                          {Token: "t"},
		`{"token":"t","event":{"data":""}}`:                               {Token: "t", HasEvent: true},
		`{"token":"t","event":{"data":"d","name":"","id":"1","retry":5}}`: {Token: "t", HasEvent: true, Data: "d"},
		`{"token":"t","event":{"data":"a\r\nb\u0000","name":"n"}}`:        {Token: "t", HasEvent: true, Data: "a\r\nb\x00", Name: "n"},
		`{"topic":"a:b","event":{"data":"d"},"close":true,"idempotency_key":"k"}`: {
			Topic: "a:b", HasEvent: true, Data: "d", Close: true, IdempotencyKey: "k"},
		`{"topic":"a","close":true,"idempotency_key":"` + strings.Repeat("k", 256) + `"}`: {Topic: "a", Close: true, IdempotencyKey: strings.Repeat("k", 256)},
		`{"topic":"a","event":{"data":"d","transient":true},"close":false}`:               {Topic: "a", HasEvent: true, Data: "d", Transient: true},
		`{"token":"t","event":{"data":"d","transient":false}}`:                            {Token: "t", HasEvent: true, Data: "d"},
		// Of a repeated field the last one counts; case matters; broken text is repaired.
		`{"token":1,"token":"t","Event":null,"CLOSE":1}`:   {Token: "t"},
		`{"topic":"Zürich: 東京","close":true}`:              {Topic: "Zürich: 東京", Close: true},
		`{"token":"t","event":{"data":"\ud800x"}}`:         {Token: "t", HasEvent: true, Data: "\uFFFDx"},
		"{\"token\":\"t\",\"event\":{\"data\":\"\xffx\"}}": {Token: "t", HasEvent: true, Data: "\uFFFDx"},
	} {
		got, err := wire.ParseMessage([]byte(body))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", body, err, diff)
		}
	}
}

// TestX44MoreTopicsThanAStreamMayFollowAreRefused: for good, for the same request
// never succeeds. Repeats do not count.
func TestX44MoreTopicsThanAStreamMayFollowAreRefused(t *testing.T) {
	t.Parallel()
	body := func(names ...string) string {
		return `{"token":"t","topics":["` + strings.Join(names, `","`) + `"]}`
	}
	var names []string
	for i := range wire.MaxTopics {
		names = append(names, strconv.Itoa(i))
	}
	for text, want := range map[string]wire.Code{
		body(names...):                           "",
		body(append(names, names...)...):         "",
		body(append(names, "x")...):              wire.CodeTopics,
		body(append(names, names[0], "x")...):    wire.CodeTopics,
		body(append([]string{"x"}, names...)...): wire.CodeTopics,
	} {
		_, err := wire.ParseSubscribe([]byte(text))
		check(t, "many topics", err, want)
	}
}

func TestParseSubscribe(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]wire.Code{
		``: wire.CodeTokenMissing, `{}`: wire.CodeTokenMissing, `[]`: wire.CodeTokenMissing, `x`: wire.CodeJSON, `null`: wire.CodeJSON,
		`{"topics":["a"]}`: wire.CodeTokenMissing, `{"token":"","topics":["a"]}`: wire.CodeTokenMissing, `{"token":5,"topics":["a"]}`: wire.CodeTokenMissing,
		`{"token":"t","topics":[""]}`: wire.CodeTopic, `{"token":"t","topics":["a",""]}`: wire.CodeTopic, `{"token":"t","topics":["a",null]}`: wire.CodeTopic,
		`{"token":"t","topics":["a","."]}`: wire.CodeTopic, `{"token":"t","topics":["..","a"]}`: wire.CodeTopic, `{"token":"t","topics":["/"]}`: wire.CodeTopic,
		`{"token":"t","topics":["a","b\u0007"]}`: wire.CodeTopic, `{"token":"t","topics":["` + strings.Repeat("x", 257) + `"]}`: wire.CodeTopic,
		`{"token":"t","topics":["a"],"from":""}`: wire.CodeFrom, `{"token":"t","topics":["a"],"from":null}`: wire.CodeFrom, `{"token":"t","topics":["a"],"from":1}`: wire.CodeFrom,
	} {
		r, err := wire.ParseSubscribe([]byte(body))
		check(t, body, err, want)
		if r.Token != "" || r.Topics != nil {
			t.Errorf("%s is refused and yet gives %+v", body, r)
		}
	}
	// X42: override goes with from.
	for body, want := range map[string]wire.Code{
		`"from":"latest","override":true`: "", `"from":"latest","override":false`: "", `"override":false`: "",
		`"override":true`: wire.CodeOverride, `"from":"latest","override":1`: wire.CodeOverride, `"from":"latest","override":"true"`: wire.CodeOverride, `"override":null`: wire.CodeOverride,
		// X11: topics that may be absent.
		`"absent":[{"topic":"b","events":[{"data":"d","name":"n"},{"data":"e"}]}]`: "", `"absent":[{"topic":"a","events":[{"data":""}]}]`: "",
		`"absent":[]`: wire.CodeAbsent, `"absent":{}`: wire.CodeAbsent, `"absent":null`: wire.CodeAbsent, `"absent":["b"]`: wire.CodeAbsent, `"absent":[{"topic":"b"}]`: wire.CodeAbsent,
		`"absent":[{"topic":"b","events":[]}]`: wire.CodeAbsent, `"absent":[{"topic":"b","events":{}}]`: wire.CodeAbsent, `"absent":[{"topic":"b","events":[{}]}]`: wire.CodeAbsent,
		`"absent":[{"topic":"b","events":["d"]}]`: wire.CodeAbsent, `"absent":[{"events":[{"data":"d"}]}]`: wire.CodeAbsent, `"absent":[{"topic":1,"events":[{"data":"d"}]}]`: wire.CodeAbsent,
		`"absent":[{"topic":"b","events":[{"data":"d","name":"\n"}]}]`: wire.CodeAbsent, `"absent":[{"topic":"b","events":[{"data":"d","name":1}]}]`: wire.CodeAbsent,
		`"absent":[{"topic":"b","Events":[{"data":"d"}]}]`: wire.CodeAbsent, `"absent":[{"topic":"..","events":[{"data":"d"}]}]`: wire.CodeTopic,
		`"absent":[{"topic":"b","events":[` + strings.Repeat(`{"data":"d"},`, 100) + `{"data":"d"}]}]`: wire.CodeAbsent,
	} {
		body = `{"token":"t","topics":["a"],` + body + `}`
		_, err := wire.ParseSubscribe([]byte(body))
		check(t, body, err, want)
	}
	alone, err := wire.ParseSubscribe([]byte(`{"token":"t","absent":[{"topic":"b","events":[{"data":"d","name":"n"}]}]}`))
	if diff := cmp.Diff(wire.SubscribeRequest{Token: "t", Absent: []wire.AbsentTopic{{Topic: "b", Events: []wire.Event{{Name: "n", Data: "d"}}}}}, alone); diff != "" || err != nil {
		t.Errorf("absent alone: %v (-want +got):\n%s", err, diff)
	}
	for _, body := range []string{
		`{"token":"t"}`, `{"token":"t","topics":[]}`, `{"token":"t","topics":null}`, `{"token":"t","topics":"a"}`, `{"token":"t","topics":[1]}`, `{"token":"t","topics":["a",1]}`, `{"token":"t","topics":{}}`,
	} {
		_, err := wire.ParseSubscribe([]byte(body))
		e, ok := errors.AsType[*wire.Error](err)
		if !ok || e.Code != wire.CodeTopic || e.Status != 400 || e.Message != topicsRequired {
			t.Errorf("%s: %v", body, err)
		}
	}
	got, err := wire.ParseSubscribe([]byte(`{"token":"t","topics":["a","b:1","a"],"from":"latest","more":1}`))
	want := wire.SubscribeRequest{Token: "t", Topics: []string{"a", "b:1", "a"}, From: "latest"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
