package harness

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

// Plan says which faults to inject into a [Deployment], and when.
type Plan struct {
	Rounds int           // one fault each
	Mean   time.Duration // mean time from all nodes being ready to the next fault
	Down   time.Duration // mean time for which a node is cut off; a draw is a minute at most
	Faults []string      // kinds to draw from; empty for all that the deployment allows
	Seed   uint64
}

// BindFlags adds the flags of the plan to fs. The values in p are the defaults.
func (p *Plan) BindFlags(fs *pflag.FlagSet) {
	fs.IntVar(&p.Rounds, "rounds", p.Rounds, "`number` of faults")
	fs.DurationVar(&p.Mean, "mean", p.Mean, "mean time from all nodes being ready to the next fault; drawn from an exponential distribution")
	fs.DurationVar(&p.Down, "down", p.Down, "mean time for which a node is cut off; drawn from an exponential distribution, at most 1m")
	fs.StringSliceVar(&p.Faults, "fault", p.Faults, "`kinds` of faults to draw from, by default all of the mode; a kind given twice is drawn twice as often")
}

// Validate returns all values that are out of range.
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

// Chosen returns the faults of a plan. The error names one that this deployment
// does not allow.
func (b *Deployment) Chosen(p Plan) ([]Fault, error) {
	possible := b.Faults()
	if len(p.Faults) == 0 {
		return possible, nil
	}
	var faults []Fault
	for _, name := range p.Faults {
		if !slices.Contains(possible, Fault(name)) {
			return nil, fmt.Errorf("--fault %s: not possible here; choose from %v", name, possible)
		}
		faults = append(faults, Fault(name))
	}
	return faults, nil
}

// Cuts reports whether the plan cuts nodes off from the network.
func (b *Deployment) Cuts(p Plan) bool {
	faults, err := b.Chosen(p)
	return err == nil && p.Rounds > 0 && slices.ContainsFunc(faults, func(f Fault) bool {
		return f == CutGateway || f == CutEngine || f == CutNATS
	})
}

// Break runs all rounds of a plan and prints each fault. The error says that a
// node did not become ready again, or ended by itself.
func (b *Deployment) Break(ctx context.Context, p Plan, out io.Writer) error {
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

// Under runs work while Break injects the faults of p. It closes stop after the
// last round; from then on only work uses the deployment. If one of the two fails,
// the other's context ends.
func (b *Deployment) Under(ctx context.Context, p Plan, out io.Writer, work func(ctx context.Context, stop <-chan struct{}) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop, broken := make(chan struct{}), make(chan error, 1)
	go func() { // ends after the rounds or with ctx; joined below
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

// draw returns a time from an exponential distribution, so that faults are
// independent of each other.
func draw(random *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(random.ExpFloat64() * float64(mean))
}

// sleep waits for d and reports whether ctx lasted that long.
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
