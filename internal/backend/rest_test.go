package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/task"
)

// request sends one to the REST endpoints; a body is JSON.
func (b *testBundle) request(method, target, body string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	b.REST().ServeHTTP(w, r)
	return w
}

// decode reads an answer and checks its status.
func decode(t *testing.T, w *httptest.ResponseRecorder, status int, v any) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("answer = %d %s, want %d", w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatal(err)
	}
}

func TestATaskIsStartedAndFinishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		synctest.Wait()
		w := b.request("POST", "/api/tasks", `{"type":"demo_task","params":{"steps":2,"delay":1,"message":"hey"}}`)
		var started map[string]string
		decode(t, w, http.StatusAccepted, &started)
		id := started["task_id"]
		want := map[string]string{"task_id": id, "stream_url": "/api/sse/tasks?task_id=" + id, "status": "pending"}
		if diff := cmp.Diff(want, started); diff != "" || id == "" {
			t.Error(diff)
		}
		if location := w.Header().Get("Location"); location != "/api/tasks/"+id {
			t.Errorf("Location = %q", location)
		}
		began := time.Now().UTC().Format(time.RFC3339Nano)
		time.Sleep(5 * time.Second)
		for _, path := range []string{"/api/tasks/" + id, "/api/tasks/" + id + "/status"} {
			var info map[string]any
			decode(t, b.request("GET", path, ""), 200, &info)
			want := map[string]any{
				"task_id": id, "type": "demo_task", "status": "completed", "error": nil,
				"start_time": began, "end_time": info["end_time"], "created_at": began,
				"result":   map[string]any{"message": "hey", "steps_completed": 2.0, "status": "success"},
				"progress": map[string]any{"text": "Step 2/2", "value": 1.0},
			}
			if diff := cmp.Diff(want, info); diff != "" {
				t.Error(diff)
			}
			if end, err := time.Parse(time.RFC3339, fmt.Sprint(info["end_time"])); err != nil || !end.After(time.Time{}) {
				t.Errorf("end_time = %v, %v", info["end_time"], err)
			}
		}
	})
}

func TestTestTasksAnswerAsTheyDid(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, typ := range []string{"demo_task", "failing_task"} {
		var started startedAnswer
		decode(t, b.request("POST", "/api/testing/tasks/start", `{"task_type":"`+typ+`","params":{"delay":0}}`), 200, &started)
		want := startedAnswer{TaskID: started.TaskID, StreamURL: "/api/sse/tasks?task_id=" + started.TaskID, Status: task.Pending}
		if started != want || started.TaskID == "" {
			t.Errorf("%s = %+v", typ, started)
		}
	}
}

func TestTasksAreListedByPage(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var want []string
	for range 5 {
		want = append([]string{b.start(t, "waiting")}, want...)
	}
	type page struct {
		Tasks []struct {
			ID string `json:"task_id"`
		}
		Next string
	}
	var got []string
	for after := ""; ; {
		var p page
		decode(t, b.request("GET", "/api/tasks?limit=2&status=pending&after="+after, ""), 200, &p)
		for _, info := range p.Tasks {
			got = append(got, info.ID)
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheListLeavesOutLargeResults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *Options) {
			o.Types = []task.Type{{Name: "large", Run: func(context.Context, *task.Run) (any, error) {
				return strings.Repeat("x", maxListedResultSize), nil
			}}}
		})
		b.run(t)
		id := b.start(t, "large")
		synctest.Wait()
		list := b.request("GET", "/api/tasks", "").Body.String()
		if !strings.Contains(list, `"result":null`) || !strings.Contains(list, `"result_omitted":true`) {
			t.Errorf("list = %.300s", list)
		}
		if one := b.request("GET", "/api/tasks/"+id, "").Body.Len(); one < maxListedResultSize {
			t.Errorf("the task itself is shown with %d bytes", one)
		}
	})
}

func TestNoTasksAreTakenWhileStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		b.Drain(t.Context())
		w := b.request("POST", "/api/tasks", `{"type":"demo_task"}`)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"error":"Stopping`) {
			t.Errorf("answer = %d %v %s", w.Code, w.Header(), w.Body)
		}
		wantOK(t, b.connect("t1", versionURL)) // streams are served all the same
	})
}

func TestTooManyTasksAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Tasks.QueueLimit = 1 })
	b.start(t, "waiting")
	w := b.request("POST", "/api/tasks", `{"type":"waiting"}`)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Body.String() != `{"error":"Too many tasks: try again later"}` {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
}

func TestRESTBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, path := range []string{"/api/tasks", "/api/versions"} {
		if w := b.request("POST", path, `{"type":"`+strings.Repeat("x", maxRequestBytes)+`"}`); w.Code != 413 {
			t.Errorf("POST %s = %d %.100s", path, w.Code, w.Body)
		}
	}
}

func TestRESTPanicsAreAnswered500(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) {
		o.Types = []task.Type{{
			Name:  "bad check",
			Run:   func(context.Context, *task.Run) (any, error) { return nil, nil },
			Check: func(json.RawMessage) error { panic("in a check") },
		}}
	})
	if w := b.request("POST", "/api/tasks", `{"type":"bad check"}`); w.Code != 500 || w.Body.String() != `{"error":"Internal server error"}` {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
}

func TestAnswersToHEADHaveTheStatusOfGET(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for path, want := range map[string]int{"/api/tasks": 200, "/api/version": 404, "/api/tasks/x": 404} {
		if w := b.request("HEAD", path, ""); w.Code != want {
			t.Errorf("HEAD %s = %d, want %d", path, w.Code, want)
		}
	}
}

func FuzzREST(f *testing.F) {
	paths := []string{"/api/tasks", "/api/versions", "/api/testing/tasks/start", "/api/testing/deployments/version"}
	for i, seed := range []string{
		`{"type":"waiting","params":{}}`, `{"version":"1","changelog":"x","request_id":"a"}`,
		`{"task_type":"demo_task","params":{"steps":1,"delay":0}}`, `{"request_id":"a","version":"1"}`,
		`null`, `[]`, `{"type":null}`, `{"version":{"a":1}}`, "{\"version\":\"\xff\"}", `{"type":"failing_task","params":null}`,
	} {
		f.Add(uint8(i%len(paths)), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		b := setup(t, nil)
		w := b.request("POST", paths[int(which)%len(paths)], " "+string(body))
		switch w.Code {
		case 200, 202, 400, 413:
		default:
			t.Errorf("POST %q = %d %s", body, w.Code, w.Body)
		}
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Errorf("answer %q: %v", w.Body, err)
		}
		if text, _ := answer["error"].(string); (w.Code >= 400) != (text != "") {
			t.Errorf("answer = %d %v", w.Code, answer)
		}
	})
}
