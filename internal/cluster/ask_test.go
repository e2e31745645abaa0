package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/wire"
)

func TestNodesAskEachOther(t *testing.T) {
	t.Parallel()
	url := serveMembers(t)
	handler := func(name string) func(context.Context, wire.PeerRequest) wire.PeerAnswer {
		return func(_ context.Context, r wire.PeerRequest) wire.PeerAnswer {
			return wire.PeerAnswer{Status: 503, RetryAfter: "7", Body: []byte(name + " " + r.Method + " " + r.Target + " " + r.ContentType + " " + string(r.Body))}
		}
	}
	a := startMember(t, url, memberOptions{handler: handler("a")})
	b := startMember(t, url, memberOptions{handler: handler("b")})
	awaitThat(t, "both see each other", func() bool { return len(a.nodes.Others()) == 1 && len(b.nodes.Others()) == 1 })
	if others := a.nodes.Others(); !slices.Equal(others, []string{b.nodes.Node()}) {
		t.Errorf("others of a = %v, want b, which is %s", others, b.nodes.Node())
	}
	request := wire.PeerRequest{Method: "POST", Target: "/internal/send?a=b%20c", ContentType: "application/json", Body: []byte("{\"x\":\n1}")}
	for asker, asked := range map[*member]*member{a: b, b: a} {
		got, err := asker.nodes.Ask(t.Context(), asked.nodes.Node(), request)
		if err != nil {
			t.Fatal(err)
		}
		name := map[*member]string{a: "a", b: "b"}[asked]
		want := wire.PeerAnswer{Status: 503, RetryAfter: "7", Body: []byte(name + " POST /internal/send?a=b%20c application/json {\"x\":\n1}")}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if s := a.nodes.Stats(); s.Asked != 1 || s.Answered != 1 || s.Others != 1 {
		t.Errorf("stats = %+v, want one each", s)
	}
}

func TestAskForNobodyEndsAtOnce(t *testing.T) {
	t.Parallel()
	a := startMember(t, serveMembers(t), memberOptions{nodes: NodesOptions{AskTimeout: 4 * testPatience}})
	for _, node := range []string{"zzzzzzzz", "", "*", ">", "*.ask.>", "a.b.c.de", "ABCDEFGH", "aaaaaaa\n", strings.Repeat("a", 1000)} {
		begun := time.Now()
		if _, err := a.nodes.Ask(t.Context(), node, wire.PeerRequest{}); !errors.Is(err, wire.ErrNoNode) {
			t.Errorf("Ask(%q) = %v, want ErrNoNode", node, err)
		}
		if took := time.Since(begun); took > 2*testPatience {
			t.Errorf("Ask(%q) took %v", node, took)
		}
	}
}

func TestAskLooksTwiceForANodeThatShouldBeThere(t *testing.T) {
	t.Parallel()
	url := serveMembers(t)
	a := startMember(t, url, memberOptions{})
	b := newMember(t, memberEngine(t, url), memberOptions{})
	if _, err := b.nodes.bucket.create(t.Context(), leaseKeys+b.nodes.Node(), heldByNode); err != nil {
		t.Fatal(err)
	}
	awaitThat(t, "a sees b", func() bool { return a.nodes.alive(b.nodes.Node()) })
	begun := time.Now()
	if _, err := a.nodes.Ask(t.Context(), b.nodes.Node(), wire.PeerRequest{}); !errors.Is(err, wire.ErrNoNode) {
		t.Errorf("Ask = %v, want ErrNoNode", err)
	}
	if took := time.Since(begun); took < askSpread {
		t.Errorf("it looked once: Ask took %v", took)
	}
}

func TestAskWithoutAnEngineDoesNotSayThatThereIsNoNode(t *testing.T) {
	t.Parallel()
	m := newMember(t, memberEngine(t, serveMembers(t)), memberOptions{})
	m.e.Close()
	if _, err := m.nodes.Ask(t.Context(), "aaaaaaaa", wire.PeerRequest{}); err == nil || errors.Is(err, wire.ErrNoNode) {
		t.Errorf("Ask = %v, want an error that is not ErrNoNode", err)
	}
}

func TestAskIsBoundedInTime(t *testing.T) {
	t.Parallel()
	url := serveMembers(t)
	a := startMember(t, url, memberOptions{nodes: quickNodes})
	deaf := startMember(t, url, memberOptions{handler: func(ctx context.Context, _ wire.PeerRequest) wire.PeerAnswer {
		<-ctx.Done()
		return wire.PeerAnswer{Status: 200}
	}})
	if _, err := a.nodes.Ask(t.Context(), deaf.nodes.Node(), wire.PeerRequest{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask = %v, want DeadlineExceeded", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.nodes.Ask(ctx, deaf.nodes.Node(), wire.PeerRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask = %v, want Canceled", err)
	}
}

func TestAskTellsWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	url := serveMembers(t) // takes 64 KiB
	a := startMember(t, url, memberOptions{})
	b := startMember(t, url, memberOptions{handler: func(_ context.Context, r wire.PeerRequest) wire.PeerAnswer {
		return wire.PeerAnswer{Status: 200, Body: append(r.Body, r.Body...)}
	}})
	for size, want := range map[int]string{70_000: "the request has", 40_000: "its answer has"} {
		_, err := a.nodes.Ask(t.Context(), b.nodes.Node(), wire.PeerRequest{Body: make([]byte, size)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "max_payload") {
			t.Errorf("Ask with %d bytes = %v, want an error with %q and max_payload", size, err, want)
		}
	}
	// The largest that may be sent is: nothing is refused too early or too late.
	sizes := map[bool]int{}
	for size := 31_000; size < 33_500; size += 7 {
		_, err := a.nodes.Ask(t.Context(), b.nodes.Node(), wire.PeerRequest{Body: make([]byte, size)})
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
	url := serveMembers(t)
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	a := startMember(t, url, memberOptions{})
	b := startMember(t, url, memberOptions{nodes: NodesOptions{MaxAsks: 1}, handler: func(context.Context, wire.PeerRequest) wire.PeerAnswer {
		entered <- struct{}{}
		<-release
		return wire.PeerAnswer{Status: 200}
	}})
	first := make(chan error, 1)
	go func() { // first waits for it
		_, err := a.nodes.Ask(context.Background(), b.nodes.Node(), wire.PeerRequest{})
		first <- err
	}()
	<-entered
	got, err := a.nodes.Ask(t.Context(), b.nodes.Node(), wire.PeerRequest{})
	want := wire.PeerAnswer{Status: 503, RetryAfter: "1", Body: []byte(`{"error":{"message":"The node is being asked too much at once","code":"NODE_BUSY"}}`)}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if s := b.nodes.Stats(); s.Refused != 1 {
		t.Errorf("stats = %+v, want 1 refused", s)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first request: %v", err)
	}
}

func TestAskSurvivesAPanicOfTheOther(t *testing.T) {
	t.Parallel()
	url := serveMembers(t)
	a := startMember(t, url, memberOptions{})
	b := startMember(t, url, memberOptions{handler: func(context.Context, wire.PeerRequest) wire.PeerAnswer { panic("at work") }})
	for range 2 {
		got, err := a.nodes.Ask(t.Context(), b.nodes.Node(), wire.PeerRequest{})
		if err != nil || got.Status != 500 || !strings.Contains(string(got.Body), "INTERNAL") {
			t.Errorf("Ask = %d %s, %v; want 500 INTERNAL", got.Status, got.Body, err)
		}
	}
}
