package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// The code of guides is run as it stands, where this machine has what runs it.

// guideFile writes the block of a guide that has the name of a file, and returns its path.
func guideFile(t *testing.T, page, name, dir string) string {
	t.Helper()
	for _, b := range tutorialBlocks(t, page) {
		if b.kind == name {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatalf("%s has no %s", page, name)
	return ""
}

// TestGuideWorkers sends with the Python module and the shell script of docs/guides/workers.md.
func TestGuideWorkers(t *testing.T) {
	t.Parallel()
	serve := startAs(t, "serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--drain-time", "0", "--data", "")
	s := &system{gateway: serve, backend: serve, web: webClient(t)}
	s.stopAtEnd(t)
	dir := t.TempDir()
	page := "../../docs/guides/workers.md"
	env := []string{"TIDEGATE_SERVER=" + serve.internal, "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH")}

	guideFile(t, page, "tidegate_events.py", dir)
	python := shell(t, dir, `/usr/bin/python3 -c '
from tidegate_events import send
send("job:1", "progress", "1 of 2")
send("job:1", "progress", "2 of 2")
print("last is", send("job:1", "done", "2", close=True))'`, env...)
	last := python.waitFor(t, `last is (\S+)`)
	if err := python.end(0); err != nil {
		t.Errorf("the Python module: %v", err)
	}
	if got := topicEvents(t, s, "job:1"); got != "progress 1 of 2; progress 2 of 2; done 2" {
		t.Errorf("the topic has %q", got)
	}
	if !strings.Contains(last, "-3") {
		t.Errorf("the last event has the id %s", last)
	}

	script := shell(t, dir, "/bin/sh -e "+guideFile(t, page, "backup.sh", dir), env...)
	for range script.lines {
	}
	if err := script.end(0); err != nil {
		t.Errorf("the shell script: %v", err)
	}
	var topics struct {
		Topics []struct{ Topic string }
	}
	if s.call(t, "GET", serve.internal+"/internal/topics?prefix=backup:", nil, http.StatusOK, &topics); len(topics.Topics) != 1 {
		t.Fatalf("the script made the topics %v", topics)
	}
	if got := topicEvents(t, s, topics.Topics[0].Topic); got != "progress copying; progress copied; done finished" {
		t.Errorf("the script sent %q", got)
	}
}

// topicEvents returns names and data of the events of a topic.
func topicEvents(t *testing.T, s *system, topic string) string {
	t.Helper()
	var listing struct {
		Events []struct{ Name, Data string }
	}
	s.call(t, "GET", s.gateway.internal+"/internal/topics/"+topic+"/events", nil, http.StatusOK, &listing)
	var all []string
	for _, e := range listing.Events {
		all = append(all, e.Name+" "+e.Data)
	}
	return strings.Join(all, "; ")
}

// TestGuideSignature has the receiver of docs/guides/sign-callbacks.md check real callbacks.
func TestGuideSignature(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	guideFile(t, "../../docs/guides/sign-callbacks.md", "signed.py", dir)
	_, port, _ := strings.Cut(freeAddress(t), ":")
	app := shell(t, dir, "exec /usr/bin/flask --app signed run --port "+port, "CALLBACK_SECRET=another-secret-of-16;the-secret-of-the-test", "PYTHONUNBUFFERED=1")
	app.waitFor(t, "Running on")
	for secret, want := range map[string]int{"the-secret-of-the-test": http.StatusOK, "some-other-secret-here": http.StatusUnauthorized} {
		gateway := startAs(t, "gateway", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--drain-time", "0",
			"--callback-url", "http://127.0.0.1:"+port+"/callback?a=%20b", "--callback-secret", secret)
		res, err := webClient(t).Get(gateway.public + "/news")
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != want {
			t.Errorf("with the secret %q a stream is answered %d, want %d", secret, res.StatusCode, want)
		}
		gateway.stop()
	}
}

// TestGuideEventSource runs watch.js of docs/guides/eventsource.md against a server that refuses a
// stream for a moment. It must go on behind the last event that it has.
func TestGuideEventSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := readText(t, guideFile(t, "../../docs/guides/eventsource.md", "watch.js", dir))
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			fmt.Fprintf(w, `<!doctype html><ul id="list"></ul><script>%s
				const stop = watch("/events", { step: (e) => list.append(Object.assign(document.createElement("li"), { textContent: e.data })) }, 50)</script>`, script)
			return
		}
		switch requests.Add(1) {
		case 1:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "retry: 10\n\nid: one\nevent: step\ndata: first\n\n")
		case 2, 3:
			http.Error(w, "away", http.StatusBadGateway) // ends EventSource for good
		default:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "id: two\nevent: step\ndata: after %s\n\n", r.URL.Query().Get("lastEventId"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	tab := openPageTab(t, startChromium(t), server.URL, "favicon", "502", "ERR_")
	tab.wait(`[...document.querySelectorAll("#list li")].map((li) => li.textContent).join() === "first,after one"`)
	tab.wait(`stop() === undefined`)
}
