package backend

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/wire"
)

func TestRoutesToTopics(t *testing.T) {
	t.Parallel()
	cases := []struct {
		target string
		want   string // topics; "" means not routable
	}{
		{"/api/sse/tasks?task_id=a", "task:a"},
		{"/api/sse/tasks/?task_id=a", "task:a"},
		{"/api/sse/tasks?x=1&task_id=a&task_id=b", "task:a"},
		{"/api/sse/tasks?task_id=a%20b+c%C3%BC", "task:a b cü"},
		{"/api/sse/tasks?task%5Fid=a", "task:a"},
		{"/api/sse/t%61sks?task_id=a", "task:a"},
		{"/api/sse/tasks?task_id=a;b", "task:a;b"},
		{"/api/sse/tasks?bad=%zz&task_id=a", "task:a"},
		{"/api/sse/tasks?task_id=a#fragment?task_id=b", "task:a"},
		{"http://host:80/api/sse/tasks?task_id=a", "task:a"},
		{"HTTPS://user@host/api/sse/tasks?task_id=a", "task:a"},
		{"/api/sse/utils/version?request_id=r", "version:r"},
		{"/api/sse/utils/version/?request_id=r", "version:r"},
		{"/api/sse/utils/version/stream?request_id=r&request_id=s", "version:r"},
		{"/api/sse/stream?task_id=b&request_id=r&task_id=a&task_id=b", "task:b task:a version:r"},
		{"/api/sse/stream?task_id=a", "task:a"},
		{"/api/sse/stream/?request_id=r", "version:r"},

		{"", ""},
		{"*", ""},
		{"/", ""},
		{"//[x", ""},
		{"//host/api/sse/tasks?task_id=a", ""},
		{"/api//sse/tasks?task_id=a", ""},
		{"/api/sse/tasks//?task_id=a", ""},
		{"/api%2Fsse/tasks?task_id=a", ""},
		{"/api/sse/tasks%zz?task_id=a", ""},
		{"/API/sse/tasks?task_id=a", ""},
		{"http://host?task_id=a", ""},
		{"http:///?task_id=a", ""},
		{"ftp://host/api/sse/tasks?task_id=a", ""},
		{"api/sse/tasks?task_id=a", ""},
		{"/api/sse/tasks", ""},
		{"/api/sse/tasks?", ""},
		{"/api/sse/tasks?task_id", ""},
		{"/api/sse/tasks?task_id=", ""},
		{"/api/sse/tasks?task_id=&task_id=a", ""},
		{"/api/sse/tasks?TASK_ID=a", ""},
		{"/api/sse/tasks?request_id=r", ""},
		{"/api/sse/tasks?task_id=%zz", ""},
		{"/api/sse/tasks?task_id=a:b", ""},
		{"/api/sse/tasks?task_id=a%3Ab", ""},
		{"/api/sse/tasks?task_id=a%0Ab", ""},
		{"/api/sse/tasks?task_id=a%7F", ""},
		{"/api/sse/tasks?task_id=%C2%85", ""},
		{"/api/sse/tasks?task_id=%FF", ""},
		{"/api/sse/utils/version?task_id=a", ""},
		{"/api/sse/utils/version/other?request_id=r", ""},
		{"/api/sse/stream", ""},
		{"/api/sse/stream?task_id=a&task_id=", ""},
		{"/api/sse/stream?task_id=a&request_id=", ""},
		{"/api/sse/stream?task_id=a&request_id=x:y", ""},
	}
	for _, tc := range cases {
		r, err := parseRoute(tc.target)
		if got := strings.Join(r.topics(), " "); got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("parseRoute(%q) = %q, %v, want %q", tc.target, got, err, tc.want)
		}
		if err != nil && !errors.Is(err, errNotRoutable) {
			t.Errorf("parseRoute(%q) = %v, want an errNotRoutable", tc.target, err)
		}
	}
}

func TestBE23PathsAreMatchedWhole(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/sse/tasksANYTHING", "/api/sse/utils/versionX", "/api/sse/streams", "/api/sse/tasks/x"} {
		if r, err := parseRoute(path + "?task_id=a&request_id=b"); err == nil {
			t.Errorf("parseRoute(%q) = %v, want an error", path, r.topics())
		}
	}
}

func TestIDsAndTheirNumberAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxIDBytes)
	if _, err := parseRoute("/api/sse/tasks?task_id=" + long); err != nil {
		t.Errorf("an id of %d bytes: %v", maxIDBytes, err)
	}
	if _, err := parseRoute("/api/sse/tasks?task_id=" + long + "x"); err == nil {
		t.Errorf("an id of %d bytes is routable", maxIDBytes+1)
	}
	ids := make([]string, 0, 2*maxStreamTasks)
	for i := range maxStreamTasks {
		ids = append(ids, fmt.Sprint("task_id=", i), fmt.Sprint("task_id=", i))
	}
	query := "/api/sse/stream?request_id=r&" + strings.Join(ids, "&")
	if r, err := parseRoute(query); err != nil || len(r.tasks) != maxStreamTasks {
		t.Errorf("%d tasks: %d, %v", maxStreamTasks, len(r.tasks), err)
	}
	if _, err := parseRoute(query + "&task_id=more"); err == nil {
		t.Errorf("%d tasks are routable", maxStreamTasks+1)
	}
}

func TestRouteFindsTheLastEventIDInTheQuery(t *testing.T) {
	t.Parallel()
	r, err := parseRoute("/api/sse/tasks?task_id=a&lastEventId=x%2D1")
	if err != nil || r.lastEventID != "x-1" {
		t.Errorf("lastEventID = %q, %v", r.lastEventID, err)
	}
}

func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		"/api/sse/tasks?task_id=a", "/api/sse/stream?task_id=a&task_id=b&request_id=c", "//[x", "http://h/api/sse/tasks/?task_id=%41#x",
		"/api/sse/utils/version/stream?request_id=a%3Ab", "*", "", "/api/sse/%74asks?task_id=%ff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r, err := parseRoute(target)
		topics := r.topics()
		if (err == nil) != (len(topics) > 0) || err != nil && !errors.Is(err, errNotRoutable) {
			t.Fatalf("parseRoute(%q) = %q, %v", target, topics, err)
		}
		seen := map[string]bool{}
		for _, topic := range topics {
			if !wire.ValidTopic(topic) || strings.Count(topic, ":") != 1 || seen[topic] {
				t.Errorf("parseRoute(%q): topic %q", target, topic)
			}
			seen[topic] = true
		}
		if again, _ := parseRoute(target); !cmp.Equal(again.topics(), topics) {
			t.Errorf("parseRoute(%q) is not stable", target)
		}
	})
}
