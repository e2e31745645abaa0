package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// disconnected are the streams whose end a backend received, each by its
// fingerprint, as often as it received it.
func disconnected(p *program) []string {
	var streams []string
	for _, r := range append(p.logged("stream disconnected"), p.logged("disconnect delivered again")...) {
		streams = append(streams, r.text("stream"))
	}
	return streams
}

func TestRestartedBackendFindsItsStreams(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{backend: []string{"--log-level", "debug"}})
	var versions, leaving []*watch
	for i := range 3 {
		versions = append(versions, s.open(t, versionStream(fmt.Sprint("tab-", i)), ""))
	}
	for range 5 {
		leaving = append(leaving, s.open(t, versionStream("leaving"), ""))
	}
	parked := s.startParked(t)
	watcher := s.open(t, taskStream(parked), "")
	wantLog(t, "before", watcher.events(t, 2), parkedLog)
	early := s.open(t, versionStream("early"), "")
	early.leave()
	eventually(t, "the first backend receives the end of a stream", func() bool { return len(disconnected(s.backend)) == 1 })

	first := s.backend
	first.kill()
	for i, w := range leaving {
		if i%2 == 0 {
			w.reset()
		} else {
			w.leave()
		}
	}
	s.waitStreams(t, 4)
	refused, err := s.dial(versionStream("new"), "")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(refused.head.Body)
	refused.reset()
	if refused.head.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "BACKEND_UNAVAILABLE") {
		t.Errorf("a stream opens without a backend: %d %s", refused.head.StatusCode, body)
	}

	s.startBackend(t)
	id := s.start(t, "demo_task", jsonObject{"delay": 0})
	if n := s.publishVersion(t, jsonObject{"version": "2"}); n != 3 {
		t.Errorf("%d streams got the new backend's version, want 3", n)
	}
	for _, w := range versions {
		if e := w.event(t); shape(e) != `version {"version":"2"}` {
			t.Errorf("got %s", shape(e))
		}
	}
	if err := s.wantWhole(id, demoLog(3, demoMessage)); err != nil {
		t.Error(err)
	}
	s.wantListed(t, "version:tab-0", "version:tab-1", "version:tab-2", "task:"+parked)

	// The ends that it was not there for are delivered to the new one; then one more.
	versions[0].leave()
	eventually(t, "all disconnects are delivered", func() bool {
		return s.metric(t, "tidegate_disconnects_queued") == 0 && len(s.listing(t)) == 3
	})
	// One of each for those that left, the task's two visits (the second one got
	// 204), and the version stream.
	ends := append(disconnected(first), disconnected(s.backend)...)
	slices.Sort(ends)
	if n := len(slices.Compact(slices.Clone(ends))); n != len(ends) || len(disconnected(s.backend)) != 5+2+1 {
		t.Errorf("the backends received %d ends of %d streams, the second one %d, want 8", len(ends), n, len(disconnected(s.backend)))
	}
	if n := s.metric(t, "tidegate_disconnects_dropped_total", `reason=`); n != 0 {
		t.Errorf("%v disconnects were dropped", n)
	}
}

// wantListed wants the gateway to hold one stream for each topic.
func (s *system) wantListed(t *testing.T, topics ...string) {
	t.Helper()
	var got []string
	for _, info := range s.listing(t) {
		for _, topic := range info.Topics {
			if topic != "version" {
				got = append(got, topic)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(topics)
	if !slices.Equal(got, topics) {
		t.Errorf("streams are open at %q, want %q", got, topics)
	}
}

const historyLost = `reset {"reason":"history_lost"}`

func TestRestartedGatewayGetsFinishedTasksAgain(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{})
	id := s.start(t, "demo_task", jsonObject{"steps": 20, "delay": 0})
	whole, endID, err := s.follow(taskStream(id))
	if err != nil {
		t.Fatal(err)
	}
	wantLog(t, "before", whole, demoLog(20, demoMessage))
	eventually(t, "the backend knows that its events are taken", func() bool {
		return s.metric(t, "tidegate_backend_publish_total", `outcome="taken"`) == float64(len(whole))
	})

	s.restartGateway(t)
	again := demoLog(20, demoMessage)
	again = append(again[:1:1], again[len(again)-3:]...)
	for what, lastID := range map[string]string{
		"who was cut in the middle": whole[9].ID,
		"who had seen the end":      endID,
		"a newcomer":                "",
	} {
		w := s.open(t, taskStream(id), lastID)
		events, want := w.toEnd(t), again
		if lastID != "" {
			want = append([]string{historyLost}, again...)
			events = withIDs(events)
		}
		wantLog(t, what, events, want)
		if err := s.wantNothingMore(taskStream(id), w.lastID()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRestartedGatewayGetsTheRestOfARunningTask(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{})
	const steps = 1_000_000
	id := s.start(t, "demo_task", jsonObject{"steps": steps, "delay": 0.002})
	w := s.open(t, taskStream(id), "")
	wantLog(t, "before", w.events(t, 12), demoBegin(10, steps))

	s.restartGateway(t)
	back := s.open(t, taskStream(id), w.lastID())
	if e := back.event(t); shape(e) != historyLost {
		t.Errorf("first comes %s, want a reset", shape(e))
	}
	s.waitProgress(t, id, 20)
	s.cancel(t, id)
	got := shapes(back.toEnd(t))
	all := append(demoBegin(steps/100, steps), taskCancelledEnd...)
	from := slices.Index(all, got[0])
	if n := len(got); n < 22 || from < 0 || !slices.Equal(got[:n-2], all[from:from+n-2]) || !slices.Equal(got[n-2:], taskCancelledEnd) {
		t.Errorf("after the reset come %d events from %d on, not an unbroken row up to the end: %.2000q", n, from, got)
	}
	if events, _, err := s.follow(taskStream(id)); err != nil || len(events) < 2 {
		t.Errorf("a newcomer sees %d events and %v, want the end of the task", len(events), err)
	}
}

func TestRestartedGatewaySendsTheCurrentVersion(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{})
	s.publishVersion(t, jsonObject{"version": "5", "changelog": "news"})
	w := s.open(t, versionStream("tab"), "")
	const want = `version {"version":"5","changelog":"news"}`
	if e := w.event(t); shape(e) != want {
		t.Errorf("before: %s", shape(e))
	}
	s.restartGateway(t)
	for what, lastID := range map[string]string{"a newcomer": "", "who came back": w.lastID()} {
		if e := s.open(t, versionStream("tab"), lastID).event(t); shape(e) != want {
			t.Errorf("%s receives %s, want the current version", what, shape(e))
		}
	}
}
