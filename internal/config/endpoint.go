package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tidegate/internal/socket"
)

// address is the address of a listener; it accepts words too.
func address(p *string, def string, words ...string) value {
	*p = def
	allowed := "host:port such as 127.0.0.1:8081, or :8081 for all interfaces"
	if len(words) > 0 {
		allowed += ", or " + strings.Join(words, " or ")
	}
	return scalar[string]{p, "ADDRESS", allowed, func(text string) (string, error) {
		if slices.Contains(words, text) {
			return text, nil
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil || !isHost(host) || !isPort(port) {
			return "", errNotAllowed
		}
		return text, nil
	}, verbatim}
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9.])?$`)

func isHost(host string) bool {
	if host == "" || hostName.MatchString(host) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// listener is the address of a listener, or a Unix or inherited socket.
func listener(p *string, def string, words ...string) value {
	inner := address(p, def, words...).(scalar[string])
	parse := inner.parse
	inner.allowed += ", unix:PATH, or fd:NAME for an inherited socket"
	inner.parse = func(text string) (string, error) {
		if other, err := socket.Check(text); !other {
			return text, err
		}
		return parse(text)
	}
	return inner
}

// isLoopback reports whether only this machine can reach the address. It is false for host names other
// than localhost: they can resolve to any address.
func isLoopback(address string) bool { return socket.Local(address) }

// collide reports whether two listeners cannot both be bound.
func collide(a, b string) bool {
	if socket.Same(a, b) {
		return true
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA == "0" || portA != portB || !isPort(portA) {
		return false
	}
	return hostA == hostB || isWildcard(hostA) || isWildcard(hostB)
}

func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// urlValue is an http or https URL. Its query is never shown: the callback URL can have a secret there.
type urlValue struct{ scalar[string] }

// webURL is a URL with any path and query. advice says what to use instead of user:password in it.
func webURL(p *string, example, advice string) value {
	allowed := "a URL such as " + example + ", or nothing for none"
	return urlValue{scalar[string]{p, "URL", allowed, func(text string) (string, error) {
		if text == "" {
			return "", nil
		}
		_, err := parseURL(text, advice)
		return text, err
	}, verbatim}}
}

// baseURL is a URL to which paths are appended.
func baseURL(p *string, def string) value {
	*p = def
	const allowed = "the base of a URL such as http://127.0.0.1:8081"
	return urlValue{scalar[string]{p, "URL", allowed, func(text string) (string, error) {
		u, err := parseURL(text, "use --internal-secret")
		switch {
		case err != nil:
			return "", err
		case u.RawQuery != "" || u.ForceQuery:
			return "", errors.New("has a query; give " + allowed)
		case strings.HasSuffix(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/send"), "/internal"):
			return "", errors.New("has the path of the internal API, which the backend appends itself; give " + allowed)
		}
		return strings.TrimRight(text, "/"), nil
	}, verbatim}}
}

// parseURL accepts what an HTTP client can call without guessing.
func parseURL(text, advice string) (*url.URL, error) {
	target, err := socket.ParseTarget(text)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(target.URL)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errNotAllowed
	case u.User != nil:
		return nil, errors.New("has a user or password, which logs would show; " + advice)
	case u.Hostname() == "" || !isHost(u.Hostname()) || strings.HasSuffix(u.Host, ":") || u.Port() != "" && (!isPort(u.Port()) || u.Port() == "0"):
		return nil, errNotAllowed
	case strings.Contains(text, "#"):
		return nil, errors.New("has a fragment (#…), which is never sent; leave it out")
	case strings.Contains(text, hidden):
		return nil, errors.New("has " + hidden + ", which replaces a secret in a printed configuration; give the secret itself")
	}
	return u, nil
}

// hideURL hides user, password and the values of the query of a URL. In text that is no URL, everything
// before an @ counts as user and password.
func hideURL(text string) string {
	if socket.IsUnix(text) {
		return hideUnix(text)
	}
	u, err := url.Parse(text)
	plain := err == nil && u.User == nil && u.Host != ""
	if at := strings.LastIndexByte(text, '@'); at >= 0 && !plain {
		scheme := ""
		if i := strings.Index(text, "://"); i >= 0 && i < at {
			scheme = text[:i+3]
		}
		text = scheme + hidden + text[at:]
	}
	base, query, found := strings.Cut(text, "?")
	base = hidePath(base)
	if !found {
		return base
	}
	fields := strings.Split(query, "&")
	for i, f := range fields {
		if name, _, ok := strings.Cut(f, "="); ok {
			fields[i] = name + "=" + hidden
		} else if f != "" {
			fields[i] = hidden
		}
	}
	return base + "?" + strings.Join(fields, "&")
}

// hideUnix is hideURL for the URL of a Unix socket, whose path is no secret.
func hideUnix(text string) string {
	end := strings.IndexAny(text, "?#")
	if end < 0 {
		end = len(text)
	}
	i := strings.LastIndex(text[:end], ":/")
	switch {
	case strings.HasPrefix(text, "http+unix://"):
		i = strings.IndexAny(text[len("http+unix://"):]+"/", "/?#") + len("http+unix://")
	case i >= len("unix:"):
		i++
	default:
		i = end
	}
	return text[:i] + hideURL(text[i:])
}

// usualWords are the words of a path that are shown. Some services have a secret in the path of their
// URLs, which looks like any other word.
var usualWords = strings.Fields(`api app apps assets backend build callback callbacks deploy dist event events frontend gateway health hook hooks
	index.html internal live meta metrics notify proxy public push service services sse static status stream streams tasks tidegate v1 v2 v3 v4
	version version.json version.txt versions web webhook webhooks`)

// hidePath hides all but usual words in the path of a URL without a query.
func hidePath(base string) string {
	start := 0
	if i := strings.Index(base, "://"); i >= 0 {
		start = i + 3
	}
	slash := strings.IndexByte(base[start:], '/')
	if slash < 0 {
		return base
	}
	segments := strings.Split(base[start+slash+1:], "/")
	for i, s := range segments {
		if s != "" && !slices.Contains(usualWords, s) {
			segments[i] = hidden
		}
	}
	return base[:start+slash+1] + strings.Join(segments, "/")
}

var originPattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?$`)

