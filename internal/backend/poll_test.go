package backend

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// versionSite is a site that says which version is deployed.
type versionSite struct {
	mu       sync.Mutex
	media    string
	body     string
	etag     string
	status   int // 0 is 200
	requests []string
}

func (s *versionSite) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Header.Get("If-None-Match"))
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", s.media)
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
	}
	switch {
	case s.status != 0:
		w.WriteHeader(s.status)
	case s.etag != "" && r.Header.Get("If-None-Match") == s.etag:
		w.WriteHeader(http.StatusNotModified)
	default:
		_, _ = io.WriteString(w, s.body)
	}
	return w.Result(), nil
}

func (s *versionSite) set(body, etag string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.etag, s.status = body, etag, status
}

// polling is a backend that looks at site every 30 s. Use it in a bubble.
func polling(t *testing.T, site *versionSite) *testBundle {
	t.Helper()
	b := setup(t, func(o *Options) { o.VersionURL = "http://site.test/version.json" })
	b.poller.http.Transport = site
	return b
}

func TestOnlyAChangeOfTheVersionURLIsPublished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := &versionSite{media: "application/json", body: `{"version":"1","changelog":"first","more":1}`, etag: `"a"`}
		b := polling(t, site)
		b.run(t)
		time.Sleep(5 * time.Minute)
		site.set(`{"version":"1","changelog":"first"}`, `"b"`, 0) // another file, the same version
		time.Sleep(5 * time.Minute)
		site.set(`{"version":"2"}`, `"c"`, 0)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		want := []string{`version {"version":"1","changelog":"first"}`, `version {"version":"2"}`}
		if diff := cmp.Diff(want, b.gateway.sent("version")); diff != "" {
			t.Error(diff)
		}
		site.mu.Lock()
		defer site.mu.Unlock()
		if site.requests[0] != "" || site.requests[1] != `"a"` || site.requests[len(site.requests)-1] != `"c"` {
			t.Errorf("If-None-Match = %q", site.requests)
		}
		if n := len(site.requests); n < 25 || n > 37 {
			t.Errorf("%d looks in 15 minutes, want about 30", n)
		}
	})
}

func TestAVersionURLThatFailsIsLoggedOnceAndFailsNoConnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := &versionSite{media: "text/plain", body: " 1.0\n"}
		b := polling(t, site)
		b.run(t)
		time.Sleep(time.Minute)
		site.set("", "", http.StatusInternalServerError)
		time.Sleep(10 * time.Minute)
		wantOK(t, b.connect("t1", versionURL))
		site.set("<!doctype html>", "", 0) // what a single-page application answers for any path
		time.Sleep(10 * time.Minute)
		site.set("1.1", "", 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{`version {"version":"1.0"}`, `version {"version":"1.1"}`}
		if diff := cmp.Diff(want, b.gateway.sent("version")); diff != "" {
			t.Error(diff)
		}
		log := b.log.String()
		if n := strings.Count(log, "cannot read the version URL"); n != 1 {
			t.Errorf("the failure was logged %d times, want once", n)
		}
		if n := strings.Count(log, "version URL works again"); n != 1 {
			t.Errorf("the recovery was logged %d times, want once", n)
		}
	})
}

func TestAChangeThatCouldNotBePublishedIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := &versionSite{media: "application/json", body: `{"version":"1"}`, etag: `"a"`}
		b := polling(t, site)
		failures := 0
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/internal/send" && failures < 3 {
				failures++
				return true
			}
			return false
		}
		b.run(t)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{`version {"version":"1"}`}, b.gateway.sent("version")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBE25AVersionURLThatHangsDelaysNoConnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *Options) { o.VersionURL = "http://site.test/" })
		b.poller.http.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		b.run(t)
		synctest.Wait()
		began := time.Now()
		wantOK(t, b.connect("t1", versionURL))
		if took := time.Since(began); took > 0 {
			t.Errorf("the connect took %v", took)
		}
		time.Sleep(pollTimeout + time.Second)
		synctest.Wait()
		if n := b.metric(t, "tidegate_backend_version_polls_total", "failed"); n != 1 {
			t.Errorf("%v polls failed after %v, want 1", n, pollTimeout)
		}
	})
}

func TestWhatAVersionURLMaySay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		media, body, want string // want "" is an error
	}{
		{"application/json", `{"version":"1"}`, "1"},
		{"text/plain", `{"version":"1"}`, "1"},
		{"", "v2.0-rc1\r\n", "v2.0-rc1"},
		{"text/plain; charset=utf-8", "1", "1"},
		{"text/html", "1", ""},
		{"text/plain", "<html>", ""},
		{"text/plain", "1\n2", ""},
		{"text/plain", "", ""},
		{"application/json", `"1"`, ""},
		{"application/json", `{"version":1}`, ""},
		{"application/json", `{}`, ""},
		{"text/plain", strings.Repeat("x", maxVersionBytes+1), ""},
		{"text/plain", strings.Repeat(" ", maxPollBytes+1), ""},
	} {
		v, err := parseVersion(tc.media, []byte(tc.body))
		if v.Version != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("parseVersion(%q, %.20q) = %q, %v, want %q", tc.media, tc.body, v.Version, err, tc.want)
		}
	}
}

func FuzzVersionBody(f *testing.F) {
	f.Add("application/json", []byte(`{"version":"1","changelog":"x"}`))
	f.Add("text/plain", []byte("1.0\n"))
	f.Add("text/html", []byte("<html>"))
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		v, err := parseVersion(media, body)
		if err == nil && v.check() != nil || err != nil && v != (Version{}) {
			t.Errorf("parseVersion(%q, %q) = %+v, %v", media, body, v, err)
		}
	})
}
