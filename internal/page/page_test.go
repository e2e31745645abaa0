package page

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func request(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler(false).ServeHTTP(w, r)
	return w.Result()
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, target string
		status         int
		mediaType      string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/?task=a", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/index.html", 200, "text/html; charset=utf-8"},
		{"GET", "/app.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/icon.svg", 200, "image/svg+xml"},
		{"GET", "/nothing", 404, "text/plain; charset=utf-8"},
		{"GET", "/static/app.js", 404, "text/plain; charset=utf-8"},
		{"GET", "/../page.go", 404, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
	} {
		r := request(t, c.method, c.target)
		if r.StatusCode != c.status || r.Header.Get("Content-Type") != c.mediaType {
			t.Errorf("%s %s = %d %s, want %d %s", c.method, c.target,
				r.StatusCode, r.Header.Get("Content-Type"), c.status, c.mediaType)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "same-origin",
			"Cache-Control":           "no-cache",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.target, name, got, want)
			}
		}
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	t.Parallel()
	if allow := request(t, "DELETE", "/app.js").Header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow is %q, want GET and HEAD", allow)
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	tag := request(t, "GET", "/app.js").Header.Get("ETag")
	r := request(t, "GET", "/app.js", "If-None-Match", tag)
	content, err := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusNotModified || len(content) > 0 || err != nil {
		t.Errorf("GET with the tag of the file = %d with %d bytes (%v), want 304 with none", r.StatusCode, len(content), err)
	}
	if other := request(t, "GET", "/style.css").Header.Get("ETag"); other == tag {
		t.Errorf("two files have the tag %s", tag)
	}
}

// sources are the files of the page, by name.
func sources(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(static, name)
		found[strings.TrimPrefix(name, "static/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var reference = regexp.MustCompile(`(?:src|href)="([^"#?/][^"]*)"|from '\./([^']+)'|url\(["']?([^)"']+)`)

func TestFilesReferToEachOtherAndAllAreUsed(t *testing.T) {
	t.Parallel()
	files := sources(t)
	used := map[string]bool{"index.html": true, loginForm: true}
	for name, content := range files {
		for _, m := range reference.FindAllStringSubmatch(content, -1) {
			target := m[1] + m[2] + m[3]
			used[target] = true
			if r := request(t, "GET", "/"+target); r.StatusCode != http.StatusOK {
				t.Errorf("%s refers to %s, which is answered with %d", name, target, r.StatusCode)
			}
		}
	}
	for name := range files {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
		if mediaTypes[path.Ext(name)] == "" {
			t.Errorf("%s has no media type", name)
		}
	}
}

// The policy forbids most of this in the browser; here it fails before that.
func TestNothingIsInlineOrFromElsewhere(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		"an external address":       regexp.MustCompile(`(?i)\b(?:https?|wss?):|["'(]//`),
		"an inline script":          regexp.MustCompile(`(?is)<script(?:\s[^>]*)?>\s*[^<\s]`),
		"an inline style":           regexp.MustCompile(`(?i)<style|\sstyle=`),
		"an inline handler":         regexp.MustCompile(`(?i)<[^>]*\son[a-z]+=`),
		"text that becomes HTML":    regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTML`),
		"text that becomes program": regexp.MustCompile(`\beval\(|new Function|setTimeout\(['"]|javascript:`),
	}
	const namespace = `xmlns="http://www.w3.org/2000/svg"` // a name, not an address
	for name, content := range sources(t) {
		content = strings.ReplaceAll(content, namespace, "")
		for what, pattern := range forbidden {
			if found := pattern.FindString(content); found != "" {
				t.Errorf("%s has %s: %s", name, what, found)
			}
		}
	}
}

func TestScriptsFindTheirElements(t *testing.T) {
	t.Parallel()
	files := sources(t)
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(files["index.html"], -1) {
		if ids[m[1]] {
			t.Errorf("two elements have the id %s", m[1])
		}
		ids[m[1]] = true
	}
	asked := regexp.MustCompile(`byId\('([^']+)'\)`)
	for name, content := range files {
		for _, m := range asked.FindAllStringSubmatch(content, -1) {
			if !ids[m[1]] {
				t.Errorf("%s asks for #%s, which is not in index.html", name, m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`\s(?:aria-labelledby|aria-describedby|for)="([^"]+)"`).FindAllStringSubmatch(files["index.html"], -1) {
		if !ids[m[1]] {
			t.Errorf("index.html is labelled by #%s, which is not there", m[1])
		}
	}
}
