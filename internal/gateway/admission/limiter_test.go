package admission_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway/admission"
)

// storm starts n connects at once, whose clients stay as long as ctx, and returns the
// result of each and when it came, in the order in which the clients came.
func storm(ctx context.Context, l *admission.TestLimiter, n int) (errs []error, after []time.Duration) {
	errs, after = make([]error, n), make([]time.Duration, n)
	begin := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			errs[i] = l.Start(ctx)
			after[i] = time.Since(begin)
		})
		synctest.Wait() // so that they come in this order
	}
	all.Wait()
	return errs, after
}

func TestFewConnectsStartAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		for range 3 { // Release frees the places
			errs, after := storm(t.Context(), l, admission.Unpaced())
			if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) || slices.Max(after) != 0 {
				t.Errorf("they start after %v with %v, want at once", after, errs)
			}
			for range errs {
				l.Release()
			}
		}
	})
}

// wantIntervals checks that the connects beyond the unpaced ones start one after
// another, interval apart.
func wantIntervals(t *testing.T, errs []error, after []time.Duration, interval time.Duration) {
	t.Helper()
	for i, err := range errs {
		if want := max(0, time.Duration(i-admission.Unpaced()+1)*interval); err != nil || after[i] != want {
			t.Errorf("connect %d starts after %s with %v, want %s", i, after[i], err, want)
		}
	}
}

func TestStormStartsOneAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		errs, after := storm(t.Context(), l, 100)
		wantIntervals(t, errs, after, admission.MinInterval)
	})
}

func TestStormStartsSlowlyOnBusyCPUs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		l.Runnable.Store(1)
		errs, after := storm(t.Context(), l, 100)
		wantIntervals(t, errs, after, admission.MaxInterval)
	})
}

// Each connect that starts takes a millisecond of a CPU.
func TestStormUsesItsShareOfTheCPUs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const cost = time.Millisecond
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		var begun sync.WaitGroup
		begin := time.Now()
		const n = 200
		for range n + admission.Unpaced() {
			begun.Go(func() {
				if err := l.Start(t.Context()); err != nil {
					t.Error(err)
				}
				l.CPUTime.Add(int64(cost))
			})
		}
		begun.Wait()
		share := time.Duration(runtime.GOMAXPROCS(0)) * time.Since(begin) / admission.CPUShare
		if used := time.Duration(n) * cost; used > share+2*cost || used < share*3/4 {
			t.Errorf("a storm uses %s in %s, want about %s, its share", used, time.Since(begin), share)
		}
	})
}

func TestLargeStormStartsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		l.Runnable.Store(1)
		n := int(admission.MaxPacedWait / admission.MaxInterval * 3 / 2)
		errs, after := storm(t.Context(), l, n)
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if last := slices.Max(after); last >= admission.MaxPacedWait {
			t.Errorf("the last one of %d starts after %s", n, last)
		}
	})
}

func TestNobodyWaitsWhenTheGatewayStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		l.Runnable.Store(1)
		l.Stopping.Store(true)
		errs, after := storm(t.Context(), l, 100)
		wantIntervals(t, errs, after, 0)
	})
}

func TestStormThatDelaysNobodyStartsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Runnable.Store(1)
		for range 2 {
			errs, after := storm(t.Context(), l, 100)
			wantIntervals(t, errs, after, 0) // nothing has ever been written
			for range errs {
				l.Release()
			}
		}
		l.Delivered.Store(1)
		errs, after := storm(t.Context(), l, 10)
		wantIntervals(t, errs, after, admission.MaxInterval)
		for range errs {
			l.Release()
		}
		time.Sleep(admission.QuietAfter + time.Millisecond)
		errs, after = storm(t.Context(), l, 100)
		wantIntervals(t, errs, after, 0)
	})
}

func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		bound := 50*admission.MinInterval + admission.MinInterval/2
		l.SetMaxWait(bound)
		errs, after := storm(t.Context(), l, n)
		begun := 0
		for i, err := range errs {
			switch {
			case err == nil:
				begun++
				l.Release()
			case !errors.Is(err, admission.ErrTimeout) || after[i] != bound:
				t.Errorf("connect %d ends after %s with %v, want ErrTimeout after %s", i, after[i], err, bound)
			}
		}
		if want := admission.Unpaced() + 51; begun != want {
			t.Errorf("%d have started, want %d", begun, want)
		}
		if l.InProgress() != 0 {
			t.Errorf("%d are in progress when all are done", l.InProgress())
		}
	})
}

func TestClientThatLeavesFreesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		if errs, _ := storm(t.Context(), l, admission.Unpaced()); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		leave(gone)
		for _, err := range first(storm(ctx, l, 20)) {
			if err != nil && !errors.Is(err, gone) {
				t.Errorf("a client that has left gets %v", err)
			} else if err == nil {
				l.Release() // it was granted just then
			}
		}
		if want := int64(admission.Unpaced()); l.InProgress() != want {
			t.Errorf("%d are in progress, want the %d that started", l.InProgress(), want)
		}
	})
}

func first[A, B any](a A, _ B) A { return a }

// TestLimiterThatIsOff: with --no-pacing nobody waits, however large the storm.
func TestLimiterThatIsOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(true)
		l.Delivered.Store(1)
		l.Runnable.Store(1)
		errs, after := storm(t.Context(), l, 100)
		wantIntervals(t, errs, after, 0)
		if n := l.InProgress(); n != 100 {
			t.Errorf("%d connects are in progress, want 100", n)
		}
	})
}
