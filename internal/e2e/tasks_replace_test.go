package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestBE1ReplacementWaitsForNobody(t *testing.T) {
	t.Parallel()
	slow := holdDisconnects()
	for name, start := range map[string]func() *system{
		"one process": func() *system { return oneProcess(t, flags{backend: []string{"--replace"}}) },
		"two processes whose disconnect callbacks hang": func() *system {
			return twoProcesses(t, flags{backend: []string{"--replace"}, callbacks: slow.between(t)})
		},
	} {
		s := start()
		old := s.open(t, versionStream("tab"), "")
		newer := s.open(t, versionStream("tab"), "")
		unrelated := s.open(t, versionStream("other"), "")
		// Had the close waited for its callback, it would have been given up.
		if n := s.metric(t, "tidegate_backend_streams_replaced_total"); n != 1 {
			t.Errorf("%s: %v streams were replaced, want 1", name, n)
		}
		if len(s.backend.logged("could not end older streams of an identifier")) > 0 {
			t.Errorf("%s: the old stream could not be replaced", name)
		}
		if events := old.toEnd(t); len(events) != 0 {
			t.Errorf("%s: the old stream ends with %q", name, shapes(events))
		}
		if n := s.publishVersion(t, jsonObject{"version": "1"}); n != 2 {
			t.Errorf("%s: %d streams got the version, want 2", name, n)
		}
		for _, w := range []*watch{newer, unrelated} {
			if e := w.event(t); shape(e) != `version {"version":"1"}` {
				t.Errorf("%s: got %s", name, shape(e))
			}
		}
	}
	eventually(t, "the disconnect of the replaced stream is held back", func() bool { return slow.held.Load() == 1 })
	slow.release()
}

func TestReplaceKeepsTheNewestOnly(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--replace"}}, func(t *testing.T, s *system) {
		id := s.startParked(t)
		for _, target := range []string{versionStream("tab"), taskStream(id)} {
			var newest *watch
			for range 5 {
				old := newest
				newest = s.open(t, target, "")
				if old != nil {
					old.toEnd(t)
				}
			}
		}
		s.waitStreams(t, 2)
		if n := s.publishVersion(t, jsonObject{"version": "1", "request_id": "tab"}); n != 1 {
			t.Errorf("%d streams got the version, want the newest", n)
		}
		if n := len(s.streamsOf(t, "task:"+id)); n != 1 {
			t.Errorf("the task has %d streams, want 1", n)
		}
	})
}

func TestReplaceKeepsOneOfThoseThatComeAtOnce(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--replace"}}, func(t *testing.T, s *system) {
		each(t, 30, 15, func(int) error {
			w, err := s.dial(versionStream("many"), "")
			if err != nil {
				return err
			}
			t.Cleanup(w.reset)
			return nil
		})
		eventually(t, "one of many is left", func() bool { return len(s.streamsOf(t, "version:many")) == 1 })
		if n := s.publishVersion(t, jsonObject{"version": "2", "request_id": "many"}); n != 1 {
			t.Errorf("%d streams of many got the version, want 1", n)
		}
	})
}

// streamsOf are the streams that a topic has.
func (s *system) streamsOf(t *testing.T, topic string) []stream {
	t.Helper()
	return slices.DeleteFunc(s.listing(t), func(i stream) bool { return !slices.Contains(i.Topics, topic) })
}

func TestBE13CountsOfStreamsDoNotDrift(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--replace"}}, func(t *testing.T, s *system) {
		each(t, 120, 12, func(i int) error {
			target := versionStream(fmt.Sprint("tab-", i%7)) // they replace each other
			switch i % 4 {
			case 0:
				target = taskStream(fmt.Sprint("unknown-", i))
			case 1:
				target = "/api/sse/nothing"
			}
			w, err := s.dial(target, "")
			if err != nil {
				return err
			}
			if i%4 == 2 {
				w.reset() // at once
			}
			t.Cleanup(w.reset)
			return nil
		})
		eventually(t, "no stream is left but the newest of each tab", func() bool {
			left := s.listing(t)
			return len(left) <= 7 && !slices.ContainsFunc(left, func(i stream) bool { return !strings.HasPrefix(i.URL, "/api/sse/utils/version?request_id=tab-") })
		})
		for _, info := range s.listing(t) {
			got, err := s.request("DELETE", s.gateway.internal+"/internal/streams/"+info.Token, nil)
			if err != nil || got.status != 200 && got.status != 404 { // it may have left by itself
				t.Errorf("DELETE of a stream: %v, %v", got, err)
			}
		}
		s.waitStreams(t, 0)
		if n := s.metric(t, "tidegate_streams"); n != 0 {
			t.Errorf("the gauge says %v, want 0", n)
		}
		eventually(t, "every connect that was accepted is followed by a disconnect", func() bool {
			accepted := s.metric(t, "tidegate_callbacks_total", `action="connect"`, `status="200"`)
			return accepted > 0 && s.metric(t, "tidegate_backend_disconnects_total") == accepted
		})
		for _, n := range []string{"tidegate_disconnects_queued", "tidegate_callbacks_waiting"} {
			if v := s.metric(t, n); v != 0 {
				t.Errorf("%s is %v, want 0", n, v)
			}
		}
	})
}
