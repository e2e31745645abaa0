package backend

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"tidegate/internal/wire"
)

// TestConversations replays testdata/*.txtar: what is said to the backend, what
// it answers, and what it says to the gateway meanwhile. Run with -update to
// write down what it does now.
//
// Lines of the comment that begin with "set " prepare the backend:
//
//	set mode MODE       default testing
//	set task            a task that waits; $TASK is its id
//	set version V       published to everybody
//	set stream TOKEN SEQUENCE TOPIC…   a stream that the gateway has
//	set answer CODE     the gateway refuses every call with it; NONE: it is away
func TestConversations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(before)
			converse(t, archive)
			after := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(file, after, 0o600); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(before), string(after)); diff != "" {
				t.Errorf("%s: -recorded +now\n%s", file, diff)
			}
		})
	}
}

// converse fills in what follows each request of the archive.
func converse(t *testing.T, archive *txtar.Archive) {
	t.Helper()
	b, names := prepare(t, string(archive.Comment))
	var files []txtar.File
	for _, file := range archive.Files {
		if file.Name != "request" {
			continue
		}
		w := httptest.NewRecorder()
		r := parseRequest(t, names.Replace(string(file.Data)))
		if strings.HasPrefix(r.URL.Path, "/api/sse/callback") {
			b.Callback().ServeHTTP(w, r)
		} else {
			b.REST().ServeHTTP(w, r)
		}
		files = append(files, file, txtar.File{Name: "response", Data: names.hide(render(w))})
		if calls := b.gateway.called(); len(calls) > 0 {
			files = append(files, txtar.File{Name: "gateway", Data: names.hide(strings.Join(calls, "\n") + "\n")})
		}
	}
	archive.Files = files
}

// names are the words that a conversation uses for what differs each time.
type names map[string]string

func (n names) Replace(s string) string {
	for word, value := range n {
		s = strings.ReplaceAll(s, word, value)
	}
	return s
}

func (n names) hide(s string) []byte {
	for word, value := range n {
		s = strings.ReplaceAll(s, value, word)
	}
	return []byte(s)
}

func prepare(t *testing.T, comment string) (*testBundle, names) {
	t.Helper()
	settings := map[string][][]string{}
	for line := range strings.Lines(comment) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "set" {
			settings[f[1]] = append(settings[f[1]], f[2:])
		}
	}
	b := setup(t, func(o *Options) {
		for _, mode := range settings["mode"] {
			o.Mode = Mode(mode[0])
		}
		o.Replace = len(settings["stream"]) > 0
	})
	n := names{}
	for range settings["task"] {
		n["$TASK"] = b.start(t, "waiting")
	}
	for _, v := range settings["version"] {
		if _, err := b.versions.publish(t.Context(), "", Version{Version: v[0]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range settings["stream"] {
		stream := wire.StreamInfo{Token: s[0], Topics: strings.Fields(n.Replace(strings.Join(s[2:], " ")))}
		_, _ = fmt.Sscan(s[1], &stream.Sequence)
		b.gateway.streams = append(b.gateway.streams, stream)
	}
	for _, code := range settings["answer"] {
		b.gateway.before = refusing(code[0])
	}
	b.gateway.called()
	return b, n
}

// refusing makes the gateway refuse everything.
func refusing(code string) func(http.ResponseWriter, *http.Request) bool {
	status := map[string]int{"TOKEN_NOT_FOUND": 404, "UNAUTHORIZED": 401, "TOO_MANY_TOPICS": 503, "INVALID_TOPIC": 400}
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if code == "NONE" {
			return true // an empty body is no answer
		}
		wire.WriteError(w, wire.Errorf(status[code], wire.Code(code), "No"))
		return true
	}
}

func parseRequest(t *testing.T, text string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	first, _, _ := strings.Cut(head, "\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(
		strings.Replace(head, first, first+" HTTP/1.0", 1) + "\n\n")))
	if err != nil {
		t.Fatalf("request %q: %v", head, err)
	}
	request := httptest.NewRequestWithContext(t.Context(), r.Method, r.RequestURI, strings.NewReader(strings.TrimSuffix(body, "\n")))
	request.Header = r.Header
	return request
}

// render is an answer with the headers that matter.
func render(w *httptest.ResponseRecorder) string {
	var b bytes.Buffer
	fmt.Fprintln(&b, w.Code)
	for _, name := range []string{"Allow", "Location", "Retry-After"} {
		if value := w.Header().Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "%s\n", w.Body)
	return b.String()
}
