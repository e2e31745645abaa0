package e2e

import (
	"fmt"
	"net/http"
	"strings"
)

// topicScenes are about events that have ids.
var topicScenes = []scene{
	{name: "topics of an open stream", play: func(s *site) {
		v := s.opens("/x")
		s.api.subscribe(v.token, "news:a", "news:b")
		v.notes(1) // an id alone, from which it can resume
		s.sends(`{"topic":"news:a","event":{"name":"n","data":"1\n2"}}`)
		s.sends(`{"topic":"news:b","event":{"data":"3"}}`)
		s.sends(`{"token":%q,"event":{"data":"between"}}`, v.token)
		s.sends(`{"topic":"news:c","event":{"data":"not for it"}}`)
		s.sends(`{"topic":"news:a","event":{"data":"4"}}`)
		v.notes(4)
		v.leaves()
		s.ended(v)
	}, want: `
id: #1

answer 200 {"status":"ok","id":"#2","receivers":1}
answer 200 {"status":"ok","id":"#3","receivers":1}
answer 200 {"status":"ok"}
answer 200 {"status":"ok","id":"#4","receivers":0}
answer 200 {"status":"ok","id":"#5","receivers":1}
id: #2
event: n
data: 1
data: 2

id: #3
data: 3

data: between

id: #5
data: 4

disconnect client_closed 
`},
	{name: "topics while the callback is pending", play: func(s *site) {
		v := s.waits("")
		s.sends(`{"token":%q,"event":{"data":"direct"}}`, v.token)
		s.api.subscribe(v.token, "pending:a")
		s.sends(`{"topic":"pending:a","event":{"data":"1"}}`)
		v.decide(http.StatusOK)
		s.sends(`{"topic":"pending:a","event":{"data":"2"}}`)
		v.notes(4)
		v.leaves()
		s.ended(v)
	}, want: `
answer 200 {"status":"buffered"}
answer 200 {"status":"ok","id":"#1","receivers":1}
answer 200 {"status":"ok","id":"#2","receivers":1}
data: direct

id: #3

id: #1
data: 1

id: #2
data: 2

disconnect client_closed 
`},
	{name: "resuming by header and by query", play: func(s *site) {
		ids := numbered(5, func(i int) string { return s.publishes("task:resume", fmt.Sprint(i)) })
		s.note("%s\n", strings.Join(ids, " "))
		s.resumes(s.waits("", "Last-Event-ID: "+ids[1]), 5)
		s.resumes(s.waits("?lastEventId="+ids[3]), 5)
		s.resumes(s.waits(""), 11) // without an id: all that there is
	}, want: `
#1 #2 #3 #4 #5
answer 200 {"status":"ok","id":"#6","receivers":1}
answer 200 {"status":"ok","id":"#7","receivers":1}
id: #3
data: 2

id: #4
data: 3

id: #5
data: 4

id: #6
data: pending

id: #7
data: open

disconnect client_closed 
answer 200 {"status":"ok","id":"#8","receivers":1}
answer 200 {"status":"ok","id":"#9","receivers":1}
id: #5
data: 4

id: #6
data: pending

id: #7
data: open

id: #8
data: pending

id: #9
data: open

disconnect client_closed 
answer 200 {"status":"ok","id":"#10","receivers":1}
answer 200 {"status":"ok","id":"#11","receivers":1}
id: #1
data: 0

id: #2
data: 1

id: #3
data: 2

id: #4
data: 3

id: #5
data: 4

id: #6
data: pending

id: #7
data: open

id: #8
data: pending

id: #9
data: open

id: #10
data: pending

id: #11
data: open

disconnect client_closed 
`},
	{name: "history that is lost", play: func(s *site) {
		ids := numbered(6, func(i int) string { return s.publishes("short:a", fmt.Sprint(i)) })
		s.note("%s\n", strings.Join(ids, " "))
		for _, id := range []string{ids[0], "aaaaaaaa-1"} { // of this process, and of one that was before
			v := s.waits("", "Last-Event-ID: "+id)
			s.api.subscribe(v.token, "short:a")
			v.decide(http.StatusOK)
			v.notes(4)
			v.leaves()
			s.ended(v)
		}
	}, want: `
#1 #2 #3 #4 #5 #6
event: reset
data: {"reason":"history_lost"}

id: #4
data: 3

id: #5
data: 4

id: #6
data: 5

disconnect client_closed 
event: reset
data: {"reason":"history_lost"}

id: #4
data: 3

id: #5
data: 4

id: #6
data: 5

disconnect client_closed 
`},
	{name: "a topic that is closed", play: func(s *site) {
		v := s.opens("/x")
		s.api.subscribe(v.token, "task:closed")
		v.notes(1)
		s.sends(`{"topic":"task:closed","event":{"data":"1"}}`)
		s.sends(`{"topic":"task:closed","event":{"data":"2"},"close":true}`)
		text := v.reads(2)
		s.note("%s", text)
		v.notesRest()
		s.ended(v)
		_, last, _ := strings.Cut(text[strings.LastIndex(text, "id: "):], " ")
		last, _, _ = strings.Cut(last, "\n")
		v = s.waits("", "Last-Event-ID: "+last)
		s.api.subscribe(v.token, "task:closed")
		v.decide(http.StatusOK)
		v.notesHead()
		v.notesRest()
		s.ended(v)
	}, want: `
id: #1

answer 200 {"status":"ok","id":"#2","receivers":1}
answer 200 {"status":"ok","id":"#3","receivers":1}
id: #2
data: 1

id: #3
data: 2

(end)
disconnect server_closed topic_closed
204
X-Content-Type-Options: nosniff
(end)
disconnect server_closed topic_finished
`},
	{name: "one of two topics is closed", play: func(s *site) {
		v := s.opens("/x")
		s.api.subscribe(v.token, "news:short", "news:long")
		s.sends(`{"topic":"news:short","event":{"data":"1"},"close":true}`)
		s.sends(`{"topic":"news:long","event":{"data":"2"}}`)
		s.sends(`{"topic":"news:long","close":true}`)
		v.notesRest()
		s.ended(v)
	}, want: `
answer 200 {"status":"ok","id":"#1","receivers":1}
answer 200 {"status":"ok","id":"#2","receivers":1}
answer 200 {"status":"ok","id":"#3","receivers":1}
id: #4

id: #1
data: 1

id: #2
data: 2

id: #3

(end)
disconnect server_closed topic_closed
`},
	{name: "unsubscribing", play: func(s *site) {
		v := s.opens("/x")
		s.api.subscribe(v.token, "leave:a", "leave:b")
		v.notes(1)
		s.sends(`{"topic":"leave:a","event":{"data":"1"}}`)
		status, _ := s.api.call(http.MethodPost, "/internal/unsubscribe", "application/json", fmt.Sprintf(`{"token":%q,"topics":["leave:a"]}`, v.token))
		s.note("%d\n", status)
		s.sends(`{"topic":"leave:a","event":{"data":"2"}}`)
		s.sends(`{"topic":"leave:b","event":{"data":"3"}}`)
		v.notes(2)
		v.leaves()
		s.ended(v)
	}, want: `
id: #1

answer 200 {"status":"ok","id":"#2","receivers":1}
200
answer 200 {"status":"ok","id":"#3","receivers":0}
answer 200 {"status":"ok","id":"#4","receivers":1}
id: #2
data: 1

id: #4
data: 3

disconnect client_closed 
`},
	{name: "a replay of 5000 and what comes after", play: func(s *site) {
		s.batch(numbered(5000, func(i int) string { return toTopic("task:long", fmt.Sprint(i)) })...)
		open, waits := s.opens("/x"), s.waits("")
		s.api.subscribe(waits.token, "task:long")
		waits.decide(http.StatusOK)
		s.api.subscribe(open.token, "task:long")
		s.batch(numbered(100, func(i int) string { return toTopic("task:long", fmt.Sprint(5000+i)) })...)
		s.api.mustSend(`{"topic":"task:long","close":true}`)
		first, second := open.rest(), waits.rest()
		s.note("%s", second)
		// The late one's first ids differ where it had one already; its events do not.
		if without(first, "id: ") != without(second, "id: ") {
			s.Error("an open stream's replay has other events than a new one's")
		}
		s.ended(open, waits)
	}, want: strings.Join(numbered(5100, func(i int) string { return fmt.Sprintf("id: #%d\ndata: %d\n\n", i+1, i) }), "") + "id: #5101\n\n" +
		"disconnect server_closed topic_closed\ndisconnect server_closed topic_closed\n"},
	{name: "a fan-out to 40", play: func(s *site) {
		// More than a sender writes to by itself.
		var all []*guest
		for range 40 {
			v := s.opens("/x")
			s.api.subscribe(v.token, "fan:a")
			all = append(all, v)
		}
		for i := range 20 {
			s.publishes("fan:a", fmt.Sprint(i))
		}
		s.api.mustSend(`{"topic":"fan:a","close":true}`)
		for _, v := range all {
			s.note("%s", without(v.rest(), "id: "))
		}
		s.ended(all...)
	}, want: "\n" + strings.Repeat("\n"+counted(20)+"\n", 40) + strings.Repeat("disconnect server_closed topic_closed\n", 40)},
}

// resumes has a stream that waits attached, and something happen before and after
// it is opened. It is to have so many events.
func (s *site) resumes(v *guest, events int) {
	s.Helper()
	s.api.subscribe(v.token, "task:resume")
	s.sends(`{"topic":"task:resume","event":{"data":"pending"}}`)
	v.decide(http.StatusOK)
	s.sends(`{"topic":"task:resume","event":{"data":"open"}}`)
	v.notes(events)
	v.leaves()
	s.ended(v)
}

// without is a text without the lines that begin so.
func without(text, begin string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, begin) {
			b.WriteString(line)
		}
	}
	return b.String()
}
