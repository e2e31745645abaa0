package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"tidegate/internal/gateway"
	"tidegate/internal/packed"
	"tidegate/internal/topic"
)

// internalAPI is a gateway's internal API without a network.
func internalAPI() http.Handler {
	return gateway.New(gateway.Options{
		Topics:      topic.New(topic.Options{Default: topic.Retention{Events: 3}, MaxTopics: 20}),
		CallbackURL: callbackURL,
		MaxBody:     1000,
		MaxBatch:    5000,
	}).Internal()
}

func post(h http.Handler, path, kind string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// FuzzInternalBodies: whatever is sent, the answer is one that the document has.
func FuzzInternalBodies(f *testing.F) {
	for _, body := range []string{
		`{}`, `[]`, `null`, `{"token":"x"}`, `{"token":"x","event":{"data":"a\r\nb","name":"n"},"close":true}`, `{"topic":"t","event":{"data":""}}`,
		`{"topic":"t","close":true,"idempotency_key":"k"}`, `{"token":"x","topics":["t"],"from":"earliest"}`, `{"token":"x","topics":[]}`, "\xff", `{"topic":"\ud800"}`,
	} {
		f.Add([]byte(body))
	}
	d := readDocument(f)
	operations := d.operations()
	h := internalAPI()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, id := range []string{"send", "subscribe", "unsubscribe"} {
			got := post(h, "/internal/"+id, "application/json", body)
			response := d.follow(at(operations[id].node, "responses", strconv.Itoa(got.Code)))
			if response == nil {
				t.Fatalf("%s %q: %d %s is not in the document", id, body, got.Code, got.Body)
			}
			var value any
			if err := json.Unmarshal(got.Body.Bytes(), &value); err != nil {
				t.Fatalf("%s %q: %s: %v", id, body, got.Body, err)
			}
			for _, fault := range d.check(at(response, "content", "application/json", "schema"), value, id) {
				t.Errorf("%q: %s in %s", body, fault, got.Body)
			}
		}
	})
}

// FuzzBatch: each line that is not blank has one answer, in order, up to the
// bounds.
func FuzzBatch(f *testing.F) {
	f.Add([]byte("{}\n\n{\"topic\":\"t\",\"event\":{\"data\":\"x\"}}\r\nnot JSON"))
	f.Add([]byte("\n \n\t\r\n"))
	f.Add(bytes.Repeat([]byte("x"), 1500))
	f.Add([]byte(strings.Repeat("{\"token\":\"x\"}\n", 50)))
	h := internalAPI()
	f.Fuzz(func(t *testing.T, body []byte) {
		got := post(h, "/internal/send", "application/x-ndjson", body)
		if len(body) > 5000 {
			if got.Code != http.StatusRequestEntityTooLarge {
				t.Fatalf("%d bytes: %d, want 413", len(body), got.Code)
			}
			return
		}
		want := 0
		for line := range bytes.Lines(body) {
			if len(line) > 1001 || len(bytes.TrimSpace(line)) > 0 {
				want++
			}
		}
		answers := bytes.Count(got.Body.Bytes(), []byte("\n"))
		if got.Code != http.StatusOK || answers != want {
			t.Fatalf("%q: %d with %d answers, want 200 with %d: %s", body, got.Code, answers, want, got.Body)
		}
		for line := range bytes.Lines(got.Body.Bytes()) {
			var answer struct{ Code int }
			if err := json.Unmarshal(line, &answer); err != nil || answer.Code < 200 || answer.Code == http.StatusInternalServerError {
				t.Fatalf("%q: answer %s: %v", body, line, err)
			}
		}
	})
}

// FuzzRequestInCallback: what a callback says of a request is what came.
func FuzzRequestInCallback(f *testing.F) {
	f.Add("/x", "X-A", "1")
	f.Add("//x/../y?a=%zz#f", "Cookie", "a=1; b=2")
	f.Add("http://other.test/a?b", "Set-Cookie", "é")
	f.Add("/ü", "Last-Event-ID", "\x00")
	f.Fuzz(func(t *testing.T, target, name, value string) {
		raw := "GET " + target + " HTTP/1.1\r\nHost: tidegate.test\r\n" + name + ": " + value + "\r\n" + name + ": " + value + "\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil || len(r.Header) != 1 || len(r.Header.Values(name)) != 2 {
			return // no such request reaches the gateway
		}
		store := packed.New(packed.Options{})
		unpacked := store.Unpack(store.Pack(r))
		if unpacked.URL != r.RequestURI || unpacked.URL != target {
			t.Errorf("target %q becomes %q", target, unpacked.URL)
		}
		separator := ", "
		if strings.EqualFold(name, "cookie") {
			separator = "; "
		}
		value = r.Header.Get(name)
		if got := unpacked.Headers[strings.ToLower(name)]; got != value+separator+value {
			t.Errorf("header %q twice %q becomes %q", name, value, got)
		}
		encoded, err := json.Marshal(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ URL string }
		if err := json.Unmarshal(encoded, &back); err != nil || utf8.ValidString(target) && back.URL != target {
			t.Errorf("target %q arrives as %q: %v", target, back.URL, err)
		}
	})
}
