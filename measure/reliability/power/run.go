package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/command"
)

// run does everything.
func run(ctx context.Context, o options, stdout io.Writer) (err error) {
	r, err := newRig(ctx, o)
	if r != nil {
		defer func() { err = errors.Join(err, r.close(ctx)) }()
	}
	if err != nil {
		return err
	}
	if err := r.server.Start(ctx); err != nil {
		return err
	}
	faults, most, lost := 0, time.Duration(0), 0
	for n := range o.rounds + 1 {
		f, err := r.round(ctx, n)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		fmt.Fprintf(stdout, "round %d: %d answered, %d lost, %s\n", n, f.answered, f.lost, age(f))
		for _, fault := range f.faults[:min(len(f.faults), 20)] {
			fmt.Fprintln(stdout, "  FAULT:", fault)
		}
		faults, most, lost = faults+len(f.faults), max(most, f.oldest), lost+f.lost
	}
	fmt.Fprintf(stdout, "%s, durability %s, %d losses of power: %d lost, the oldest answered %d ms before\n", o.mode, o.durability, o.rounds+1, lost, most.Milliseconds())
	if faults > 0 {
		fmt.Fprintf(stdout, "FAIL: %d faults\n", faults)
		return command.ErrFault
	}
	fmt.Fprintln(stdout, "PASS")
	return nil
}

func age(f *finding) string {
	if f.lost == 0 {
		return "nothing is gone"
	}
	return fmt.Sprintf("the oldest answered %d ms before", f.oldest.Milliseconds())
}

// round publishes, loses the power, starts again and judges. Round 0 is that of a
// store that is not older than it: after it nothing tells the server that the
// machine was started anew, so that its generation shows whether it found its
// store.
func (r *rig) round(ctx context.Context, n int) (*finding, error) {
	before, err := r.generation(ctx)
	if err != nil {
		return nil, err
	}
	at, err := r.loaded(ctx, n)
	if err != nil {
		return nil, err
	}
	ends := make([]int, r.opts.topics)
	for topic := range ends {
		e, err := r.publish(ctx, topic, true)
		if err != nil {
			return nil, err
		}
		ends[topic] = e.number
	}
	has, err := r.readAll(ctx, ends)
	if err != nil {
		return nil, err
	}
	bound := r.opts.bound
	if r.opts.durability == power {
		bound = 0
	}
	f := r.book.judge(has, at, bound)
	after, err := r.generation(ctx)
	if err != nil {
		return nil, err
	}
	anew := r.opts.durability == process && n > 0
	switch {
	case anew && before == after:
		f.fault("the generation %s is the same after a loss of power", after)
	case !anew && before != after:
		f.fault("the generation has changed from %s to %s: the store was made anew", before, after)
	}
	if n == 0 && r.opts.durability == process {
		return f, nil // what was lost may be skipped, as the server thinks that nothing was
	}
	return f, r.resumeAll(ctx, f, has, ends, at, anew)
}

// loaded publishes from before the loss of power until after the start that
// follows it.
func (r *rig) loaded(ctx context.Context, n int) (at loss, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.pause*2+90*time.Second)
	defer cancel()
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- r.load(ctx, stop) }() // waited for below
	at, err = r.loseAndStart(ctx, n)
	if err == nil {
		api.Sleep(ctx, 300*time.Millisecond) // it takes more, too
	} else {
		cancel()
	}
	close(stop)
	if ended := <-done; err == nil {
		err = ended
	}
	return at, err
}

func (r *rig) loseAndStart(ctx context.Context, n int) (at loss, err error) {
	pause := r.opts.pause/2 + rand.N(r.opts.pause)
	if n == 0 {
		pause = max(r.opts.pause*3/4, r.opts.bound+time.Second) // some events must be too old to be lost
	}
	api.Sleep(ctx, pause)
	if at.at, err = r.lose(ctx); err != nil {
		return at, err
	}
	if n > 0 {
		if err := r.reboot(); err != nil {
			return at, err
		}
	}
	at.back = r.book.now()
	return at, r.server.Start(ctx)
}

// resumeAll has clients come back that have seen events of before the loss.
func (r *rig) resumeAll(ctx context.Context, f *finding, has [][]int, ends []int, at loss, anew bool) error {
	for topic := range ends {
		for _, e := range r.book.pick(topic, at) {
			s, err := r.read(ctx, topic, e.id, ends[topic])
			if err != nil {
				return err
			}
			want := has[topic]
			if !anew {
				want = want[slices.Index(want, e.number)+1:]
			}
			switch {
			case s.reset != anew:
				f.fault("a client with the id of %s was told of a reset: %v, want %v", e, s.reset, anew)
			case !slices.Equal(s.numbers, want):
				f.fault("a client with the id of %s got %d events, want %d", e, len(s.numbers), len(want))
			}
		}
	}
	return nil
}
