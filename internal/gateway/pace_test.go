package gateway_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
)

// crowd has n connects come at once, whose clients stay for as long as ctx, and
// gives what became of each and when, in the order in which they came.
func crowd(ctx context.Context, p *gateway.Pace, n int) (errs []error, after []time.Duration) {
	errs, after = make([]error, n), make([]time.Duration, n)
	begin := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			errs[i] = p.Begin(ctx)
			after[i] = time.Since(begin)
		})
		synctest.Wait() // so that they come in this order
	}
	all.Wait()
	return errs, after
}

func TestFewConnectsNeedNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		for range 3 { // the places are given back
			errs, after := crowd(t.Context(), p, gateway.EasyConnects())
			if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) || slices.Max(after) != 0 {
				t.Errorf("they begin after %v with %v, want at once", after, errs)
			}
			for range errs {
				p.Done()
			}
		}
	})
}

// wantTurns checks that those beyond the easy ones begin one after another, turn
// apart.
func wantTurns(t *testing.T, errs []error, after []time.Duration, turn time.Duration) {
	t.Helper()
	for i, err := range errs {
		if want := max(0, time.Duration(i-gateway.EasyConnects()+1)*turn); err != nil || after[i] != want {
			t.Errorf("connect %d begins after %s with %v, want %s", i, after[i], err, want)
		}
	}
}

func TestACrowdBeginsOneAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Delivered.Store(1)
		errs, after := crowd(t.Context(), p, 100)
		wantTurns(t, errs, after, gateway.Breath)
	})
}

func TestACrowdBeginsSlowlyWhereAllProcessorsAreBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Delivered.Store(1)
		p.Ready.Store(1)
		errs, after := crowd(t.Context(), p, 100)
		wantTurns(t, errs, after, gateway.MaxTurn)
	})
}

// Each connect that begins takes a millisecond of a processor.
func TestACrowdTakesAPartOfTheProcessors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const cost = time.Millisecond
		p := gateway.NewPace()
		p.Delivered.Store(1)
		var begun sync.WaitGroup
		begin := time.Now()
		const n = 200
		for range n + gateway.EasyConnects() {
			begun.Go(func() {
				if err := p.Begin(t.Context()); err != nil {
					t.Error(err)
				}
				p.Used.Add(int64(cost))
			})
		}
		begun.Wait()
		share := time.Duration(runtime.GOMAXPROCS(0)) * time.Since(begin) / gateway.PaceShare
		if used := time.Duration(n) * cost; used > share+2*cost || used < share*3/4 {
			t.Errorf("a crowd uses %s in %s, want about %s, its share", used, time.Since(begin), share)
		}
	})
}

func TestALargeCrowdBeginsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Delivered.Store(1)
		p.Ready.Store(1)
		n := int(gateway.TurnPatience / gateway.MaxTurn * 3 / 2)
		errs, after := crowd(t.Context(), p, n)
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if last := slices.Max(after); last >= gateway.TurnPatience {
			t.Errorf("the last one of %d begins after %s", n, last)
		}
	})
}

func TestNobodyWaitsForATurnWhenTheGatewayStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Delivered.Store(1)
		p.Ready.Store(1)
		p.Hurry.Store(true)
		errs, after := crowd(t.Context(), p, 100)
		wantTurns(t, errs, after, 0)
	})
}

func TestACrowdThatDelaysNobodyBeginsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Ready.Store(1)
		for range 2 {
			errs, after := crowd(t.Context(), p, 100)
			wantTurns(t, errs, after, 0) // nothing has ever been written
			for range errs {
				p.Done()
			}
		}
		p.Delivered.Store(1)
		errs, after := crowd(t.Context(), p, 10)
		wantTurns(t, errs, after, gateway.MaxTurn)
		for range errs {
			p.Done()
		}
		time.Sleep(gateway.QuietAfter + time.Millisecond)
		errs, after = crowd(t.Context(), p, 100)
		wantTurns(t, errs, after, 0)
	})
}

func TestTheWaitForATurnIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		p := gateway.NewPace()
		p.Delivered.Store(1)
		patience := 50*gateway.Breath + gateway.Breath/2
		p.Patience(patience)
		errs, after := crowd(t.Context(), p, n)
		begun := 0
		for i, err := range errs {
			switch {
			case err == nil:
				begun++
				p.Done()
			case !errors.Is(err, gateway.ErrCrowded) || after[i] != patience:
				t.Errorf("connect %d ends after %s with %v, want after %s to be told to come again", i, after[i], err, patience)
			}
		}
		if want := gateway.EasyConnects() + 51; begun != want {
			t.Errorf("%d have begun, want %d", begun, want)
		}
		if p.Under() != 0 {
			t.Errorf("%d are under way when all are done", p.Under())
		}
	})
}

func TestAClientThatLeavesGivesItsTurnUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Delivered.Store(1)
		if errs, _ := crowd(t.Context(), p, gateway.EasyConnects()); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		leave(gone)
		for _, err := range first(crowd(ctx, p, 20)) {
			if err != nil && !errors.Is(err, gone) {
				t.Errorf("who has left is told %v", err)
			} else if err == nil {
				p.Done() // it was its turn just then
			}
		}
		if want := int64(gateway.EasyConnects()); p.Under() != want {
			t.Errorf("%d are under way, want the %d that began", p.Under(), want)
		}
	})
}

func first[A, B any](a A, _ B) A { return a }
