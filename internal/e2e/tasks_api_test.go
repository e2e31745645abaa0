package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// webClient does requests that are not streams. Its connections are closed when
// the test ends.
func webClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string { return fmt.Sprintf("%d %.400s", r.status, r.body) }

// request does one; body is JSON unless it is nil or a string, which is sent as it is.
func (s *system) request(method, address string, body any) (reply, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequest(method, address, content)
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(address, s.gateway.internal) || strings.HasPrefix(address, s.backend.internal) {
		r.Header.Set("Authorization", "Bearer "+internalSecret)
	}
	res, err := s.web.Do(r)
	if err != nil {
		return reply{}, err
	}
	return readReply(res)
}

func readReply(res *http.Response) (reply, error) {
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, body}, err
}

// call does a request that must be answered with a status, and decodes the
// answer into *answer, unless that is nil.
func (s *system) call(t *testing.T, method, address string, body any, status int, answer any) {
	t.Helper()
	got, err := s.request(method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != status {
		t.Fatalf("%s %s: %v, want %d", method, address, got, status)
	}
	if answer != nil {
		if err := json.Unmarshal(got.body, answer); err != nil {
			t.Fatalf("%s %s: %v: %v", method, address, got, err)
		}
	}
}

// tryStart starts a task and returns its id.
func (s *system) tryStart(kind string, params jsonObject) (string, error) {
	got, err := s.request("POST", s.backend.public+"/api/tasks", jsonObject{"type": kind, "params": params})
	if err != nil {
		return "", err
	}
	var answer struct {
		TaskID    string `json:"task_id"`
		StreamURL string `json:"stream_url"`
		Status    string
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || got.status != http.StatusAccepted ||
		answer.Status != "pending" || answer.StreamURL != taskStream(answer.TaskID) ||
		got.header.Get("Location") != "/api/tasks/"+answer.TaskID {
		return "", fmt.Errorf("start of %s: %v", kind, got)
	}
	return answer.TaskID, nil
}

func (s *system) start(t *testing.T, kind string, params jsonObject) string {
	t.Helper()
	id, err := s.tryStart(kind, params)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// startParked starts a task that says "Starting test task" and then nothing for an hour.
func (s *system) startParked(t *testing.T) string {
	t.Helper()
	return s.start(t, "demo_task", jsonObject{"steps": 1, "delay": 3600})
}

func (s *system) cancel(t *testing.T, id string) {
	t.Helper()
	s.call(t, "POST", s.backend.public+"/api/tasks/"+id+"/cancel", nil, http.StatusOK, nil)
}

// taskInfo is a task as GET /api/tasks/{id} shows it.
type taskInfo struct {
	TaskID    string     `json:"task_id"`
	Status    string     `json:"status"`
	StartTime *time.Time `json:"start_time"`
	EndTime   *time.Time `json:"end_time"`
	Result    any        `json:"result"`
	Error     *string    `json:"error"`
}

func (s *system) task(t *testing.T, id string) taskInfo {
	t.Helper()
	var info taskInfo
	s.call(t, "GET", s.backend.public+"/api/tasks/"+id, nil, http.StatusOK, &info)
	return info
}

// waitStatus waits until a task is in a state.
func (s *system) waitStatus(t *testing.T, id, status string) {
	t.Helper()
	eventually(t, "task "+id+" is "+status, func() bool { return s.task(t, id).Status == status })
}

// taskStream is where a task is watched, on the gateway's public listener.
func taskStream(id string) string { return "/api/sse/tasks?task_id=" + id }

// versionStream is where a request id's notices are.
func versionStream(requestID string) string {
	return "/api/sse/utils/version?request_id=" + url.QueryEscape(requestID)
}

// publishVersion announces a version and returns how many streams got it.
func (s *system) publishVersion(t *testing.T, notice jsonObject) int {
	t.Helper()
	var answer struct {
		Delivered bool
		Receivers int
	}
	s.call(t, "POST", s.backend.public+"/api/versions", notice, http.StatusAccepted, &answer)
	if answer.Delivered != (answer.Receivers > 0) {
		t.Errorf("version %v: delivered is %v with %d receivers", notice, answer.Delivered, answer.Receivers)
	}
	return answer.Receivers
}

// listing is all streams that the gateway holds.
func (s *system) listing(t *testing.T) []stream {
	t.Helper()
	var all []stream
	for after := ""; ; {
		var page struct {
			Streams []stream
			Next    string
		}
		s.call(t, "GET", s.gateway.internal+"/internal/streams?limit=100&after="+url.QueryEscape(after), nil, http.StatusOK, &page)
		all = append(all, page.Streams...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

// waitStreams waits until the gateway holds n streams.
func (s *system) waitStreams(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the gateway holds %d streams", n), func() bool { return len(s.listing(t)) == n })
}

// waitProgress waits until a task's topic has had so many events.
func (s *system) waitProgress(t *testing.T, id string, events int) {
	t.Helper()
	eventually(t, fmt.Sprintf("task %s has %d events", id, events), func() bool { return s.topic(t, "task:"+id).Appended >= events })
}

// topicInfo is a topic as the gateway shows it.
type topicInfo struct {
	Events, Appended int
	Bytes            int64
	Streams          int
	Closed           bool
}

func (s *system) topic(t *testing.T, name string) topicInfo {
	t.Helper()
	got, err := s.request("GET", s.gateway.internal+"/internal/topics/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	var info topicInfo
	if got.status == http.StatusNotFound {
		return info
	}
	s.call(t, "GET", s.gateway.internal+"/internal/topics/"+name, nil, http.StatusOK, &info)
	return info
}

// metric is the sum of a metric's series whose labels contain all of parts, 0 if
// there is none.
func (s *system) metric(t *testing.T, name string, parts ...string) float64 {
	t.Helper()
	address := s.gateway.internal
	if s.backend != s.gateway && (strings.HasPrefix(name, "tidegate_backend_") || strings.HasPrefix(name, "tidegate_tasks")) {
		address = s.backend.internal
	}
	got, err := s.request("GET", address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for line := range strings.Lines(string(got.body)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, labels, _ := strings.Cut(series, "{"); base != name || !containsAll(labels, parts) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(value, &v); err != nil {
			t.Fatalf("metric %s: %v", line, err)
		}
		sum += v
	}
	return sum
}

func containsAll(s string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(s, p) })
}
