package e2e

import (
	"fmt"
	"net/http"
	"strings"
)

// eventScenes are about events that are sent to a token, from the headers on.
var eventScenes = []scene{
	{name: "headers at once, and nothing else", play: func(s *site) {
		v := s.opens("/x?a=%2F")
		v.notesHead() // nothing was sent yet
		s.sends(`{"token":%q,"event":{"data":"x"}}`, v.token)
		s.sends(`{"token":%q,"close":true}`, v.token)
		v.notesRest()
		s.ended(v)
		s.sends(`{"token":%q,"event":{"data":"y"}}`, v.token)
	}, want: `
200
Cache-Control: no-cache, no-transform
Content-Type: text/event-stream
X-Accel-Buffering: no
X-Content-Type-Options: nosniff
answer 200 {"status":"ok"}
answer 200 {"status":"ok"}
data: x

(end)
disconnect server_closed closed
answer 404 {"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}
`},
	{name: "refused callbacks", play: func(s *site) {
		for _, status := range []int{401, 403, 404, 429, 500, 503, 302, 0} {
			v := s.asks(s.newLine(false), http.MethodGet, fmt.Sprint("/refused/", status), "")
			v.answered()
			v.notesHead()
			v.notesRest()
		}
		// Of the last one nobody knows what the backend made of it.
		cb := s.next("disconnect", "")
		s.note("disconnect %s %s\n", cb.Reason, cb.Detail)
	}, want: refusals(401, "BACKEND_AUTH_FAILED", "Backend returned 401") +
		refusals(403, "BACKEND_FORBIDDEN", "Backend returned 403") +
		refusals(404, "BACKEND_ERROR", "Backend returned 404") +
		refusals(429, "BACKEND_ERROR", "Backend returned 429") +
		refusals(500, "BACKEND_ERROR", "Backend returned 500") +
		refusals(503, "BACKEND_ERROR", "Backend returned 503") +
		refusals(502, "BACKEND_ERROR", "Backend returned 302") +
		refusals(503, "BACKEND_UNAVAILABLE", "Backend unavailable") +
		"disconnect error callback_failed\n"},
	{name: "events while the callback is pending", play: func(s *site) {
		v := s.waits("")
		for i := range 3 {
			s.sends(`{"token":%q,"event":{"name":"n%d","data":"%d"}}`, v.token, i, i)
		}
		s.sends(`{"token":%q}`, v.token)
		v.decide(http.StatusOK)
		v.notesHead()
		s.sends(`{"token":%q,"event":{"data":"3"}}`, v.token)
		v.notes(4)
		v.leaves()
		s.ended(v)
	}, want: `
answer 200 {"status":"buffered"}
answer 200 {"status":"buffered"}
answer 200 {"status":"buffered"}
answer 200 {"status":"buffered"}
200
Cache-Control: no-cache, no-transform
Content-Type: text/event-stream
X-Accel-Buffering: no
X-Content-Type-Options: nosniff
answer 200 {"status":"ok"}
event: n0
data: 0

event: n1
data: 1

event: n2
data: 2

data: 3

disconnect client_closed 
`},
	{name: "an end while the callback is pending", play: func(s *site) {
		v := s.waits("")
		s.sends(`{"token":%q,"event":{"data":"only"},"close":true}`, v.token)
		s.sends(`{"token":%q,"event":{"data":"late"}}`, v.token)
		v.decide(http.StatusNoContent)
		s.note("%d\n", v.head.StatusCode)
		v.notesRest()
		s.ended(v)
	}, want: `
answer 200 {"status":"buffered"}
answer 404 {"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}
200
data: only

(end)
disconnect server_closed closed
`},
	{name: "a refusal with events pending", play: func(s *site) {
		v := s.waits("")
		s.sends(`{"token":%q,"event":{"data":"in vain"}}`, v.token)
		v.decide(http.StatusForbidden)
		s.note("%d\n", v.head.StatusCode)
		v.notesRest()
		s.sends(`{"token":%q,"event":{"data":"late"}}`, v.token)
	}, want: `
answer 200 {"status":"buffered"}
403
{"error":{"message":"Backend returned 403","code":"BACKEND_FORBIDDEN"}}(end)
answer 404 {"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}
`},
	{name: "the form of events", play: func(s *site) {
		v := s.opens("/x")
		for _, event := range []string{
			`{"data":""}`, `{"name":"","data":"no name"}`, `{"name":"a name","data":" blank: colon"}`,
			`{"data":"1\n2\r3\r\n4\n\n5\n"}`, `{"data":"Gr\u00fc\u00dfe \ud83d\ude80 \u2028 \u0000 \ufeff"}`, `{"name":"日本","data":"語"}`,
		} {
			s.api.mustSend(fmt.Sprintf(`{"token":%q,"event":%s}`, v.token, event))
		}
		v.notes(6)
		v.leaves()
		s.ended(v)
	}, want: "data: \n\ndata: no name\n\nevent: a name\ndata:  blank: colon\n\n" +
		"data: 1\ndata: 2\ndata: 3\ndata: 4\ndata: \ndata: 5\ndata: \n\n" +
		"data: Grüße 🚀 \u2028 \x00 \ufeff\n\nevent: 日本\ndata: 語\n\ndisconnect client_closed \n"},
	{name: "an event of 1 MiB", play: func(s *site) {
		v := s.opens("/x")
		s.api.mustSend(toToken(v.token, megabyte))
		v.notes(1)
		s.api.mustSend(fmt.Sprintf(`{"token":%q,"event":{"data":"small"},"close":true}`, v.token))
		v.notesRest()
		s.ended(v)
	}, want: "data: " + megabyte + "\n\ndata: small\n\n(end)\ndisconnect server_closed closed\n"},
	{name: "a batch of 100 to one", play: func(s *site) {
		v := s.opens("/x")
		s.batch(numbered(100, func(i int) string { return toToken(v.token, fmt.Sprint(i)) })...)
		s.sends(`{"token":%q,"close":true}`, v.token)
		v.notesRest()
		s.ended(v)
	}, want: "answer 200 {\"status\":\"ok\"}\n" + counted(100) + "(end)\ndisconnect server_closed closed\n"},
	{name: "a batch of 100 to each of two", play: func(s *site) {
		v, w := s.opens("/x"), s.opens("/y")
		s.batch(numbered(200, func(i int) string { return toToken([]string{v.token, w.token}[i%2], fmt.Sprint(i/2)) })...)
		v.notes(100)
		w.notes(100)
		w.leaves()
		v.leaves()
		s.ended(v, w)
	}, want: counted(100) + counted(100) + "disconnect client_closed \ndisconnect client_closed \n"},
	{name: "a POST with a body", play: func(s *site) {
		v := s.asks(s.newLine(false), http.MethodPost, "/x", strings.Repeat("body ", 10_000), "Content-Type: text/plain")
		v.answered()
		v.notesHead()
		v.token = s.next("connect", "").Token
		s.sends(`{"token":%q,"event":{"data":"x"}}`, v.token)
		v.notes(1)
		v.leaves()
		s.ended(v)
	}, want: `
200
Cache-Control: no-cache, no-transform
Content-Type: text/event-stream
X-Accel-Buffering: no
X-Content-Type-Options: nosniff
answer 200 {"status":"ok"}
data: x

disconnect client_closed 
`},
	{name: "a stream that is deleted", play: func(s *site) {
		v := s.opens("/x")
		s.api.mustSend(toToken(v.token, "last"))
		status, _ := s.api.call(http.MethodDelete, "/internal/streams/"+v.token, "", "")
		s.note("%d\n", status)
		v.notesRest()
		s.ended(v)
	}, want: "200\ndata: last\n\n(end)\ndisconnect server_closed closed\n"},
}

var megabyte = strings.Repeat("0123456789abcdef", 1<<16)

// refusals is what a client gets whose callback was refused.
func refusals(status int, code, message string) string {
	body := fmt.Sprintf(`{"error":{"message":%q,"code":%q}}`, message, code)
	retry := ""
	if strings.HasPrefix(message, "Backend returned") && status != http.StatusBadGateway {
		retry = "Retry-After: 7\n"
	}
	return fmt.Sprintf("%d\nCache-Control: no-store\nContent-Length: %d\nContent-Type: application/json; charset=utf-8\n%sX-Content-Type-Options: nosniff\n%s(end)\n", status, len(body), retry, body)
}

func numbered(n int, message func(i int) string) []string {
	var all []string
	for i := range n {
		all = append(all, message(i))
	}
	return all
}

// counted are n events with their numbers.
func counted(n int) string {
	return strings.Join(numbered(n, func(i int) string { return fmt.Sprintf("data: %d\n\n", i) }), "")
}
