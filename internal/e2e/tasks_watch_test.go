package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"tidegate/sse"
)

// watch is one connection that follows a stream.
type watch struct {
	*client
	resumed string // the id that it came with
}

// errCut is what a watch ends with whose connection broke off without an end.
var errCut = errors.New("the stream was cut, not ended")

// dial asks for a stream and waits for the head of the answer. With another
// status than 200 there is nothing to read.
func (s *system) dial(target, lastEventID string, header ...string) (*watch, error) {
	if lastEventID != "" {
		header = append(header, "Last-Event-ID: "+lastEventID)
	}
	c, err := tryDial(s.gateway.public, target, header...)
	if err != nil {
		return nil, err
	}
	if err := c.answer(); err != nil {
		c.reset()
		return nil, fmt.Errorf("GET %s: %w", target, err)
	}
	return &watch{c, lastEventID}, nil
}

// dialUntilServed is dial for a client that is refused when the machine is too
// busy to answer in time, or asks it to come again by an answer that is over, and does.
func (s *system) dialUntilServed(target, lastEventID string) (w *watch, err error) {
	for range 20 {
		w, err = s.dial(target, lastEventID)
		if err != nil {
			break
		}
		switch again := w.head.ContentLength >= 0; { // a stream has no length
		case w.head.StatusCode == http.StatusServiceUnavailable, w.head.StatusCode == http.StatusGatewayTimeout:
		case w.head.StatusCode == http.StatusOK && again:
		default:
			return w, nil
		}
		w.reset()
		<-time.After(100 * time.Millisecond)
	}
	return w, err
}

// open opens a stream, which must be one, and closes it when the test ends.
func (s *system) open(t *testing.T, target, lastEventID string) *watch {
	t.Helper()
	w, err := s.dialUntilServed(target, lastEventID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.reset)
	if w.head.StatusCode != http.StatusOK || w.head.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(w.head.Body)
		t.Fatalf("GET %s: %s %s, want a stream", target, w.head.Status, body)
	}
	return w
}

// lastID is what the client would resume after.
func (w *watch) lastID() string { return cmp.Or(w.read.LastEventID(), w.resumed) }

