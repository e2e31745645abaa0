package socket

import (
	"errors"
	"net/url"
	"strings"
)

// Target is a URL to which HTTP requests go, over TCP or over a Unix socket.
type Target struct {
	URL  string // with the host localhost if Path is set
	Path string // of a Unix socket; "" for TCP
}

const (
	nginxPrefix   = "http://unix:/"
	percentPrefix = "http+unix://"
)

// IsUnix reports whether a text has the form of a URL of a Unix socket.
func IsUnix(text string) bool {
	return strings.HasPrefix(text, unixPrefix) || strings.HasPrefix(text, nginxPrefix) || strings.HasPrefix(text, percentPrefix)
}

// ParseTarget reads the URL of a Unix socket in any of three forms:
//
//	unix:/run/app.sock:/callback              as in addresses of listeners
//	http://unix:/run/app.sock:/callback       as nginx writes it
//	http+unix://%2Frun%2Fapp.sock/callback    as other programs write it
//
// Without a path after the socket, the path is "/". Any other text is returned as the URL.
func ParseTarget(text string) (Target, error) {
	path, rest := "", ""
	switch {
	case strings.HasPrefix(text, percentPrefix):
		host := strings.TrimPrefix(text, percentPrefix)
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host, rest = host[:i], host[i:]
		}
		var err error
		if path, err = url.PathUnescape(host); err != nil {
			return Target{}, errors.New("has a wrong %-escape in the path of the socket")
		}
	case IsUnix(text):
		path = strings.TrimPrefix(strings.TrimPrefix(text, "http://"), unixPrefix)
		path, rest, _ = strings.Cut(path, ":")
	default:
		return Target{URL: text}, nil
	}
	if err := CheckPath(path); err != nil {
		return Target{}, err
	}
	if rest == "" || rest[0] == '?' {
		rest = "/" + rest
	}
	if rest[0] != '/' {
		return Target{}, errors.New("has something other than a path after the socket; write it as unix:/run/app.sock:/callback")
	}
	return Target{URL: "http://localhost" + rest, Path: path}, nil
}
