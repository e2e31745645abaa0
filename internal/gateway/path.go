package gateway

import (
	"net/http"
	"net/url"
	"strings"
)

// The gateway that this one replaces took its routes in any case and with a slash
// at the end. Clients rely on it, and what guards a route must see through it.

// fixedPath gives the path of a route in the form in which it is known. Names in
// it, such as a topic's, stay as they are, and so do paths that are no route.
func fixedPath(path string) string {
	if path == "/internal/send" {
		return path // nearly all
	}
	trimmed := strings.TrimSuffix(path, "/")
	switch lower := strings.ToLower(trimmed); lower {
	case "/healthz", "/readyz", "/metrics", "/internal":
		return lower
	}
	const prefix = len("/internal/")
	if len(trimmed) <= prefix || !strings.EqualFold(trimmed[:prefix], "/internal/") {
		return path
	}
	parts := strings.Split(trimmed[prefix:], "/")
	for i := range parts {
		if i != 1 { // the name of a stream or topic
			parts[i] = strings.ToLower(parts[i])
		}
	}
	return "/internal/" + strings.Join(parts, "/")
}

// withFixedPath gives the request with the path of its route.
func withFixedPath(r *http.Request) *http.Request {
	if r.URL.Path == "/internal/send" {
		return r // nearly all
	}
	escaped := r.URL.EscapedPath()
	fixed := fixedPath(escaped)
	if fixed == escaped {
		return r
	}
	path, err := url.PathUnescape(fixed)
	if err != nil {
		return r
	}
	changed := r.Clone(r.Context())
	changed.URL.Path, changed.URL.RawPath = path, fixed
	return changed
}
