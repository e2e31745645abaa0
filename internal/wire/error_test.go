package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"tidegate/internal/wire"
)

func TestWriteErrorHasOneShape(t *testing.T) {
	t.Parallel()
	full := &wire.Error{Status: 503, Code: wire.CodeBufferFull, Message: "Buffer \"full\" <now>", RetryAfter: 1500 * time.Millisecond}
	for _, tt := range []struct {
		err        error
		status     int
		retryAfter string
		body       string
	}{
		{wire.Errorf(404, wire.CodeTokenNotFound, "Token not found"), 404, "", `{"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}`},
		{fmt.Errorf("push: %w", full), 503, "2", `{"error":{"message":"Buffer \"full\" \u003cnow\u003e","code":"BUFFER_FULL"}}`},
		{errors.New("password is hunter2"), 500, "", `{"error":{"message":"Internal error","code":"INTERNAL"}}`},
	} {
		w := httptest.NewRecorder()
		wire.WriteError(w, tt.err)
		h := w.Header()
		if w.Code != tt.status || w.Body.String() != tt.body || h.Get("Retry-After") != tt.retryAfter {
			t.Errorf("%v: %d %s, Retry-After %q; want %+v", tt.err, w.Code, w.Body, h.Get("Retry-After"), tt)
		}
		if h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("Content-Length") != fmt.Sprint(len(tt.body)) || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: headers %v", tt.err, h)
		}
	}
}

func TestErrorSaysCodeAndMessage(t *testing.T) {
	t.Parallel()
	if got, want := wire.Errorf(404, wire.CodeTokenNotFound, "Token not found").Error(), "TOKEN_NOT_FOUND: Token not found"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestWriteJSONOfWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	wire.WriteJSON(w, http.StatusOK, math.Inf(1))
	if w.Code != 500 || w.Body.String() != `{"error":{"message":"Internal error","code":"INTERNAL"}}` {
		t.Errorf("%d %s, want a whole 500", w.Code, w.Body)
	}
}

func TestRetryAfterIsRoundedUpToSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "1", -time.Second: "1", time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2", time.Minute: "60", 1023 * time.Second: "1023", 1024 * time.Second: "1024",
	} {
		if got := wire.RetryAfter(d); got != want {
			t.Errorf("RetryAfter(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestEveryDetailBelongsToOneReason(t *testing.T) {
	t.Parallel()
	reasons := []wire.Reason{wire.ClientClosed, wire.ServerClosed, wire.Failed}
	of := make(map[wire.Detail]wire.Reason)
	for _, e := range wire.Endings() {
		if !slices.Contains(reasons, e.Reason) {
			t.Errorf("%+v has a reason that is not one of the three", e)
		}
		if before, twice := of[e.Detail]; twice {
			t.Errorf("detail %q goes with %q and %q", e.Detail, before, e.Reason)
		}
		of[e.Detail] = e.Reason
	}
	if len(of) != 14 {
		t.Errorf("%d details are listed, want all 14", len(of))
	}
}

// TestAnswersAreWrittenAsTheContractSays pins the bytes that callers parse.
func TestAnswersAreWrittenAsTheContractSays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value any
		want  string
	}{
		{wire.SendAnswer{Status: wire.StatusOK}, `{"status":"ok"}`},
		{wire.SendAnswer{Status: wire.StatusBuffered}, `{"status":"buffered"}`},
		{wire.SendAnswer{Status: wire.StatusOK, ID: "x-1", Receivers: new(0)}, `{"status":"ok","id":"x-1","receivers":0}`},
		{wire.SendAnswer{Code: 404, Error: wire.Errorf(404, wire.CodeTokenNotFound, "Token not found")},
			`{"code":404,"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}`},
		{wire.Callback{Action: wire.Connect, Token: "t", Request: wire.Request{URL: "/x?y", Headers: map[string]string{"host": "h"}}},
			`{"action":"connect","token":"t","request":{"url":"/x?y","headers":{"host":"h"}}}`},
		{wire.Callback{Action: wire.Disconnect, Reason: wire.ClientClosed, Token: "t", Request: wire.Request{URL: "/", Headers: map[string]string{}}, DurationMS: new(int64(0))},
			`{"action":"disconnect","reason":"client_closed","token":"t","request":{"url":"/","headers":{}},"duration_ms":0}`},
		{wire.StreamPage{Streams: []wire.StreamInfo{}}, `{"streams":[]}`},
		{wire.SubscribeAnswer{Status: wire.StatusOK, Topics: map[string]wire.TopicInfo{"a": {Topic: "a"}}},
			`{"status":"ok","topics":{"a":{"topic":"a","events":0,"bytes":0,"appended":0,"streams":0,"closed":false}}}`},
	} {
		if got, err := json.Marshal(tt.value); err != nil || string(got) != tt.want {
			t.Errorf("%s, %v; want %s", got, err, tt.want)
		}
	}
}
