package eventlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// A server comes back with an older folder, as after a power failure. The tail follows the log
// from where the two diverge, however far it has come since.
func TestRewindGoesToWhereTheLogParted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		newOnes int // that others have stored before this node was back
	}{
		{"shorter", 0},
		{"shorter, with new ones", 1},
		{"as long, with new ones", 3},
		{"longer, with new ones", 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, backup := t.TempDir(), t.TempDir()
			s, stop := natstest.Serve(t, dir, 0)
			port := s.Port(t)
			e := openURL(t, s.URL())
			n := runLog(t, e, makeEV(t, e, 1), Options{})
			for i := range 3 {
				n.mustAppend(t, "a", fmt.Sprint("kept", i))
			}
			stop()
			copyDir(t, dir, backup)
			_, stop = natstest.Serve(t, dir, port)
			for i := range 3 {
				n.mustAppend(t, "a", fmt.Sprint("lost", i))
			}
			stop()
			publishTo(t, backup, tt.newOnes)
			natstest.Serve(t, backup, port)
			n.hub.until(t, "a rewind", func(h *fakeHub) bool { return len(h.rewound) > 0 })
			got := n.mustAppend(t, "a", "after")
			if n.hub.rewound[0] != 3 || len(n.hub.rewound) != 1 || n.Stats().Rewinds != 1 {
				t.Errorf("rewound to %v, want 3 once; %+v", n.hub.rewound, n.Stats())
			}
			want := []string{"kept0", "kept1", "kept2"}
			for i := range tt.newOnes {
				want = append(want, fmt.Sprint("new", i))
			}
			want = append(want, "after")
			var has []string
			for _, e := range n.hub.all() {
				has = append(has, e.Data)
			}
			if !slices.Equal(has, want) || got.Seq != uint64(len(want)) {
				t.Errorf("the hub has %q, want %q; %+v was answered", has, want, got)
			}
		})
	}
}

// publishTo stores some events in a server's folder.
func publishTo(t *testing.T, dir string, count int) {
	t.Helper()
	s, stop := natstest.Serve(t, dir, 0)
	defer stop()
	e, err := nats.Open(t.Context(), nats.Options{URLs: []string{s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range count {
		msg := appendEnvelope(nil, topic.Entry{Data: fmt.Sprint("new", i), HasEvent: true}, false)
		if _, err := e.JetStream().Publish(t.Context(), topicSubject(e, "b"), msg); err != nil {
			t.Fatal(err)
		}
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(to, "jetstream"), os.DirFS(filepath.Join(from, "jetstream"))); err != nil {
		t.Fatal(err)
	}
}

func TestALogThatWasMadeAnewIsBegunAnew(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	n.mustAppend(t, "a", "2")
	if err := n.e.JetStream().DeleteStream(t.Context(), n.name); err != nil {
		t.Fatal(err)
	}
	logBecomes(t, "a new stream", func() bool { // its folder may still be on its way out
		_, err := n.e.JetStream().CreateStream(t.Context(), evConfig(n.e, 1))
		return err == nil
	})
	n.hub.until(t, "a new beginning", func(h *fakeHub) bool { return h.begun == 2 })
	got := n.mustAppend(t, "a", "anew")
	if got.Seq != 1 || n.hub.floor != 1 || len(n.hub.rewound) > 0 {
		t.Errorf("begun at %d, rewound to %v, then %+v", n.hub.floor, n.hub.rewound, got)
	}
	if got := n.hub.data("a"); len(got) != 1 || got[0] != "anew" {
		t.Errorf("the hub has %q", got)
	}
}

// After an unclean start of the server's machine the engine draws a generation:
// what other nodes follow may lack events that they have seen.
func TestRewindWhenTheGenerationIsAnother(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	redraw(t, n.e, "abcd2345")
	n.hub.until(t, "a rewind", func(h *fakeHub) bool { return len(h.rewound) > 0 })
	if got := n.hub.generation; n.hub.rewound[0] != 1 || got != "abcd2345" {
		t.Errorf("rewound to %v, generation %q", n.hub.rewound, got)
	}
	if got := n.mustAppend(t, "a", "2"); got.Seq != 2 {
		t.Errorf("then %+v", got)
	}
}

// redraw gives the log another generation, as the engine does.
func redraw(t testing.TB, e *nats.Engine, generation string) {
	t.Helper()
	config := evConfig(e, 1)
	config.Metadata = map[string]string{"tidegate_generation": generation}
	if _, err := e.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}
