package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// api is the internal API of a gateway.
type api struct {
	address string // host and port
	base    string // what the paths begin with; "" or "/x"
	secret  string // bearer token; "" for none
}

func apiAt(base, secret string) (api, error) {
	u, err := url.Parse(base)
	if err != nil {
		return api{}, err
	}
	return api{address: u.Host, base: strings.TrimRight(u.Path, "/"), secret: secret}, nil
}

const (
	sendPath      = "/internal/send"
	subscribePath = "/internal/subscribe"
	typeJSON      = "application/json"
	typeNDJSON    = "application/x-ndjson"
)

// sender posts over one keep-alive connection, one request after the other. It
// writes and reads HTTP/1.1 by itself, at a fraction of what the client of
// net/http would take from the cores that the gateway runs on as well. Not for
// concurrent use.
type sender struct {
	api  api
	conn net.Conn
	in   *bufio.Reader
	out  []byte // the request, made anew in the same place
	body []byte // of the answer, likewise
	stop func() bool
}

// dial connects a sender. The end of ctx breaks it off; nothing else bounds how
// long an answer is awaited.
func (a api) dial(ctx context.Context) (*sender, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil, fmt.Errorf("connect to the internal API: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &sender{api: a, conn: conn, in: bufio.NewReader(conn), stop: stop}, nil
}

func (s *sender) close() {
	s.stop()
	_ = s.conn.Close()
}

// post sends one request and reads the answer, which is valid until the next.
// Another status than 200 is an error that shows what the gateway said.
func (s *sender) post(path, mediaType string, body []byte) (answer []byte, err error) {
	status, answer, err := s.exchange(path, mediaType, body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s was answered %d: %.200s", path, status, answer)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// exchange is post without an opinion about the status.
func (s *sender) exchange(path, mediaType string, body []byte) (status int, answer []byte, err error) {
	s.out = fmt.Appendf(s.out[:0], "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n",
		s.api.base, path, s.api.address, mediaType, len(body))
	if s.api.secret != "" {
		s.out = fmt.Appendf(s.out, "Authorization: Bearer %s\r\n", s.api.secret)
	}
	s.out = append(s.out, "\r\n"...)
	s.out = append(s.out, body...)
	if _, err := s.conn.Write(s.out); err != nil {
		return 0, nil, fmt.Errorf("send %s: %w", path, err)
	}
	status, closing, answer, err := readAnswer(s.in, s.body[:0])
	s.body = answer
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("read the answer to %s: %w", path, err)
	case closing && status == http.StatusOK:
		return 0, nil, errors.New("the internal API does not keep connections alive, which bench needs")
	}
	return status, answer, nil
}

// senders is a pool of connections, each used by one caller at a time. It may be used
// concurrently.
type senders struct {
	api  api
	idle chan *sender // size: how many are kept; more are closed after use
}

func newSenders(a api, keep int) *senders {
	return &senders{api: a, idle: make(chan *sender, keep)}
}

// post does one request over any connection.
func (p *senders) post(ctx context.Context, path string, body []byte) error {
	var s *sender
	select {
	case s = <-p.idle:
	default:
		var err error
		if s, err = p.api.dial(ctx); err != nil {
			return err
		}
	}
	if _, err := s.post(path, typeJSON, body); err != nil {
		s.close()
		return err
	}
	select {
	case p.idle <- s:
	default:
		s.close()
	}
	return nil
}

// close closes idle connections. Those in use end with their context.
func (p *senders) close() {
	for {
		select {
		case s := <-p.idle:
			s.close()
		default:
			return
		}
	}
}
