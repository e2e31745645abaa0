//go:build !386

package main

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"
)

// internal serves POST /internal/send on several loops. It assigns connections to the
// loops in turn.
type internal struct {
	listener int
	streams  *registry
	fan      *fan
	posters  []*poster

	accepted int // owned by the loop of the first poster, which accepts connections
	mu       sync.Mutex
	fds      map[int]bool // open connections; guarded by mu
}

func newInternal(listener, loops int, streams *registry, f *fan) (*internal, error) {
	in := &internal{listener: listener, streams: streams, fan: f, fds: make(map[int]bool)}
	for range loops {
		l, err := newLoop()
		if err != nil {
			in.close()
			return nil, err
		}
		in.posters = append(in.posters, &poster{in: in, loop: l, scratch: make([]byte, readSize)})
	}
	if err := in.posters[0].loop.add(listener, syscall.EPOLLIN); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// add assigns a connection to the next loop, which creates its [sender] at the first
// request.
func (in *internal) add(fd int) error {
	in.track(fd, true) // before its loop can close it
	in.accepted++
	err := in.posters[in.accepted%len(in.posters)].loop.add(fd, syscall.EPOLLIN)
	if err != nil {
		in.track(fd, false)
	}
	return err
}

// track records which connections close has to close.
func (in *internal) track(fd int, open bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if open {
		in.fds[fd] = true
	} else {
		delete(in.fds, fd)
	}
}

// close closes all connections. The loops must have ended.
func (in *internal) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for fd := range in.fds {
		closeSocket(fd)
	}
	clear(in.fds)
	for _, p := range in.posters {
		p.loop.close()
	}
}

// poster serves the connections of one loop. Only the loop's goroutine uses it.
type poster struct {
	in      *internal
	loop    *loop
	senders []*sender // by descriptor
	scratch []byte
	scan    scanner
	framer  framer
	frame   []byte // scratch buffer, like the next two
	lines   []byte
	answer  []byte
}

// sender is a connection that sends requests.
type sender struct {
	fd  int    // -1 when closed
	in  []byte // the first part of an incomplete request
	out []byte // answers that the sender has not read yet
}

const (
	// maxUnread bounds the unread answers of a sender, in bytes. Beyond it, the
	// connection is closed.
	maxUnread = 4 << 20
	// maxLines bounds the messages of one request, and so its answer.
	maxLines = 10_000
)

// handle serves a socket that is ready.
func (p *poster) handle(fd int, events uint32) error {
	if fd == p.in.listener {
		return acceptAll(fd, p.in.add)
	}
	if fd >= len(p.senders) {
		p.senders = append(p.senders, make([]*sender, fd+1)...)
	}
	if p.senders[fd] == nil {
		p.senders[fd] = &sender{fd: fd}
	}
	s := p.senders[fd]
	if events&syscall.EPOLLOUT != 0 {
		return p.flush(s)
	}
	n, errno := receive(fd, p.scratch)
	switch {
	case errno == syscall.EAGAIN, errno == syscall.EINTR:
		return nil
	case n == 0:
		p.close(s)
		return nil
	}
	data := p.scratch[:n]
	if len(s.in) > 0 {
		s.in = append(s.in, data...)
		data = s.in
	}
	rest, err := p.serve(s, data)
	s.in = append(s.in[:0], rest...)
	if len(s.in) == 0 && cap(s.in) > readSize {
		s.in = nil
	}
	return err
}

func (p *poster) close(s *sender) {
	if s.fd < 0 {
		return
	}
	p.senders[s.fd] = nil
	p.in.track(s.fd, false) // before the kernel reuses the number
	closeSocket(s.fd)
	s.fd = -1
}

