package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds the seconds that are passed on, and the retry field of a
// stream. More is cut to it.
const maxRetryAfter = 24 * time.Hour

// retryAfter is what a backend says of when to come again, in one of the two
// forms of RFC 9110 section 10.2.3. The zero value says nothing.
type retryAfter struct {
	value string // as it is passed on
	wait  time.Duration
}

// parseRetryAfter reads a header of a backend. What is neither seconds nor a date
// is dropped: it would reach browsers, proxies and libraries as it came.
func parseRetryAfter(text string, now time.Time) retryAfter {
	text = strings.TrimSpace(text)
	if text == "" {
		return retryAfter{}
	}
	if strings.Trim(text, "0123456789") == "" {
		most := int64(maxRetryAfter / time.Second)
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > most { // too large for a number, too
			seconds = most
		}
		return retryAfter{strconv.FormatInt(seconds, 10), time.Duration(seconds) * time.Second}
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return retryAfter{}
	}
	return retryAfter{date.UTC().Format(http.TimeFormat), min(max(0, date.Sub(now)), maxRetryAfter)}
}

func (a retryAfter) set(h http.Header) {
	if a.value != "" {
		h.Set("Retry-After", a.value)
	}
}
