package gateway

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"sluice/internal/stream"
	"sluice/internal/topic"
	"sluice/internal/wire"
)

// conn is one stream as the gateway knows it: from before its connect callback
// until its end.
type conn struct {
	token    string
	sequence uint64
	openedAt time.Time
	request  *wire.Request
	resume   string // the client's last event id
	stream   *stream.Stream
	member   *topic.Member
	open     atomic.Bool // the callback has been accepted
}

func (c *conn) info(h *topic.Hub) wire.StreamInfo {
	state := "pending"
	if c.open.Load() {
		state = "open"
	}
	return wire.StreamInfo{
		Token:        c.token,
		State:        state,
		URL:          c.request.URL,
		RemoteAddr:   c.request.RemoteAddr,
		OpenedAt:     c.openedAt.UTC().Format(time.RFC3339Nano),
		Sequence:     c.sequence,
		Topics:       h.Topics(c.member),
		PendingBytes: c.stream.Pending(),
		LastEventID:  c.resume,
	}
}

// requestOf is a request as callbacks tell it: the target byte for byte, header
// names in lower case, each value one string.
func requestOf(r *http.Request) *wire.Request {
	headers := make(map[string]string, len(r.Header)+1)
	for name, values := range r.Header {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	headers["host"] = r.Host
	return &wire.Request{URL: r.RequestURI, Headers: headers, Method: r.Method, RemoteAddr: r.RemoteAddr}
}

// lastEventID is where the client wants to go on. The header is what a browser
// sends when it comes back; the query is for the first connect of a page, and
// stays in its URL, so the header counts first.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	if !strings.Contains(r.URL.RawQuery, "lastEventId=") {
		return ""
	}
	return r.URL.Query().Get("lastEventId")
}
