package backend

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/client"
	"tidegate/task"
	"tidegate/task/publish"
)

func events(id string, names ...string) []task.Event {
	var events []task.Event
	for i, name := range names {
		events = append(events, task.Event{Name: name, Data: []byte("{}"), Close: name == task.EventClose, Key: fmt.Sprint(id, ":", i+1)})
	}
	return events
}

// answering makes the gateway answer the lines of batches with the given ones.
func answering(lines ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = fmt.Fprintln(w, strings.Join(lines, "\n"))
		return true
	}
}

func (b *testBundle) publisher() *publish.Publisher {
	return newPublisher(b.Backend.gateway, b.logs.metrics)
}

func TestTheEventThatClosesATopicGoesAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	p := b.publisher()
	if err := p.Publish(t.Context(), "a", events("a", "task_event", "task_event", "connection_close")); err != nil {
		t.Fatal(err)
	}
	event := func(name, more string) string {
		return `{"topic":"task:a","event":{"name":"` + name + `","data":"{}"}` + more + `}`
	}
	want := []string{
		"POST /internal/send " + event("task_event", `,"idempotency_key":"a:1"`) + "\n" + event("task_event", `,"idempotency_key":"a:2"`),
		"POST /internal/send " + event("connection_close", `,"close":true,"idempotency_key":"a:3"`),
	}
	if diff := cmp.Diff(want, b.gateway.called()); diff != "" {
		t.Error(diff)
	}
}

const (
	lineOK       = `{"status":"ok","code":200}`
	lineTooLarge = `{"code":413,"error":{"code":"BODY_TOO_LARGE","message":"Too large"}}`
	lineFull     = `{"code":503,"error":{"code":"BUFFER_FULL","message":"Full"}}`
	lineClosed   = `{"code":409,"error":{"code":"TOPIC_CLOSED","message":"Closed"}}`
	lineBad      = `{"code":400,"error":{"code":"INVALID_EVENT_NAME","message":"Bad name"}}`
)

func TestWhatPublishReturnsToTheTaskService(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		lines    []string
		rejected int // index of the rejected event, -1 for none
		ok       bool
	}{
		"all taken":                          {[]string{lineOK, lineOK, lineOK}, -1, true},
		"closed already":                     {[]string{lineClosed, lineClosed, lineClosed}, -1, true},
		"one too large":                      {[]string{lineOK, lineTooLarge, lineOK}, 1, false},
		"one that can never be":              {[]string{lineOK, lineOK, lineBad}, 2, false},
		"one not now":                        {[]string{lineOK, lineFull, lineOK}, -1, false},
		"the rejection comes first":          {[]string{lineFull, lineTooLarge, lineBad}, 1, false},
		"no answer to the last":              {[]string{lineOK, lineOK}, -1, false},
		"nothing at all":                     {nil, -1, false},
		"no topic is no such topic for ever": {[]string{lineOK, lineOK, `{"code":404,"error":{"code":"TOPIC_NOT_FOUND","message":"x"}}`}, -1, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.gateway.before = answering(tc.lines...)
			p := b.publisher()
			err := p.Publish(t.Context(), "a", events("a", "task_event", "task_event", "task_event"))
			index := -1
			if e, ok := errors.AsType[*task.RejectedError](err); ok {
				index = e.Index
			}
			if (err == nil) != tc.ok || index != tc.rejected {
				t.Errorf("Publish = %v, want ok %v, rejected %d", err, tc.ok, tc.rejected)
			}
			if total := b.metric(t, "tidegate_backend_publish_total"); total != 3 {
				t.Errorf("%v events were counted, want 3", total)
			}
		})
	}
}

func TestBE18ACloseWhoseAnswerIsLostIsNoErrorTheSecondTime(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	lost := false
	b.gateway.before = func(http.ResponseWriter, *http.Request) bool {
		if lost {
			return false
		}
		lost = true
		b.gateway.mu.Lock()
		defer b.gateway.mu.Unlock()
		b.gateway.send(client.Message{Topic: "task:a", Event: &client.Event{}, Close: true}) // taken, its key expired since
		return true                                                                          // and not answered
	}
	p := b.publisher()
	closing := events("a", "connection_close")
	if err := p.Publish(t.Context(), "a", closing); err == nil {
		t.Error("the lost answer went unnoticed")
	}
	if err := p.Publish(t.Context(), "a", closing); err != nil {
		t.Errorf("the repeat = %v", err)
	}
	if n := b.metric(t, "tidegate_backend_publish_total", string(publish.There)); n != 1 {
		t.Errorf("counted %v times as already closed, want 1", n)
	}
}
