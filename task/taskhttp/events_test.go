package taskhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/sse"
	"tidegate/task"
	"tidegate/task/taskhttp"
)

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }

// serve runs a service and its handler until the test ends. A task "steps" reports for
// each value that step has.
func serve(t *testing.T, log task.LogOptions) (svc *task.Service, url string, step chan string) {
	t.Helper()
	svc, err := task.New(task.Options{Publisher: task.NewLog(log)})
	if err != nil {
		t.Fatal(err)
	}
	step = make(chan string)
	err = svc.Register(task.Type{Name: "steps", Run: func(_ context.Context, run *task.Run) (any, error) {
		for text := range step {
			if err := run.Progress(task.Progress{Text: text}); err != nil {
				return nil, err
			}
		}
		return "done", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	mux := http.NewServeMux()
	mux.Handle("GET /tasks/{id}/events", taskhttp.Events(svc, &sse.WriterOptions{Retry: time.Millisecond}))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.Close() // waits for the streams
	})
	return svc, server.URL + "/tasks/", step
}

func start(t *testing.T, svc *task.Service) (id string) {
	t.Helper()
	info, err := svc.Start(t.Context(), "steps", nil)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// get asks for the events of a task, as an EventSource that has seen all up to after.
func get(t *testing.T, url, after string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// read reads a stream to its end, and returns what is in it and the ids.
func read(t *testing.T, res *http.Response) (texts, ids []string) {
	t.Helper()
	for ev, err := range sse.Decode(res.Body) {
		if err != nil {
			t.Fatal(err)
		}
		_, data, _ := strings.Cut(ev.Data, `"data":`)
		texts, ids = append(texts, ev.Name+" "+data), append(ids, ev.ID)
	}
	return texts, ids
}

func TestAClientSeesTheWholeLogAndComesBackInTheMiddle(t *testing.T) {
	t.Parallel()
	svc, url, step := serve(t, task.LogOptions{})
	id := start(t, svc)
	early := get(t, url+id+"/events", "")
	step <- "one"
	step <- "two"
	close(step)
	texts, ids := read(t, early)
	want := []string{
		"task_event null}", `task_event {"text":"one","value":0}}`, `task_event {"text":"two","value":0}}`,
		`task_event "done"}`, "connection_close ",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("the stream has\n%q, want\n%q", texts, want)
	}
	if texts, _ := read(t, get(t, url+id+"/events", "")); !slices.Equal(texts, want) {
		t.Errorf("after the end the stream has\n%q, want\n%q", texts, want)
	}
	if texts, _ := read(t, get(t, url+id+"/events", ids[1])); !slices.Equal(texts, want[2:]) {
		t.Errorf("after the second event the stream has\n%q, want\n%q", texts, want[2:])
	}
	if res := get(t, url+id+"/events", ids[4]); res.StatusCode != http.StatusNoContent {
		t.Errorf("a client that has seen the end is answered with %d, want 204", res.StatusCode)
	}
}

func TestUnknownTasksAreNotFound(t *testing.T) {
	t.Parallel()
	svc, url, step := serve(t, task.LogOptions{})
	defer close(step)
	if res := get(t, url+"unknown/events", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", res.StatusCode)
	}
	id := start(t, svc)
	stream := get(t, url+id+"/events", "")
	if err := svc.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	texts, _ := read(t, stream)
	if len(texts) < 2 || texts[len(texts)-1] != "connection_close " {
		t.Errorf("the stream of a cancelled task has %q", texts)
	}
}

func TestLostHistoryIsAReset(t *testing.T) {
	t.Parallel()
	svc, url, step := serve(t, task.LogOptions{MaxEvents: 3})
	id := start(t, svc)
	for i := range 10 {
		step <- fmt.Sprint(i)
	}
	close(step)
	if _, err := svc.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	texts, ids := read(t, get(t, url+id+"/events", "an id of before"))
	if len(texts) != 4 || texts[0] != "reset " || texts[3] != "connection_close " || ids[0] != "" {
		t.Errorf("the stream has %q with the ids %q, want a reset and three events", texts, ids)
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	svc, url, step := serve(t, task.LogOptions{})
	defer close(step)
	id := start(t, svc)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	left := errors.New("left")
	client := sse.NewClient(sse.ClientOptions{URL: url + id + "/events"})
	for ev, err := range client.Events(ctx) {
		if err != nil {
			if !errors.Is(err, left) {
				t.Errorf("the stream ended with %v", err)
			}
			break
		}
		if ev.Name == task.EventTask {
			cancel(left) // main_test sees what is left of the handler
		}
	}
}

// deaf is a Publisher whose logs cannot be read.
type deaf struct{}

func (deaf) Publish(context.Context, string, []task.Event) error { return nil }

func TestEventsNeedsALogWatcher(t *testing.T) {
	t.Parallel()
	svc, err := task.New(task.Options{Publisher: deaf{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Events takes a service whose logs cannot be read")
		}
	}()
	taskhttp.Events(svc, nil)
}
