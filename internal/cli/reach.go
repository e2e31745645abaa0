package cli

import (
	"net/url"

	"tidegate/internal/socket"
)

// reach is where a server is, which a command for people was given as a URL or,
// for a Unix socket, as unix:/run/app.sock:/path. ok is false for anything else.
func reach(text string) (server socket.Target, ok bool) {
	server, err := socket.ParseTarget(text)
	if err != nil {
		return socket.Target{}, false
	}
	u, err := url.Parse(server.URL)
	return server, err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
