//go:build !386

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds each wait for something that must happen.
const patience = time.Minute

// fixture is the program, running in this process, and a backend for its callbacks.
type fixture struct {
	public, internal string // host and port
	callbacks        chan callback
}

// start runs the program with a backend. Both end with the test. The test fails if the
// program exits with an error.
func start(t *testing.T, mode string, args ...string) *fixture {
	t.Helper()
	r := &fixture{callbacks: make(chan callback, 1000)}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var got callback
		if err := json.NewDecoder(req.Body).Decode(&got); err != nil {
			t.Errorf("callback: %v", err)
		}
		if strings.Contains(got.Request.URL, "refused") {
			w.WriteHeader(http.StatusForbidden)
		}
		r.callbacks <- got
	}))
	t.Cleanup(backend.Close)
	in, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { // joined by the cleanup
		ended <- run(ctx, append([]string{mode, "--callback-url", backend.URL + "/callback"}, args...), io.Discard, out)
		_ = out.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("the program ended with code %d", code)
		}
		_ = in.Close()
	})
	line, err := bufio.NewReader(in).ReadString('\n')
	var got struct{ Msg, Public, Internal string }
	if err != nil || json.Unmarshal([]byte(line), &got) != nil || got.Msg != "ready" {
		t.Fatalf("the program wrote %q, %v; want its addresses", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, in) }() // ends with the program
	r.public, r.internal = strings.TrimPrefix(got.Public, "http://"), strings.TrimPrefix(got.Internal, "http://")
	return r
}

// callback waits for the next callback.
func (r *fixture) callback(t *testing.T, action string) callback {
	t.Helper()
	select {
	case got := <-r.callbacks:
		if got.Action != action {
			t.Fatalf("the backend received a %s, want a %s", got.Action, action)
		}
		return got
	case <-time.After(patience):
		t.Fatalf("no %s callback came", action)
		return callback{}
	}
}

// dial connects to an address. The connection ends with the test.
func dial(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn, bufio.NewReader(conn)
}

// client is one stream.
type client struct {
	conn   net.Conn
	body   *bufio.Reader
	token  string
	events int // read so far
}

// openStream sends a request in pieces and opens a stream after its connect callback.
func (r *fixture) openStream(t *testing.T, target string) *client {
	t.Helper()
	conn, in := dial(t, r.public)
	request := "GET " + target + " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
	for _, piece := range []string{request[:9], request[9 : len(request)-3], request[len(request)-3:]} {
		if _, err := io.WriteString(conn, piece); err != nil {
			t.Fatal(err)
		}
	}
	got := r.callback(t, actionConnect)
	if got.Request.URL != target || len(got.Token) != tokenSize {
		t.Fatalf("connect callback %+v, want one for %s", got, target)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the stream was answered %s, %v", resp.Status, resp.Header)
	}
	return &client{conn: conn, body: bufio.NewReader(resp.Body), token: got.Token}
}

// want reads one event, which must be of name test and have this data.
func (c *client) want(t *testing.T, data string) {
	t.Helper()
	for _, want := range []string{"event: test\n", "data: " + data + "\n", "\n"} {
		if line, err := c.body.ReadString('\n'); err != nil || line != want {
			t.Fatalf("event %d: line %q, %v; want %q", c.events, line, err, want)
		}
	}
	c.events++
}

func line(token, data string) string {
	return fmt.Sprintf(`{"token":"%s","event":{"name":"test","data":"%s"}}`, token, data)
}

// post sends a request over a connection that is kept, and returns the answer.
func post(t *testing.T, conn net.Conn, in *bufio.Reader, kind, body string) (status int, answer string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "POST /internal/send HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, in)
}

func readAnswer(t *testing.T, in *bufio.Reader) (status int, answer string) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestEveryStreamReceivesItsEventsInOrder(t *testing.T) {
	t.Parallel()
	r := start(t, modeFanout, "--threads", "2")
	var clients []*client
	for id := range 50 {
		clients = append(clients, r.openStream(t, fmt.Sprintf("/bench/stream?id=%d&a=%s", id, url.QueryEscape("ü"))))
	}
	conn, in := dial(t, r.internal)
	send := func(kind, body, want string) {
		t.Helper()
		if status, answer := post(t, conn, in, kind, body); status != http.StatusOK || answer != want {
			t.Fatalf("answered %d, %q; want 200, %q", status, answer, want)
		}
	}
	const one, many = "application/json", "application/x-ndjson"
	const taken = `{"code":200,"status":"ok"}` + "\n"
	for i, c := range clients {
		send(one, line(c.token, fmt.Sprintf(`own %d \"ä\"`, i)), `{"status":"ok"}`)
	}
	send(one, line("*", "first"), `{"status":"ok"}`)
	send(one, line("*", "second"), `{"status":"ok"}`)
	for i, c := range clients { // what comes after must not overtake the threads
		c.want(t, fmt.Sprintf(`own %d "ä"`, i))
		c.want(t, "first")
		c.want(t, "second")
	}
	send(many, line("*", "third")+"\n"+line("*", "fourth")+"\n", taken+taken)
	for _, c := range clients {
		c.want(t, "third")
		c.want(t, "fourth")
	}
	send(many, line(clients[7].token, "a")+"\n\n{}\n"+line(clients[7].token, "b")+"\n"+line("nobody", "c"),
		taken+`{"code":400}`+"\n"+taken+`{"code":404}`+"\n")
	clients[7].want(t, "a")
	clients[7].want(t, "b")

	for _, c := range clients {
		_ = c.conn.Close()
	}
	left := make(map[string]bool)
	for range clients {
		left[r.callback(t, actionDisconnect).Token] = true
	}
	for _, c := range clients {
		if !left[c.token] {
			t.Errorf("no disconnect callback came for %s", c.token)
		}
	}
	if status, _ := post(t, conn, in, one, line(clients[0].token, "late")); status != http.StatusNotFound {
		t.Errorf("sending to a client that has left was answered %d, want 404", status)
	}
	send(one, line("*", "to nobody"), `{"status":"ok"}`)
}

