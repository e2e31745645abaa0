package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/harness"
)

const largeResult = 900 << 10 // bytes; fits into a request

var unreadAnswers = attack{
	name: "unread-answers", what: "clients that request a large result and read nothing",
	mode: harness.Serve, clients: 200,
	prepare: func(ctx context.Context, s *server) error {
		var err error
		s.realTask, err = s.startTask(ctx, fmt.Sprintf(`{"type":"demo_task","params":{"delay":0,"steps":1,"message":%q}}`, strings.Repeat("x", largeResult)))
		if err != nil {
			return err
		}
		return s.waitForResult(ctx)
	},
	act: func(ctx context.Context, s *server, i int) {
		path := []string{"/api/tasks/" + s.realTask, "/api/tasks/" + s.realTask + "/status", "/api/sse/tasks?task_id=" + s.realTask}[i%3]
		dialer := attacker()
		dialer.ControlContext = smallBuffer
		conn, err := dialer.DialContext(ctx, "tcp", s.public)
		if err != nil {
			s.tally.add("not connected")
			return
		}
		defer conn.Close()
		s.tally.add("connected")
		for range 4 { // pipelined: the server has to write four answers
			if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, s.public); err != nil {
				return
			}
		}
		<-ctx.Done()
	},
}

// waitForResult waits until the server answers with the whole result.
func (s *server) waitForResult(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := api.Retry(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/api/tasks/"+s.realTask), nil)
		if err != nil {
			return err
		}
		response, err := s.honest.client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.ContentLength >= 0 && response.ContentLength < largeResult {
			return fmt.Errorf("the answer has only %d bytes", response.ContentLength)
		}
		return nil
	})
	return err
}
