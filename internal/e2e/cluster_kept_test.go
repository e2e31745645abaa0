package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// kept is a gateway with storage of its own, before a backend that subscribes
// each stream to the topics in its query while it is asked.
type kept struct {
	*hooks
	dir  string
	args []string
	api  atomic.Pointer[api]
	*program
}

func keptGateway(t *testing.T, args ...string) *kept {
	t.Helper()
	k := &kept{dir: t.TempDir(), args: args}
	k.hooks = newHooks(t, func(cb callback) verdict {
		_, topics, _ := strings.Cut(cb.Request.URL, "?topics=")
		if cb.Action == "connect" && topics != "" {
			body := fmt.Sprintf(`{"token":%q,"topics":["%s"]}`, cb.Token, strings.ReplaceAll(topics, ",", `","`))
			k.subscribe(body)
		}
		return verdict{status: http.StatusOK}
	})
	k.up()
	return k
}

// up starts the gateway, with what it has kept.
func (k *kept) up() {
	k.hooks.t.Helper()
	k.program = k.gateway(append([]string{"--data", k.dir, "--store-size", "256MiB", "--callback-timeout", "1m"}, k.args...)...)
	k.api.Store(k.program.api())
}

// subscribe attaches a stream. What is read back from storage may take longer than
// one try has, on a busy machine; the next one goes on from there.
func (k *kept) subscribe(body string) {
	for deadline := time.Now().Add(patience); ; {
		status, answer, err := k.api.Load().try(http.MethodPost, "/internal/subscribe", "application/json", body)
		if status == http.StatusOK {
			return
		}
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			k.hooks.t.Errorf("subscribe: %d %s, %v", status, answer, err)
			return
		}
	}
}

// back opens a stream at topics with a last event id.
func (k *kept) back(topics, id string) *client {
	k.hooks.t.Helper()
	c, _ := k.accepted(k.program, "/s?topics="+topics, "Last-Event-ID: "+id)
	return c
}

// TestF1ARestartedGatewayResumesBeforeAnyPublish: after a stop in order and after
// a kill, and it keeps the ends of topics.
func TestF1ARestartedGatewayResumesBeforeAnyPublish(t *testing.T) {
	t.Parallel()
	k := keptGateway(t)
	for round, end := range []struct {
		do             func()
		reason, detail string // that the backend receives for a stream that was open
	}{
		{func() { k.program.stop() }, "server_closed", "drain"},
		{func() { k.signal(syscall.SIGKILL); <-k.gone }, "error", "node_lost"},
	} {
		a, topic, done := k.api.Load(), fmt.Sprint("task:", round), fmt.Sprint("task:done", round)
		first, _ := a.publish(topic, "1")
		a.publish(topic, "2")
		a.publish(fmt.Sprint("task:other", round), "3")
		a.publish(topic, "4")
		_, answer := a.send(fmt.Sprintf(`{"topic":%q,"event":{"data":"last"},"close":true}`, done))
		_, last, _ := strings.Cut(answer, `"id":"`)
		last, _, _ = strings.Cut(last, `"`)
		_, token := k.accepted(k.program, "/open")
		end.do()
		k.up()
		k.wantDisconnect(token, end.reason, end.detail)

		c := k.back(fmt.Sprintf("%s,task:other%d", topic, round), first)
		for _, want := range []string{"2", "3", "4"} {
			if _, got := c.next(); got != want {
				t.Errorf("round %d: after the restart event %q, want %q", round, got, want)
			}
		}
		a = k.api.Load()
		a.publish(topic, "5")
		if _, got := c.next(); got != "5" {
			t.Errorf("round %d: event %q, want the new one", round, got)
		}
		c.leave()
		k.next("disconnect")
		finished := dial(t, k.public, "/s?topics="+done, "Last-Event-ID: "+last)
		if err := finished.answer(); err != nil || finished.head.StatusCode != http.StatusNoContent {
			t.Errorf("round %d: who had the end of a closed topic got %+v, %v, want 204", round, finished.head, err)
		}
		k.wantDisconnect(k.next("connect").Token, "server_closed", "topic_finished")
		if status, answer := a.send(toTopic(done, "x")); status != http.StatusConflict {
			t.Errorf("round %d: publish to a closed topic: %d %s, want 409", round, status, answer)
		}
	}
}

// TestF2ARecentIDIsFoundAmongManyEvents: also after a restart.
func TestF2ARecentIDIsFoundAmongManyEvents(t *testing.T) {
	t.Parallel()
	k := keptGateway(t)
	a := k.api.Load()
	begin := time.Now()
	for i := range 2 { // of other topics, in one batch each
		var lines strings.Builder
		for j := range 6_000 {
			lines.WriteString(toTopic(fmt.Sprint("task:", i, "/", j%100), "x") + "\n")
		}
		if _, answer := a.call(http.MethodPost, "/internal/send", "application/x-ndjson", lines.String()); strings.Count(answer, `"code":200`) != 6_000 {
			t.Fatalf("not all lines were taken: %.500s", answer)
		}
		if i == 0 {
			a.publish("task:mine", "1")
		}
	}
	t.Logf("12000 events to 200 topics in %s", time.Since(begin))
	id, _ := a.publish("task:mine", "2")
	a.publish("task:mine", "3")
	for _, when := range []string{"before", "after"} {
		c := k.back("task:mine", id)
		if _, got := c.next(); got != "3" {
			t.Errorf("%s the restart: event %q, want 3", when, got)
		}
		c.leave()
		k.next("disconnect")
		if when == "before" {
			k.program.stop()
			k.up()
		}
	}
}

// TestF3AReplayOf50000EventsArrivesWhole: from memory, and read back from disk.
func TestF3AReplayOf50000EventsArrivesWhole(t *testing.T) {
	t.Parallel()
	const events = 50_000
	k := keptGateway(t, "--namespace", "big=events:60000,bytes:64MiB,age:24h,replay:all")
	begin := time.Now()
	k.api.Load().publishMany("big:x", 0, events)
	t.Logf("%d events to one topic in %s", events, time.Since(begin))
	var want []string
	for i := range events {
		want = append(want, fmt.Sprint(i))
	}
	for _, when := range []string{"before", "after"} {
		begin := time.Now()
		c, _ := k.accepted(k.program, "/s?topics=big:x")
		for i := range want {
			if _, got := c.next(); got != want[i] {
				t.Fatalf("%s the restart: event %q, want %s", when, got, want[i])
			}
		}
		t.Logf("%s the restart: replay in %s", when, time.Since(begin))
		k.api.Load().publish("big:x", when)
		if _, got := c.next(); got != when {
			t.Errorf("%s the restart: event %q behind the replay, want the new one", when, got)
		}
		want = append(want, when)
		c.leave()
		k.next("disconnect")
		if when == "before" {
			k.program.stop()
			k.up()
		}
	}
}
