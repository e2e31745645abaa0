package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/harness"
)

// Attacks that hold connections and send little.

var muteConnections = attack{
	name: "mute-connections", what: "connections without a request, more than the limit of open files",
	mode: harness.Gateway, files: 256, clients: 600, again: 500 * time.Millisecond,
	act: func(ctx context.Context, s *server, _ int) { s.hold(ctx, "", nil) },
}

var slowHeaders = attack{
	name: "slow-headers", what: "requests whose headers arrive at a byte a second",
	mode: harness.Gateway, clients: 500, again: time.Second,
	act: func(ctx context.Context, s *server, _ int) {
		s.hold(ctx, fmt.Sprintf("GET /x?topic=load:slow HTTP/1.1\r\nHost: %s\r\nX-Slow: ", s.public), []byte("x"))
	},
}

// bodyPaths are paths for requests with bodies; most do not exist.
var bodyPaths = []string{
	"/api/tasks", "/api/versions", "/api/sse/callback", "/api/tasks/none/cancel", "/api/sse/tasks?task_id=none",
	"/API/Tasks/", "/api/worker/claim", "/api/sse/streams/none/topics", "/internal/send", "/",
}

var endlessBodies = attack{
	name: "endless-bodies", what: "bodies that arrive at a byte a second, half of them after almost a mebibyte",
	mode: harness.Serve, clients: 500, again: time.Second,
	act: func(ctx context.Context, s *server, i int) {
		const size = 1 << 20
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", bodyPaths[i%len(bodyPaths)], s.public)
		begin := `{"type":"`
		if i%2 == 0 {
			begin += strings.Repeat("x", size-64<<10)
		}
		if i%3 == 0 { // a chunk without an end
			s.hold(ctx, fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", head, size-1, begin), []byte("x"))
			return
		}
		s.hold(ctx, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, size-1, begin), []byte("x"))
	},
}

var stalledHandshakes = attack{
	name: "stalled-handshakes", what: "TLS handshakes that stop before, within and after the first message",
	mode: harness.Gateway, tls: true, clients: 500, again: time.Second,
	act: func(ctx context.Context, s *server, i int) {
		hello := clientHello()
		s.hold(ctx, string(hello[:i%3*len(hello)/2]), nil)
	},
}

// clientHello returns the first message of a handshake.
func clientHello() []byte {
	c := &recorder{}
	_ = tls.Client(c, &tls.Config{ServerName: "tidegate.example", InsecureSkipVerify: true}).Handshake() // fails without an answer
	return c.Bytes()
}

// recorder is a connection that records what is written to it.
type recorder struct {
	net.Conn
	bytes.Buffer
}

var errRecorded = errors.New("nothing to read")

func (c *recorder) Write(p []byte) (int, error)      { return c.Buffer.Write(p) }
func (c *recorder) Read([]byte) (int, error)         { return 0, errRecorded }
func (c *recorder) Close() error                     { return nil }
func (c *recorder) SetWriteDeadline(time.Time) error { return nil }

// hold connects, sends begin, and then drop every second, until the server closes the
// connection.
func (s *server) hold(ctx context.Context, begin string, drop []byte) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := attacker().DialContext(ctx, "tcp", s.public)
	if err != nil {
		s.tally.add("not connected")
		return
	}
	defer conn.Close()
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	s.tally.add("connected")
	go func() { // ends with the connection
		_, err := io.WriteString(conn, begin)
		for err == nil && drop != nil && api.Sleep(ctx, time.Second) {
			_, err = conn.Write(drop)
		}
	}()
	in := bufio.NewReader(conn)
	if response, err := http.ReadResponse(in, nil); err == nil {
		s.tally.add(fmt.Sprint("answered ", response.StatusCode))
	}
	_, _ = io.Copy(io.Discard, in)
	if ctx.Err() == nil {
		s.tally.add("disconnected")
	}
}
