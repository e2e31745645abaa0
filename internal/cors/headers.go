package cors

import (
	"strings"
)

// Bounds of what a preflight may ask for.
const (
	maxAsked     = 64  // headers
	maxAskedName = 128 // bytes of a name
)

// forwarding are headers by which a proxy says who its client is, or what it
// asked for. A page has no business with them, and where a proxy lets them pass
// they would be believed. "x-forwarded-" stands for all that begin with it.
var forwarding = []string{
	"forwarded", "x-forwarded-", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
	"fastly-client-ip", "x-original-url", "x-rewrite-url", "x-original-host", "x-remote-user", "remote-user", "x-http-method-override",
}

// Forwarding reports whether a header is one that only proxies send.
func Forwarding(name string) bool {
	name = strings.ToLower(name)
	for _, f := range forwarding {
		if name == f || strings.HasSuffix(f, "-") && strings.HasPrefix(name, f) {
			return true
		}
	}
	return false
}

// names yields the names of a list as a browser sends it.
func names(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" && !yield(name) {
				return
			}
		}
	}
}

// grantable is what may be granted of what a page asks for, in its order.
func grantable(asked string) string {
	var granted []string
	for name := range names(asked) {
		if len(granted) == maxAsked {
			break
		}
		if IsName(name) && !Forwarding(name) {
			granted = append(granted, name)
		}
	}
	return strings.Join(granted, ", ")
}

// missing is the first name that was asked for and is not allowed; "" for none.
func missing(asked, allowed string) string {
	for name := range names(asked) {
		found := false
		for other := range names(allowed) {
			if found = strings.EqualFold(name, other); found {
				break
			}
		}
		if !found {
			return name
		}
	}
	return ""
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

// IsName reports whether text can be the name of a header: RFC 9110 section 5.6.2.
func IsName(text string) bool {
	if text == "" || len(text) > maxAskedName {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return true
}
