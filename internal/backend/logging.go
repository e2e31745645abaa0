package backend

import (
	"log/slog"
	"net/url"
	"strings"
	"unicode/utf8"

	"tidegate/client"
)

// Bounds of what a log record has of a client's request.
const (
	maxLoggedURL    = 1024
	maxLoggedTopics = 10
	maxLoggedText   = 64
)

// streamAttrs describes a stream in the log, without its token and its headers.
func streamAttrs(c client.Callback, r route) []any {
	topics := r.topics()
	attrs := []any{
		slog.String("stream", fingerprint(c.Token)),
		slog.Any("identifiers", topics[:min(len(topics), maxLoggedTopics)]),
		slog.Int("identifier_count", len(topics)),
		slog.String("url", maskURL(c.Request.URL)),
	}
	if len(r.tasks) == 1 {
		attrs = append(attrs, slog.String("task_id", r.tasks[0]))
	}
	if r.requestID != "" {
		attrs = append(attrs, slog.String("request_id", r.requestID))
	}
	return attrs
}

// endAttrs describes why and after how long a stream ended.
func endAttrs(c client.Callback) []any {
	attrs := []any{slog.String("reason", cut(string(c.Reason), maxLoggedText))}
	if c.Detail != "" {
		attrs = append(attrs, slog.String("detail", cut(string(c.Detail), maxLoggedText)))
	}
	if c.Duration > 0 {
		attrs = append(attrs, slog.Int64("duration_ms", c.Duration.Milliseconds()))
	}
	if c.Undelivered > 0 {
		attrs = append(attrs, slog.Int("undelivered", c.Undelivered))
	}
	return attrs
}

// secretWords mark a query parameter whose value must not be logged.
var secretWords = []string{"token", "secret", "key", "password", "signature", "auth", "access", "jwt", "session", "credential"}

// maskURL returns target for the log: without the values of parameters that look like
// secrets, without user:password and fragment, and cut to 1 KiB. It works on the text, so
// it is safe for a target that is not a URL.
func maskURL(target string) string {
	target, _, hasFragment := strings.Cut(target, "#")
	path, query, hasQuery := strings.Cut(target, "?")
	var b strings.Builder
	b.WriteString(maskUser(path))
	if hasQuery {
		b.WriteByte('?')
		for i, pair := range strings.Split(query, "&") {
			if i > 0 {
				b.WriteByte('&')
			}
			b.WriteString(maskPair(pair))
		}
	}
	if hasFragment {
		b.WriteString("#***")
	}
	return cut(b.String(), maxLoggedURL)
}

// cut shortens s to at most limit bytes, at the border of a rune.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

func maskUser(path string) string {
	before, rest, ok := strings.Cut(path, "//")
	if !ok {
		return path
	}
	host, tail, hasTail := strings.Cut(rest, "/")
	at := strings.LastIndexByte(host, '@')
	if at < 0 {
		return path
	}
	masked := before + "//***" + host[at:]
	if hasTail {
		masked += "/" + tail
	}
	return masked
}

func maskPair(pair string) string {
	rawKey, value, _ := strings.Cut(pair, "=")
	key, err := url.QueryUnescape(rawKey)
	if err != nil {
		key = rawKey
	}
	key = strings.ToLower(key)
	for _, word := range secretWords {
		if value != "" && strings.Contains(key, word) {
			return rawKey + "=***"
		}
	}
	return pair
}
