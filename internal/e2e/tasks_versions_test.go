package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

func versionShape(version string) string { return fmt.Sprintf(`version {"version":%q}`, version) }

func (w *watch) wantVersion(t *testing.T, what, version string) {
	t.Helper()
	if e := w.event(t); shape(e) != versionShape(version) {
		t.Errorf("%s receives %s, want version %s", what, shape(e), version)
	}
}

// A stream that opens receives the version that holds for it, once; then it
// receives each change, once.
func TestBE25VersionStreamsAreToldTheCurrentVersion(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		s.call(t, "GET", s.backend.public+"/api/version", nil, http.StatusNotFound, nil)
		early := s.open(t, versionStream("early"), "")
		if n := s.publishVersion(t, jsonObject{"version": "1"}); n != 1 {
			t.Errorf("%d streams got version 1, want 1", n)
		}
		early.wantVersion(t, "who was there", "1")
		s.call(t, "GET", s.backend.public+"/api/version", nil, http.StatusOK, nil)

		late := s.open(t, versionStream("late"), "")
		late.wantVersion(t, "who came later", "1")
		if n := s.publishVersion(t, jsonObject{"version": "2", "request_id": "late"}); n != 1 {
			t.Errorf("%d streams got the version for one, want 1", n)
		}
		late.wantVersion(t, "the one that is meant", "2")

		// Of the two notices the newer holds, whichever it is.
		s.open(t, versionStream("late"), "").wantVersion(t, "another tab with its id", "2")
		s.open(t, versionStream("other"), "").wantVersion(t, "somebody else", "1")
		s.publishVersion(t, jsonObject{"version": "3"})
		both := []*watch{s.open(t, versionStream("late"), ""), s.open(t, "/api/sse/stream?request_id=late", "")}

		// What comes next shows that there was one event each, and no more.
		s.publishVersion(t, jsonObject{"version": "4"})
		for _, w := range both {
			w.wantVersion(t, "who comes after a notice to all", "3")
			w.wantVersion(t, "who comes after a notice to all", "4")
		}
		for _, w := range []*watch{early, late} {
			w.wantVersion(t, "who stayed", "3")
			w.wantVersion(t, "who stayed", "4")
		}
	})
}

func TestVersionStreamsResume(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		// Who is cut before there was any version has an id to resume from all the same.
		w := s.open(t, versionStream("tab"), "")
		s.publishVersion(t, jsonObject{"version": "1"})
		w.wantVersion(t, "who was there", "1")
		w.reset()

		// While it is away nothing changes, or something does.
		for round := 2; round < 6; round++ {
			again := s.open(t, versionStream("tab"), w.lastID())
			s.publishVersion(t, jsonObject{"version": fmt.Sprint(round)})
			again.wantVersion(t, "who came back and had missed nothing", fmt.Sprint(round))
			again.reset()
			missed := fmt.Sprint(round, " while away")
			s.publishVersion(t, jsonObject{"version": "never seen"})
			s.publishVersion(t, jsonObject{"version": missed})
			w = s.open(t, versionStream("tab"), again.lastID())
			w.wantVersion(t, "who missed two", missed)
			w.reset()
		}
	})
}

func TestVersionsAreChecked(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		for _, body := range []any{
			jsonObject{}, jsonObject{"version": ""}, jsonObject{"version": 1}, jsonObject{"version": "1", "request_id": ""},
			jsonObject{"version": "1", "request_id": "a:b"}, jsonObject{"version": "1", "verison": "2"}, "[]", "{",
		} {
			s.call(t, "POST", s.backend.public+"/api/versions", body, http.StatusBadRequest, nil)
		}
		s.call(t, "GET", s.backend.public+"/api/version", nil, http.StatusNotFound, nil)
	})
}

// frontend is a server whose version file the test changes.
type frontend struct {
	*httptest.Server

	mu     sync.Mutex
	answer http.HandlerFunc // guarded by mu
	polled int              // since the answer was set
}

func newFrontend(t *testing.T, answer http.HandlerFunc) *frontend {
	t.Helper()
	f := &frontend{answer: answer}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		answer := f.answer
		f.polled++
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// says changes the answer and waits until it has been fetched, and looked at:
// the second fetch of it comes after that.
func (f *frontend) says(t *testing.T, answer http.HandlerFunc) {
	t.Helper()
	f.mu.Lock()
	f.answer, f.polled = answer, 0
	f.mu.Unlock()
	eventually(t, "the frontend's version is fetched", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.polled >= 2
	})
}

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestFrontendVersionIsPolledAndAnnounced(t *testing.T) {
	t.Parallel()
	f := newFrontend(t, says(200, "application/json", `{"version":"1"}`))
	s := oneProcess(t, flags{backend: []string{"--frontend-version-url", f.URL + "/version.json", "--frontend-version-interval", "100ms"}})
	f.says(t, says(200, "application/json", `{"version":"1"}`))
	w := s.open(t, versionStream("tab"), "")
	w.wantVersion(t, "who comes", "1")

	for _, harmless := range []http.HandlerFunc{
		says(200, "application/json", `{"version":"1"}`),
		says(500, "text/plain", "2"),
		says(200, "text/html", "<html>2</html>"),
		says(200, "application/json", `{"version":`),
		says(200, "application/json", `{"version":""}`),
		says(404, "application/json", `{"version":"2"}`),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		f.says(t, harmless)
	}
	s.open(t, versionStream("meanwhile"), "").wantVersion(t, "who comes while the frontend is broken", "1")

	f.says(t, says(200, "text/plain; charset=utf-8", "2\n"))
	w.wantVersion(t, "who stayed", "2")
	if got, err := s.request("GET", s.backend.public+"/api/version", nil); err != nil || string(got.body) != `{"version":"2"}` {
		t.Errorf("GET /api/version: %v, %v", got, err)
	}
}

func TestBE25HangingFrontendDelaysNoStream(t *testing.T) {
	t.Parallel()
	asked, done := make(chan struct{}, 100), make(chan struct{})
	f := newFrontend(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-done:
		}
	})
	defer close(done)
	s := oneProcess(t, flags{
		gateway: []string{"--callback-timeout", "1500ms"}, // the poll waits for two
		backend: []string{"--frontend-version-url", f.URL, "--frontend-version-interval", "100ms"},
	})
	<-asked
	for i := range 10 {
		s.open(t, versionStream(fmt.Sprint("tab-", i)), "").reset()
	}
}
