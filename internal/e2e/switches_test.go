package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestSwitchesChangeNothing turns each departure from the usual way of the runtime and of
// net/http off: what clients and the backend see stays the same. Parking is compared by
// TestTransportsShowTheSame.
func TestSwitchesChangeNothing(t *testing.T) {
	for _, c := range []struct {
		carrier
		off []string
	}{
		{carriers[0], []string{"--no-express"}},
		{carriers[0], []string{"--no-pacing"}},
		{carriers[0], []string{"--no-memory-tuning"}},
		{carriers[1], []string{"--no-express", "--no-pacing", "--no-memory-tuning"}},
	} {
		t.Run(c.name+strings.Join(c.off, ""), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.carrier, append(c.off, "--heartbeat", "1h", "--max-body", "4MiB", "--drain-time", "300ms",
				"--namespace", "short=events:3,replay:all", "--namespace", "big=bytes:64MiB,replay:all")...)
			s.fillBigLog()
			s.play(slices.Concat(eventScenes, topicScenes))
			tuned := s.api.metric("go_gc_gogc_percent") != "100" // after the first collection
			if off := slices.Contains(c.off, "--no-memory-tuning"); tuned == off {
				t.Errorf("%q: garbage collection is tuned: %v", c.off, tuned)
			}
			s.play(nil, stop)
		})
	}
}
