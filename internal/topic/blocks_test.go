package topic_test

import (
	"strings"
	"testing"

	"tidegate/internal/topic"
)

// blocksOf are the blocks that a stream was sent, and how many have an id alone.
func blocksOf(s *sink) (all []string, bare int) {
	for block := range strings.SplitSeq(strings.TrimSuffix(string(s.bytes()), "\n\n"), "\n\n") {
		if block == "" {
			continue
		}
		if all = append(all, block); strings.HasPrefix(block, "id: ") && !strings.Contains(block, "\n") {
			bare++
		}
	}
	return all, bare
}

// TestX48NoIDBlockWhereAnIDWasSent from which all that follows is resumed: several
// clients deliver an empty message for it.
func TestX48NoIDBlockWhereAnIDWasSent(t *testing.T) {
	t.Parallel()
	for _, busy := range []bool{false, true} {
		h := topic.New(topic.Options{Namespaces: map[string]topic.Retention{"version": {Events: 1, Replay: topic.ReplayLast}}, Default: keepAll})
		publish(t, h, "version", "1.0")
		if busy {
			publish(t, h, "other", "x") // so that the head is beyond the version
		}
		s, m := connect(t, h, "", topic.FromDefault, "version")
		attach(t, h, m, topic.FromLatest, "version:tab") // as a backend does
		h.Open(m)
		attach(t, h, m, topic.FromDefault, "late")
		if all, bare := blocksOf(s); bare != 0 || len(all) != 1 {
			t.Errorf("other topics: %v: got %q, want the version alone", busy, all)
		}
		// Nothing is lost or repeated for it.
		publish(t, h, "late", "2")
		publish(t, h, "version:tab", "3")
		h.Leave(m)
		for n, want := range map[int]string{1: "2 3", 2: "3", 3: ""} {
			all, _ := blocksOf(s)
			_, id := read(t, []byte(strings.Join(all[:n], "\n\n")+"\n\n"))
			back, m := connect(t, h, id, topic.FromDefault, "version", "version:tab", "late")
			if got := back.got(t); got != want {
				t.Errorf("back after %d events: got %q, want %q", n, got, want)
			}
			h.Leave(m)
		}
	}
}

// TestX48ABlockIsSentWhereItIsNeeded: what was skipped would come with the next
// resume, and a client without an id would begin anew.
func TestX48ABlockIsSentWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	s, m := connect(t, h, "", topic.FromDefault, "empty")
	if _, bare := blocksOf(s); bare != 1 {
		t.Errorf("nothing to replay: %d blocks, want one", bare)
	}
	publish(t, h, "skipped", "1")
	h.Open(m)
	attach(t, h, m, topic.FromLatest, "skipped")
	if _, bare := blocksOf(s); bare != 2 {
		t.Errorf("an event was skipped: %d blocks, want another", bare)
	}
}

// TestX48WithoutIDBlocks a stream has only what a client shows, and learns that
// there is no more all the same.
func TestX48WithoutIDBlocks(t *testing.T) {
	t.Parallel()
	opts := durable
	opts.NoIDBlocks = true
	eachHub(t, opts, func(t *testing.T, h *topic.Hub) {
		s, m := connect(t, h, "", topic.FromDefault, "all:a", "all:empty")
		h.Open(m)
		attach(t, h, m, topic.FromLatest, "all:late")
		publish(t, h, "all:a", "1")
		closeTopic(t, h, "all:a") // which is an id alone
		h.Detach(m, []string{"all:empty", "all:late"})
		if all, bare := blocksOf(s); bare != 0 || len(all) != 1 {
			t.Errorf("got %q, want the event alone", all)
		}
		id := s.lastID(t)
		h.Leave(m)
		back, _, finished := arrive(t, h, id, topic.Request{Topics: []string{"all:a"}})
		if all, _ := blocksOf(back); len(all) != 0 || !finished {
			t.Errorf("back: got %q, finished: %v; want to learn that there is no more", all, finished)
		}
		late, _ := connect(t, h, "", topic.FromDefault, "all:a")
		if all, bare := blocksOf(late); bare != 0 || len(all) != 1 {
			t.Errorf("who comes later gets %q, want the event alone", all)
		}
	})
}
