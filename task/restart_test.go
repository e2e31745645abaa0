package task

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// begunBefore puts a task in the store that was begun a while ago, and is pending
// again. Whether its process published anything nobody knows.
func (b *leasingService) begunBefore(t *testing.T, ago time.Duration) (id string) {
	t.Helper()
	rec, err := b.store.Submit(t.Context(), Record{
		ID: newID(), Type: "lasting", State: Pending, Run: 1, Attempt: 1, MaxAttempts: 2,
		Created: now().Add(-ago), Started: now().Add(-ago),
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec.ID
}

func (b *leasingService) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if got := b.log.all(); !slices.Equal(got, want) {
		t.Errorf("log has %q, want %q", got, want)
	}
}

func TestATaskThatIsBegunAgainHasItsFirstEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Second))
		b.begunBefore(t, time.Minute)
		time.Sleep(time.Minute)
		b.wantLog(t, ":started", ":2:1", ":end", ":close")
	})
}

func TestATaskThatIsCancelledBetweenItsAttemptsHasItsFirstEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, Type{Name: "waits", Run: func(ctx context.Context, _ *Run) (any, error) {
			<-ctx.Done()
			return nil, nil
		}}, lasting(time.Second))
		b.start(t, "waits")
		synctest.Wait()
		id := b.begunBefore(t, time.Minute)
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantLog(t, ":started", ":started", ":end", ":close")
	})
}

// closed is a Publisher that takes nothing until a time.
type closed struct {
	*written
	until time.Time
}

func (c *closed) Publish(ctx context.Context, id string, events []Event) error {
	if time.Now().Before(c.until) {
		return errors.New("closed")
	}
	return c.written.Publish(ctx, id, events)
}

func TestTheFirstEventIsNotRepeatedWhenItsKeyMayBeDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ago, away time.Duration }{
		"begun long ago":     {keyLife + time.Second, 0},
		"published too late": {time.Second, keyLife},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &written{}
				b := serveLeasing(t, &closed{log, time.Now().Add(c.away)}, lasting(time.Second))
				b.log = log
				b.begunBefore(t, c.ago)
				time.Sleep(time.Hour)
				b.wantLog(t, ":2:1", ":end", ":close")
			})
		})
	}
}
