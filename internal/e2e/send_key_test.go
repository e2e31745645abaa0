package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestX45AKeyInTheHeaderIsNotLostOnTheFastPath: on a connection whose requests are
// answered before net/http sees them, the first one with a key is not.
func TestX45AKeyInTheHeaderIsNotLostOnTheFastPath(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}} // one connection for all
	t.Cleanup(client.CloseIdleConnections)
	send := func(body, key string) (status int, answer string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.internal+"/internal/send", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	one, two := `{"topic":"a","event":{"data":"1"}}`, `{"topic":"a","event":{"data":"2"}}`
	for range 3 {
		if status, answer := send(one, ""); status != http.StatusOK {
			t.Fatal(status, answer)
		}
	}
	_, first := send(one, "k")
	if _, again := send(one, "k"); again != first {
		t.Errorf("the same again: %s, want %s", again, first)
	}
	if status, answer := send(two, "k"); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "IDEMPOTENCY_MISMATCH") {
		t.Errorf("other content: %d %s", status, answer)
	}
	if _, other := send(two, ""); other == first {
		t.Errorf("without a key: %s", other)
	}
}
