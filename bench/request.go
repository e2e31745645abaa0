package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// door is where streams are opened.
type door struct {
	Address string `json:"address"` // host and port
	Base    string `json:"base"`    // what the paths begin with; "" or "/x"
	Topic   string `json:"topic"`   // that the backend is to subscribe the streams to; "" for none
}

func doorAt(base, topic string) (door, error) {
	u, err := url.Parse(base)
	if err != nil {
		return door{}, err
	}
	return door{Address: u.Host, Base: strings.TrimRight(u.Path, "/"), Topic: topic}, nil
}

// target is the request target of the stream with this id. The backend gets it
// in the callback and finds in it what to do.
func (d door) target(id int) string {
	t := d.Base + "/bench/stream?id=" + strconv.Itoa(id)
	if d.Topic != "" {
		t += "&topic=" + url.QueryEscape(d.Topic)
	}
	return t
}

// appendRequest appends the request for a stream. Its headers are those of a
// browser behind a proxy, about 600 bytes, some different in each: a gateway
// that keeps them for the disconnect callback has to keep that much.
func (d door) appendRequest(b []byte, id int) []byte {
	return fmt.Appendf(b, "GET %s HTTP/1.1\r\n"+
		"Host: %s\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
		"Accept: text/event-stream\r\n"+
		"Accept-Language: en-GB,en;q=0.8,de;q=0.5\r\n"+
		"Accept-Encoding: gzip, deflate, br, zstd\r\n"+
		"Referer: https://app.example.org/projects/overview\r\n"+
		"Cookie: session=%016x%016x; theme=dark\r\n"+
		"X-Forwarded-For: 10.%d.%d.%d\r\n"+
		"X-Forwarded-Proto: https\r\n"+
		"Sec-Fetch-Dest: empty\r\n"+
		"Sec-Fetch-Mode: cors\r\n"+
		"Sec-Fetch-Site: same-origin\r\n"+
		"Pragma: no-cache\r\n"+
		"Cache-Control: no-cache\r\n\r\n",
		d.target(id), d.Address, rand.Uint64(), rand.Uint64(), id>>16&255, id>>8&255, id&255)
}

// streamsOfAddress is how many streams come from one client address: fewer
// than it has ports, so that those do not run out, closed connections that still
// hold theirs included.
const streamsOfAddress = 8000

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
// It tells whether the body is chunked, and fails if this is not a stream.
func parseHead(head []byte) (chunked bool, err error) {
	status, rest, _ := strings.Cut(string(head), "\r\n")
	if _, code, _ := strings.Cut(status, " "); !strings.HasPrefix(status, "HTTP/1.") || !strings.HasPrefix(code, "200") {
		return false, fmt.Errorf("the gateway answered %q", status)
	}
	stream := false
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.ToLower(strings.TrimSpace(value))
		switch strings.ToLower(name) {
		case "transfer-encoding":
			chunked = value == "chunked"
		case "content-type":
			stream = strings.HasPrefix(value, "text/event-stream")
		}
	}
	if !stream {
		return false, fmt.Errorf("the gateway answered %q, but with something else than text/event-stream", status)
	}
	return chunked, nil
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
