package gateway_test

import (
	"strings"
	"testing"
)

// TestX43ATopicMessageThatWouldBeLostIsRefused: a field that is written wrong was
// passed over, and the message was answered as if it had been taken. What is for a
// token without an event writes nothing, as it always did.
func TestX43ATopicMessageThatWouldBeLostIsRefused(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	_, token := r.accepted("/x")
	for _, wrong := range []string{`"data":"x"`, `"evnt":{"data":"x"}`, `"Event":{"data":"x"}`, `"close":false`} {
		line := `{"topic":"zz",` + wrong + `}`
		got := r.send(line)
		wantError(t, "send "+line, got, 400, "INVALID_EVENT_MISSING")
		for _, field := range []string{"event", "close", "idempotency_key"} {
			if !strings.Contains(got.Body, field) {
				t.Errorf("%s: the answer does not name %s: %s", line, field, got.Body)
			}
		}
		batch := r.call("POST", "/internal/send", "application/x-ndjson", line+"\n"+`{"topic":"zz","event":{"data":"y"}}`+"\n")
		if !strings.Contains(batch.Body, "INVALID_EVENT_MISSING") || !strings.Contains(batch.Body, `"status":"ok"`) {
			t.Errorf("batch with %s: %s", line, batch.Body)
		}
	}
	if got := r.send(`{"token":` + quote(token) + `,"data":"x"}`); got.Status != 200 {
		t.Errorf("a send to a token without an event: %d %s", got.Status, got.Body)
	}
}