func TestFanoutRejectsUnsupportedRequests(t *testing.T) {
	t.Parallel()
	r := start(t, modeFanout)
	const get = "GET / HTTP/1.0\r\n\r\n"
	for _, c := range []struct {
		name, address, request string
		status                 int
	}{
		{"another path", r.internal, "POST /internal/subscribe HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 404},
		{"another method", r.internal, "GET /internal/send HTTP/1.1\r\n\r\n", 404},
		{"no message", r.internal, "POST /internal/send HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"no such token", r.internal, "POST /internal/send HTTP/1.1\r\nContent-Length: 50\r\n\r\n" +
			`{"token":"abcdefg","event":{"name":"b","data":""}}`, 404},
		{"too many messages", r.internal, fmt.Sprintf("POST /internal/send HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s",
			maxLines+1, strings.Repeat("\n", maxLines+1)), 400},
		{"no request", r.internal, get, 400},
		{"no request for a stream", r.public, get, 400},
		{"a POST for a stream", r.public, "POST / HTTP/1.1\r\n\r\n", 400},
		{"refused by the backend", r.public, "GET /refused HTTP/1.1\r\n\r\n", 502},
	} {
		conn, in := dial(t, c.address)
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if status, _ := readAnswer(t, in); status != c.status {
			t.Errorf("%s: answered %d, want %d", c.name, status, c.status)
		}
	}
}

func TestAClientThatLeavesDuringItsConnectIsReported(t *testing.T) {
	t.Parallel()
	r := start(t, modeFanout)
	for range 20 {
		conn, _ := dial(t, r.public)
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		come := r.callback(t, actionConnect)
		if left := r.callback(t, actionDisconnect); left.Token != come.Token {
			t.Fatalf("%s came, and %s left", come.Token, left.Token)
		}
	}
}

func TestAClientThatDoesNotReadIsDisconnected(t *testing.T) {
	t.Parallel()
	r := start(t, modeFanout)
	c := r.openStream(t, "/")
	conn, in := dial(t, r.internal)
	body := strings.Repeat(line("*", strings.Repeat(".", 16<<10))+"\n", 64)
	for range 100 { // more than the kernel keeps for it
		post(t, conn, in, "application/x-ndjson", body)
		select {
		case got := <-r.callbacks:
			if got.Action != actionDisconnect || got.Token != c.token {
				t.Errorf("callback %+v, want the disconnect of %s", got, c.token)
			}
			return
		default:
		}
	}
	r.callback(t, actionDisconnect)
}

func TestAnswersWaitForASenderThatDoesNotReadThem(t *testing.T) {
	t.Parallel()
	listener, _, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closeSocket(listener)
	in, err := newInternal(listener, 1, newRegistry(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(ends[1]), "reader")
	defer reader.Close()
	if err := in.add(ends[0]); err != nil {
		t.Fatal(err)
	}
	p, s := in.posters[0], &sender{fd: ends[0]}
	p.senders = make([]*sender, s.fd+1)
	p.senders[s.fd] = s
	answers := bytes.Repeat([]byte("0123456789"), 200<<10)
	for _, piece := range [][]byte{answers[:len(answers)/2], answers[len(answers)/2:]} {
		if err := p.reply(s, piece); err != nil || len(s.out) == 0 {
			t.Fatalf("reply = %v with %d bytes waiting; want some", err, len(s.out))
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.loop.run(p.handle); err != nil {
			t.Errorf("run = %v", err)
		}
	})
	got := make([]byte, len(answers))
	if _, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got, answers) {
		t.Errorf("what was read is not what was answered (%v)", err)
	}
	p.loop.stop()
	wg.Wait()
	if len(s.out) > 0 {
		t.Errorf("%d bytes still wait", len(s.out))
	}
	if err := p.reply(s, make([]byte, 2*maxUnread)); err != nil || s.fd != -1 {
		t.Errorf("reply = %v, descriptor %d; want a sender with too much to read cut off", err, s.fd)
	}
}

func TestTheProgramEndsWithStreamsOpen(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{modeFanout, modeNetHTTP} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := start(t, mode)
			for range 5 {
				r.openStream(t, "/")
			}
			conn, in := dial(t, r.internal)
			if status, _ := post(t, conn, in, "text/plain", ""); status == http.StatusOK {
				t.Errorf("an empty message was answered %d", status)
			}
		})
	}
}

func TestPartsKeepTheirOrderWhenStreamsLeave(t *testing.T) {
	t.Parallel()
	r := newRegistry(3)
	var all []*stream
	for range 1000 {
		s := &stream{token: newToken()}
		all = append(all, s)
		r.add(s)
	}
	for i, s := range all {
		if i%10 != 0 {
			r.remove(s)
		}
	}
	place := make(map[*stream]int)
	for i, s := range all {
		place[s] = i
		if found := r.find(s.token[:]); (found != nil) != (i%10 == 0) {
			t.Fatalf("stream %d: found %v", i, found)
		}
	}
	open := 0
	for i := range 3 {
		last, kept := -1, r.part(i)
		for _, s := range kept {
			if place[s] <= last {
				t.Fatalf("part %d: stream %d stands behind %d", i, place[s], last)
			}
			if last = place[s]; !s.gone {
				open++
			}
		}
		if len(kept) > 2*minGone+100 {
			t.Errorf("part %d keeps %d places", i, len(kept))
		}
	}
	if open != 100 {
		t.Errorf("%d streams are left, want 100", open)
	}
}
