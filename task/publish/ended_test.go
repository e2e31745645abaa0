package publish_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestEndedReadsTheTopic(t *testing.T) {
	t.Parallel()
	started := `{"id":"1","name":"task_event","data":"{\"event_type\":\"task_started\"}"}`
	failed := `{"id":"2","name":"task_event","data":"{\"event_type\":\"task_failed\"}"}`
	for name, tt := range map[string]struct {
		status        int
		topic, events string // answers of the gateway
		ended, closed bool
		fails         bool
	}{
		"no topic":           {404, `{"error":{"code":"TOPIC_NOT_FOUND"}}`, ``, false, false, false},
		"closed":             {200, `{"topic":"task:a","closed":true}`, ``, true, true, false},
		"running":            {200, `{"topic":"task:a"}`, started, false, false, false},
		"about to be closed": {200, `{"topic":"task:a"}`, started + "," + failed, true, false, false},
		"closed meanwhile":   {200, `{"topic":"task:a"}`, failed + `,{"id":"3","name":"connection_close","data":"{}","final":true}`, true, true, false},
		"another event":      {200, `{"topic":"task:a"}`, `{"id":"1","name":"note","data":"{\"event_type\":\"task_failed\"}"}`, false, false, false},
		"no secret":          {401, `{"error":{"code":"UNAUTHORIZED"}}`, ``, false, false, true},
		"no answer":          {200, `<html>`, ``, false, false, true},
		"no events":          {200, `{"topic":"task:a"}`, `<html>`, false, false, true},
	} {
		p := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if strings.HasSuffix(r.URL.Path, "/events") {
				_, _ = io.WriteString(w, `{"events":[`+tt.events+`]}`)
				return
			}
			if r.URL.Path != "/internal/topics/task:a" {
				t.Errorf("%s: the path is %s", name, r.URL.Path)
			}
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.topic)
		}))
		ended, closed, err := p.Ended(t.Context(), "a")
		if ended != tt.ended || closed != tt.closed || (err != nil) != tt.fails {
			t.Errorf("%s: Ended() = %v, %v, %v", name, ended, closed, err)
		}
	}
}
