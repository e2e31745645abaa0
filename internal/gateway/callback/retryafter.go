package callback

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds a Retry-After that is passed on. A longer one is cut to it.
const maxRetryAfter = 24 * time.Hour

// RetryAfter is when a backend asks clients to try again, in one of the two forms
// of RFC 9110, section 10.2.3. The zero value says nothing.
type RetryAfter struct {
	Value string        // of the header, as it is passed on; "": there was none
	Wait  time.Duration // from now; 24 h at most
}

// ParseRetryAfter reads the header of a backend. Text that is neither seconds nor a
// date is dropped: it would reach browsers, proxies and libraries unchecked.
func ParseRetryAfter(text string, now time.Time) RetryAfter {
	text = strings.TrimSpace(text)
	if text == "" {
		return RetryAfter{}
	}
	if strings.Trim(text, "0123456789") == "" {
		most := int64(maxRetryAfter / time.Second)
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > most { // err: too large for the type
			seconds = most
		}
		return RetryAfter{strconv.FormatInt(seconds, 10), time.Duration(seconds) * time.Second}
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return RetryAfter{}
	}
	return RetryAfter{date.UTC().Format(http.TimeFormat), min(max(0, date.Sub(now)), maxRetryAfter)}
}

// Set puts the header on an answer, if the backend gave one.
func (a RetryAfter) Set(h http.Header) {
	if a.Value != "" {
		h.Set("Retry-After", a.Value)
	}
}
