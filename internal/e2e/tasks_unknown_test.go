package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestX11UnknownTasksCostNothing: one request may name a hundred tasks that nobody
// knows. Its client receives that, and no topic and no event is made of it.
func TestX11UnknownTasksCostNothing(t *testing.T) {
	inBothForms(t, flags{gateway: []string{"--max-topics", "20"}}, func(t *testing.T, s *system) {
		var ids []string
		for i := range 100 {
			ids = append(ids, fmt.Sprint("task_id=nobody", i))
		}
		target := "/api/sse/stream?" + strings.Join(ids, "&")
		events, lastID, err := s.follow(target)
		if err != nil || len(events) != 200 || events[0].Name != "error" || events[199].Name != "connection_close" {
			t.Fatalf("%d events, %v; want 100 errors, and then 100 ends", len(events), err)
		}
		if err := s.wantNothingMore(target, lastID); err != nil {
			t.Error(err)
		}
		var page struct{ Topics []any }
		s.call(t, http.MethodGet, s.gateway.internal+"/internal/topics", nil, http.StatusOK, &page)
		if len(page.Topics) != 0 {
			t.Errorf("%d topics, want none", len(page.Topics))
		}
		// Others are served as ever, and beside a task that exists the stream stays open.
		id := s.startParked(t)
		w := s.open(t, "/api/sse/stream?task_id="+id+"&task_id=nobody", "")
		var names []string
		for _, e := range w.events(t, 3) {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); strings.Count(got, "task_event") != 2 || strings.Count(got, "error") != 1 {
			t.Errorf("beside a task: %s, want its two events and the error", got)
		}
		s.call(t, http.MethodPost, s.backend.public+"/api/tasks/"+id+"/cancel", nil, http.StatusOK, nil)
		if rest := w.toEnd(t); len(rest) == 0 || rest[len(rest)-1].Data != `{"reason":"task_cancelled"}` {
			t.Errorf("the end is %v, want that of the task", rest)
		}
	})
}

// TestX11ATopicOfAnotherNodeIsNotAbsent: what a gateway does not hold itself it asks
// storage for.
func TestX11ATopicOfAnotherNodeIsNotAbsent(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	nodes, apis := h.clustered(2, natsServers(t, 1), "--max-topics", "2")
	apis[0].mustSend(toTopic("task:there", "1"))
	for i := range 5 { // so that neither node holds it any more
		apis[1].mustSend(toTopic(fmt.Sprint("other:", i), "x"))
	}
	for i, node := range nodes {
		c, token := h.accepted(node, "/x")
		body := fmt.Sprintf(`{"token":%q,"absent":[%s,%s]}`, token, absentTopic("task:there"), absentTopic("task:nobody"))
		status, answer := apis[1-i].call(http.MethodPost, "/internal/subscribe", "application/json", body) // which passes it on
		if status != http.StatusOK || !strings.Contains(answer, `"absent":["task:nobody"]`) {
			t.Errorf("node %d: %d %s", i, status, answer)
		}
		if got := c.event().Data + " " + c.event().Data; got != "1 no task:nobody" {
			t.Errorf("node %d: received %q, want the event of the topic that exists, and that the other does not", i, got)
		}
		c.leave()
		h.wantDisconnect(token, "client_closed", "")
	}
}

func absentTopic(name string) string {
	return fmt.Sprintf(`{"topic":%q,"events":[{"name":"error","data":"no %s"},{"data":"end"}]}`, name, name)
}