// serve answers all complete requests in data and returns the rest.
func (p *poster) serve(s *sender, data []byte) (rest []byte, err error) {
	for len(data) > 0 && s.fd >= 0 && err == nil {
		r, size, parseErr := parseRequest(data)
		if parseErr != nil {
			_, _ = send(s.fd, answerBadRequest)
			p.close(s)
			break
		}
		if size == 0 || len(data) < size+r.length {
			break
		}
		body := data[size : size+r.length]
		data = data[size+r.length:]
		switch {
		case string(r.method) != "POST", string(r.target) != "/internal/send":
			err = p.reply(s, answerNotFound)
		case r.ndjson:
			err = p.batch(s, body)
		default:
			err = p.single(s, body)
		}
	}
	return data, err
}

var (
	answerOK       = jsonAnswer("200 OK", `{"status":"ok"}`)
	answerNotFound = jsonAnswer("404 Not Found", `{"status":"not found"}`)
	answerRefused  = jsonAnswer("400 Bad Request", `{"status":"not a message of the form that limit reads, or more than 10000 of them"}`)
)

func jsonAnswer(status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// single sends one message. It answers after a send to one stream, and before a send to
// all.
func (p *poster) single(s *sender, body []byte) error {
	m, err := p.scan.scan(body)
	switch {
	case err != nil:
		return p.reply(s, answerRefused)
	case m.toAll():
		frame := p.framer.append(nil, m) // the fan keeps the frame
		err := p.reply(s, answerOK)
		p.in.fan.send(frame)
		return err
	case !p.toOne(m):
		return p.reply(s, answerNotFound)
	}
	return p.reply(s, answerOK)
}

// batch sends one message for each line and answers one line for each. It joins messages
// to all streams, so that each stream receives them in one write, after the others.
func (p *poster) batch(s *sender, body []byte) error {
	if bytes.Count(body, []byte("\n")) > maxLines {
		return p.reply(s, answerRefused)
	}
	p.lines = p.lines[:0]
	var joined []byte
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		m, err := p.scan.scan(line)
		switch {
		case err != nil:
			p.lines = append(p.lines, `{"code":400}`...)
		case m.toAll():
			joined = p.framer.append(joined, m)
			p.lines = append(p.lines, `{"code":200,"status":"ok"}`...)
		case p.toOne(m):
			p.lines = append(p.lines, `{"code":200,"status":"ok"}`...)
		default:
			p.lines = append(p.lines, `{"code":404}`...)
		}
		p.lines = append(p.lines, '\n')
	}
	p.answer = fmt.Appendf(p.answer[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(p.lines), p.lines)
	err := p.reply(s, p.answer)
	if len(joined) > 0 {
		p.in.fan.send(joined)
	}
	return err
}

// toOne sends to the stream of a token and reports whether there is one.
func (p *poster) toOne(m message) bool {
	stream := p.in.streams.find(m.token)
	if stream == nil {
		return false
	}
	p.frame = p.framer.append(p.frame[:0], m)
	stream.send(p.frame)
	return true
}

// reply writes an answer and keeps the part that the socket does not accept.
func (p *poster) reply(s *sender, answer []byte) error {
	if s.fd < 0 {
		return nil
	}
	waiting := len(s.out) > 0
	if !waiting {
		n, errno := send(s.fd, answer)
		if errno != 0 && errno != syscall.EAGAIN {
			p.close(s)
			return nil
		}
		answer = answer[n:]
	}
	if len(s.out)+len(answer) > maxUnread {
		p.close(s)
		return nil
	}
	s.out = append(s.out, answer...)
	if waiting || len(s.out) == 0 {
		return nil
	}
	return p.loop.change(s.fd, syscall.EPOLLIN|syscall.EPOLLOUT)
}

// flush writes what reply has kept.
func (p *poster) flush(s *sender) error {
	n, errno := send(s.fd, s.out)
	if errno != 0 && errno != syscall.EAGAIN {
		p.close(s)
		return nil
	}
	if s.out = s.out[n:]; len(s.out) > 0 {
		return nil
	}
	s.out = nil
	return p.loop.change(s.fd, syscall.EPOLLIN)
}
