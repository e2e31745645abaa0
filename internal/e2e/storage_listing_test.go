package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// A listing shows what is stored, also what a new process has not had in memory yet.
func TestTopicsAreListedAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	data := t.TempDir()
	p := h.gateway("--data", data)
	a := p.api()
	for range 3 {
		a.mustSend(toTopic("news:a", "x"))
	}
	a.mustSend(toTopic("news:b", "x"))
	p.signal(syscall.SIGKILL)
	p.exit()
	a = h.gateway("--data", data).api()
	status, answer := a.call("GET", "/internal/topics?prefix=news:", "", "")
	if status != 200 || strings.Count(answer, `"topic":`) != 2 {
		t.Errorf("after a restart the listing is %d %s, want both topics", status, answer)
	}
	_, answer = a.call("GET", "/internal/topics/news:a", "", "")
	for _, want := range []string{`"stored":3`, `"appended":3`, `"events":0`} {
		if !strings.Contains(answer, want) {
			t.Errorf("the topic is described by %s, which lacks %s", answer, want)
		}
	}
}
