package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/judge"
	"tidegate/measure/reliability/workload"
)

// options are the settings of a run.
type options struct {
	deployment harness.Options
	plan       harness.Plan
	load       workload.Options
	resets     bool
}

// run starts the deployment, runs load and faults, and judges the records.
func run(ctx context.Context, o options, stdout io.Writer) (err error) {
	var listenErr error
	var ports harness.Ports
	defer ports.Release()
	if o.deployment.Command != harness.Serve {
		o.deployment.CallbackURL = func(address string) string {
			if o.load.CallbackListen == "" {
				o.load.CallbackListen, listenErr = ports.Free(address)
			}
			return "http://" + o.load.CallbackListen + "/callback"
		}
	}
	b, err := harness.New(ctx, o.deployment)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	if _, err := b.Chosen(o.plan); err != nil || listenErr != nil {
		return errors.Join(err, listenErr)
	}
	o.load.Public, o.load.Internal, o.load.Secret = b.Public(), b.Internal(), b.Secret()
	o.load.Cuts = b.Cuts(o.plan)
	load, err := workload.New(o.load)
	if err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return errors.Join(err, load.Close())
	}
	fmt.Fprintln(stdout, "started", b.Describe())
	err = b.Under(ctx, o.plan, stdout, func(ctx context.Context, stop <-chan struct{}) error {
		_, err := load.Run(ctx, stop, b.Stop)
		return err
	})
	if err != nil {
		return err
	}
	return verdict(o, stdout)
}

// verdict judges the records.
func verdict(o options, stdout io.Writer) error {
	report, err := judge.Judge(o.load.Dir, judge.Options{AllowResets: o.resets})
	if err != nil {
		return err
	}
	if err := report.Print(stdout); err != nil {
		return err
	}
	if !report.OK() {
		return command.ErrFault
	}
	return nil
}
