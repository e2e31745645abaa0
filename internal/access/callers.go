package access

import (
	"net/http"

	"tidegate/internal/wire"
)

// Callers are the callers of a route, and how they identify themselves. If no way is set, everybody
// may call.
type Callers struct {
	// Secrets of which each is enough, as Authorization: Bearer.
	Secrets []*Secrets
	// Login takes the cookie of the page's login; nil: there is none.
	Login *Login
	// Header is the header in which a proxy names the caller, "" for none. It counts only from
	// proxies that Trusted accepts.
	Header  string
	Trusted func(r *http.Request) bool
	// Also identifies callers in other ways; may be nil.
	Also func(r *http.Request) bool
	// Message is the error for unknown callers.
	Message string
}

// credential is how a caller has identified itself.
type credential int

const (
	noCredential credential = iota
	bySecret
	byIdentity
)

// asked reports whether callers must identify themselves.
func (c *Callers) asked() bool {
	if c == nil {
		return false
	}
	for _, s := range c.Secrets {
		if s.Any() {
			return true
		}
	}
	return c.Header != ""
}

// identify returns how the request identifies its caller.
func (c *Callers) identify(r *http.Request) credential {
	if values := r.Header["Authorization"]; len(values) == 1 {
		for _, s := range c.Secrets {
			if s.Bearer([]byte(values[0])) {
				return bySecret
			}
		}
	}
	switch {
	case c.Login != nil && c.Login.known(r), c.Also != nil && c.Also(r):
		return bySecret
	case c.Identity(r) != "":
		return byIdentity
	}
	return noCredential
}

// Identity returns the caller that a trusted proxy names; "" if none does. A header that occurs
// twice does not count: one of them may be the client's own.
func (c *Callers) Identity(r *http.Request) string {
	if c.Header == "" || c.Trusted == nil || !c.Trusted(r) {
		return ""
	}
	values := r.Header.Values(c.Header)
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// Unknown returns the error for unknown callers.
func (c *Callers) Unknown() *wire.Error {
	return wire.Errorf(http.StatusUnauthorized, wire.CodeUnauthorized, c.Message)
}
