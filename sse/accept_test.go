package sse_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/sse"
)

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method string
		opts   *sse.WriterOptions
		wrap   func(*httptest.ResponseRecorder) http.ResponseWriter
		status int
	}{
		"HEAD":         {"HEAD", nil, nil, http.StatusMethodNotAllowed},
		"no deadlines": {"GET", nil, nil, http.StatusInternalServerError},
		"no flush": {"GET", &sse.WriterOptions{WriteTimeout: -1}, func(r *httptest.ResponseRecorder) http.ResponseWriter {
			return struct{ http.ResponseWriter }{r}
		}, http.StatusInternalServerError},
	} {
		recorder := httptest.NewRecorder()
		var w http.ResponseWriter = recorder
		if tt.wrap != nil {
			w = tt.wrap(recorder)
		}
		stream, err := sse.Accept(w, httptest.NewRequest(tt.method, "/", nil), tt.opts)
		contentType := recorder.Header().Get("Content-Type")
		if stream != nil || !errors.Is(err, sse.ErrNotStream) || recorder.Code != tt.status || !strings.HasPrefix(contentType, "text/plain") {
			t.Errorf("%s: Accept = %v, answered %d %s", name, err, recorder.Code, contentType)
		}
		if allow := recorder.Header().Get("Allow"); (allow != "") != (tt.status == http.StatusMethodNotAllowed) {
			t.Errorf("%s: Allow %q", name, allow)
		}
	}
}

func TestLastEventIDOfARequest(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{"/": "", "/?lastEventId=7": "7", "/?lastEventID=8&a=b": "8"} {
		r := httptest.NewRequest("GET", target, nil)
		if got := sse.LastEventID(r); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		r.Header.Set("Last-Event-ID", "of the header")
		if got := sse.LastEventID(r); got != "of the header" {
			t.Errorf("%s with a header: %q", target, got)
		}
	}
}
