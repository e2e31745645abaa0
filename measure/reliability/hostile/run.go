package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"tidegate/internal/checkout"
	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/command"
)

// run runs the chosen attacks one after another, each on a new server.
func run(ctx context.Context, o options, stdout io.Writer) error {
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if o.tidegate == "" {
		o.tidegate = filepath.Join(o.dir, "tidegate")
		if err := checkout.Build(ctx, o.tidegate); err != nil {
			return err
		}
	}
	if o.tidegate, err = filepath.Abs(o.tidegate); err != nil {
		return err
	}
	bad := 0
	for _, a := range o.chosen() {
		held, err := one(ctx, o, a, stdout)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		if !held {
			bad++
		}
	}
	if bad > 0 {
		fmt.Fprintf(stdout, "FAIL: %d of %d attacks broke a promise\n", bad, len(o.chosen()))
		return command.ErrFault
	}
	fmt.Fprintln(stdout, "PASS: no honest client was rejected or lost anything")
	return nil
}

// one runs one attack.
func one(ctx context.Context, o options, a attack, stdout io.Writer) (held bool, err error) {
	n := max(1, int(float64(a.clients)*o.scale))
	fmt.Fprintf(stdout, "\n%s: %s (%d attackers, %s", a.name, a.what, n, a.mode)
	if a.files > 0 {
		fmt.Fprintf(stdout, " with %d open files", a.files)
	}
	fmt.Fprintln(stdout, ")")
	s, err := start(ctx, o, a)
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err != nil {
		return false, err
	}
	s.honest = newHonest(s, a.mode)
	if a.prepare != nil {
		if err := a.prepare(ctx, s); err != nil {
			return false, fmt.Errorf("prepare: %w", err)
		}
	}
	if err := s.honest.start(ctx); err != nil {
		return false, err
	}
	result, err := s.measure(ctx, o, func(ctx context.Context) { a.runAttackers(ctx, s, n) })
	s.honest.finish(ctx)
	if err != nil {
		return false, err
	}
	if a.after != nil {
		if err := a.after(ctx, s); err != nil {
			s.faults.add("%v", err)
		}
	}
	return s.report(stdout, o, result), nil
}

// result are the measurements of the server.
type result struct {
	before, during, after usage
	streams               int           // before the attack
	back                  time.Duration // until descriptors and streams were as before; negative for never
	memoryBack            time.Duration // until memory was as before; negative for never
}

// measure runs the phases of an attack.
func (s *server) measure(ctx context.Context, o options, attack func(ctx context.Context)) (result, error) {
	var r result
	pid := s.process.PID()
	if !api.Sleep(ctx, o.baseline) {
		return r, context.Cause(ctx)
	}
	var err error
	if r.streams, err = s.metric(ctx, "tidegate_streams"); err != nil {
		return r, err
	}
	if r.before, err = usageOf(pid); err != nil {
		return r, err
	}
	if err := resetPeak(pid); err != nil {
		return r, err
	}
	s.honest.setPhase(underAttack)
	during, enough := context.WithTimeout(ctx, o.attack)
	attack(during)
	<-during.Done() // the attack phase has a fixed length
	enough()
	s.honest.setPhase(recovering)
	if r.during, err = usageOf(pid); err != nil {
		return r, fmt.Errorf("the server ended during the attack: %w", err)
	}
	return r, s.recovers(ctx, o, &r)
}

// Allowed differences from before: streams and descriptors of honest connects in
// progress, idle connections to the backend, and memory that the collector keeps.
const (
	moreStreams = 2
	moreFiles   = 16 + 64
	moreMemory  = 64 << 20
)

// recovers waits until everything is as before, for o.recover at most.
func (s *server) recovers(ctx context.Context, o options, r *result) error {
	begun := time.Now()
	r.back, r.memoryBack = -1, -1
	for {
		now, err := usageOf(s.process.PID())
		if err != nil {
			return fmt.Errorf("the server has ended: %w", err)
		}
		r.after = now
		took := time.Since(begun)
		if r.back < 0 && now.files <= r.before.files+moreFiles {
			if streams, err := s.metric(ctx, "tidegate_streams"); err == nil && streams <= r.streams+moreStreams {
				r.back = took
			}
		}
		if r.memoryBack < 0 && now.resident <= r.before.resident+moreMemory {
			r.memoryBack = took
		}
		if r.back >= 0 && r.memoryBack >= 0 || took > o.recover {
			return nil
		}
		if !api.Sleep(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}
