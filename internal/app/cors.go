package app

import (
	"log/slog"
	"strings"

	"tidegate/internal/config"
	"tidegate/internal/cors"
)

// newCORS makes the CORS policy of all routes.
func newCORS(c *config.Config, log *slog.Logger) *cors.Policy {
	return cors.New(cors.Options{Origins: c.CORSOrigins, Headers: c.CORSHeaders, Log: log.With("component", "cors")})
}

// apiMethods returns the methods that pages of another origin may use at a path, "" for none. The
// policy is in front of all checks, so that a page can read why it was refused. The callback
// endpoint is not for pages.
func apiMethods(path string) string {
	switch {
	case strings.TrimRight(path, "/") == callbackPath:
		return ""
	case strings.HasPrefix(path, streamsPath):
		return "GET, POST, OPTIONS"
	case strings.HasPrefix(path, "/api/"):
		return "DELETE, GET, HEAD, OPTIONS, POST, PUT"
	}
	return ""
}
