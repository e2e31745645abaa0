package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestTransportsShowTheSame: whoever writes a stream, a client cannot tell it
// from what it gets, nor the backend from what it receives.
func TestTransportsShowTheSame(t *testing.T) {
	t.Parallel()
	onAllCarriers(t, func(t *testing.T, c carrier) map[string]string {
		s := newSite(t, c, "--heartbeat", "1h", "--max-body", "4MiB", "--drain-time", "300ms",
			"--namespace", "short=events:3,replay:all", "--namespace", "big=bytes:64MiB,replay:all")
		s.fillBigLog()
		return s.play(slices.Concat(eventScenes, topicScenes, leaveScenes, manyScenes), stop)
	})
}

// TestTransportsKeepTime does the same for what the clock does.
func TestTransportsKeepTime(t *testing.T) {
	t.Parallel()
	onAllCarriers(t, func(t *testing.T, c carrier) map[string]string {
		s := newSite(t, c, "--heartbeat", beat.String(), "--retry", "1s",
			"--write-timeout", writeTimeout.String(), "--callback-timeout", "2s", "--max-body", "4MiB",
			"--namespace", "big=bytes:64MiB,replay:all")
		s.fillBigLog()
		return s.play(timeScenes)
	})
}

// TestTransportsEndByAge is apart, as no other stream is to end so.
func TestTransportsEndByAge(t *testing.T) {
	t.Parallel()
	onAllCarriers(t, func(t *testing.T, c carrier) map[string]string {
		return newSite(t, c, "--max-age", greatestAge.String()).play(ageScenes)
	})
}

// onAllCarriers plays on each, and compares them with the first that had the
// same to play.
func onAllCarriers(t *testing.T, play func(t *testing.T, c carrier) map[string]string) {
	all := make([]map[string]string, len(carriers))
	t.Run("on", func(t *testing.T) { // ends when all have
		for i, c := range carriers {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				all[i] = play(t, c)
			})
		}
	})
	if t.Failed() {
		return // the records say where already
	}
	first := map[string]string{}
	for i, records := range all {
		for name, got := range records {
			want, ok := first[name]
			if !ok {
				first[name] = got
				continue
			}
			wantSame(t, carriers[i].name+": "+name, got, want)
		}
	}
}

// bigLog is how many MiB are more than all buffers between two ends take.
const bigLog = 8

// fillBigLog publishes them.
func (s *site) fillBigLog() {
	s.Helper()
	begin := time.Now()
	for range bigLog {
		s.api.mustSend(fmt.Sprintf(`{"topic":"big:log","event":{"data":%q}}`, megabyte))
	}
	s.Logf("%d MiB published in %s", bigLog, time.Since(begin))
}
