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

// Attacks that hold connections and say little.

var muteConnections = attack{
	name: "mute-connections", what: "connections that ask nothing, more than there are files",
	mode: harness.Gateway, files: 256, clients: 600, again: 500 * time.Millisecond,
	act: func(ctx context.Context, s *server, _ int) { s.hold(ctx, "", nil) },
}

var slowHeaders = attack{
	name: "slow-headers", what: "requests whose headers come a byte a second",
	mode: harness.Gateway, clients: 500, again: time.Second,
	act: func(ctx context.Context, s *server, _ int) {
		s.hold(ctx, fmt.Sprintf("GET /x?topic=load:slow HTTP/1.1\r\nHost: %s\r\nX-Slow: ", s.public), []byte("x"))
	},
}

// bodyPaths take bodies, most of them for nobody.
var bodyPaths = []string{
	"/api/tasks", "/api/versions", "/api/sse/callback", "/api/tasks/none/cancel", "/api/sse/tasks?task_id=none",
	"/API/Tasks/", "/api/worker/claim", "/api/sse/streams/none/topics", "/internal/send", "/",
}

var endlessBodies = attack{
	name: "endless-bodies", what: "bodies that come a byte a second, half of them after the most of a mebibyte",
	mode: harness.Serve, clients: 500, again: time.Second,
	act: func(ctx context.Context, s *server, i int) {
		const size = 1 << 20
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", bodyPaths[i%len(bodyPaths)], s.public)
		begin := `{"type":"`
		if i%2 == 0 {
			begin += strings.Repeat("x", size-64<<10)
		}
		if i%3 == 0 { // a chunk that never ends
			s.hold(ctx, fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", head, size-1, begin), []byte("x"))
			return
		}
		s.hold(ctx, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, size-1, begin), []byte("x"))
	},
}

var stalledHandshakes = attack{
	name: "stalled-handshakes", what: "TLS handshakes that stop: before, within and after the first message",
	mode: harness.Gateway, tls: true, clients: 500, again: time.Second,
	act: func(ctx context.Context, s *server, i int) {
		hello := clientHello()
		s.hold(ctx, string(hello[:i%3*len(hello)/2]), nil)
	},
}

// clientHello is the first message of a handshake.
func clientHello() []byte {
	c := &catcher{}
	_ = tls.Client(c, &tls.Config{ServerName: "tidegate.example", InsecureSkipVerify: true}).Handshake() // it gets no answer
	return c.Bytes()
}

// catcher is a connection that keeps what is written to it.
type catcher struct {
	net.Conn
	bytes.Buffer
}

var errCaught = errors.New("that was enough")

func (c *catcher) Write(p []byte) (int, error)      { return c.Buffer.Write(p) }
func (c *catcher) Read([]byte) (int, error)         { return 0, errCaught }
func (c *catcher) Close() error                     { return nil }
func (c *catcher) SetWriteDeadline(time.Time) error { return nil }

// hold connects, sends something, then drops of it every second, until it is
// thrown out.
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
		s.tally.add("thrown out")
	}
}
