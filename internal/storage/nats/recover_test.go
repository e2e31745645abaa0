package nats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
)

// TestX14AServerThatLacksSomethingIsNotUsed: one that could not read a part of its
// files goes on without it. It is started again until it has all.
func TestX14AServerThatLacksSomethingIsNotUsed(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), Needs: NeedLog | NeedTasks})
	if _, err := e.js.CreateConsumer(t.Context(), "TIDEGATE_TASKQ", jetstream.ConsumerConfig{Durable: "q-x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.js.Publish(t.Context(), e.Subject("ev.a"), []byte("kept")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"TIDEGATE_EV", "TIDEGATE_TASKQ/obs/q-x"} {
		meta := filepath.Join(e.embedded.streamsDir(), path, "meta.inf")
		e.embedded.startStop.Lock()
		e.embedded.stopLocked()
		e.embedded.startStop.Unlock()
		if err := errors.Join(os.Rename(meta, meta+".away"), os.Mkdir(meta, 0o700)); err != nil {
			t.Fatal(err)
		}
		e.state.pause = 0
		e.check(t.Context())
		if err := e.Writable(); !errors.Is(err, errUnavailable) || e.embedded.current() != nil {
			t.Errorf("without %s: Writable = %v, server %v", path, err, e.embedded.current())
		}
		e.check(t.Context())
		if reasons := strings.Join(e.Health(), "; "); !strings.Contains(reasons, "NATS in this process does not run: start") {
			t.Errorf("without %s: reasons %q", path, reasons)
		}
		if err := errors.Join(os.Remove(meta), os.Rename(meta+".away", meta)); err != nil {
			t.Fatal(err)
		}
		e.state.pause = 0
		e.check(t.Context())
		natstest.Eventually(t, "all is well when it can be read again", func() bool {
			e.check(t.Context())
			return e.Writable() == nil && len(e.Health()) == 0
		})
	}
	s, err := e.EventStream(natstest.Within(t))
	if err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Errorf("log %+v, %v; want the event", s, err)
	}
	if _, err := e.js.Consumer(natstest.Within(t), "TIDEGATE_TASKQ", "q-x"); err != nil {
		t.Error(err)
	}
}

// TestX39ARestartWaitsForNothingButDescriptors: attempts that were made without them
// had the next one wait for up to half a minute, also when they were back.
func TestX39ARestartWaitsForNothingButDescriptors(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	for _, short := range []bool{false, true} {
		e.embedded.startStop.Lock()
		e.embedded.stopLocked()
		e.embedded.startStop.Unlock()
		e.state.pause, e.state.restarted, e.state.short = time.Hour, time.Now(), short
		e.check(t.Context())
		if restarted := e.embedded.current() != nil; restarted != short {
			t.Errorf("descriptors were short: %v; restarted: %v", short, restarted)
		}
	}
}
