package callback_test

import (
	"net/url"
	"testing"
	"time"

	"tidegate/internal/gateway/callback"
)

// FuzzRetryAfter checks that whatever a backend sends, only seconds within bounds or
// a date are passed on.
func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"7", "-1", "99999999999999999999", "Wed, 21 Oct 2037 07:28:00 GMT", "soon", "\r\nX: y"} {
		f.Add(text)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, text string) {
		a := callback.ParseRetryAfter(text, now)
		value, wait := a.Value, a.Wait
		if wait < 0 || wait > 24*time.Hour || len(value) > 29 || value != url.PathEscape(value) && len(value) != 29 {
			t.Errorf("ParseRetryAfter(%q) = %q, %v", text, value, wait)
		}
		if again := callback.ParseRetryAfter(value, now).Value; again != value {
			t.Errorf("ParseRetryAfter(%q) = %q, read again it is %q", text, value, again)
		}
	})
}
