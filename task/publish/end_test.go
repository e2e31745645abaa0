package publish_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
	"tidegate/task"
)

// TestX40TheEndOfALogIsRead, page by page, whatever else it has.
func TestX40TheEndOfALogIsRead(t *testing.T) {
	t.Parallel()
	event := func(kind, data string) string {
		return fmt.Sprintf(`{"event_type":%q,"task_id":"t","timestamp":"2026-01-02T03:04:05.678901Z","data":%s}`, kind, data)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	for name, tt := range map[string]struct {
		log  []wire.EventInfo
		want task.LogEnd
		ok   bool
	}{
		"completed": {[]wire.EventInfo{{Name: "task_event", Data: event("task_started", "null")}, {Name: "task_event", Data: event("task_completed", `{"n":1}`)}, {Name: "connection_close", Data: `{}`}},
			task.LogEnd{State: task.Completed, Result: json.RawMessage(`{"n":1}`), At: at}, true},
		"without a result": {[]wire.EventInfo{{Name: "task_event", Data: event("task_completed", "null")}}, task.LogEnd{State: task.Completed, At: at}, true},
		"failed":           {[]wire.EventInfo{{Name: "task_event", Data: event("task_failed", `{"error":"why"}`)}}, task.LogEnd{State: task.Failed, Error: "why", At: at}, true},
		"cancelled":        {[]wire.EventInfo{{Name: "task_event", Data: event("task_cancelled", "null")}}, task.LogEnd{State: task.Cancelled, At: at}, true},
		"no end":           {[]wire.EventInfo{{Name: "task_event", Data: event("progress_update", "{}")}, {Name: "task_event", Data: "{"}, {Name: "other", Data: event("task_completed", "null")}}, task.LogEnd{}, false},
		"no log":           {nil, task.LogEnd{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if len(tt.log) == 0 {
					wire.WriteError(w, wire.Errorf(http.StatusNotFound, wire.CodeTopicNotFound, "no"))
					return
				}
				n := 0 // a page has one event
				if after := r.URL.Query().Get("after"); after != "" {
					_, _ = fmt.Sscan(after, &n)
				}
				page := struct {
					Events []wire.EventInfo `json:"events"`
					Next   string           `json:"next,omitempty"`
				}{Events: tt.log[n : n+1]}
				if n+1 < len(tt.log) {
					page.Next = fmt.Sprint(n + 1)
				}
				text, _ := json.Marshal(page)
				_, _ = io.Copy(w, strings.NewReader(string(text)))
			}))
			got, ok, err := p.End(t.Context(), "t")
			if err != nil || ok != tt.ok || got.State != tt.want.State || string(got.Result) != string(tt.want.Result) || got.Error != tt.want.Error || !got.At.Equal(tt.want.At) {
				t.Errorf("End() = %+v, %v, %v; want %+v, %v", got, ok, err, tt.want, tt.ok)
			}
		})
	}
}
