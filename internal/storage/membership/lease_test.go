package membership

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/storage/natstest"
)

// clockwork is a store of one lease that fails by the clock.
type clockwork struct {
	born    time.Time
	fails   func(age time.Duration) error // nil: never. errSilent is no answer at all
	renewed []time.Duration               // ages at which it was
}

var errSilent = errors.New("no answer")

func (c *clockwork) create(ctx context.Context, key, value string) (uint64, error) {
	return c.renew(ctx, key, value, 0)
}

func (c *clockwork) renew(ctx context.Context, _, _ string, revision uint64) (uint64, error) {
	age := time.Since(c.born)
	if c.fails != nil {
		switch err := c.fails(age); {
		case errors.Is(err, errSilent):
			<-ctx.Done()
			return 0, ctx.Err()
		case err != nil:
			return 0, err
		}
	}
	c.renewed = append(c.renewed, age)
	return revision + 1, nil
}

// failingBetween fails with err from one age to another.
func failingBetween(from, to time.Duration, err error) func(time.Duration) error {
	return func(age time.Duration) error {
		if from <= age && age < to {
			return err
		}
		return nil
	}
}

var usualTimes = leaseTimes{every: 3 * time.Second, patience: 15 * time.Second, attempt: 3 * time.Second}

// acquired is a lease that has just been acquired.
func acquired(t *testing.T, times leaseTimes) (*lease, *clockwork) {
	t.Helper()
	store := &clockwork{born: time.Now()}
	l := &lease{store: store, times: times}
	if err := l.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, store
}

func TestLeaseIsRenewedUntilItsHolderEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, store := acquired(t, usualTimes)
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		if err := l.keep(ctx); err != nil {
			t.Fatalf("keep = %v at the end of its context, want nil", err)
		}
		if len(store.renewed) != 11 {
			t.Errorf("lease was renewed at %v, want at the start and each 3s", store.renewed)
		}
	})
}

func TestLeaseCountsAsLostBeforeItRunsOut(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{errSilent, errors.New("no connection")} {
		t.Run(failure.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, store := acquired(t, usualTimes)
				store.fails = failingBetween(7*time.Second, time.Hour, failure) // the last renewal was begun after 6s
				begun := time.Now()
				if err := l.keep(t.Context()); !errors.Is(err, errCutOff) {
					t.Fatalf("keep = %v, want errCutOff", err)
				}
				if took := time.Since(begun); took != 21*time.Second {
					t.Errorf("cut off after %v, want 21s: 15s after the last renewal", took)
				}
			})
		})
	}
}

func TestLeaseSurvivesAnOutageThatIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, store := acquired(t, usualTimes)
		store.fails = failingBetween(time.Second, 12*time.Second, errSilent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.keep(ctx); err != nil {
			t.Errorf("keep = %v, want nil", err)
		}
	})
}

func TestLeaseOfSomebodyElseIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, store := acquired(t, usualTimes)
		store.fails = failingBetween(0, time.Hour, errLost)
		begun := time.Now()
		if err := l.keep(t.Context()); !errors.Is(err, errLost) {
			t.Fatalf("keep = %v, want errLost", err)
		}
		if took := time.Since(begun); took != usualTimes.every {
			t.Errorf("noticed after %v, want at the next renewal, after %v", took, usualTimes.every)
		}
	})
}

func TestLeaseIsNotRenewedAfterAStandstill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, store := acquired(t, usualTimes)
		time.Sleep(16 * time.Second) // the whole process was stopped
		if err := l.keep(t.Context()); !errors.Is(err, errCutOff) {
			t.Fatalf("keep = %v, want errCutOff", err)
		}
		if len(store.renewed) != 1 {
			t.Error("the lease was renewed although it counted as lost")
		}
	})
}

func TestLeaseWithoutPatienceIsNeverCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, store := acquired(t, leaseTimes{every: 3 * time.Second, attempt: 3 * time.Second})
		store.fails = failingBetween(0, time.Hour, errSilent)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		if err := l.keep(ctx); err != nil {
			t.Errorf("keep = %v, want nil", err)
		}
	})
}

// TestX35SteadyIsNotOfTheClock: the time of the last renewal has to have a reading of
// the clock that nobody sets.
func TestX35SteadyIsNotOfTheClock(t *testing.T) {
	t.Parallel()
	m := startTestNode(t, natstest.ServeSmall(t), quickTimes, nil)
	self := m.self.Load()
	natstest.Eventually(t, "the lease was renewed", func() bool { return self.renewed.Load() != nil })
	if at := *self.renewed.Load(); at == at.Round(0) {
		t.Errorf("renewed at %v, without a monotonic reading", at)
	}
}
