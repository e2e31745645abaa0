package peer

import (
	"iter"
	"net/http"
	"net/netip"
	"strings"
)

const (
	headerForwarded = "Forwarded"
	headerXFF       = "X-Forwarded-For"
)

func forwards(h http.Header) bool { return len(h[headerForwarded]) > 0 || len(h[headerXFF]) > 0 }

// forwarded is the client behind a peer that may forward addresses. Where both
// headers are there and disagree, a client may have sent the one that its proxy
// does not know: then neither is believed, and the proxy itself is counted.
func (u *Rules) forwarded(hop netip.Addr, h http.Header) Client {
	standard, usual := len(h[headerForwarded]) > 0, len(h[headerXFF]) > 0
	var c Client
	switch {
	case standard && usual:
		c = u.walk(hop, forwardedHops(h[headerForwarded]))
		if c != u.walk(hop, listedHops(h[headerXFF])) {
			return Client{Addr: hop, Forwarded: true}
		}
	case standard:
		c = u.walk(hop, forwardedHops(h[headerForwarded]))
	default:
		c = u.walk(hop, listedHops(h[headerXFF]))
	}
	return c
}

// walk goes from the peer to the client for as long as the hops are trusted. A
// hop that hides its address ends the way: then the proxy before it is counted.
func (u *Rules) walk(hop netip.Addr, hops iter.Seq[string]) Client {
	home := isLocal(hop) // all hops so far are on this machine
	for text := range hops {
		next := hopAddress(text)
		if !next.IsValid() {
			return Client{Addr: hop, Forwarded: true}
		}
		hop = next
		if home = home && isLocal(hop); !home && !u.lists(hop) {
			break
		}
	}
	return Client{Addr: hop, Forwarded: true}
}

// listedHops gives the hops of X-Forwarded-For, the last first.
func listedHops(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := len(lines) - 1; i >= 0; i-- {
			for rest, more := lines[i], true; more; {
				comma := strings.LastIndexByte(rest, ',')
				hop := rest[comma+1:]
				if more = comma >= 0; more {
					rest = rest[:comma]
				}
				if hop = trim(hop); hop != "" && !yield(hop) {
					return
				}
			}
		}
	}
}

// forwardedHops gives the "for" of the elements of Forwarded (RFC 7239), the
// last first; one without is "unknown". Lines are read from their end, so that
// nothing a client has sent can change how what its proxy appended is read.
func forwardedHops(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := len(lines) - 1; i >= 0; i-- {
			for rest, more := lines[i], true; more; {
				comma := lastUnquoted(rest, ',')
				element := rest[comma+1:]
				if more = comma >= 0; more {
					rest = rest[:comma]
				}
				if element = trim(element); element != "" && !yield(forOf(element)) {
					return
				}
			}
		}
	}
}

const unknown = "unknown"

// forOf is the value of "for" in one element; "unknown" if there is none, or
// more than one.
func forOf(element string) string {
	found := ""
	for more := true; more; {
		semicolon := lastUnquoted(element, ';')
		pair := element[semicolon+1:]
		if more = semicolon >= 0; more {
			element = element[:semicolon]
		}
		name, value, _ := strings.Cut(trim(pair), "=")
		if !strings.EqualFold(trim(name), "for") {
			continue
		}
		if found != "" {
			return unknown
		}
		found = trim(value)
		if n := len(found); n >= 2 && found[0] == '"' && found[n-1] == '"' {
			found = found[1 : n-1]
		}
		if found == "" {
			return unknown
		}
	}
	if found == "" {
		return unknown
	}
	return found
}

// lastUnquoted is the index of the last sep outside quotes, or -1.
func lastUnquoted(s string, sep byte) int {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !escaped(s, i):
			quoted = !quoted
		case s[i] == sep && !quoted:
			return i
		}
	}
	return -1
}

// escaped reports whether an odd number of backslashes is before s[i].
func escaped(s string, i int) bool {
	n := 0
	for i--; i >= 0 && s[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// hopAddress reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or
// [2001:db8::1]:80. What is none of them, such as "unknown", is invalid.
func hopAddress(text string) netip.Addr {
	if a, err := netip.ParseAddr(text); err == nil {
		return plain(a)
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if a, err := netip.ParseAddr(inner); err == nil && a.Is6() {
				return plain(a)
			}
			return netip.Addr{}
		}
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return plain(ap.Addr())
	}
	return netip.Addr{}
}

func trim(s string) string { return strings.Trim(s, " \t") }
