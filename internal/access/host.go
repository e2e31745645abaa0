package access

import (
	"errors"
	"net/netip"
	"strings"
)

// Names are the names by which clients may call a server. It stops DNS rebinding: a page of a name
// whose DNS entry points at this machine has that name in Host.
type Names struct {
	// Allowed are more names, as --allowed-host takes them: app.example.org,
	// or *.example.org for every name below it.
	Allowed []string
	// OffLoopback allows names without a dot, as Compose and Kubernetes give.
	// An attacker cannot register such a name.
	OffLoopback bool
}

// Allows reports whether a Host header is allowed: an IP literal, localhost, one of
// the allowed names, or none at all.
func (n *Names) Allows(host string) bool {
	if host == "" {
		return true // HTTP/1.0; every browser sends one
	}
	name, ok := hostName(host)
	if !ok {
		return false
	}
	if end := name[len(name)-1]; end >= '0' && end <= '9' || strings.Contains(name, ":") {
		if _, err := netip.ParseAddr(name); err == nil {
			return true
		}
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") && name != ".localhost" {
		return true
	}
	for _, allowed := range n.Allowed {
		if matchesName(allowed, name) {
			return true
		}
	}
	return n.OffLoopback && !strings.Contains(name, ".")
}

// matchesName reports whether a name matches an allowed one.
func matchesName(allowed, name string) bool {
	if domain, wild := strings.CutPrefix(allowed, "*"); wild {
		return len(name) > len(domain) && strings.HasSuffix(name, domain) && name[0] != '.'
	}
	return allowed == name
}

// hostName returns the name or address of a Host header in lower case, without port, brackets, zone
// and one trailing dot. ok is false if there is no valid name.
func hostName(host string) (name string, ok bool) {
	name = host
	switch {
	case strings.HasPrefix(host, "["):
		inside, rest, closed := strings.Cut(host[1:], "]")
		if !closed || rest != "" && (rest[0] != ':' || !isPort(rest[1:])) || !strings.Contains(inside, ":") {
			return "", false
		}
		name = inside
	case strings.Count(host, ":") == 1:
		var port string
		if name, port, _ = strings.Cut(host, ":"); !isPort(port) {
			return "", false
		}
	}
	if strings.Contains(name, ":") { // an IPv6 address
		name, _, _ = strings.Cut(name, "%")
		_, err := netip.ParseAddr(name)
		return name, err == nil
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name, isName(name)
}

// isPort reports whether text is digits only. An empty port is valid.
func isPort(text string) bool {
	return len(text) <= 5 && strings.Trim(text, "0123456789") == ""
}

// isName reports whether name has the form of a host name, in lower case.
func isName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// AllowedHost parses one value of --allowed-host into the form that [Names] takes.
func AllowedHost(text string) (string, error) {
	rest, wild := strings.CutPrefix(text, "*.")
	name, ok := hostName(rest)
	switch {
	case text == "*":
		return "", errors.New("allows every name, and with it DNS rebinding; give the names that clients use, such as app.example.org or *.example.org")
	case strings.ContainsFunc(text, func(r rune) bool { return r > '~' }):
		return "", errors.New("is not ASCII; give the name as browsers send it, which begins with xn--")
	case !ok:
		return "", errors.New("is no name; give one such as app.example.org or *.example.org, without scheme and path")
	case wild:
		return "*." + name, nil
	}
	return name, nil
}
