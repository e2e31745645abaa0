package socket_test

import (
	"net/url"
	"strings"
	"testing"

	"tidegate/internal/socket"
)

func TestX26URLsOfUnixSockets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]socket.Target{
		"http://h:1/cb?a=b":                          {URL: "http://h:1/cb?a=b"},
		"https://unix/x":                             {URL: "https://unix/x"},
		"http://unix:8080/x":                         {URL: "http://unix:8080/x"},
		"unix:/run/app.sock":                         {URL: "http://localhost/", Path: "/run/app.sock"},
		"unix:/run/app.sock:":                        {URL: "http://localhost/", Path: "/run/app.sock"},
		"unix:/run/app.sock:/cb?secret=a:b":          {URL: "http://localhost/cb?secret=a:b", Path: "/run/app.sock"},
		"unix:/run/app.sock:?secret=s":               {URL: "http://localhost/?secret=s", Path: "/run/app.sock"},
		"unix:app.sock:/cb":                          {URL: "http://localhost/cb", Path: "app.sock"},
		"unix:@abstract:/cb":                         {URL: "http://localhost/cb", Path: "@abstract"},
		"http://unix:/run/app.sock:/cb":              {URL: "http://localhost/cb", Path: "/run/app.sock"},
		"http+unix://%2Frun%2Fapp.sock/cb?x=%2F":     {URL: "http://localhost/cb?x=%2F", Path: "/run/app.sock"},
		"http+unix://%2Frun%2Fapp.sock":              {URL: "http://localhost/", Path: "/run/app.sock"},
		"http+unix://%2Frun%2Fapp.sock?secret=%2Fxy": {URL: "http://localhost/?secret=%2Fxy", Path: "/run/app.sock"},
	} {
		got, err := socket.ParseTarget(text)
		if err != nil || got != want {
			t.Errorf("ParseTarget(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"unix:", "unix::/cb", "unix:@", "unix:/run/app.sock:cb", "unix:/run/app.sock?secret=s", "unix:/run/app.sock#x", "http+unix://",
		"http+unix:///cb", "http+unix://%2/cb", "http+unix://%2Frun%3Aapp/cb", "unix:/" + strings.Repeat("x", 107), "unix:/a\x00b",
	} {
		if got, err := socket.ParseTarget(text); err == nil {
			t.Errorf("ParseTarget(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"unix:/a:/b?c", "http://unix:/a:/b", "http+unix://%2Fa/b", "http://h/", "unix:@x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := socket.ParseTarget(text)
		if err != nil || !socket.IsUnix(text) {
			return
		}
		if socket.CheckPath(got.Path) != nil {
			t.Fatalf("ParseTarget(%q) gives the path %q", text, got.Path)
		}
		if u, err := url.Parse(got.URL); err == nil && u.Host != "localhost" {
			t.Fatalf("ParseTarget(%q) gives the host %q", text, u.Host)
		}
	})
}
