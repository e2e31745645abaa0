package task

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestALeaseIsKeptWhileTheEndOfItsTaskCannotBeStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Second))
		until := time.Now().Add(10 * time.Minute)
		b.store.on = func(_ context.Context, rec Record) error {
			if rec.State.Final() && time.Now().Before(until) {
				time.Sleep(5 * time.Second) // as a store does that is away
				return ErrUnavailable
			}
			return nil
		}
		id := b.start(t, "lasting")
		time.Sleep(10*time.Minute - time.Nanosecond)
		b.wantState(t, id, Running)
		if got, want := b.store.counted(&b.store.keeps), int(10*time.Minute/(leaseTTL/3)); got < want-1 {
			t.Errorf("lease was renewed %d times in 10 minutes, want %d", got, want)
		}
		time.Sleep(time.Minute)
		b.wantState(t, id, Completed)
	})
}

// cancelWhileLeased cancels a pending task, and has it leased to the same service before
// the store answers, with an error. stored says that it is cancelled nevertheless.
func cancelWhileLeased(t *testing.T, b *leasingService, stored bool) (id string) {
	t.Helper()
	b.start(t, "lasting")
	synctest.Wait()
	id = b.start(t, "lasting")
	b.store.on = func(ctx context.Context, rec Record) error {
		if rec.State != Cancelled {
			return nil
		}
		if stored {
			if _, err := b.store.memory.Update(ctx, rec); err != nil {
				return err
			}
			b.store.requeue(id) // it left the queue with that, other than in a durable store
		}
		time.Sleep(time.Hour) // until the slot is free, and longer
		return ErrUnavailable
	}
	if err := b.Cancel(t.Context(), id); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Cancel() = %v, want ErrUnavailable", err)
	}
	return id
}

func TestATaskThatIsLeasedWhileItsCancellationFailsIsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Minute))
		id := cancelWhileLeased(t, b, false)
		time.Sleep(2 * time.Minute)
		b.wantState(t, id, Completed)
		b.wantNoLease(t)
	})
}

func TestATaskThatIsCancelledWithoutAnAnswerHasItsLastEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Minute))
		id := cancelWhileLeased(t, b, true)
		time.Sleep(2 * time.Minute)
		b.wantState(t, id, Cancelled)
		if want := []string{":started", ":end", ":close", ":end", ":close"}; !slices.Equal(b.log.all(), want) {
			t.Errorf("logs have %q, want %q", b.log.all(), want)
		}
		b.wantNoLease(t)
	})
}

func TestACallerThatIsGoneLeavesNoTaskBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Hour))
		b.store.on = func(ctx context.Context, _ Record) error {
			if ctx.Err() != nil {
				return ErrUnavailable
			}
			return nil
		}
		b.start(t, "lasting")
		synctest.Wait()
		gone, leave := context.WithCancel(t.Context())
		leave()
		for range 50 {
			if err := b.Cancel(gone, b.start(t, "lasting")); err == nil {
				t.Error("Cancel() of a caller that is gone has an effect")
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.jobs); n != 1 {
			t.Errorf("service is at work on %d tasks, want the one that runs", n)
		}
	})
}

func TestTheLeaseOfATaskThatIsDeletedIsAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &keylessLog{until: time.Now().Add(time.Minute)} // it does not answer before
		b := serveLeasing(t, p, lasting(time.Second))
		id := b.start(t, "lasting")
		time.Sleep(10 * time.Second)
		b.wantState(t, id, Completed)
		if err := b.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := b.store.counted(&b.store.ended); n != 1 {
			t.Errorf("lease was acknowledged %d times, want once", n)
		}
		b.wantNoLease(t)
	})
}

func TestTheContextOfADeletedTaskEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := make(chan error, 1)
		b := serveLeasing(t, nil, Type{Name: "waits", Run: func(ctx context.Context, _ *Run) (any, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, nil
		}})
		id := b.start(t, "waits")
		synctest.Wait()
		rec, err := b.store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.Remove(t.Context(), rec); err != nil { // the service would not
			t.Fatal(err)
		}
		synctest.Wait()
		if err := <-cause; !errors.Is(err, ErrLost) {
			t.Errorf("cause of the function's end is %v, want ErrLost", err)
		}
		if !b.idle() || b.freeSlots() != 1 {
			t.Error("the service takes it for a task that runs")
		}
		b.wantNoLease(t)
	})
}
