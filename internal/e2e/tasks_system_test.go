package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// internalSecret is what the internal API of a system asks for.
const internalSecret = "internal-s3cret"

// flags are the settings of a system: those of its gateway, those of its
// backend. One process has both.
type flags struct {
	gateway, backend []string
	// callbacks and sends, if set, stand between the two processes: they are
	// given the address of the other one and return the one to use.
	callbacks, sends func(target string) string
}

// system is the program under test: streams and tasks, in one process or two.
type system struct {
	flags
	gateway, backend *program // the same one, or two
	web              *http.Client

	// Of two processes.
	address     string // of the backend, which the gateway must know before it is there
	callbackURL string
}

// oneProcess is sluice serve.
func oneProcess(t *testing.T, f flags) *system {
	t.Helper()
	p := startAs(t, f.serve("127.0.0.1:0", "127.0.0.1:0")...)
	s := &system{flags: f, gateway: p, backend: p, web: webClient(t)}
	s.stopAtEnd(t)
	return s
}

func (f flags) serve(public, internal string) []string {
	return slices.Concat([]string{"serve", "--listen", public, "--internal-listen", internal,
		"--internal-secret", internalSecret, "--mode", "testing", "--grace", "0", "--drain-time", "0"}, f.gateway, f.backend)
}

// twoProcesses is sluice gateway and sluice backend, with secrets between them.
func twoProcesses(t *testing.T, f flags) *system {
	t.Helper()
	s := &system{flags: f, web: webClient(t), address: freeAddress(t)}
	s.callbackURL = "http://" + s.address
	if f.callbacks != nil {
		s.callbackURL = f.callbacks(s.callbackURL)
	}
	s.startGateway(t, "127.0.0.1:0", "127.0.0.1:0")
	s.startBackend(t)
	return s
}

// startAs starts the program with these arguments and waits until it is ready.
func startAs(t *testing.T, args ...string) *program {
	t.Helper()
	// The race detector would make each process linger for a second at its end.
	p := launch(t, []string{"GORACE=atexit_sleep_ms=10"}, append([]string{args[0], "--log-format", "json"}, args[1:]...)...)
	p.hide(func() []string { return []string{callbackSecret, internalSecret} })
	select {
	case <-p.ready:
	case <-p.gone:
		t.Fatalf("sluice %q ended at once", args)
	case <-time.After(patience):
		t.Fatalf("sluice %q is not ready", args)
	}
	return p
}

// startGateway starts the gateway of two processes.
func (s *system) startGateway(t *testing.T, public, internal string) {
	t.Helper()
	s.gateway = startAs(t, slices.Concat([]string{"gateway",
		"--listen", public, "--internal-listen", internal, "--internal-secret", internalSecret,
		"--callback-url", s.callbackURL + "/api/sse/callback", "--callback-secret", callbackSecret,
		"--grace", "0", "--drain-time", "0"}, s.flags.gateway)...)
}

// startBackend starts the backend of two processes, always at the same address.
func (s *system) startBackend(t *testing.T) {
	t.Helper()
	sends := s.gateway.internal
	if s.sends != nil {
		sends = s.sends(sends)
	}
	s.backend = startAs(t, slices.Concat([]string{"backend",
		"--listen", s.address, "--gateway-url", sends, "--internal-secret", internalSecret,
		"--callback-secret", callbackSecret, "--grace", "0"}, s.flags.backend)...)
	s.stopAtEnd(t)
}

// restartGateway kills the gateway and starts it anew where it was.
func (s *system) restartGateway(t *testing.T) {
	t.Helper()
	s.gateway.kill()
	s.web.CloseIdleConnections()
	s.startGateway(t, strings.TrimPrefix(s.gateway.public, "http://"), strings.TrimPrefix(s.gateway.internal, "http://"))
	s.stopAtEnd(t)
}

// stopAtEnd stops what runs when the test ends, the gateway first: it has
// disconnects to tell the backend of.
func (s *system) stopAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		// A connection that was never used holds a stopping server up for 5 s.
		s.web.CloseIdleConnections()
		s.gateway.stop()
		s.backend.stop()
	})
}

// kill ends the program at once, without a word to anybody.
func (p *program) kill() {
	p.t.Helper()
	p.signal(os.Kill)
	p.exit()
}

// logRecord is one line of the JSON log.
type logRecord map[string]any

func (r logRecord) text(key string) string { s, _ := r[key].(string); return s }

// logged gives the records of the program's log with a message.
func (p *program) logged(msg string) []logRecord {
	var found []logRecord
	for line := range strings.Lines(p.log()) {
		var r logRecord
		if json.Unmarshal([]byte(line), &r) == nil && r.text("msg") == msg {
			found = append(found, r)
		}
	}
	return found
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// inBothForms runs a test with one process and with two.
func inBothForms(t *testing.T, f flags, test func(t *testing.T, s *system)) {
	t.Helper()
	t.Parallel()
	for name, start := range map[string]func(*testing.T, flags) *system{"one process": oneProcess, "two processes": twoProcesses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, f))
		})
	}
}

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
	if strings.HasPrefix(address, s.gateway.internal) {
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

// metric is the sum of a metric's series whose labels contain all of parts, 0 if
// there is none.
func (s *system) metric(t *testing.T, name string, parts ...string) float64 {
	t.Helper()
	address := s.gateway.internal
	if s.backend != s.gateway && (strings.HasPrefix(name, "sluice_backend_") || strings.HasPrefix(name, "sluice_tasks")) {
		address = s.backend.public
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

// each calls do for 0 to n-1, a number of them at the same time, and reports the
// first few errors.
func each(t *testing.T, n, atOnce int, do func(i int) error) {
	t.Helper()
	var work sync.WaitGroup
	turns := make(chan int)
	errs := make(chan error, n)
	for range atOnce {
		work.Go(func() {
			for i := range turns {
				if err := do(i); err != nil {
					errs <- fmt.Errorf("number %d: %w", i, err)
				}
			}
		})
	}
	for i := range n {
		turns <- i
	}
	close(turns)
	work.Wait()
	close(errs)
	failed := len(errs)
	for err := range errs {
		if failed-len(errs) <= 5 {
			t.Error(err)
		}
	}
	if failed > 0 {
		t.Fatalf("%d of %d went wrong", failed, n)
	}
}
