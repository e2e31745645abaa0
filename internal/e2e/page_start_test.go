package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"testing"
)

// pageServer is `tidegate serve`, running.
type pageServer struct {
	bin              string
	args             []string
	public, internal string // base URLs
	kill             func() // ends it at once, without a word to anybody
}

// startPageServer starts the program on free ports, in an empty directory, and
// kills it when the test ends.
func startPageServer(t *testing.T, bin string, args ...string) *pageServer {
	t.Helper()
	s := &pageServer{bin: bin, args: slices.Concat([]string{
		"serve", "--listen", freeAddress(t), "--internal-listen", "127.0.0.1:0",
		"--log-format", "json",
	}, args)}
	s.start(t)
	return s
}

// restart kills the program and starts it anew at the same public address.
func (s *pageServer) restart(t *testing.T) {
	t.Helper()
	s.kill()
	s.start(t)
}

func (s *pageServer) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(s.bin, s.args...)
	cmd.Dir = t.TempDir()
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	ended := make(chan struct{})
	var log bytes.Buffer // owned by the goroutine below until ended is closed
	go func() {          // ends with the program, which kill waits for
		defer close(ended)
		s.readLog(io.TeeReader(logs, &log), ready)
	}()
	s.kill = func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	}
	kill := s.kill // of this process, whatever restart does later
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", log.Bytes())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("the server ended before it was ready:\n%s", log.Bytes())
	}
}

// readLog reads the program's log to its end, and its addresses out of it.
func (s *pageServer) readLog(logs io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, Public, Internal string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" && ready != nil {
			s.public, s.internal = line.Public, line.Internal
			close(ready)
			ready = nil
		}
	}
}

// jsonObject is a JSON object that a test writes down.
type jsonObject = map[string]any

// send makes a request, with body as JSON unless it is nil.
func (s *pageServer) send(t *testing.T, method, url string, body any) *http.Response {
	t.Helper()
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// ask makes a request and decodes its answer into *answer, unless that is nil.
func (s *pageServer) ask(t *testing.T, method, url string, body, answer any) {
	t.Helper()
	response := s.send(t, method, url, body)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s = %d %.300s", method, url, response.StatusCode, content)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(content, answer); err != nil {
		t.Fatalf("%s %s answers with %.300s: %v", method, url, content, err)
	}
}

// startTask starts a task and returns its id.
func (s *pageServer) startTask(t *testing.T, typ string, params jsonObject) string {
	t.Helper()
	var answer struct {
		TaskID string `json:"task_id"`
	}
	s.ask(t, "POST", s.public+"/api/tasks", jsonObject{"type": typ, "params": params}, &answer)
	return answer.TaskID
}

func (s *pageServer) cancelTask(t *testing.T, id string) {
	t.Helper()
	s.ask(t, "POST", s.public+"/api/tasks/"+id+"/cancel", nil, nil)
}

// followTask returns when the log of a task is complete.
func (s *pageServer) followTask(t *testing.T, id string) {
	t.Helper()
	s.ask(t, "GET", s.public+"/api/sse/tasks?task_id="+id, nil, nil)
}

// pageStream is an open stream as the internal API lists it. Its Sequence counts
// all that were ever opened.
type pageStream struct {
	Token    string
	Sequence int
}

func (s *pageServer) streams(t *testing.T) []pageStream {
	t.Helper()
	var answer struct{ Streams []pageStream }
	s.ask(t, "GET", s.internal+"/internal/streams", nil, &answer)
	return answer.Streams
}

// cutStream ends a stream in a way that makes its client come back.
func (s *pageServer) cutStream(t *testing.T, token string) {
	t.Helper()
	s.ask(t, "DELETE", s.internal+"/internal/streams/"+token, nil, nil)
}

// holdStream opens a stream that is none of the page's.
func (s *pageServer) holdStream(t *testing.T) (leave func()) {
	t.Helper()
	response := s.send(t, "GET", s.public+"/api/sse/utils/version?request_id=other", nil)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("a stream is refused with %d", response.StatusCode)
	}
	return func() { _ = response.Body.Close() }
}

// publishVersion announces a version to every page and returns how many received it.
func (s *pageServer) publishVersion(t *testing.T, version, changelog string) int {
	t.Helper()
	var answer struct{ Receivers int }
	s.ask(t, "POST", s.public+"/api/versions", jsonObject{"version": version, "changelog": changelog}, &answer)
	return answer.Receivers
}
