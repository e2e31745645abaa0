// Command tasks starts tasks while servers are killed, and judges how each one ended.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
)

const summary = `tasks starts a server or a cluster and tasks of the kinds demo_task and failing_task, and injects faults at
random times while they run. Then it checks each task whose start was answered:

  - it is final, and GET /api/tasks of every backend lists it so, once
  - its log has exactly one terminal event, then exactly one connection_close, then the stream ends
  - terminal event, connection_close and the task's status agree
  - whoever watched it across the faults received its log, in order, once

The faults are those of "kill"; see its --help.

Usage: tasks [FLAG…]`

// options are the settings of a run.
type options struct {
	deployment harness.Options
	plan       harness.Plan
	tasks      int
	watch      int
	workers    int
	delay      time.Duration
	settle     time.Duration
	resets     bool
}

func main() {
	o := options{
		deployment: harness.Defaults(), plan: harness.Plan{Rounds: 30, Mean: 1500 * time.Millisecond, Down: 5 * time.Second},
		tasks: 1000, watch: 200, workers: 16, delay: 100 * time.Millisecond, settle: 3 * time.Minute,
	}
	command.Main(command.Program{
		Name: "tasks", Summary: summary,
		Flags: func(fs *pflag.FlagSet) {
			harness.BindFlags(fs, &o.deployment)
			o.plan.BindFlags(fs)
			fs.IntVar(&o.tasks, "tasks", o.tasks, "`number` of tasks, started all the time while faults are injected")
			fs.IntVar(&o.watch, "watch", o.watch, "`number` of tasks that are watched from their start, across all faults")
			fs.IntVar(&o.workers, "workers", o.workers, "`number` of concurrent tasks in one backend")
			fs.DurationVar(&o.delay, "delay", o.delay, "longest `delay` of a step of a task")
			fs.DurationVar(&o.settle, "settle", o.settle, "how long the tasks may take to become final after the last fault")
			fs.BoolVar(&o.resets, "allow-resets", false, "a reset is not a fault; events before it are not compared")
			fs.Uint64Var(&o.plan.Seed, "seed", 0, "`seed` of all random choices")
		},
		Check: func(args []string) error {
			return errors.Join(command.NoArgs(args), o.deployment.Validate(), o.plan.Validate(), o.validate())
		},
		Run: func(ctx context.Context, stdout, _ io.Writer) error {
			return harness.WorkDir(o.deployment.Dir, "tasks", stdout, func(dir string) error {
				o.deployment.Dir = dir
				return run(ctx, o, stdout)
			})
		},
	})
}

func (o options) validate() error {
	var errs []error
	if o.deployment.Command == harness.Gateway {
		errs = append(errs, errors.New("--mode gateway has no tasks; use serve or cluster"))
	}
	if o.watch < 0 || o.watch > o.tasks {
		errs = append(errs, fmt.Errorf("--watch %d: must be from 0 to --tasks", o.watch))
	}
	return errors.Join(append(errs,
		command.InRange("tasks", o.tasks, 1, 100_000), command.InRange("workers", o.workers, 1, 10_000),
		command.InRange("delay", int64(o.delay), int64(time.Millisecond), int64(time.Minute)),
		command.InRange("settle", int64(o.settle), int64(time.Second), int64(time.Hour)))...)
}

// run starts the deployment, runs tasks and faults, and prints the result.
func run(ctx context.Context, o options, stdout io.Writer) (err error) {
	workers := fmt.Sprintf("--task-workers=%d", o.workers)
	o.deployment.GatewayFlags = append([]string{}, o.deployment.GatewayFlags...)
	if o.deployment.Command == harness.Serve {
		o.deployment.GatewayFlags = append(o.deployment.GatewayFlags, workers)
	}
	o.deployment.BackendFlags = append([]string{workers}, o.deployment.BackendFlags...)
	b, err := harness.New(ctx, o.deployment)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	if _, err := b.Chosen(o.plan); err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "started", b.Describe())
	j := newJob(o, b.Tasks(), b.Public())
	defer j.close()
	err = b.Under(ctx, o.plan, stdout, func(ctx context.Context, stop <-chan struct{}) error {
		if err := j.work(ctx, stop); err != nil {
			return err
		}
		return b.Stop(ctx)
	})
	if err != nil {
		return err
	}
	if err := j.report.print(stdout); err != nil {
		return err
	}
	if !j.report.ok() {
		return command.ErrFault
	}
	return nil
}
