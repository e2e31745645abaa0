package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// leaveScenes are about clients that go, send, or do not read.
var leaveScenes = []scene{
	{name: "clients that leave", play: func(s *site) {
		for _, leave := range []func(*guest){(*guest).leaves, (*guest).resets, (*guest).finishes} {
			v := s.opens("/x")
			s.api.mustSend(toToken(v.token, "x"))
			v.notes(1)
			s.leavesAtOnce(v.token, func() { leave(v) })
		}
	}, want: strings.Repeat("data: x\n\ndisconnect client_closed \n", 3)},
	{name: "a client that leaves while its callback is pending", play: func(s *site) {
		v := s.waits("")
		s.api.mustSend(toToken(v.token, "in vain"))
		v.leaves()
		if err := <-v.came; err == nil {
			s.Error("answered before anybody decided")
		}
		eventually(s.T, "the token is forgotten", func() bool {
			status, _ := s.api.send(fmt.Sprintf(`{"token":%q}`, v.token))
			return status == http.StatusNotFound
		})
		s.decides <- http.StatusOK
		s.next("connect", v.token)
		s.ended(v)
	}, want: "disconnect client_closed during_callback undelivered 1\n"},
	{name: "clients that leave with their sockets full", play: func(s *site) {
		for _, leave := range []func(*guest){(*guest).leaves, (*guest).resets} {
			v := s.opensOn(s.newLine(true), "/x")
			s.api.subscribe(v.token, "big:log")
			for i := range 3 { // behind much more than goes into sockets
				s.api.mustSend(toToken(v.token, fmt.Sprint(i)))
			}
			v.reads(1)
			s.leavesAtOnce(v.token, func() { leave(v) })
		}
	}, want: strings.Repeat("disconnect client_closed  undelivered 3\n", 2)},
	{name: "a client that does not read what is sent", play: func(s *site) {
		l := s.newLine(true)
		slow, other := s.opensOn(l, "/slow"), s.opensOn(l, "/other")
		sent := 0
		eventually(s.T, "the client that does not read is ended", func() bool {
			status, answer := s.api.send(toToken(slow.token, megabyte))
			if status == http.StatusServiceUnavailable && !strings.Contains(answer, "BUFFER_FULL") {
				s.Errorf("answer %d %s", status, answer)
			}
			sent++
			s.api.mustSend(toToken(other.token, fmt.Sprint(sent)))
			if got, want := other.reads(1), fmt.Sprintf("data: %d\n\n", sent); got != want {
				s.Errorf("the other one got %q, want %q", got, want)
			}
			return status == http.StatusNotFound
		})
		s.ended(slow)
		slow.wantCut()
		s.sends(`{"token":%q,"event":{"data":"still here"},"close":true}`, other.token)
		other.notesRest()
		s.ended(other)
	}, want: `
disconnect error slow_consumer undelivered 1
answer 200 {"status":"ok"}
data: still here

(end)
disconnect server_closed closed
`},
	{name: "bytes behind the request", only: byHand, play: func(s *site) {
		const another = "GET /another HTTP/1.1\r\nHost: x\r\n\r\n"
		conn, in := s.raw("GET /x HTTP/1.1\r\nHost: x\r\n\r\n" + another)
		token := s.next("connect", "").Token
		s.api.mustSend(toToken(token, "1"))
		read := s.answerOf(in)
		s.note("%s", read(len("data: 1\n\n")))
		if _, err := io.WriteString(conn, another); err != nil {
			s.Fatal(err)
		}
		s.sends(`{"token":%q,"event":{"data":"2"},"close":true}`, token)
		s.note("%s", read(-1))
		s.endedToken(token)
		if s.parks { // it was said in the headers that nothing else is answered
			if n, err := io.Copy(io.Discard, in); n > 0 {
				s.Errorf("%d bytes behind the end, %v", n, err)
			}
			return
		}
		for range 2 { // net/http answers them on the same connection
			token := s.next("connect", "").Token
			s.api.mustSend(fmt.Sprintf(`{"token":%q,"event":{"data":"3"},"close":true}`, token))
			if got, want := s.answerOf(in)(-1), "data: 3\n\n"; got != want {
				s.Errorf("another request got %q, want %q", got, want)
			}
			s.next("disconnect", token)
		}
	}, want: "data: 1\n\nanswer 200 {\"status\":\"ok\"}\ndata: 2\n\ndisconnect server_closed closed\n"},
	{name: "a client that keeps sending", only: func(c carrier) bool { return c.parks }, play: func(s *site) {
		conn, in := s.raw("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
		token := s.next("connect", "").Token
		if _, err := conn.Write(make([]byte, 8<<10)); err != nil { // a little is nothing
			s.Fatal(err)
		}
		read := s.answerOf(in)
		s.sends(`{"token":%q,"event":{"data":"x"}}`, token)
		s.note("%s", read(len("data: x\n\n")))
		for sent := 0; ; sent += 1 << 10 {
			if _, err := conn.Write(make([]byte, 1<<10)); err != nil {
				break
			}
			if sent > 64<<20 {
				s.Fatal("64 MiB were taken from a client")
			}
		}
		s.endedToken(token)
	}, want: "answer 200 {\"status\":\"ok\"}\ndata: x\n\ndisconnect error client_sends\n"},
	{name: "a client that says goodbye and stays", only: byHand, play: func(s *site) {
		conn, in := s.raw("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
		token := s.next("connect", "").Token
		s.answerOf(in)
		s.leavesAtOnce(token, func() {
			_ = conn.(interface{ CloseWrite() error }).CloseWrite() // in TLS: it says goodbye, and TCP stays open
		})
	}, want: "disconnect client_closed \n"},
}

// answerOf reads the head of an answer, and gives a way to read from the body:
// n bytes, or all for -1.
func (s *site) answerOf(in *bufio.Reader) func(n int) string {
	s.Helper()
	head, err := http.ReadResponse(in, nil)
	if err != nil {
		s.Fatal(err)
	}
	return func(n int) string {
		s.Helper()
		body := io.Reader(head.Body)
		if n >= 0 {
			body = io.LimitReader(body, int64(n))
		}
		text, err := io.ReadAll(body)
		if err != nil {
			s.Errorf("read the stream: %v", err)
		}
		return string(text)
	}
}

// leavesAtOnce wants the backend to receive the end of a client that leaves within a second.
func (s *site) leavesAtOnce(token string, leave func()) {
	s.Helper()
	begin := time.Now()
	leave()
	if took := s.endedToken(token).at.Sub(begin); took > time.Second {
		s.Errorf("the backend received it after %s, want within a second", took)
	}
}
