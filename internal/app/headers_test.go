package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a client of these tests sends, in a form that nothing else has.
const (
	cookieText = "session=cookie-7d1f0c52"
	bearerText = "Bearer authorization-9b3e6a10"
	queryText  = "accesstoken-4c8821ee"
	agentText  = "agent-55aa0e31"
)

// holding lists the files below dir that contain text.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// recorder is a backend that accepts everybody and keeps the headers that it receives.
func recorder(t *testing.T) (url string, received <-chan map[string]string) {
	t.Helper()
	headers := make(chan map[string]string, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Action  string
			Request struct{ Headers map[string]string }
		}
		raw, _ := io.ReadAll(r.Body)
		if json.Unmarshal(raw, &body) == nil && body.Action == "connect" {
			headers <- body.Request.Headers
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, headers
}

func openWithSecrets(t *testing.T, url string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Cookie": cookieText, "Authorization": bearerText, "User-Agent": agentText, "X-Own": "own", "Last-Event-ID": "5",
	} {
		r.Header.Set(name, value)
	}
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 {
		t.Fatalf("GET %s: %d", url, res.StatusCode)
	}
}

// TestX08HeadersOfClientsAreKeptAsConfigured looks for them in the files of the
// store, in which the record of a stream is written before its connect callback.
func TestX08HeadersOfClientsAreKeptAsConfigured(t *testing.T) {
	t.Parallel()
	const always = "host last-event-id"
	for name, tt := range map[string]struct {
		args     []string
		received string
		stored   []string // of what was sent
	}{
		"all by default": {nil, always + " cookie authorization user-agent x-own", []string{cookieText, bearerText, agentText, queryText}},
		"all":            {[]string{"--callback-headers", "all"}, always + " cookie authorization user-agent x-own", []string{cookieText, bearerText, agentText, queryText}},
		"none":           {[]string{"--callback-headers", "none"}, always, nil},
		"a list":         {[]string{"--callback-headers", "User-Agent,x-none", "--callback-headers", "X-OWN"}, always + " user-agent x-own", []string{agentText}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			url, received := recorder(t)
			p := start(t, "gateway", append([]string{"--data", dir, "--callback-url", url}, tt.args...)...)
			openWithSecrets(t, p.Public+"/x?access="+queryText)
			got := <-received
			for want := range strings.FieldsSeq(tt.received) {
				if _, ok := got[want]; !ok {
					t.Errorf("%s was not received", want)
				}
			}
			for _, header := range []string{"cookie", "authorization", "user-agent", "x-own"} {
				if _, ok := got[header]; ok && !strings.Contains(tt.received, header) {
					t.Errorf("%s was received", header)
				}
			}
			wantStored(t, dir, tt.stored)
		})
	}
}

// wantStored compares what lies in files with what may.
func wantStored(t *testing.T, dir string, stored []string) {
	t.Helper()
	if len(holding(t, dir, `"opened_at":`)) == 0 {
		t.Fatal("no record of a stream is in the files: this test looks at the wrong ones")
	}
	for _, text := range []string{cookieText, bearerText, agentText, queryText} {
		files, may := holding(t, dir, text), false
		for _, s := range stored {
			may = may || s == text
		}
		if may != (len(files) > 0) {
			t.Errorf("%s is in %v, allowed is %v", text, files, may)
		}
	}
}

// TestX08ServeKeepsNoHeader: its own backend needs none of them later.
func TestX08ServeKeepsNoHeader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "serve", "--data", dir)
	openWithSecrets(t, p.Public+"/api/sse/utils/version?request_id=tab&access="+queryText)
	wantStored(t, dir, nil)
	if got := do(t, "GET", p.Internal+"/internal/streams", "").body; strings.Contains(got, queryText) || !strings.Contains(got, "access=***") {
		t.Errorf("the listing says %s", got)
	}
	for _, text := range []string{cookieText, bearerText, queryText} {
		if strings.Contains(p.log.String(), text) {
			t.Errorf("the log has %s", text)
		}
	}
}
