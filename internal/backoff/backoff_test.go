package backoff

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitEndsAfterItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if err := Wait(t.Context(), time.Minute); err != nil {
			t.Errorf("Wait = %v, want nil", err)
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("Wait took %v, want 1m", took)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		begun := time.Now()
		if err := Wait(ctx, time.Minute); !errors.Is(err, gone) {
			t.Errorf("Wait = %v, want the cause", err)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("Wait took %v, want 1s", took)
		}
	})
}

func TestExponentialDoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failures       int
		first, longest time.Duration
		want           time.Duration
	}{
		{-1, time.Second, time.Minute, time.Second},
		{1, time.Second, time.Minute, time.Second},
		{2, time.Second, time.Minute, 2 * time.Second},
		{6, time.Second, time.Minute, 32 * time.Second},
		{7, time.Second, time.Minute, time.Minute},
		{1000, time.Second, time.Minute, time.Minute},
		{1000, time.Second, math.MaxInt64, math.MaxInt64},
		{1, time.Minute, time.Second, time.Second},
		{5, 0, 0, 0},
	} {
		lowest, highest := time.Duration(math.MaxInt64), time.Duration(0)
		for range 200 {
			d := Exponential(c.failures, c.first, c.longest)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		if lowest < c.want/2 || highest > c.want {
			t.Errorf("Exponential(%d, %v, %v) is between %v and %v, want between %v and %v",
				c.failures, c.first, c.longest, lowest, highest, c.want/2, c.want)
		}
		if c.want > time.Millisecond && highest == lowest {
			t.Errorf("Exponential(%d, %v, %v) is always %v", c.failures, c.first, c.longest, lowest)
		}
	}
}