// take gives up to n events, all if n is negative. ended says that the server
// ended the stream.
func (w *watch) take(n int) (events []sse.Event, ended bool, err error) {
	if n == 0 {
		return nil, false, nil
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	for event, err := range w.read.Events() {
		if err != nil {
			return events, false, fmt.Errorf("after %d events: %w: %w", len(events), errCut, err)
		}
		if events = append(events, event); len(events) == n {
			return events, false, nil
		}
		_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	}
	return events, true, nil
}

// event reads one.
func (w *watch) event(t *testing.T) sse.Event {
	t.Helper()
	events, ended, err := w.take(1)
	if err != nil || ended {
		t.Fatalf("read an event: %v, ended %v", err, ended)
	}
	return events[0]
}

// events reads n.
func (w *watch) events(t *testing.T, n int) []sse.Event {
	t.Helper()
	events, ended, err := w.take(n)
	if err != nil || ended {
		t.Fatalf("read %d events: got %d, %v, ended %v", n, len(events), err, ended)
	}
	return events
}

// toEnd reads all events to the end of the stream.
func (w *watch) toEnd(t *testing.T) []sse.Event {
	t.Helper()
	events, _, err := w.take(-1)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// follow reads a stream as EventSource does, over as many connections as it
// takes: the first few are cut after so many events, and the next one resumes.
// It returns when the stream has ended, or with 204.
func (s *system) follow(target string, cuts ...int) (events []sse.Event, lastID string, err error) {
	for tries := 0; tries < len(cuts)+20; tries++ {
		n := -1
		if tries < len(cuts) {
			n = cuts[tries]
		}
		w, err := s.dialUntilServed(target, lastID)
		if err != nil {
			return events, lastID, err
		}
		switch w.head.StatusCode {
		case http.StatusOK:
		case http.StatusNoContent:
			w.reset()
			return events, lastID, nil
		default:
			body, _ := io.ReadAll(w.head.Body)
			w.reset()
			return events, lastID, fmt.Errorf("GET %s: %d %s", target, w.head.StatusCode, body)
		}
		got, ended, err := w.take(n)
		events, lastID = append(events, got...), w.lastID()
		if tries%2 == 0 {
			w.reset()
		} else {
			w.leave()
		}
		if ended {
			return events, lastID, nil
		}
		if err != nil && n < 0 && len(got) == 0 {
			return events, lastID, err
		}
	}
	return events, lastID, errors.New("the stream does not come to its end")
}

// shape is an event in a form that can be compared: of a task event its type
// and data, without what differs from task to task.
func shape(e sse.Event) string {
	if e.Name != "task_event" {
		return e.Name + " " + e.Data
	}
	var d struct {
		EventType string          `json:"event_type"`
		TaskID    string          `json:"task_id"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(e.Data), &d); err != nil {
		return "no JSON: " + e.Data
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z", d.Timestamp); err != nil || len(d.Timestamp) != 27 || d.TaskID == "" {
		return "no task_event: " + e.Data
	}
	return d.EventType + " " + string(d.Data)
}

// shapes are the shapes of events; an event without an id, or with one that
// another has, shows.
func shapes(events []sse.Event) []string {
	all, seen := make([]string, len(events)), map[string]bool{}
	for i, e := range events {
		all[i] = shape(e)
		if e.ID == "" || seen[e.ID] {
			all[i] += " with id " + cmp.Or(e.ID, "none") + " again"
		}
		seen[e.ID] = true
	}
	return all
}

// withIDs gives a reset, which is an event of no topic and has the id of the
// event before it, one of its own for the comparison.
func withIDs(events []sse.Event) []sse.Event {
	for i := range events {
		if events[i].Name == "reset" {
			events[i].ID = fmt.Sprint("reset ", i)
		}
	}
	return events
}

// demoBegin is the log of a demo_task of which so many steps are done.
func demoBegin(done, steps int) []string {
	log := []string{"task_started null", `progress_update {"text":"Starting test task","value":0}`}
	for i := range done {
		value, _ := json.Marshal(float64(i+1) / float64(steps))
		log = append(log, fmt.Sprintf(`progress_update {"text":"Step %d/%d","value":%s}`, i+1, steps, value))
	}
	return log
}

// demoLog is the whole log of a demo_task.
func demoLog(steps int, message string) []string {
	return append(demoBegin(steps, steps),
		fmt.Sprintf(`task_completed {"message":%q,"steps_completed":%d,"status":"success"}`, message, steps),
		`connection_close {"reason":"task_completed"}`)
}

// demoMessage is what a demo_task says by itself.
const demoMessage = "default message"

// taskCancelledEnd and taskFailedEnd are how the logs of such tasks end.
var taskCancelledEnd = []string{"task_cancelled null", `connection_close {"reason":"task_cancelled"}`}

func taskFailedEnd(message string) []string {
	return []string{fmt.Sprintf(`task_failed {"error":%q}`, message), `connection_close {"reason":"task_failed"}`}
}

// parkedLog is the log of a parked task until it ends.
var parkedLog = demoBegin(0, 1)

// sameLog compares what a stream showed with a log.
func sameLog(events []sse.Event, want []string) error {
	got := shapes(events)
	if slices.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	around := func(log []string) string {
		return fmt.Sprintf("%.300q", log[min(max(0, at-1), len(log)):min(len(log), at+4)])
	}
	return fmt.Errorf("stream shows %d events, want %d; from number %d on it is %s, want %s", len(got), len(want), at, around(got), around(want))
}

func wantLog(t *testing.T, what string, events []sse.Event, want []string) {
	t.Helper()
	if err := sameLog(events, want); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// wantWhole opens the stream of a task anew and wants it whole, then comes back
// with its last id and wants the answer that there is nothing more.
func (s *system) wantWhole(id string, want []string) error {
	events, lastID, err := s.follow(taskStream(id))
	if err == nil {
		err = sameLog(events, want)
	}
	if err != nil {
		return err
	}
	return s.wantNothingMore(taskStream(id), lastID)
}

// wantNothingMore wants 204 for a client that has had everything.
func (s *system) wantNothingMore(target, lastID string) error {
	w, err := s.dialUntilServed(target, lastID)
	if err != nil {
		return err
	}
	defer w.reset()
	if w.head.StatusCode != http.StatusNoContent {
		return fmt.Errorf("coming back with the last id %q: %d, want 204", lastID, w.head.StatusCode)
	}
	return nil
}
