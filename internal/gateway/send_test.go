package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

const (
	msgToken     = "Invalid request: token is required and must be a string"
	msgEvent     = "Invalid request: event must be an object"
	msgData      = "Invalid request: event.data is required and must be a string"
	msgNameType  = "Invalid request: event.name must be a string"
	msgClose     = "Invalid request: close must be a boolean"
	tokenNone    = `"token":"AAAAAAAAAAAAAAAAAAAAAA"`
	notFoundBody = `{"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}`
)

// TestSendChecksInOrder: of several faults the first in the contract's order is
// reported, in the words of the replaced system, and before the token is looked up.
func TestSendChecksInOrder(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, code, message string }{
		{`{}`, "INVALID_TOKEN_MISSING", msgToken},
		{``, "INVALID_TOKEN_MISSING", msgToken},
		{"  \n ", "INVALID_TOKEN_MISSING", msgToken},
		{`[]`, "INVALID_TOKEN_MISSING", msgToken},
		{`[{"token":"x"}]`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"token":""}`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"token":null}`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"token":7}`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"token":["x"]}`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"Token":"x"}`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"event":1,"close":1}`, "INVALID_TOKEN_MISSING", msgToken},
		{`{"event":{"name":"a\nb"}}`, "INVALID_TOKEN_MISSING", msgToken},

		{`{` + tokenNone + `,"event":null,"close":1}`, "INVALID_EVENT_TYPE", msgEvent},
		{`{` + tokenNone + `,"event":"x"}`, "INVALID_EVENT_TYPE", msgEvent},
		{`{` + tokenNone + `,"event":1}`, "INVALID_EVENT_TYPE", msgEvent},
		{`{` + tokenNone + `,"event":false}`, "INVALID_EVENT_TYPE", msgEvent},

		{`{` + tokenNone + `,"event":{},"close":1}`, "INVALID_EVENT_DATA_MISSING", msgData},
		{`{` + tokenNone + `,"event":[]}`, "INVALID_EVENT_DATA_MISSING", msgData},
		{`{` + tokenNone + `,"event":{"data":null,"name":7}}`, "INVALID_EVENT_DATA_MISSING", msgData},
		{`{` + tokenNone + `,"event":{"data":{"a":1}}}`, "INVALID_EVENT_DATA_MISSING", msgData},
		{`{` + tokenNone + `,"event":{"name":"a\nb"}}`, "INVALID_EVENT_DATA_MISSING", msgData},

		{`{` + tokenNone + `,"event":{"data":"","name":null},"close":1}`, "INVALID_EVENT_NAME_TYPE", msgNameType},
		{`{` + tokenNone + `,"event":{"data":"","name":7}}`, "INVALID_EVENT_NAME_TYPE", msgNameType},
		{`{` + tokenNone + `,"event":{"data":"","name":[]}}`, "INVALID_EVENT_NAME_TYPE", msgNameType},

		{`{` + tokenNone + `,"event":{"data":"","name":"a\nb"},"close":1}`, "INVALID_EVENT_NAME", "Invalid request: event.name must not contain CR, LF or NUL"},
		{`{` + tokenNone + `,"event":{"data":"","name":"a\rb"}}`, "INVALID_EVENT_NAME", "Invalid request: event.name must not contain CR, LF or NUL"},
		{`{` + tokenNone + `,"event":{"data":"","name":"\u0000"}}`, "INVALID_EVENT_NAME", "Invalid request: event.name must not contain CR, LF or NUL"},

		{`{` + tokenNone + `,"event":{"data":""},"close":null}`, "INVALID_CLOSE_TYPE", msgClose},
		{`{` + tokenNone + `,"close":"true"}`, "INVALID_CLOSE_TYPE", msgClose},
		{`{` + tokenNone + `,"close":1}`, "INVALID_CLOSE_TYPE", msgClose},

		{`{` + tokenNone + `,"topic":"t"}`, "INVALID_TARGET", ""},
		{`{"token":null,"topic":"t"}`, "INVALID_TARGET", ""},
		{`{"topic":""}`, "INVALID_TOPIC", ""},
		{`{"topic":7}`, "INVALID_TOPIC", ""},
		{`{"topic":"a\nb"}`, "INVALID_TOPIC", ""},
		{`{"topic":"` + strings.Repeat("t", 257) + `"}`, "INVALID_TOPIC", ""},
		{`{"topic":"t","event":null}`, "INVALID_EVENT_TYPE", msgEvent},
		{`{"topic":"t","idempotency_key":""}`, "INVALID_IDEMPOTENCY_KEY", ""},
		{`{"topic":"t","idempotency_key":7}`, "INVALID_IDEMPOTENCY_KEY", ""},
		{`{"topic":"t","idempotency_key":"` + strings.Repeat("k", 257) + `"}`, "INVALID_IDEMPOTENCY_KEY", ""},
		{`{` + tokenNone + `,"idempotency_key":"k"}`, "INVALID_IDEMPOTENCY_KEY", ""},

		{`{`, "INVALID_JSON", ""}, {`null`, "INVALID_JSON", ""}, {`"x"`, "INVALID_JSON", ""}, {`7`, "INVALID_JSON", ""},
		{`{"token":"x"} {}`, "INVALID_JSON", ""}, {`{"token":"x",}`, "INVALID_JSON", ""}, {`[1`, "INVALID_JSON", ""}, {"\xff", "INVALID_JSON", ""},
	}
	r := setup(t, sockets, nil)
	for _, tt := range tests {
		got := r.send(tt.body)
		wantError(t, tt.body, got, 400, tt.code)
		if want := fmt.Sprintf(`{"error":{"message":%q,"code":%q}}`, tt.message, tt.code); tt.message != "" && got.Body != want {
			t.Errorf("%s: %s, want %s", tt.body, got.Body, want)
		}
	}
	if got := r.get("/internal/topics"); got.Body != `{"topics":[]}` {
		t.Errorf("bad messages made topics: %s", got.Body)
	}
}

