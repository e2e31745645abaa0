package gateway_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// manyTopics is a JSON array of n names.
func manyTopics(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	b, err := json.Marshal(names)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestX44MoreTopicsThanAStreamMayFollow are refused for good, in one subscribe and
// in many.
func TestX44MoreTopicsThanAStreamMayFollow(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	_, token := r.accepted("/x")
	wantError(t, "10,001 topics", r.subscribe(token, manyTopics(wire.MaxTopics+1)), 400, "INVALID_TOPICS")
	if got := r.subscribe(token, manyTopics(wire.MaxTopics)); got.Status != 200 {
		t.Errorf("10,000 topics: %d %.100s", got.Status, got.Body)
	}
	wantError(t, "one more", r.subscribe(token, `["one more"]`), 400, "INVALID_TOPICS")
}

const key = "Idempotency-Key"

// results are those of a batch: codes, ids and error codes.
func results(t *testing.T, body string) (codes []int, ids, errors []string) {
	t.Helper()
	for line := range strings.Lines(body) {
		var a wire.SendAnswer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		codes, ids = append(codes, a.Code), append(ids, a.ID)
		if a.Error != nil {
			errors = append(errors, string(a.Error.Code))
		}
	}
	return codes, ids, errors
}

// TestX45TheHeaderCountsAsTheField for one message.
func TestX45TheHeaderCountsAsTheField(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	send := func(body string, headers ...string) reply {
		t.Helper()
		return r.call("POST", "/internal/send", "application/json", body, headers...)
	}
	one, two := `{"topic":"a","event":{"data":"1"}}`, `{"topic":"a","event":{"data":"2"}}`
	first := send(one, key, "k")
	if again := send(one, key, "k"); first.Status != 200 || again.Body != first.Body {
		t.Errorf("repeat by header: %s, want %s", again.Body, first.Body)
	}
	if again := send(`{"topic":"a","event":{"data":"1"},"idempotency_key":"k"}`); again.Body != first.Body {
		t.Errorf("repeat by field: %s, want %s", again.Body, first.Body)
	}
	if again := send(`{"topic":"a","event":{"data":"1"},"idempotency_key":"k"}`, key, "k"); again.Body != first.Body {
		t.Errorf("repeat by both: %s, want %s", again.Body, first.Body)
	}
	wantError(t, "other content", send(two, key, "k"), 422, "IDEMPOTENCY_MISMATCH")
	if other := send(two, key, "k2"); other.Status != 200 || other.Body == first.Body {
		t.Errorf("another key: %d %s", other.Status, other.Body)
	}
	_, token := r.accepted("/x")
	for what, got := range map[string]reply{
		"two keys":     send(`{"topic":"a","event":{"data":"1"},"idempotency_key":"l"}`, key, "k"),
		"empty":        send(one, key, ""),
		"too long":     send(one, key, strings.Repeat("k", 257)),
		"for a stream": send(`{"token":"`+token+`","event":{"data":"1"}}`, key, "k"),
	} {
		wantError(t, what, got, 400, "INVALID_IDEMPOTENCY_KEY")
	}
	if info := page[wire.TopicInfo](r, "/internal/topics/a"); info.Appended != 2 {
		t.Errorf("%d events were appended, want 2", info.Appended)
	}
}

// TestX45TheHeaderCountsForEachLineOfABatch in its place, also where logs are in a
// store.
func TestX45TheHeaderCountsForEachLineOfABatch(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Options){
		"memory": nil,
		"store": func(o *gateway.Options) {
			s := &slowStore{}
			s.hub = topic.New(topic.Options{Default: topic.Retention{Events: 10}, Store: s, Generation: "slowstor"})
			s.hub.Begin(1, 0, "")
			o.Topics = s.hub
		},
	} {
		r := setup(t, sockets, change)
		send := func(body string) (codes []int, ids, errors []string) {
			t.Helper()
			return results(t, r.call("POST", "/internal/send", "application/x-ndjson", body, key, "batch").Body)
		}
		batch := `{"topic":"a","event":{"data":"1"}}` + "\n\n" + `{"topic":"a","event":{"data":"1"}}` + "\n" + `{"topic":"b","event":{"data":"3"},"idempotency_key":"own"}` + "\n"
		codes, first, _ := send(batch)
		if len(codes) != 3 || codes[0] != 200 || codes[1] != 200 || codes[2] != 200 || first[0] == first[1] {
			t.Fatalf("%s: first: %v %v; want three events", name, codes, first)
		}
		if _, again, _ := send(batch); strings.Join(again, " ") != strings.Join(first, " ") {
			t.Errorf("%s: the same batch again: %v, want %v", name, again, first)
		}
		codes, _, errors := send(strings.Replace(batch, `"1"`, `"other"`, 1) + `{"token":"t","event":{"data":"x"}}`)
		if len(codes) != 4 || codes[0] != 422 || codes[1] != 200 || codes[2] != 200 || codes[3] != 400 {
			t.Errorf("%s: with another first line: %v %v; want 422 for it alone, and 400 for what is for a stream", name, codes, errors)
		}
	}
}
