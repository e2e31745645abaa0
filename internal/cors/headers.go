package cors

import (
	"strings"
)

// Bounds of what a preflight may ask for.
const (
	maxAsked     = 64  // headers
	maxAskedName = 128 // bytes of a name
)

// forwarding are headers in which a proxy reports its client, or what the client asked
// for. A page must not send them: if a proxy passed them on, they would be trusted.
// "x-forwarded-" stands for all that start with it.
var forwarding = []string{
	"forwarded", "x-forwarded-", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
	"fastly-client-ip", "x-original-url", "x-rewrite-url", "x-original-host", "x-remote-user", "remote-user", "x-http-method-override",
}

// Forwarding reports whether only proxies send a header.
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

// grantable is the part of what a page asks for that "*" allows, in its order.
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
