package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tidegate/measure/reliability/harness"
)

// Attacks that open streams, or try to.

var forgedIDs = attack{
	name: "forged-ids", what: "clients resume after ids that the server never assigned",
	mode: harness.Gateway, clients: 300, again: 2 * time.Second,
	act: func(ctx context.Context, s *server, i int) {
		id := forge(s.honest.id(), i)
		s.request(ctx, fmt.Sprintf("GET /x?topic=load:honest HTTP/1.1\r\nHost: %s\r\nLast-Event-ID: %s\r\n\r\n", s.public, id), 5*time.Second)
	},
}

// forge returns an id with a later position, made from a real id.
func forge(id string, i int) string {
	parts := strings.Split(id, "-")
	if len(parts) > 1 {
		parts[1] = fmt.Sprintf("zzz%d", 1000+i)
	}
	return strings.Join(parts, "-")
}

var unknownTasks = attack{
	name: "unknown-tasks", what: "streams of 100 unknown tasks each, beside a finished task in a small store",
	mode: harness.Serve, flags: []string{"--store-size", "16MiB", "--max-topics", "2000"}, clients: 800, again: 20 * time.Second,
	prepare: func(ctx context.Context, s *server) error {
		var err error
		s.realTask, err = s.startTask(ctx, `{"type":"demo_task","params":{"delay":0,"steps":20}}`)
		if err != nil {
			return err
		}
		return s.wholeTask(ctx, s.realTask)
	},
	act: func(ctx context.Context, s *server, i int) {
		var target strings.Builder
		target.WriteString("/api/sse/stream?")
		for n := range 100 {
			fmt.Fprintf(&target, "&task_id=none-%d-%d-%d", i, n, time.Now().UnixNano()%1e6)
		}
		s.request(ctx, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", &target, s.public), 5*time.Second)
	},
	after: func(ctx context.Context, s *server) error { return s.wholeTask(ctx, s.realTask) },
}

const fatHeader = 60 << 10

var fatHeaders = attack{
	name: "fat-headers", what: "streams that stay open, with 60 KB of headers each",
	mode: harness.Gateway, clients: 4600,
	act: func(ctx context.Context, s *server, _ int) {
		text := fmt.Sprintf("GET /x?topic=load:fat HTTP/1.1\r\nHost: %s\r\nCookie: a=%s\r\n\r\n", s.public, strings.Repeat("x", fatHeader))
		s.request(ctx, text, time.Hour)
	},
}

// request sends a request, counts the answer by its status, and reads until the end, for
// stay at most.
func (s *server) request(ctx context.Context, request string, stay time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, stay)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() { // ends with the connection at the latest
		_, _ = io.WriteString(conn, request) // the server may answer before all is sent
	}()
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), nil)
	if err != nil {
		s.tally.add("not answered")
		return
	}
	s.tally.add(fmt.Sprint("answered ", response.StatusCode))
	_, _ = io.Copy(io.Discard, response.Body) // until the end, whatever it is
}

// startTask starts a task and returns its id.
func (s *server) startTask(ctx context.Context, body string) (string, error) {
	var started struct {
		ID string `json:"task_id"`
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url("/api/tasks"), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.honest.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &started)
	}
	if err != nil || response.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("start of a task: %d %.200s (%w)", response.StatusCode, text, err)
	}
	return started.ID, nil
}

// wholeTask reads the stream of a task to its end, from its beginning.
func (s *server) wholeTask(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/api/sse/tasks?task_id="+id), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("the stream of a finished task: %w", err)
	}
	r := newReader(response.Body)
	defer r.Close()
	first, last := block{}, block{}
	for {
		b, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the stream of a finished task: %w", err)
		}
		if b.data == "" {
			continue
		}
		if first == (block{}) {
			first = b
		}
		last = b
	}
	if !strings.Contains(first.data, "task_started") || !strings.Contains(last.data, "task_completed") {
		return fmt.Errorf("the log of a finished task is not complete: it begins with %.100q and ends with %.100q", first.data, last.data)
	}
	return nil
}
