package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newTestBackend() *backend {
	return &backend{news: make(chan struct{}, 1), tokens: make(map[int]string), ids: make(map[string]int)}
}

func leaving(token, reason, detail string) callback {
	return callback{Action: "disconnect", Token: token, Reason: reason, Detail: detail}
}

func TestBackendForgetsThoseWhoLeft(t *testing.T) {
	t.Parallel()
	b := newTestBackend()
	for id := range 100_000 {
		token := fmt.Sprint("token", id)
		b.enter(id, token)
		b.leave(leaving(token, "client_closed", ""))
	}
	if len(b.ids) != 0 || len(b.tokens) != 0 || b.left != 100_000 {
		t.Errorf("%d tokens and %d ids are kept, %d have left", len(b.tokens), len(b.ids), b.left)
	}
	if wrong := b.wrong(); len(wrong) != 0 {
		t.Errorf("faults %q", wrong)
	}
}

// A client that comes back under its id may do so before its old stream is
// reported to have left.
func TestBackendKeepsTheNewestTokenOfAStream(t *testing.T) {
	t.Parallel()
	b := newTestBackend()
	b.enter(0, "old")
	b.enter(0, "new")
	b.leave(leaving("old", "client_closed", ""))
	if got, err := b.tokensOf(1); err != nil || !cmp.Equal(got, []string{"new"}) {
		t.Errorf("tokens %q, %v", got, err)
	}
	if _, err := b.tokensOf(2); err == nil || !strings.Contains(err.Error(), "--callback-listen") {
		t.Errorf("tokens of a stream that was not announced: error %v", err)
	}
}

func TestBackendSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newTestBackend()
	b.enter(0, "a")
	b.enter(1, "a")
	b.leave(leaving("a", "client_closed", ""))
	b.leave(leaving("a", "client_closed", ""))
	b.leave(leaving("unknown", "client_closed", ""))
	want := []string{"a token was announced twice", "a disconnect came twice, or without its connect", "a disconnect came twice, or without its connect"}
	if diff := cmp.Diff(want, b.wrong()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestBackendCountsSlowEndsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestBackend()
		for id, token := range []string{"a", "b", "c", "d"} {
			b.enter(id, token)
		}
		go func() { // the bubble waits for it
			time.Sleep(time.Second)
			b.leave(leaving("a", reasonFailed, detailSlow))
			time.Sleep(time.Second)
			b.leave(leaving("b", reasonFailed, "write_failed"))
			b.leave(leaving("c", reasonFailed, detailSlow))
		}()
		begin := time.Now()
		slow, others := b.waitSlow(t.Context(), 2, 1500*time.Millisecond)
		if took := time.Since(begin); slow != 2 || others != 1 || took != 2*time.Second {
			t.Errorf("%d slow, %d others after %v; want 2 and 1 after 2s", slow, others, took)
		}
		// d never leaves: patience counts from the last that did.
		b.waitLeft(t.Context(), 1500*time.Millisecond)
		if wrong := b.wrong(); len(wrong) != 1 || !strings.Contains(wrong[0], "1 clients left") {
			t.Errorf("faults %q, want that one is missing", wrong)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.waitLeft(ctx, time.Hour) // returns
		if len(b.wrong()) != 1 {
			t.Error("an end that was asked for is a fault")
		}
	})
}
