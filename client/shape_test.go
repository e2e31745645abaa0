package client

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/wire"
)

// fields gives the names that a type has in JSON, those of embedded structs included.
func fields(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name != "" && name != "-":
			names = append(names, name)
		case f.Anonymous:
			names = append(names, fields(f.Type)...)
		}
	}
	slices.Sort(names)
	return names
}

// TestTheClientHasWhatTheGatewaySays: what is added there is missed here.
func TestTheClientHasWhatTheGatewaySays(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]any{
		{Result{}, wire.SendAnswer{}}, {Subscription{}, wire.SubscribeRequest{}}, {AbsentTopic{}, wire.AbsentTopic{}},
		{Attachment{}, wire.SubscribeAnswer{}}, {Topic{}, wire.TopicInfo{}}, {Stream{}, wire.StreamInfo{}},
		{StoredEvent{}, wire.EventInfo{}}, {Error{}, wire.Error{}},
	} {
		ours, theirs := fields(reflect.TypeOf(pair[0])), fields(reflect.TypeOf(pair[1]))
		if len(ours) == 0 || !slices.Equal(ours, theirs) {
			t.Errorf("%T has %v, and the gateway's %T has %v", pair[0], ours, pair[1], theirs)
		}
	}
}

func TestCodesAreThoseOfTheGateway(t *testing.T) {
	t.Parallel()
	for _, code := range []Code{
		CodeTokenNotFound, CodeTopicNotFound, CodeTopicClosed, CodeIdempotencyMismatch, CodeInvalidTopic, CodeBodyTooLarge,
		CodeUnauthorized, CodeBufferFull, CodeDraining, CodeNodeBusy, CodeTooMuchInFlight, CodeEngineUnavailable,
	} {
		if !slices.Contains(wire.Codes(), wire.Code(code)) {
			t.Errorf("%s is no code of the gateway", code)
		}
	}
}

// TestACallbackIsReadAsTheGatewayWritesIt, every field of it.
func TestACallbackIsReadAsTheGatewayWritesIt(t *testing.T) {
	t.Parallel()
	ms := int64(1500)
	for name, tt := range map[string]struct {
		sent wire.Callback
		want Callback
	}{
		"connect": {
			wire.Callback{Action: wire.Connect, Token: "t", Request: wire.Request{URL: "/a?b", Headers: map[string]string{"host": "h"}, Method: "GET", RemoteAddr: "1.2.3.4:5"}, Gateway: "g"},
			Callback{Action: Connect, Token: "t", Request: Request{URL: "/a?b", Headers: map[string]string{"host": "h"}, Method: "GET", RemoteAddr: "1.2.3.4:5"}, Gateway: "g"},
		},
		"disconnect": {
			wire.Callback{Action: wire.Disconnect, Token: "t", Request: wire.Request{URL: "/a"}, Reason: wire.Failed, Detail: wire.DetailDrain, DurationMS: &ms, Undelivered: 3, Redelivered: true},
			Callback{Action: Disconnect, Token: "t", Request: Request{URL: "/a", Headers: map[string]string{}}, Reason: Failed, Detail: "drain", Duration: 1500 * 1e6, Undelivered: 3, Redelivered: true},
		},
	} {
		body, err := json.Marshal(tt.sent)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseCallback(body); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
	if string(ClientClosed) != string(wire.ClientClosed) || string(ServerClosed) != string(wire.ServerClosed) || string(Failed) != string(wire.Failed) {
		t.Error("the reasons are not those of the gateway")
	}
}
