package task

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestATaskThatIsBegunAsTheServiceStopsIsNotLeftBehind has the service stop while the
// store is about to answer that a task is begun. The record must not say that it runs,
// and no attempt be used up.
func TestATaskThatIsBegunAsTheServiceStopsIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attempts int
		stored   bool // the write
		lost     bool // its answer
		want     State
		log      []string
	}{
		"once":                 {1, true, false, Cancelled, []string{":started", ":end", ":close"}},
		"twice":                {2, true, false, Pending, []string{":started"}},
		"answer lost":          {1, true, true, Cancelled, []string{":started", ":end", ":close"}},
		"answer lost of twice": {2, true, true, Pending, []string{":started"}},
		"write lost":           {1, false, true, Pending, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				typ := lasting(time.Hour)
				typ.MaxAttempts = c.attempts
				b := serveLeasing(t, nil, typ)
				first := true
				b.store.on = func(ctx context.Context, rec Record) error {
					if rec.State != Running || !first {
						return nil
					}
					first = false
					if !c.lost {
						return sleepOr(ctx, time.Second)
					}
					if c.stored {
						if _, err := b.store.memory.Update(ctx, rec); err != nil {
							return err
						}
					}
					_ = sleepOr(ctx, time.Second)
					return ErrUnavailable
				}
				id := b.start(t, "lasting")
				synctest.Wait()
				b.stop()
				rec, err := b.store.Load(t.Context(), id)
				if err != nil || rec.State != c.want || rec.State == Pending && (rec.Attempt != 0 || rec.Worker != "") {
					t.Errorf("record is %s, attempt %d, worker %q, %v; want %s", rec.State, rec.Attempt, rec.Worker, err, c.want)
				}
				if got := b.log.all(); !slices.Equal(got, c.log) {
					t.Errorf("log has %q, want %q", got, c.log)
				}
				if done := b.store.counted(&b.store.returns) + b.store.counted(&b.store.ended); done != 1 {
					t.Errorf("lease was acknowledged or released %d times, want once", done)
				}
			})
		})
	}
}

// sleepOr waits for d; if ctx ends first it is ErrUnavailable.
func sleepOr(ctx context.Context, d time.Duration) error {
	if !sleep(ctx, d) {
		return ErrUnavailable
	}
	return nil
}

func TestDrainLetsATaskFinishThatIsAboutToBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Minute))
		b.store.on = func(ctx context.Context, rec Record) error { return sleepOr(ctx, time.Second) }
		id := b.start(t, "lasting")
		synctest.Wait()
		b.Drain(t.Context())
		b.wantState(t, id, Completed)
	})
}

// TestATaskOfWhoseBeginNobodyKnowsIsNotGivenBack has the store lose its answer to the
// write that begins a task, and go away for long.
func TestATaskOfWhoseBeginNobodyKnowsIsNotGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serveLeasing(t, nil, lasting(time.Minute))
		first := true
		b.store.on = func(ctx context.Context, rec Record) error {
			if rec.State != Running || !first {
				return nil
			}
			first = false
			if _, err := b.store.memory.Update(ctx, rec); err != nil {
				return err
			}
			b.store.awayUntil(time.Now().Add(time.Hour))
			return ErrUnavailable
		}
		id := b.start(t, "lasting")
		time.Sleep(time.Hour + 2*time.Minute)
		b.wantState(t, id, Completed)
		if n := b.store.counted(&b.store.returns); n != 0 {
			t.Errorf("task was given back %d times: another would have taken it for lost", n)
		}
	})
}
