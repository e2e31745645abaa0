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

// run runs all rounds and prints their results.
func run(ctx context.Context, o options, stdout io.Writer) (err error) {
	m, err := newMachine(ctx, o)
	if m != nil {
		defer func() { err = errors.Join(err, m.close(ctx)) }()
	}
	if err != nil {
		return err
	}
	if err := m.server.Start(ctx); err != nil {
		return err
	}
	faults, oldest, lost := 0, time.Duration(0), 0
	for n := range o.rounds + 1 {
		f, err := m.round(ctx, n)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		fmt.Fprintf(stdout, "round %d: %d answered, %d lost, %s\n", n, f.answered, f.lost, age(f))
		for _, fault := range f.faults[:min(len(f.faults), 20)] {
			fmt.Fprintln(stdout, "  FAULT:", fault)
		}
		faults, oldest, lost = faults+len(f.faults), max(oldest, f.oldest), lost+f.lost
	}
	fmt.Fprintf(stdout, "%s, durability %s, %d losses of power: %d lost, the oldest answered %d ms before\n", o.mode, o.durability, o.rounds+1, lost, oldest.Milliseconds())
	if faults > 0 {
		fmt.Fprintf(stdout, "FAIL: %d faults\n", faults)
		return command.ErrFault
	}
	fmt.Fprintln(stdout, "PASS")
	return nil
}

func age(f *finding) string {
	if f.lost == 0 {
		return "nothing is lost"
	}
	return fmt.Sprintf("the oldest answered %d ms before", f.oldest.Milliseconds())
}

// round publishes, cuts the power, restarts and judges. In round 0 the store is new, and
// round does not simulate a reboot. So the generation shows whether the server found
// its store.
func (m *machine) round(ctx context.Context, n int) (*finding, error) {
	before, err := m.generation(ctx)
	if err != nil {
		return nil, err
	}
	at, err := m.loseUnderLoad(ctx, n)
	if err != nil {
		return nil, err
	}
	ends := make([]int, m.opts.topics)
	for topic := range ends {
		e, err := m.publish(ctx, topic, true)
		if err != nil {
			return nil, err
		}
		ends[topic] = e.number
	}
	stored, err := m.readAll(ctx, ends)
	if err != nil {
		return nil, err
	}
	bound := m.opts.bound
	if m.opts.durability == power {
		bound = 0
	}
	f := m.history.judge(stored, at, bound)
	after, err := m.generation(ctx)
	if err != nil {
		return nil, err
	}
	resets := m.opts.durability == process && n > 0
	switch {
	case resets && before == after:
		f.fault("the generation %s is the same after a loss of power", after)
	case !resets && before != after:
		f.fault("the generation has changed from %s to %s: the server made a new store", before, after)
	}
	if n == 0 && m.opts.durability == process {
		return f, nil // without a simulated reboot, the server does not know of the loss and sends no resets
	}
	return f, m.resumeAll(ctx, f, stored, ends, at, resets)
}

// loseUnderLoad publishes from before the loss of power until after the restart.
func (m *machine) loseUnderLoad(ctx context.Context, n int) (at loss, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.opts.pause*2+90*time.Second)
	defer cancel()
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- m.load(ctx, stop) }() // joined below
	at, err = m.loseAndStart(ctx, n)
	if err == nil {
		api.Sleep(ctx, 300*time.Millisecond) // publish after the restart too
	} else {
		cancel()
	}
	close(stop)
	if ended := <-done; err == nil {
		err = ended
	}
	return at, err
}

func (m *machine) loseAndStart(ctx context.Context, n int) (at loss, err error) {
	pause := m.opts.pause/2 + rand.N(m.opts.pause)
	if n == 0 {
		pause = max(m.opts.pause*3/4, m.opts.bound+time.Second) // some events must be older than bound
	}
	api.Sleep(ctx, pause)
	if at.at, err = m.lose(ctx); err != nil {
		return at, err
	}
	if n > 0 {
		if err := m.reboot(); err != nil {
			return at, err
		}
	}
	at.restarted = m.history.now()
	return at, m.server.Start(ctx)
}

// resumeAll resumes after ids from before the loss and checks what clients receive.
func (m *machine) resumeAll(ctx context.Context, f *finding, stored [][]int, ends []int, at loss, resets bool) error {
	for topic := range ends {
		for _, e := range m.history.pick(topic, at) {
			s, err := m.read(ctx, topic, e.id, ends[topic])
			if err != nil {
				return err
			}
			want := stored[topic]
			if !resets {
				want = want[slices.Index(want, e.number)+1:]
			}
			switch {
			case s.reset != resets:
				f.fault("a client resumed after %s; it received a reset: %v, want %v", e, s.reset, resets)
			case !slices.Equal(s.numbers, want):
				f.fault("a client resumed after %s and received %d events, want %d", e, len(s.numbers), len(want))
			}
		}
	}
	return nil
}