func TestSendToUnknownToken(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	c.leave()
	r.backend.next(wire.Disconnect)
	for _, body := range []string{
		`{` + tokenNone + `}`, `{` + tokenNone + `,"close":true}`, `{` + tokenNone + `,"event":{"data":"x"}}`,
		`{"token":"../../etc/passwd"}`, `{"token":"\u0000"}`, `{"token":"` + strings.Repeat("x", 100_000) + `"}`,
		`{"token":"` + token + `","event":{"data":"x"}}`,
	} {
		if got := r.send(body); got.Status != 404 || got.Body != notFoundBody {
			t.Errorf("%.60s: %d %s, want 404 %s", body, got.Status, got.Body, notFoundBody)
		}
	}
}

func TestSendToOpenStream(t *testing.T) {
	t.Parallel()
	tests := []struct{ fields, want string }{
		{`"event":{"data":"x"}`, "data: x\n\n"},
		{`"event":{"data":"x","name":"n"}`, "event: n\ndata: x\n\n"},
		{`"event":{"data":"x","name":""}`, "data: x\n\n"},
		{`"event":{"data":""}`, "data: \n\n"},
		{`"event":{"data":" x"}`, "data:  x\n\n"},
		{`"event":{"data":"a\nb"}`, "data: a\ndata: b\n\n"},
		{`"event":{"data":"\n\n"}`, "data: \ndata: \ndata: \n\n"},
		{`"event":{"data":"a\r\nb\rc"}`, "data: a\ndata: b\ndata: c\n\n"},
		{`"event":{"data":"{\n\"a\":1}","name":"json"}`, "event: json\ndata: {\ndata: \"a\":1}\n\n"},
		{`"event":{"data":"zażółć \ud83d\ude00 \u0000"}`, "data: zażółć 😀 \x00\n\n"},
		{`"event":{"data":"\ud800"}`, "data: \uFFFD\n\n"},
		{`"event":{"data":"x","id":"7","retry":1,"unknown":{}},"unknown":[1]`, "data: x\n\n"},
		{`"event":{"data":": comment"}`, "data: : comment\n\n"},
		{`"event":{"data":"x","name":"ready: x"}`, "event: ready: x\ndata: x\n\n"},
		{`"close":false`, ""},
		{`"unknown":true`, ""},
	}
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	var want strings.Builder
	for _, tt := range tests {
		got := r.send(`{"token":"` + token + `",` + tt.fields + `}`)
		if got.Status != 200 || got.Body != `{"status":"ok"}` {
			t.Fatalf("%s: %d %s, want 200 ok", tt.fields, got.Status, got.Body)
		}
		want.WriteString(tt.want)
	}
	r.send(`{"token":"` + token + `","event":{"data":"last"},"close":true}`)
	c.wantEnd(want.String() + "data: last\n\n")
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailClosed)
	if got := r.send(`{"token":"` + token + `","close":true}`); got.Status != 404 {
		t.Errorf("a second close: %d %s, want 404", got.Status, got.Body)
	}
}

