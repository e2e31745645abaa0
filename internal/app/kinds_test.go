package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestX06AKindThatIsOffIsUnknown, on all ways that lead to it.
func TestX06AKindThatIsOffIsUnknown(t *testing.T) {
	t.Parallel()
	for types, on := range map[string]string{"checksum": "checksum", "demo_task": "demo_task", "": ""} {
		p := start(t, "serve", "--task-types", types, "--mode", "testing")
		for _, kind := range []string{"checksum", "demo_task", "failing_task"} {
			want := http.StatusBadRequest
			if kind == on {
				want = http.StatusAccepted
			}
			got := do(t, "POST", p.Public+"/api/tasks", `{"type":"`+kind+`"}`)
			if got.status != want || want == http.StatusBadRequest && !strings.Contains(got.body, "Unknown task type: "+kind) {
				t.Errorf("types %q: start of %s: %d %s, want %d", types, kind, got.status, got.body, want)
			}
			if kind == "checksum" {
				continue // is none of the testing endpoint
			}
			if want == http.StatusAccepted {
				want = http.StatusOK
			}
			got = do(t, "POST", p.Public+"/api/testing/tasks/start", `{"task_type":"`+kind+`"}`)
			if got.status != want {
				t.Errorf("types %q: testing start of %s: %d %s, want %d", types, kind, got.status, got.body, want)
			}
		}
	}
}
