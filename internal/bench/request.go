package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// endpoint is the address at which clients open streams, and what they ask for.
type endpoint struct {
	Address string   `json:"address"`            // host and port
	Base    string   `json:"base"`               // scheme, host, and what the paths begin with
	Path    string   `json:"path"`               // the path in Base; "" or "/x"
	Topic   string   `json:"topic"`              // the backend subscribes the streams to it; "" for none
	Each    bool     `json:"each"`               // a topic for each stream: see topicOf
	Topics  int      `json:"topics,omitempty"`   // number of topics that the streams share; 0 for one topic a stream
	LastIDs []string `json:"last_ids,omitempty"` // of each topic: where streams resume; none for the first time
	Segment int      `json:"segment"`            // largest TCP segment in bytes; 0 for the default of the network
}

func endpointAt(base, topic string) (endpoint, error) {
	u, err := url.Parse(base)
	if err != nil {
		return endpoint{}, err
	}
	path := strings.TrimRight(u.Path, "/")
	return endpoint{Address: u.Host, Base: u.Scheme + "://" + u.Host + path, Path: path, Topic: topic}, nil
}

// topicOf is the topic of the stream with this id; "" for none.
func (d endpoint) topicOf(id int) string {
	if d.Each && d.Topic != "" {
		if d.Topics > 0 {
			id %= d.Topics
		}
		return d.Topic + "-" + strconv.Itoa(id)
	}
	return d.Topic
}

// target is the request target of the stream with this id. The backend receives it in the callback and
// subscribes the stream accordingly.
func (d endpoint) target(id int) string {
	t := "/bench/stream?id=" + strconv.Itoa(id)
	if topic := d.topicOf(id); topic != "" {
		t += "&topic=" + url.QueryEscape(topic)
	}
	return t
}

// header is a field of a request.
type header struct{ name, value string }

// headers are what a gateway gets of a Chromium whose EventSource comes through
// a proxy: some 800 bytes with the request line. Cookie and client address are
// unique, as they are in the field: a gateway that keeps headers for the
// disconnect callback must not find them shared.
func headers(id int) []header {
	return []header{
		{"X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", id>>16&255, id>>8&255, id&255)},
		{"X-Forwarded-Proto", "https"},
		{"X-Forwarded-Host", "app.example.org"},
		{"sec-ch-ua-platform", `"Windows"`},
		{"Cache-Control", "no-cache"},
		{"User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
		{"Accept", "text/event-stream"},
		{"sec-ch-ua", `"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"`},
		{"sec-ch-ua-mobile", "?0"},
		{"Sec-Fetch-Site", "same-origin"},
		{"Sec-Fetch-Mode", "cors"},
		{"Sec-Fetch-Dest", "empty"},
		{"Referer", "https://app.example.org/projects/overview"},
		{"Accept-Encoding", "gzip, deflate, br, zstd"},
		{"Accept-Language", "en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7"},
		{"Cookie", fmt.Sprintf("session=%016x%016x; theme=system", rand.Uint64(), rand.Uint64())},
	}
}

// appendRequest appends the request for a stream in HTTP/1.1.
func (d endpoint) appendRequest(b []byte, id int) []byte {
	b = fmt.Appendf(b, "GET %s%s HTTP/1.1\r\nHost: %s\r\n", d.Path, d.target(id), d.Address)
	for _, h := range headers(id) {
		b = append(append(append(append(b, h.name...), ": "...), h.value...), "\r\n"...)
	}
	if len(d.LastIDs) > 0 {
		b = fmt.Appendf(b, "Last-Event-ID: %s\r\n", d.LastIDs[id%len(d.LastIDs)])
	}
	return append(b, "\r\n"...)
}

// streamsOfAddress is how many streams come from one client address: fewer
// than it has ports, so that those do not run out, closed connections that still
// hold theirs included.
const streamsOfAddress = 8000

// randomNetwork picks what [source] needs.
func randomNetwork() [2]byte { return [2]byte{byte(1 + rand.IntN(254)), byte(rand.IntN(256))} }

// source is the client address of a stream. The loopback network has 16 million;
// network says which 256 of them to use. A gateway elsewhere sees the machine's
// own, nil.
func source(gateway net.IP, network [2]byte, id int) net.IP {
	if gateway.To4() == nil || !gateway.IsLoopback() {
		return nil
	}
	return net.IPv4(127, network[0], network[1], byte(id/streamsOfAddress))
}

// parseHead reads the headers of an answer, up to and without the blank line.
// It reports whether the body is chunked, and fails if this is not a stream.
func parseHead(head []byte) (chunked bool, err error) {
	status, rest, _ := strings.Cut(string(head), "\r\n")
	if _, code, _ := strings.Cut(status, " "); !strings.HasPrefix(status, "HTTP/1.") || !strings.HasPrefix(code, "200") {
		return false, fmt.Errorf("the gateway answered %q", status)
	}
	contentType := ""
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.ToLower(strings.TrimSpace(value))
		switch strings.ToLower(name) {
		case "transfer-encoding":
			chunked = value == "chunked"
		case "content-type":
			contentType = value
		}
	}
	return chunked, checkHead(status, true, contentType)
}

// checkHead fails if an answer is not a stream.
func checkHead(status string, ok bool, contentType string) error {
	switch {
	case !ok:
		return fmt.Errorf("the gateway answered %q", status)
	case !strings.HasPrefix(contentType, "text/event-stream"):
		return fmt.Errorf("the gateway answered %q, but with something else than text/event-stream", status)
	}
	return nil
}

// headEnd finds the blank line behind the headers: where they end, and where
// the body begins. -1 if it is not there yet.
func headEnd(p []byte) (end, body int) {
	end = bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return -1, -1
	}
	return end, end + 4
}
