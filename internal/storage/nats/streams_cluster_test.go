package nats

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
)

func TestAClusterOfThreeKeepsThreeCopies(t *testing.T) {
	t.Parallel()
	c := natstest.StartCluster(t, 3)
	e := together(t, c.URLs(), 3)[0]
	for _, d := range e.definitions(allNeeds) {
		s, err := e.js.Stream(natstest.Within(t), d.config.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().Config; got.Replicas != 3 || got.AllowDirect {
			t.Errorf("%s: %d replicas, direct reads %v", got.Name, got.Replicas, got.AllowDirect)
		}
	}
	c.Stop(0)
	for _, prefix := range []string{"tidegate", "later"} { // those that are there, and new ones
		s, err := openWith(t, Options{URLs: c.URLs(), Prefix: prefix}).EventStream(natstest.Within(t))
		if err != nil || s.CachedInfo().Config.Replicas != 3 {
			t.Errorf("%s with one server away: %+v, %v; want 3 replicas", prefix, s, err)
		}
	}
}

func TestCopiesAreAddedButNotTakenAwayUnlessThatIsConfigured(t *testing.T) {
	t.Parallel()
	c := natstest.StartCluster(t, 3)
	generation := ""
	for _, step := range []struct {
		configured, want int
		log              string
	}{
		{1, 1, "stream made"},
		{0, 3, "what=num_replicas from=1 to=3"},
		{0, 3, ""},
		{1, 1, "what=num_replicas from=3 to=1"},
	} {
		var log natstest.Lines
		e := openWith(t, Options{URLs: c.URLs(), Replicas: step.configured, Log: log.Logger(slog.LevelInfo)})
		s, err := e.EventStream(natstest.Within(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().Config; got.Replicas != step.want || got.AllowDirect != (step.want == 1) {
			t.Errorf("%d configured: %d replicas, direct reads %v; want %d", step.configured, got.Replicas, got.AllowDirect, step.want)
		}
		if !strings.Contains(log.String(), step.log) {
			t.Errorf("no %q in %s", step.log, log.String())
		}
		if generation = cmp.Or(generation, e.Generation()); e.Generation() != generation {
			t.Errorf("generation %q, before %q", e.Generation(), generation)
		}
	}
}

// TestFewerCopiesAreNotMadeBecauseAServerIsAway for a moment: a stream made with
// one copy then would keep one.
func TestFewerCopiesAreNotMadeBecauseAServerIsAway(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	for description, tooFew := range map[string]bool{
		"no suitable peers for placement":               true,
		"no suitable peers for placement, peer offline": false,
	} {
		err := fmt.Errorf("make: %w", &jetstream.APIError{ErrorCode: codeNoPeers, Description: description})
		if got := isTooFew(err); got != tooFew {
			t.Errorf("%q: too few servers at all: %v", description, got)
		}
		if !e.isTemporary(err) || !strings.Contains(e.explain(err).Error(), "--nats-replicas") {
			t.Errorf("%q: %v, may pass: %v", description, e.explain(err), e.isTemporary(err))
		}
	}
	if isTooFew(context.DeadlineExceeded) || isTooFew(nil) {
		t.Error("other errors count as too few servers")
	}
}

func TestAClusterOfTwoKeepsOneCopyUnlessAskedForMore(t *testing.T) {
	t.Parallel()
	c := natstest.StartCluster(t, 2)
	e := openWith(t, Options{URLs: c.URLs(), Needs: NeedLog})
	if s, err := e.EventStream(natstest.Within(t)); err != nil || s.CachedInfo().Config.Replicas != 1 || !s.CachedInfo().Config.AllowDirect {
		t.Errorf("stream %+v, %v", s, err)
	}
	for wait := 2 * time.Second; ; wait *= 2 { // it tries until its time is over
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := Open(ctx, Options{URLs: c.URLs(), Needs: NeedLog, Replicas: 3})
		cancel()
		if err != nil && strings.Contains(err.Error(), "--nats-replicas") {
			return
		}
		if err == nil || wait > natstest.Patience {
			t.Fatalf("error %v, want one that names --nats-replicas", err)
		}
	}
}
