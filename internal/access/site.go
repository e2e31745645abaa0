package access

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Sites decides which pages may make requests that change or list something. It reads headers that
// only browsers send; every other client passes.
//
// [http.CrossOriginProtection] does the same, but lets every GET pass and ignores X-Forwarded-Host.
type Sites struct {
	// Origins are other origins whose pages may call, such as https://app.example.org.
	Origins []string
	// Trusted reports whether the client is a proxy whose X-Forwarded-Host counts; nil: none does.
	Trusted func(r *http.Request) bool
}

// Allows reports whether a request comes from the server's own pages, from an
// allowed origin, or from no page.
func (s *Sites) Allows(r *http.Request) bool {
	origins, sites := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if len(origins) == 0 && len(sites) == 0 {
		return true
	}
	if len(origins) == 1 && slices.Contains(s.Origins, strings.ToLower(origins[0])) {
		return true
	}
	if len(sites) > 0 {
		return len(sites) == 1 && (sites[0] == "same-origin" || sites[0] == "none")
	}
	return len(origins) == 1 && s.isOwn(r, origins[0])
}

// isOwn reports whether an Origin has the host that the client called.
func (s *Sites) isOwn(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false // this includes "null"
	}
	if sameHost(u, r.Host) {
		return true
	}
	forwarded := r.Header["X-Forwarded-Host"]
	if len(forwarded) == 0 || s.Trusted == nil || !s.Trusted(r) {
		return false
	}
	// Each proxy of a chain appends an entry. The last one is that of the trusted proxy.
	list := forwarded[len(forwarded)-1]
	last := list[strings.LastIndexByte(list, ',')+1:]
	return sameHost(u, strings.TrimSpace(last))
}

// sameHost compares host and port of an origin with a Host header. The scheme does not count,
// because a proxy that ends TLS hides it. The default port of the origin's scheme does not count.
func sameHost(origin *url.URL, host string) bool {
	defaultPort := ":80"
	if origin.Scheme == "https" {
		defaultPort = ":443"
	}
	trim := func(text string) string { return strings.TrimSuffix(strings.ToLower(text), defaultPort) }
	return host != "" && trim(origin.Host) == trim(host)
}
