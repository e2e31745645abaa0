// Package bench measures gateways from outside, over HTTP, as clients and a
// backend meet them: what an idle stream costs, connects, fan-out, sends,
// latency, slow clients. It starts a gateway itself, or is pointed at any that
// has the same callbacks and the same internal API.
//
// Every run checks what the streams received. An event that is lost, comes
// twice, out of order or to the wrong stream makes [Run] fail: a figure of a
// gateway that loses events says nothing.
//
// Streams are held by processes of their own, which are this program again: see
// [IsClient].
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"tidegate/internal/selfsigned"
)

// ErrFaults is returned by [Run] when a gateway did not deliver what it was
// sent. What was wrong has been written then.
var ErrFaults = errors.New("bench: a gateway did not deliver what it was sent; the figures do not count")

// Run measures as opts say and writes the report to stdout, and the progress to
// stderr. It returns [ErrFaults], or an error if it could not go on; what was
// measured until then is written all the same. It blocks until all processes
// that it started have ended, which they do soon when ctx ends. Opts must be
// valid: see [Options.Check].
func Run(ctx context.Context, opts Options, stdout, stderr io.Writer) error {
	rep := newReport(&opts)
	err := measure(ctx, &opts, rep, stderr)
	if err == nil || len(rep.Figures) > 0 {
		err = errors.Join(err, rep.write(&opts, stdout))
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if len(rep.Faults) > 0 {
		for _, f := range rep.Faults {
			fmt.Fprintln(stderr, "fault:", f)
		}
		return ErrFaults
	}
	return nil
}

// measure does all runs of all modes, one after the other. The runs of a mode are distributed over the
// whole time, so that load of others for a minute affects one run of each mode rather than all runs of
// one mode. Two gateways that are compared alternate, also in which one is first.
func measure(ctx context.Context, opts *Options, rep *report, progress io.Writer) error {
	files, remove, err := opts.certificate()
	if err != nil {
		return err
	}
	defer remove()
	subjects := opts.subjects(files)
	for i := range opts.Runs {
		for _, m := range opts.modes() {
			for _, s := range subjects {
				if s.limit && !m.bare && !m.answered || m.needs == needsStorage && s.storage == storageMemory && s.natsServer == "" {
					continue
				}
				fmt.Fprintf(progress, "run %d of %d: %s of %s\n", i+1, opts.Runs, m.name, s.name)
				if err := runMode(ctx, opts, rep, s, m, progress); err != nil {
					return fmt.Errorf("%s of %s: %w", m.name, s.name, err)
				}
			}
		}
		slices.Reverse(subjects)
	}
	return nil
}

// certificate makes the files that gateways with TLS are started with, and returns
// how to remove them.
func (o *Options) certificate() (files selfsigned.Files, remove func(), err error) {
	if !o.encrypted() || o.external() {
		return selfsigned.Files{}, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "tidegate-bench-")
	if err != nil {
		return selfsigned.Files{}, nil, fmt.Errorf("make a directory for a certificate: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if files, err = selfsigned.Write(dir); err != nil {
		remove()
		return selfsigned.Files{}, nil, err
	}
	return files, remove, nil
}
