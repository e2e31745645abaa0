package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// guest is a client with one request, over whatever carrier. It belongs to one
// goroutine.
type guest struct {
	s     *site
	line  *line
	token string
	went  context.CancelFunc
	came  chan error // the head of the answer is there
	head  *http.Response
	in    *bufio.Reader
}

// line is the client's side of a connection, or of as many as guests need
// that share it: with HTTP/2 they are on one.
type line struct {
	*http.Transport
	tcp chan *net.TCPConn // the connections, the first few
}

// newLine makes one. On a deaf one HTTP/2 takes little of a stream that is not
// read; the system sees to that elsewhere.
func (s *site) newLine(deaf bool) *line {
	l := &line{s.transport(s.T), make(chan *net.TCPConn, 4)}
	l.DisableCompression = true
	if deaf {
		l.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}
	}
	l.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		tcp := conn.(*net.TCPConn)
		select {
		case l.tcp <- tcp:
		default:
		}
		return tcp, nil
	}
	s.hangUps = append(s.hangUps, l.CloseIdleConnections)
	return l
}

// asks sends a request, and does not wait for the answer.
func (s *site) asks(l *line, method, target, body string, headers ...string) *guest {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	s.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, method, s.program.public+target, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, field := range headers {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	request.Header.Set("Cookie", "session="+cookieValue)
	v := &guest{s: s, line: l, went: cancel, came: make(chan error, 1)}
	go func() { // ends with the context at the latest
		var err error
		if v.head, err = l.RoundTrip(request); err == nil {
			v.in = bufio.NewReader(v.head.Body)
		}
		v.came <- err
	}()
	return v
}

// answered waits for the head.
func (v *guest) answered() {
	v.s.Helper()
	if err := <-v.came; err != nil {
		v.s.Fatalf("no answer: %v", err)
	}
	v.s.Cleanup(func() { _ = v.head.Body.Close() })
	if v.head.Proto != v.s.expect {
		v.s.Errorf("answer by %s, want %s", v.head.Proto, v.s.expect)
	}
}

// opens opens a stream on a line of its own, opensOn on one that may be shared.
func (s *site) opens(target string, headers ...string) *guest {
	s.Helper()
	return s.opensOn(s.newLine(false), target, headers...)
}

func (s *site) opensOn(l *line, target string, headers ...string) *guest {
	s.Helper()
	v := s.asks(l, http.MethodGet, target, "", headers...)
	v.answered()
	if v.head.StatusCode != http.StatusOK {
		s.Fatalf("open %s: %s", target, v.head.Status)
	}
	v.token = s.next("connect", "").Token
	return v
}

// waits opens a stream whose callback is answered when decide is called.
func (s *site) waits(query string, headers ...string) *guest {
	s.Helper()
	v := s.asks(s.newLine(false), http.MethodGet, "/waits"+query, "", headers...)
	select {
	case v.token = <-s.asked:
	case <-time.After(patience):
		s.Fatal("no callback came")
	}
	return v
}

// decide answers the callback of a client that waits.
func (v *guest) decide(status int) {
	v.s.Helper()
	v.s.decides <- status
	v.answered()
	if status < 300 {
		v.s.next("connect", v.token)
	}
}

// notesHead notes status and headers, save those that speak of the connection.
func (v *guest) notesHead() {
	v.s.note("%d\n", v.head.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(v.head.Header)) {
		if name != "Date" && name != "Connection" {
			v.s.note("%s: %s\n", name, strings.Join(v.head.Header[name], " | "))
		}
	}
}

// reads reads so many blocks.
func (v *guest) reads(blocks int) string {
	v.s.Helper()
	var text strings.Builder
	for blocks > 0 {
		line, err := v.in.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			v.s.Fatalf("%d blocks before the stream should have ended: %v; %.300q", blocks, err, text.String())
		}
		if line == "\n" {
			blocks--
		}
	}
	return text.String()
}

// notes reads so many blocks and notes them; notesRest notes all to the end, and
// which kind of end it is.
func (v *guest) notes(blocks int) {
	v.s.Helper()
	v.s.note("%s", v.reads(blocks))
}

func (v *guest) notesRest() {
	text, err := io.ReadAll(v.in)
	v.s.note("%s", text)
	if err == nil {
		v.s.note("(end)\n")
	} else {
		v.s.note("(cut)\n")
	}
}

// rest reads to the end, which must be a clean one.
func (v *guest) rest() string {
	v.s.Helper()
	text, err := io.ReadAll(v.in)
	if err != nil {
		v.s.Errorf("the stream ends with %v", err)
	}
	return string(text)
}

// wantCut reads to the end, which must not look like a clean one.
func (v *guest) wantCut() {
	v.s.Helper()
	_, err := io.Copy(io.Discard, v.in)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		v.s.Errorf("read to %v, want a cut", err)
	}
}

// The ways to leave: politely, by pulling the plug, and by closing only the half
// that sends.
func (v *guest) leaves() {
	v.went()
	v.line.CloseIdleConnections()
}

func (v *guest) resets() {
	tcp := <-v.line.tcp
	_ = tcp.SetLinger(0)
	_ = tcp.Close()
}

func (v *guest) finishes() { _ = (<-v.line.tcp).CloseWrite() }

// raw opens a connection of HTTP/1.1 by hand and sends bytes.
func (s *site) raw(text string) (net.Conn, *bufio.Reader) {
	s.Helper()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+portOf(s.T, s.program.public), patience)
	if err != nil {
		s.Fatal(err)
	}
	if s.tls {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	s.hangUps = append(s.hangUps, func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err := io.WriteString(conn, text); err != nil {
		s.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// byHand says that the carrier is HTTP/1.1, which a test can write by itself.
func byHand(c carrier) bool { return !c.http2 }

func portOf(t testing.TB, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}
