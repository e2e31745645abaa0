package gateway

import (
	"net/http"
	"net/url"
	"strings"
)

// fixedPath returns the path of a route in lower case and without a slash at the end.
// The gateway that this one replaces accepted any case and a slash, and clients rely
// on it; what guards a route must not be fooled by it. Names in a path, such as a
// topic's, stay as they are, and so do paths that are no route.
func fixedPath(path string) string {
	if path == "/internal/send" {
		return path // the usual case
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

// withFixedPath returns the request with the path that fixedPath returns.
func withFixedPath(r *http.Request) *http.Request {
	if r.URL.Path == "/internal/send" {
		return r // the usual case
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
