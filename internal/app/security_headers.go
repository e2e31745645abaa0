package app

import (
	"net/http"
	"strconv"
	"time"

	"tidegate/internal/wire"
)

// withSecurityHeaders adds the headers that every answer of a listener has. hsts is the time for
// which browsers use TLS only; 0 sends no such header.
func withSecurityHeaders(next http.Handler, hsts time.Duration) http.Handler {
	var strict []string
	if hsts > 0 {
		strict = []string{"max-age=" + strconv.FormatInt(int64(hsts/time.Second), 10)}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		wire.NoSniff(h)
		if strict != nil && r.TLS != nil { // RFC 6797 section 7.2: over TLS only
			h["Strict-Transport-Security"] = strict
		}
		next.ServeHTTP(w, r)
	})
}