// keptHeaders is the word all, the word none, or a list of names; one text can have several names with
// commas between them.
func keptHeaders(p *[]string, command string) value {
	*p = []string{AllHeaders}
	if command == "serve" {
		*p = []string{NoHeaders}
	}
	return list{p, "NAMES", "all, none, or names of headers such as user-agent,x-request-id", func(text string) (string, error) {
		names := strings.Split(strings.ToLower(text), ",")
		for i, name := range names {
			names[i] = strings.TrimSpace(name)
			if names[i] == "*" || !headerPattern.MatchString(names[i]) || len(names) > 1 && isHeaderWord(names[i]) {
				return "", errNotAllowed
			}
		}
		return strings.Join(names, ","), nil
	}}
}

func isHeaderWord(name string) bool { return name == AllHeaders || name == NoHeaders }

// KeptHeaders are the names of --callback-headers; nil is all of them.
func (c *Config) KeptHeaders() []string {
	names := []string{}
	for _, entry := range c.CallbackHeaders {
		switch entry {
		case AllHeaders:
			return nil
		case NoHeaders:
		default:
			names = append(names, strings.Split(entry, ",")...)
		}
	}
	return names
}

var headerPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")

// headerNames is a list of names of headers, "*" by default.
func headerNames(p *[]string) value {
	*p = []string{"*"}
	return list{p, "NAME", "* or the name of a header such as X-CSRF-Token", func(text string) (string, error) {
		if !headerPattern.MatchString(text) {
			return "", errNotAllowed
		}
		return text, nil
	}}
}

// origins is a list of origins, as browsers send them.
func origins(p *[]string) value {
	return list{p, "ORIGIN", "* or an origin such as https://example.org, without a path", func(text string) (string, error) {
		// Browsers send scheme and host in lower case.
		text = strings.ToLower(text)
		if text != "*" && !originPattern.MatchString(text) {
			return "", errNotAllowed
		}
		return text, nil
	}}
}
