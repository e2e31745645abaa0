package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// X29: under serve a rejection that passes does not end EventSource; a gateway in
// front of somebody's backend says what happened.
func TestX29RejectionsAreRetryableUnderServe(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]int{"serve": http.StatusOK, "gateway": http.StatusServiceUnavailable} {
		args := []string{"--max-connections", "1"}
		if command == "gateway" { // nobody is there
			args = append(args, "--callback-url", "http://"+unused(t)+"/")
		}
		p := start(t, command, args...)
		if command == "serve" {
			openStream(t, p.Public+"/api/sse/utils/version?request_id=a")
		}
		got := do(t, "GET", p.Public+"/api/sse/utils/version?request_id=b", "")
		if got.status != want || want == http.StatusOK && !strings.HasPrefix(got.body, "retry: ") {
			t.Errorf("%s: %d %q, want %d", command, got.status, got.body, want)
		}
	}
}
