package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

func TestADiskThatIsNearlyFullTakesNothingUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(50 << 20)
	e := openWith(t, Options{Dir: t.TempDir(), MinFree: 10 << 20, Needs: NeedLog,
		space: func(string) (space, error) { return space{free: free.Load(), total: 100 << 20}, nil }})
	for _, step := range []struct {
		mib  int64
		full bool
	}{{50, false}, {10, false}, {9, true}, {11, true}, {12, true}, {13, false}, {10, false}, {0, true}, {100, false}} {
		free.Store(step.mib << 20)
		e.check(t.Context())
		err := e.Writable()
		if full := errors.Is(err, ErrDiskFull); full != step.full || full != (len(e.Health()) > 0) {
			t.Errorf("%d MiB free: %v, %q; want full: %v", step.mib, err, e.Health(), step.full)
		}
	}
	if got := wire.ErrorOf(ErrDiskFull); got.Status != 503 || got.Code != "ENGINE_FULL" || got.RetryAfter <= 0 {
		t.Errorf("error %+v", got)
	}
}

func TestTheBoundOfFreeSpaceFitsTheDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ minFree, total, want int64 }{
		{0, 1 << 40, 64 << 20}, {0, 100 << 20, 5 << 20}, {7, 1 << 40, 7},
	} {
		g := guard{minFree: c.minFree}
		if got := g.bound(c.total); got != c.want {
			t.Errorf("bound of %d, configured %d: %d, want %d", c.total, c.minFree, got, c.want)
		}
	}
	if got, err := spaceOf(t.TempDir()); err != nil || got.free <= 0 || got.total < got.free {
		t.Errorf("space %+v, %v", got, err)
	}
}

func TestASpaceThatCannotBeKnownRefusesNothing(t *testing.T) {
	t.Parallel()
	broken := false
	e := openWith(t, Options{Dir: t.TempDir(), space: func(string) (space, error) {
		if broken {
			return space{}, os.ErrPermission
		}
		return space{}, nil
	}})
	broken = true
	e.check(t.Context())
	if err := e.Writable(); err != nil {
		t.Errorf("Writable = %v", err)
	}
}

// TestWritesThatHaveFailedAreMended fills a small disk to the last byte behind the
// guard's back. The server takes no more writes then, whatever is freed. Without
// the right to mount one, the server gets the error of a full disk.
func TestWritesThatHaveFailedAreMended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mounted := mountSmall(t, dir, 8)
	var look atomic.Bool // whether the guard sees
	e := openWith(t, Options{Dir: dir, Needs: NeedLog, EventsBytes: 64 << 20, MinFree: 1 << 20, space: func(dir string) (space, error) {
		if s, err := spaceOf(dir); look.Load() || err != nil {
			return s, err
		}
		return space{free: 1 << 40, total: 1 << 40}, nil
	}})
	publish := func(size int) error {
		ctx, cancel := context.WithTimeout(t.Context(), answerWait)
		defer cancel()
		_, err := e.js.Publish(ctx, e.Subject("ev.a"), make([]byte, size))
		return err
	}
	acked := uint64(0)
	if mounted {
		for ; publish(100<<10) == nil; acked++ {
			if acked > 100 {
				t.Fatal("the disk does not get full")
			}
		}
	} else {
		if err := publish(1); err != nil {
			t.Fatal(err)
		}
		acked++
		if err := e.embedded.current().ShutdownJetStream(); err != nil {
			t.Fatal(err)
		}
	}
	look.Store(true)
	server := e.embedded.current()
	if mounted {
		e.check(t.Context())
		if err := e.Writable(); !errors.Is(err, ErrDiskFull) || e.embedded.current() != server {
			t.Errorf("on a full disk: %v, restarted: %v", err, e.embedded.current() != server)
		}
		// Somebody makes the disk larger: what was acknowledged is there.
		resize(t, dir, 32)
		if publish(1) == nil {
			t.Error("the server has mended itself: what is restarted for?")
		}
	}
	e.check(t.Context())
	if e.embedded.current() == server {
		t.Errorf("the server was not restarted: %q", e.Health())
	}
	natstest.Eventually(t, "a message is published again", func() bool { return publish(1) == nil })
	e.check(t.Context())
	if err := e.Writable(); err != nil || len(e.Health()) > 0 {
		t.Errorf("after that: %v, %q", err, e.Health())
	}
	s, err := e.EventStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got < acked+1 {
		t.Errorf("%d messages, %d were acknowledged", got, acked+1)
	}
}

func TestAServerThatCannotBeMendedIsNotRestartedAllTheTime(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	restarts := 0
	for range 5 {
		before := e.embedded.current()
		if err := before.ShutdownJetStream(); err != nil {
			t.Fatal(err)
		}
		e.check(t.Context())
		if e.embedded.current() != before {
			restarts++
			continue
		}
		if err := e.Writable(); !errors.Is(err, errUnavailable) || len(e.Health()) == 0 {
			t.Errorf("Writable = %v, health %q", err, e.Health())
		}
		break
	}
	if restarts != 1 {
		t.Errorf("%d restarts in a row, want one", restarts)
	}
}

func TestErrorsOfNATSBecomeOurs(t *testing.T) {
	t.Parallel()
	ours := wire.Errorf(404, wire.CodeNotFound, "x")
	for _, c := range []struct {
		err  error
		want *wire.Error
	}{
		{nil, nil},
		{natsgo.ErrTimeout, errUnavailable},
		{fmt.Errorf("publish: %w", context.DeadlineExceeded), errUnavailable},
		{fmt.Errorf("publish: %w", ours), ours},
		{fmt.Errorf("publish: %w", &jetstream.APIError{ErrorCode: 10077, Description: "maximum bytes exceeded"}), ErrStreamFull},
		{&jetstream.APIError{ErrorCode: 10071}, errUnavailable},
	} {
		if got := Unavailable(c.err); got != c.want {
			t.Errorf("Unavailable(%v) = %v, want %v", c.err, got, c.want)
		}
	}
	if errUnavailable.Code != "ENGINE_UNAVAILABLE" || errUnavailable.Status != 503 || errUnavailable.RetryAfter <= 0 {
		t.Errorf("error %+v", errUnavailable)
	}
}

func TestAFullStreamSaysSo(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), SessionsBytes: 1 << 20, Needs: NeedSessions})
	for range 100 {
		_, err := e.js.Publish(t.Context(), e.Subject("st."+RandomName()), make([]byte, 100<<10))
		if err != nil {
			if got := Unavailable(err); got != ErrStreamFull {
				t.Errorf("%v becomes %v", err, got)
			}
			return
		}
	}
	t.Error("the stream does not get full")
}

func TestStatusReportsWhatThereIs(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), Needs: NeedLog})
	empty := e.Status(natstest.Within(t))
	if len(empty.Streams) != 1 {
		t.Errorf("status %+v", empty)
	}
	if _, err := e.js.Publish(t.Context(), e.Subject("ev.a"), []byte("data")); err != nil {
		t.Fatal(err)
	}
	got := e.Status(natstest.Within(t))
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"mode":"embedded"`, `"durability":"process"`, `"generation":"` + e.Generation(), `"health":[]`,
		`{"name":"TIDEGATE_EV","messages":1,`, `"last":1,"replicas":1,`, `"disk":{"free":`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
