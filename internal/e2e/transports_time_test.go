package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What these scenes are played with.
const (
	beat         = 500 * time.Millisecond
	writeTimeout = time.Second
	greatestAge  = 1500 * time.Millisecond
)

// timeScenes are about what happens by itself.
var timeScenes = []scene{
	{name: "a retry field at first", play: func(s *site) {
		v := s.waits("")
		s.api.mustSend(toToken(v.token, "x"))
		v.decide(http.StatusOK)
		v.notes(2)
		v.leaves()
		s.ended(v)
	}, want: "retry: N\n\ndata: x\n\ndisconnect client_closed \n"},
	{name: "no answer of the backend", play: func(s *site) {
		v := s.waits("")
		v.answered()
		v.notesHead()
		v.notesRest()
		s.decides <- http.StatusOK
		s.next("connect", v.token)
		s.ended(v)
	}, want: `
504
Cache-Control: no-store
Content-Length: 64
Content-Type: application/json; charset=utf-8
X-Content-Type-Options: nosniff
{"error":{"message":"Gateway timeout","code":"GATEWAY_TIMEOUT"}}(end)
disconnect error callback_timeout
`},
	{name: "heartbeats in silence", play: func(s *site) {
		v, busy, begin := s.opens("/x"), "", time.Time{}
		for longest, tries := beat, 0; longest > beat*2/3 || strings.Contains(busy, ": heartbeat") && tries < 20; tries++ { // until this machine keeps its promise
			v.leaves()
			s.next("disconnect", v.token)
			v = s.opens("/x")
			busy, longest, begin = s.keepsBusy(v)
		}
		s.note("%s", busy)
		v.notes(3)
		if took := time.Since(begin); took < 3*beat/2 {
			s.Errorf("three heartbeats took %s, want each about %s", took, beat)
		}
		v.leaves()
		s.ended(v)
	}, want: "retry: N\n\n" + counted(30) + strings.Repeat(": heartbeat\n\n", 3) + "disconnect client_closed \n"},
	{name: "a client that takes nothing", play: func(s *site) {
		l := s.newLine(true)
		slow, other := s.opensOn(l, "/slow"), s.opensOn(l, "/other")
		begin := time.Now()
		s.api.subscribe(slow.token, "big:log") // which does not count as pending
		s.api.mustSend(toToken(other.token, "x"))
		s.note("%s", without(other.reads(2), ":"))
		s.ended(slow)
		if took := time.Since(begin); took < writeTimeout {
			s.Errorf("ended after %s, want %s and little more", took, writeTimeout)
		}
		slow.wantCut()
		s.api.mustSend(fmt.Sprintf(`{"token":%q,"event":{"data":"still here"},"close":true}`, other.token))
		s.note("%s", strings.ReplaceAll(other.rest(), ": heartbeat\n\n", ""))
		s.ended(other)
	}, want: "retry: N\n\ndata: x\n\ndisconnect error slow_consumer\ndata: still here\n\ndisconnect server_closed closed\n"},
}

// ageScenes are about the greatest age.
var ageScenes = []scene{
	{name: "a greatest age", play: func(s *site) {
		begin := time.Now()
		v := s.opens("/x")
		s.api.mustSend(toToken(v.token, "x"))
		v.notesRest()
		if took := time.Since(begin); took < greatestAge*8/10 {
			s.Errorf("ended after %s, want about %s", took, greatestAge)
		}
		s.ended(v)
	}, want: "data: x\n\n(end)\ndisconnect server_closed max_age\n"},
}

// keepsBusy sends for twice as long as would do for a heartbeat, and returns what
// came, the longest silence that there can have been, and a time before the last event.
func (s *site) keepsBusy(v *guest) (text string, longest time.Duration, before time.Time) {
	s.Helper()
	text = v.reads(1)
	last := time.Now()
	for i := range 30 {
		before = time.Now()
		s.api.mustSend(toToken(v.token, fmt.Sprint(i)))
		text += v.reads(1)
		now := time.Now()
		last, longest = now, max(longest, now.Sub(last))
		linger(beat/15, nil)
	}
	return text, longest, before
}
