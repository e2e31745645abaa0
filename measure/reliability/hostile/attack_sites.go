package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"tidegate/measure/reliability/harness"
)

// probe is a request that a page of another site makes a browser send, or a page under a
// name that was rebound to this machine.
type probe struct {
	internal      bool // to the internal listener
	method, path  string
	body, headers string // headers end with CRLF
	name          string // describes the forged headers
}

var otherSites = attack{
	name: "other-sites", what: "requests that pages of other sites make browsers send, to all listeners and paths",
	mode: harness.Serve, open: true, clients: 8, again: time.Second,
	act: func(ctx context.Context, s *server, i int) {
		all := probes(s)
		for n := range all {
			if ctx.Err() == nil { // each attacker starts at another probe
				s.try(ctx, all[(n+i*len(all)/8)%len(all)])
			}
		}
	},
}

// probes returns all probes.
func probes(s *server) []probe {
	places := []probe{
		{false, "POST", "/api/tasks", `{"type":"demo_task"}`, "Content-Type: application/json\r\n", ""},
		{false, "POST", "/api/tasks", `{"type":"demo_task"}`, "Content-Type: text/plain\r\n", ""},
		{false, "GET", "/api/tasks", "", "", ""},
		{false, "POST", "/api/tasks/none/cancel", "", "", ""},
		{false, "POST", "/API/tasks/none/cancel/", "", "", ""},
		{false, "DELETE", "/api/tasks/none", "", "", ""},
		{false, "POST", "/api/versions", `{"version":"9"}`, "Content-Type: application/json\r\n", ""},
		{false, "POST", "/internal/send", `{"topic":"version:x","event":{"data":"x"}}`, "Content-Type: application/json\r\n", ""},
		{true, "GET", "/internal/streams", "", "", ""},
		{true, "GET", "/Internal/Streams/", "", "", ""},
		{true, "GET", "/internal/topics", "", "", ""},
		{true, "GET", "/metrics", "", "", ""},
		{true, "POST", "/internal/send", `{"topic":"version:x","event":{"data":"x"}}`, "Content-Type: application/json\r\n", ""},
		{true, "POST", "/internal/send", `{"topic":"version:x","event":{"data":"x"}}`, "", ""},
		{true, "POST", "/internal/subscribe", `{"token":"none","topics":["x"]}`, "Content-Type: application/json\r\n", ""},
		{true, "DELETE", "/internal/topics/version:honest", "", "", ""},
	}
	var all []probe
	for _, p := range places {
		own := s.public
		if p.internal {
			own = s.internal
		}
		for name, headers := range map[string]string{
			"a rebound name":                "Host: evil.example\r\n",
			"a rebound name and its origin": "Host: evil.example:8080\r\nOrigin: http://evil.example:8080\r\nSec-Fetch-Site: same-origin\r\n",
			"another site":                  "Host: " + own + "\r\nOrigin: https://evil.example\r\n",
			"another site, by Sec-Fetch":    "Host: " + own + "\r\nSec-Fetch-Site: cross-site\r\n",
			"the same site, another name":   "Host: " + own + "\r\nSec-Fetch-Site: same-site\r\nOrigin: http://x.localhost\r\n",
			"a page without an origin":      "Host: " + own + "\r\nOrigin: null\r\n",
			"a name that starts like ours":  "Host: localhost.evil.example\r\n",
			"an address within a name":      "Host: 127.0.0.1.evil.example\r\n",
			"a name and a forwarded one":    "Host: evil.example\r\nX-Forwarded-Host: localhost\r\n",
			"a name with a user before it":  "Host: localhost@evil.example\r\n",
		} {
			all = append(all, p.with(name, headers))
		}
	}
	return all
}

func (p probe) with(name, headers string) probe {
	p.name, p.headers = name, headers+p.headers
	return p
}

// firstTimes reports each text only once.
type firstTimes struct {
	mu   sync.Mutex
	seen map[string]bool // guarded by mu
}

func (t *firstTimes) first(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[string]bool{}
	}
	defer func() { t.seen[what] = true }()
	return !t.seen[what]
}

// try sends a probe. The server must neither list nor do anything for another site. A
// rejection for another reason proves nothing.
func (s *server) try(ctx context.Context, p probe) {
	ctx, cancel := context.WithTimeout(ctx, honestPatience)
	defer cancel()
	address := s.public
	if p.internal {
		address = s.internal
	}
	conn, err := attacker().DialContext(ctx, "tcp", address)
	if err != nil {
		s.tally.add("not connected")
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(honestPatience))
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s", p.method, p.path, len(p.body), p.headers, p.body)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.tally.add("not answered")
		return
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	s.tally.add(fmt.Sprint("answered ", response.StatusCode))
	what := fmt.Sprintf("%s %s of %s was answered %d", p.method, p.path, p.name, response.StatusCode)
	if response.StatusCode < 300 && !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") && s.accepted.first(what) {
		s.faults.add("%s: %.60q", what, text)
	}
}
