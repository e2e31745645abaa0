package membership

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

func TestNodesAskEachOther(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	handler := func(name string) func(context.Context, wire.PeerRequest) wire.PeerAnswer {
		return func(_ context.Context, r wire.PeerRequest) wire.PeerAnswer {
			return wire.PeerAnswer{Status: 503, RetryAfter: "7", Body: []byte(name + " " + r.Method + " " + r.Target + " " + r.ContentType + " " + string(r.Body))}
		}
	}
	a := startTestNode(t, url, Options{}, handler("a"))
	b := startTestNode(t, url, Options{}, handler("b"))
	natstest.Eventually(t, "both see each other", func() bool { return len(a.Others()) == 1 && len(b.Others()) == 1 })
	if others := a.Others(); !slices.Equal(others, []string{b.Node()}) {
		t.Errorf("others of a = %v, want b, which is %s", others, b.Node())
	}
	request := wire.PeerRequest{Method: "POST", Target: "/internal/send?a=b%20c", ContentType: "application/json", Body: []byte("{\"x\":\n1}")}
	for asker, asked := range map[*testNode]*testNode{a: b, b: a} {
		got, err := asker.Ask(t.Context(), asked.Node(), request)
		if err != nil {
			t.Fatal(err)
		}
		name := map[*testNode]string{a: "a", b: "b"}[asked]
		want := wire.PeerAnswer{Status: 503, RetryAfter: "7", Body: []byte(name + " POST /internal/send?a=b%20c application/json {\"x\":\n1}")}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if s := a.Stats(); s.Asked != 1 || s.Answered != 1 || s.Others != 1 {
		t.Errorf("stats = %+v, want one each", s)
	}
}

func TestAskForANodeThatDoesNotExistEndsAtOnce(t *testing.T) {
	t.Parallel()
	a := startTestNode(t, natstest.ServeSmall(t), Options{AskTimeout: 4 * natstest.Patience}, nil)
	for _, node := range []string{"zzzzzzzz", "", "*", ">", "*.ask.>", "a.b.c.de", "ABCDEFGH", "aaaaaaa\n", strings.Repeat("a", 1000)} {
		begun := time.Now()
		if _, err := a.Ask(t.Context(), node, wire.PeerRequest{}); !errors.Is(err, wire.ErrNoNode) {
			t.Errorf("Ask(%q) = %v, want ErrNoNode", node, err)
		}
		if took := time.Since(begun); took > 2*natstest.Patience {
			t.Errorf("Ask(%q) took %v", node, took)
		}
	}
}

func TestAskLooksTwiceForANodeThatShouldBeThere(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	a := startTestNode(t, url, Options{}, nil)
	b := newTestNode(t, url, Options{})
	if _, err := b.bucket.create(t.Context(), leaseKeys+b.Node(), heldByNode); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "a sees b", func() bool { return a.alive(b.Node()) })
	begun := time.Now()
	if _, err := a.Ask(t.Context(), b.Node(), wire.PeerRequest{}); !errors.Is(err, wire.ErrNoNode) {
		t.Errorf("Ask = %v, want ErrNoNode", err)
	}
	if took := time.Since(begun); took < subscribeDelay {
		t.Errorf("it looked once: Ask took %v", took)
	}
}

func TestAskWithoutAnEngineDoesNotSayThatThereIsNoNode(t *testing.T) {
	t.Parallel()
	m := newTestNode(t, natstest.ServeSmall(t), Options{})
	m.e.Close()
	if _, err := m.Ask(t.Context(), "aaaaaaaa", wire.PeerRequest{}); err == nil || errors.Is(err, wire.ErrNoNode) {
		t.Errorf("Ask = %v, want an error that is not ErrNoNode", err)
	}
}

func TestAskIsBoundedInTime(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	a := startTestNode(t, url, quickTimes, nil)
	deaf := startTestNode(t, url, Options{}, func(ctx context.Context, _ wire.PeerRequest) wire.PeerAnswer {
		<-ctx.Done()
		return wire.PeerAnswer{Status: 200}
	})
	if _, err := a.Ask(t.Context(), deaf.Node(), wire.PeerRequest{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask = %v, want DeadlineExceeded", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Ask(ctx, deaf.Node(), wire.PeerRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask = %v, want Canceled", err)
	}
}

func TestAskReportsWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t) // takes 64 KiB
	a := startTestNode(t, url, Options{}, nil)
	b := startTestNode(t, url, Options{}, func(_ context.Context, r wire.PeerRequest) wire.PeerAnswer {
		return wire.PeerAnswer{Status: 200, Body: append(r.Body, r.Body...)}
	})
	for size, want := range map[int]string{70_000: "the request has", 40_000: "its answer has"} {
		_, err := a.Ask(t.Context(), b.Node(), wire.PeerRequest{Body: make([]byte, size)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "max_payload") {
			t.Errorf("Ask with %d bytes = %v, want an error with %q and max_payload", size, err, want)
		}
	}
	// The largest that may be sent is: nothing is refused too early or too late.
	sizes := map[bool]int{}
	for size := 31_000; size < 33_500; size += 7 {
		_, err := a.Ask(t.Context(), b.Node(), wire.PeerRequest{Body: make([]byte, size)})
		sizes[err == nil] = size
		if err != nil && !strings.Contains(err.Error(), "max_payload") {
			t.Fatalf("Ask with %d bytes = %v", size, err)
		}
	}
	if sizes[true] < 32_600 || sizes[false] == 0 {
		t.Errorf("the largest answer had %d bytes, want almost 64 KiB", 2*sizes[true])
	}
}

func TestAskIsRefusedByABusyNode(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	a := startTestNode(t, url, Options{}, nil)
	b := startTestNode(t, url, Options{MaxAsks: 1}, func(context.Context, wire.PeerRequest) wire.PeerAnswer {
		entered <- struct{}{}
		<-release
		return wire.PeerAnswer{Status: 200}
	})
	first := make(chan error, 1)
	go func() { // first waits for it
		_, err := a.Ask(context.Background(), b.Node(), wire.PeerRequest{})
		first <- err
	}()
	<-entered
	got, err := a.Ask(t.Context(), b.Node(), wire.PeerRequest{})
	want := wire.PeerAnswer{Status: 503, RetryAfter: "1", Body: []byte(`{"error":{"message":"The node is being asked too much at once","code":"NODE_BUSY"}}`)}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if s := b.Stats(); s.Refused != 1 {
		t.Errorf("stats = %+v, want 1 refused", s)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first request: %v", err)
	}
}

func TestAskSurvivesAPanicOfTheOther(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	a := startTestNode(t, url, Options{}, nil)
	b := startTestNode(t, url, Options{}, func(context.Context, wire.PeerRequest) wire.PeerAnswer { panic("at work") })
	for range 2 {
		got, err := a.Ask(t.Context(), b.Node(), wire.PeerRequest{})
		if err != nil || got.Status != 500 || !strings.Contains(string(got.Body), "INTERNAL") {
			t.Errorf("Ask = %d %s, %v; want 500 INTERNAL", got.Status, got.Body, err)
		}
	}
}
