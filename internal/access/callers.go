package access

import (
	"net/http"

	"tidegate/internal/wire"
)

// Callers are those that a route is for. Without any way to be known, everybody
// is.
type Callers struct {
	// Secrets of which each is enough, as Authorization: Bearer.
	Secrets []*Secrets
	// Login takes the cookie of the page's login; nil: there is none.
	Login *Login
	// Header holds who calls, as a proxy that Trusted knows has found out; "":
	// there is no such proxy. Nobody else's header counts.
	Header  string
	Trusted func(r *http.Request) bool
	// Also knows callers in further ways; may be nil.
	Also func(r *http.Request) bool
	// Message is what an unknown caller is told.
	Message string
}

// admission is how a caller is known.
type admission int

const (
	stranger admission = iota
	bySecret
	byIdentity
)

// asked reports whether callers have to be known.
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

func (c *Callers) admit(r *http.Request) admission {
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
	return stranger
}

// Identity is who calls, as a trusted proxy says; "" if none does. A header that
// is there twice may be the client's own beside the proxy's, and counts for none.
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

// Unknown is what a caller gets that is not known.
func (c *Callers) Unknown() *wire.Error {
	return wire.Errorf(http.StatusUnauthorized, wire.CodeUnauthorized, c.Message)
}
