package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidegate/internal/wire"
)

// churn is a server of streams under as many kinds of use as there are at once.
type churn struct {
	*testing.T
	engine *Engine
	plain  *httptest.Server
	tls    *httptest.Server

	mu      sync.Mutex
	open    []*churned // guarded by mu, like all below
	all     map[int]*churned
	reasons map[wire.Ending]int

	topic  sync.Mutex // orders events for all
	said   int        // events for all; guarded by topic
	opened atomic.Int64
	over   atomic.Int64
	events atomic.Int64
}

// churned is one stream and its owner.
type churned struct {
	Stream
	churn  *churn
	marker int

	mu    sync.Mutex
	count int // direct events that were taken; guarded by mu, as is why
	why   *wire.Ending
}

// Ended implements Owner.
func (s *churned) Ended(why wire.Ending) {
	s.mu.Lock()
	if s.why != nil {
		s.churn.Errorf("stream %d ended with %+v, and once more with %+v", s.marker, *s.why, why)
	}
	s.why = &why
	s.mu.Unlock()
	c := s.churn
	c.mu.Lock()
	c.reasons[why]++
	if i := slices.Index(c.open, s); i >= 0 {
		c.open = slices.Delete(c.open, i, i+1)
	}
	c.mu.Unlock()
	c.over.Add(1)
}

func (c *churn) serve(w http.ResponseWriter, r *http.Request) {
	s := &churned{churn: c, marker: int(c.opened.Add(1))}
	s.Init(c.engine, s)
	c.mu.Lock()
	c.all[s.marker] = s
	c.open = append(c.open, s)
	c.mu.Unlock()
	w.Header().Set("Marker", strconv.Itoa(s.marker))
	if s.Serve(w, r, FrameOf([]byte("retry: 1\n\n"), 0), 0) {
		panic(http.ErrAbortHandler)
	}
}

// some gives up to n open streams.
func (c *churn) some(n int) (some []*churned) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range min(n, len(c.open)) {
		some = append(some, c.open[rand.IntN(len(c.open))])
	}
	return some
}

// direct pushes the next event of one stream's own.
func (s *churned) direct(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Appendf(nil, "data: %d %d %s\n\n", s.marker, s.count, strings.Repeat("x", rand.IntN(200)))
	if s.PushDirect(b, FrameOf(text, 0)) == nil {
		s.count++
		s.churn.events.Add(1)
	}
}

// use is one of those who push, end and abort.
func (c *churn) use(ctx context.Context) {
	for ctx.Err() == nil && c.opened.Load() < stressStreams {
		b := NewBatch()
		if rand.IntN(2) == 0 {
			b.Hold()
		}
		switch n := rand.IntN(100); {
		case n < 70:
			for _, s := range c.some(1 + rand.IntN(3*inlineStreams)) {
				s.direct(b)
				if rand.IntN(3) == 0 {
					s.direct(b)
				}
			}
		case n < 80:
			c.topic.Lock()
			f := FrameOf(fmt.Appendf(nil, "data: all %d\n\n", c.said), 0)
			c.said++
			for _, s := range c.some(1 << 20) {
				_ = s.Push(b, f)
			}
			c.topic.Unlock()
		case n < 95:
			for _, s := range c.some(1) {
				s.direct(b)
				s.End(b, endClosed, FrameOf([]byte(": bye\n\n"), 0))
			}
		default:
			for _, s := range c.some(2) {
				s.Abort(b, endDrain)
			}
		}
		b.Flush()
		runtime.Gosched()
	}
}

// visit is one client, from its request to its leave.
func (c *churn) visit() {
	secure := rand.IntN(6) == 0
	server := c.plain
	if secure {
		server = c.tls
	}
	tcp, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		c.Errorf("dial: %v", err)
		return
	}
	conn := tcp
	defer func() { _ = conn.Close() }()
	if secure {
		conn = tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})
	}
	request := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	switch rand.IntN(4) {
	case 0:
		request += request + "GET"
	case 1:
		_, _ = io.WriteString(conn, request[:7])
		request = request[7:]
	}
	_, _ = io.WriteString(conn, request)
	switch rand.IntN(12) {
	case 0: // it does not even wait for the head
		return
	case 1:
		_ = tcp.(*net.TCPConn).CloseWrite()
	}
	c.read(conn, tcp.(*net.TCPConn))
}

// read reads a stream, and leaves before its end or not.
func (c *churn) read(conn net.Conn, tcp *net.TCPConn) {
	r := bufio.NewReader(conn)
	head, err := http.ReadResponse(r, nil)
	if err != nil {
		return // it was cut, or closed its half, before that
	}
	defer func() { _ = head.Body.Close() }()
	marker, err := strconv.Atoi(head.Header.Get("Marker"))
	if err != nil || head.StatusCode != http.StatusOK {
		c.Errorf("%s with marker %q", head.Status, head.Header.Get("Marker"))
	}
	next, all, leaves := 0, -1, rand.IntN(60)
	lines := bufio.NewScanner(head.Body)
	for n := 0; lines.Scan(); n++ {
		line := lines.Text()
		var from, at int
		switch {
		case line == "", line == ": heartbeat", line == "retry: 1", line == ": bye":
			continue
		case strings.HasPrefix(line, "data: all "):
			if at, err = strconv.Atoi(line[len("data: all "):]); err != nil && lines.Err() == nil && at <= all {
				c.Errorf("stream %d: %q after %d", marker, line, all)
			}
			all = at
		default:
			if _, err := fmt.Sscanf(line, "data: %d %d", &from, &at); err == nil && (from != marker || at != next) {
				c.Errorf("stream %d: %q, want its event %d", marker, line, next)
				return
			} else if err != nil && c.complete(lines) {
				c.Errorf("stream %d: %.100q is nobody's event", marker, line)
				return
			}
			next++
		}
		if n == leaves {
			switch rand.IntN(4) {
			case 0:
				return
			case 1:
				_ = tcp.SetLinger(0) // a reset
				return
			case 2:
				_ = tcp.CloseWrite()
			case 3:
				_, _ = io.WriteString(conn, strings.Repeat("noise", rand.IntN(8000)))
			}
		}
	}
	if lines.Err() == nil {
		c.whole(marker, next, r)
	}
}

// complete says that the line that was read is not the last one, of a stream
// that was cut.
func (c *churn) complete(lines *bufio.Scanner) bool { return lines.Scan() }

// whole checks a stream that came to its end.
func (c *churn) whole(marker, count int, r *bufio.Reader) {
	c.mu.Lock()
	s := c.all[marker]
	c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if why, ends := s.Ending(); !ends || why != endClosed {
		c.Errorf("stream %d has an end, and ended with %+v", marker, why)
	}
	if count != s.count {
		c.Errorf("stream %d had %d events, want %d", marker, count, s.count)
	}
	if rest, err := io.ReadAll(r); len(rest) > 0 {
		c.Errorf("stream %d: %.100q, %v behind its end", marker, rest, err)
	}
}

func (c *churn) server() *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	s.Config.ConnContext = ConnContext
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that leave in the handshake
	return s
}
