package cli

import (
	"net/url"

	"tidegate/internal/socket"
)

// reach parses the address of a server: a URL, or unix:/run/app.sock:/path for a Unix socket. ok is
// false for anything else.
func reach(text string) (server socket.Target, ok bool) {
	server, err := socket.ParseTarget(text)
	if err != nil {
		return socket.Target{}, false
	}
	u, err := url.Parse(server.URL)
	return server, err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
