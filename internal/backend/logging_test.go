package backend

import (
	"fmt"
	"strings"
	"testing"
)

func TestSecretsInURLsAreMasked(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"/a?task_id=1&token=abc":             "/a?task_id=1&token=***",
		"/a?access_token=abc&x=1":            "/a?access_token=***&x=1",
		"/a?Client_SECRET=abc":               "/a?Client_SECRET=***",
		"/a?apiKey=abc&password=&signature=": "/a?apiKey=***&password=&signature=",
		"/a?%74oken=abc":                     "/a?%74oken=***",
		"/a?token=a=b":                       "/a?token=***",
		"/a?authorization=Bearer%20x#token":  "/a?authorization=***#***",
		"http://user:pw@host/a?b=c":          "http://***@host/a?b=c",
		"//user:pw@host":                     "//***@host",
		"/a?%zztoken=abc":                    "/a?%zztoken=***",
		"/plain":                             "/plain",
	}
	for url, want := range cases {
		if got := maskURL(url); got != want {
			t.Errorf("maskURL(%q) = %q, want %q", url, got, want)
		}
	}
	if got := maskURL("/" + strings.Repeat("é", maxLoggedURL)); len(got) > maxLoggedURL+len("…") {
		t.Errorf("a long URL is logged with %d bytes", len(got))
	}
}

func TestRecentTokensAreBounded(t *testing.T) {
	t.Parallel()
	r := newRecentTokens(3)
	for i := range 10 {
		if token := fmt.Sprint(i); !r.first(token) || r.first(token) {
			t.Errorf("token %d is not new once", i)
		}
	}
	if len(r.seen) != 3 || len(r.ring) != 3 {
		t.Errorf("%d tokens are kept, want 3", len(r.seen))
	}
	if r.first("9") || !r.first("6") {
		t.Error("the newest tokens must be kept, the oldest evicted")
	}
}