func TestOneOfConcurrentClosesWins(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	var closes sync.WaitGroup
	statuses := make(chan int, 10)
	for range cap(statuses) {
		closes.Go(func() { statuses <- r.send(`{"token":"` + token + `","close":true}`).Status })
	}
	closes.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if count[200] != 1 || count[404] != 9 {
		t.Errorf("ten closes answered %v, want one 200 and nine 404", count)
	}
	c.wantEnd("")
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailClosed)
}

func TestSendIsDeliveredInTheOrderOfAnswers(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.CallbackTimeout = time.Minute })
	r.backend.hold()
	c := r.open("/x")
	token := r.backend.next(wire.Connect).Token
	var want strings.Builder
	for i := range 200 {
		if i == 100 { // half of them wait for the callback
			r.backend.letGo()
		}
		r.send(fmt.Sprintf(`{"token":%q,"event":{"data":"%d\n%d"}}`, token, i, i))
		fmt.Fprintf(&want, "data: %d\ndata: %d\n\n", i, i)
	}
	r.send(`{"token":"` + token + `","close":true}`)
	c.wantEnd(want.String())
}

func TestBodiesOfSend(t *testing.T) {
	t.Parallel()
	fits := func(n int) string { // a body of n bytes
		body := `{` + tokenNone + `,"event":{"data":"` + `"}}`
		return strings.Replace(body, `""`, `"`+strings.Repeat("x", n-len(body))+`"`, 1)
	}
	tests := []struct {
		name, contentType, encoding, body string
		status                            int
		code                              string
	}{
		{"JSON", "application/json", "", fits(100), 404, "TOKEN_NOT_FOUND"},
		{"charset", "application/json; charset=utf-8", "", fits(100), 404, "TOKEN_NOT_FOUND"},
		{"charset in capitals", "Application/JSON; Charset=UTF-8", "", fits(100), 404, "TOKEN_NOT_FOUND"},
		{"gzip", "application/json", "gzip", gzipped(fits(100)), 404, "TOKEN_NOT_FOUND"},
		{"identity", "application/json", "identity", fits(100), 404, "TOKEN_NOT_FOUND"},
		{"largest", "application/json", "", fits(1000), 404, "TOKEN_NOT_FOUND"},
		{"too large", "application/json", "", fits(1001), 413, "BODY_TOO_LARGE"},
		{"too large unpacked", "application/json", "gzip", gzipped(fits(1001)), 413, "BODY_TOO_LARGE"},
		{"bomb", "application/json", "gzip", gzipped(strings.Repeat(" ", 1<<20)), 413, "BODY_TOO_LARGE"},
		{"not gzip", "application/json", "gzip", fits(100), 400, "INVALID_JSON"},
		{"cut gzip", "application/json", "gzip", gzipped(fits(100))[:40], 400, "INVALID_JSON"},
		{"no type", "", "", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"text", "text/plain", "", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"form", "application/x-www-form-urlencoded", "", "token=x", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"another JSON", "application/vnd.x+json", "", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"another charset", "application/json; charset=utf-16", "", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"bad type", "application/json; =", "", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"deflate", "application/json", "deflate", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"twice packed", "application/json", "gzip, gzip", fits(100), 415, "UNSUPPORTED_MEDIA_TYPE"},
	}
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxBody = 1000 })
	for _, tt := range tests {
		var headers []string
		if tt.encoding != "" {
			headers = []string{"Content-Encoding", tt.encoding}
		}
		got := r.call(http.MethodPost, "/internal/send", tt.contentType, tt.body, headers...)
		wantError(t, tt.name, got, tt.status, tt.code)
	}
}

// gzipped is text as gzip.
func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // into memory
	_ = w.Close()
	return b.String()
}

func TestBodyOfUnknownLengthIsBounded(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxBody = 1000 })
	request, err := http.NewRequest(http.MethodPost, "http://gateway.localhost/internal/send", struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", 5000))})
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.api.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a chunked body beyond the bound: %d, want 413", response.StatusCode)
	}
}
