package eventlog

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
)

// TestWhatWasDroppedForWantOfRoomIsKnownAfterARestart: the store was full, was made
// larger, and the gateway is a new one.
func TestWhatWasDroppedForWantOfRoomIsKnownAfterARestart(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	config := evConfig(e, 1)
	config.MaxBytes, config.Metadata = 256<<10, map[string]string{"kept": "as it is"}
	ev, err := e.JetStream().CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	n := runHub(t, e, ev, Options{})
	n.publish(t, "a", "dropped before its time")
	_, id := n.connect(t, "", "b").got(t) // of before
	n.publish(t, "a", "as well")
	for range 40 {
		n.publish(t, "large", strings.Repeat("x", 10<<10))
	}
	metadata := func() map[string]string {
		info, err := ev.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Config.Metadata
	}
	logBecomes(t, "noted", func() bool { return metadata()[discardedKey] != "" })
	n.stop()
	if config.Metadata = metadata(); config.Metadata["kept"] != "as it is" {
		t.Errorf("the stream's metadata are %v", config.Metadata)
	}
	config.MaxBytes = 64 << 20
	if ev, err = e.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}

	n = runHub(t, e, ev, Options{})
	first := ev.CachedInfo().State.FirstSeq
	if got := n.Discarded(); got != first || got < 3 {
		t.Errorf("dropped for want of room below %d, want %d", got, first)
	}
	if got, _ := n.connect(t, id, "a").got(t); got != "reset" {
		t.Errorf("a client of before at a topic of which nothing is left was given %q, want a reset", got)
	}
	_, id = n.connect(t, "", "b").got(t)
	if got, _ := n.connect(t, id, "a").got(t); got != "" {
		t.Errorf("a client of afterwards was given %q, want nothing", got)
	}
	logBecomes(t, "noted where the first event is", func() bool { return metadata()[discardedKey] == strconv.FormatUint(first, 10) })
}

func TestWhatIsNotedOfAFullStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what                      string
		bytes, first, last, noted uint64
		note, discarded           uint64 // 0: as it is
	}{
		{"room", 10, 50, 100, 0, 0, 0},
		{"full for the first time", 95, 50, 100, 0, 100, 50},
		{"full, and what is noted is far away", 95, 60, 110, 100, 0, 60},
		{"full, and what is noted is near", 95, 90, 140, 100, 140, 90},
		{"room again, but not much", 85, 90, 140, 140, 0, 90},
		{"room again", 70, 91, 140, 140, 91, 91},
		{"room for long", 70, 120, 160, 91, 0, 91},
		{"full again", 95, 130, 200, 91, 200, 130},
	} {
		info := &jetstream.StreamInfo{
			State: jetstream.StreamState{Bytes: tt.bytes, FirstSeq: tt.first, LastSeq: tt.last},
			Config: jetstream.StreamConfig{
				MaxBytes: 100, Metadata: map[string]string{discardedKey: strconv.FormatUint(tt.noted, 10)},
			},
		}
		note, other := toNote(info)
		if other != (tt.note > 0) || other && note != tt.note {
			t.Errorf("%s: noted is %d, %v, want %d", tt.what, note, other, tt.note)
		}
		if got := discardedOf(info); got != tt.discarded {
			t.Errorf("%s: dropped below %d, want %d", tt.what, got, tt.discarded)
		}
	}
}
