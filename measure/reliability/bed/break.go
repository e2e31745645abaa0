package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// Plan says how a bed is broken.
type Plan struct {
	Rounds int
	Mean   time.Duration // from when all is ready to the next fault
	Down   time.Duration // mean of how long a node is cut off, at most a minute
	Faults []string      // kinds to draw from; none for all that the bed has
	Seed   uint64
}

// BindFlags binds the plan, whose defaults are the values in it.
func (p *Plan) BindFlags(fs *pflag.FlagSet) {
	fs.IntVar(&p.Rounds, "rounds", p.Rounds, "`number` of faults")
	fs.DurationVar(&p.Mean, "mean", p.Mean, "mean time from when all is ready to the next fault, drawn from an exponential distribution")
	fs.DurationVar(&p.Down, "down", p.Down, "mean time for which a node is cut off, drawn likewise, at most a minute")
	fs.StringSliceVar(&p.Faults, "fault", p.Faults, "`kinds` of faults, by default all that the mode has; a kind that stands twice is drawn twice as often")
}

// Validate tells what is wrong with the plan.
func (p Plan) Validate() error {
	var errs []error
	if p.Rounds < 0 || p.Rounds > 1_000_000 {
		errs = append(errs, fmt.Errorf("--rounds %d: must be from 0 to 1000000", p.Rounds))
	}
	if p.Mean < time.Millisecond || p.Mean > time.Hour {
		errs = append(errs, fmt.Errorf("--mean %s: must be from 1ms to 1h", p.Mean))
	}
	if p.Down < time.Millisecond || p.Down > time.Minute {
		errs = append(errs, fmt.Errorf("--down %s: must be from 1ms to 1m", p.Down))
	}
	return errors.Join(errs...)
}

// Chosen are the faults of a plan. An error names one that the bed cannot do.
func (b *Bed) Chosen(p Plan) ([]Fault, error) {
	possible := b.Faults()
	if len(p.Faults) == 0 {
		return possible, nil
	}
	var faults []Fault
	for _, name := range p.Faults {
		if !slices.Contains(possible, Fault(name)) {
			return nil, fmt.Errorf("--fault %s: not possible here; there are %v", name, possible)
		}
		faults = append(faults, Fault(name))
	}
	return faults, nil
}

// Cuts reports whether the plan cuts nodes off.
func (b *Bed) Cuts(p Plan) bool {
	faults, err := b.Chosen(p)
	return err == nil && p.Rounds > 0 && slices.ContainsFunc(faults, func(f Fault) bool {
		return f == CutGateway || f == CutEngine || f == CutNATS
	})
}

// Break does all rounds of a plan and prints what came of each. An error means
// that a node did not come back, or ended by itself.
func (b *Bed) Break(ctx context.Context, p Plan, out io.Writer) error {
	faults, err := b.Chosen(p)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(p.Seed, 0xb4ea))
	var times []time.Duration
	for round := range p.Rounds {
		if !sleep(ctx, draw(random, p.Mean)) {
			return context.Cause(ctx)
		}
		fault := faults[random.IntN(len(faults))]
		began := time.Now()
		what, err := b.Inject(ctx, fault, random, min(draw(random, p.Down), time.Minute))
		if err != nil {
			return fmt.Errorf("round %d, %s: %w", round+1, fault, err)
		}
		times = append(times, time.Since(began))
		fmt.Fprintf(out, "round %d: %s; all ready after %s\n", round+1, what, times[round].Round(time.Millisecond))
	}
	if !sleep(ctx, draw(random, p.Mean)) {
		return context.Cause(ctx)
	}
	if len(times) > 0 {
		slices.Sort(times)
		fmt.Fprintf(out, "%d faults; from fault to ready: median %s, longest %s\n", len(times),
			times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
	}
	return nil
}

// Under runs work while the bed is broken. stop is closed when all rounds are
// done; from then on the bed is work's. What ends either of them ends both.
func (b *Bed) Under(ctx context.Context, p Plan, out io.Writer, work func(ctx context.Context, stop <-chan struct{}) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop, broken := make(chan struct{}), make(chan error, 1)
	go func() { // it ends with the rounds or with ctx, and is waited for below
		defer close(stop)
		err := b.Break(ctx, p, out)
		if err != nil {
			cancel(err)
		}
		broken <- err
	}()
	err := work(ctx, stop)
	cancel(err)
	if err := <-broken; err != nil {
		return err
	}
	return err
}

// draw gives a time from an exponential distribution: the next fault knows
// nothing of the last.
func draw(random *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(random.ExpFloat64() * float64(mean))
}

// sleep waits and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
