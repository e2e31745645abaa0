// Command bench measures a gateway from outside: memory of idle streams,
// connects, fan-out, sends to tokens, latency. It starts one itself, or is
// pointed at any that has the same callbacks and the same internal API.
//
// Every run checks what the streams received. An event that is lost, comes
// twice, out of order or to the wrong stream makes the program end with exit
// code 1: a figure of a gateway that loses events says nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// clientMode is the argument that the program starts itself with, to hold
// streams in processes of their own.
const clientMode = "client"

func main() {
	if len(os.Args) == 2 && os.Args[1] == clientMode {
		os.Exit(clientMain(os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitUsage
	}
	rep, err := measure(ctx, opts, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitError
	}
	write := rep.writeTable
	if opts.json {
		write = rep.writeJSON
	}
	if err := write(stdout); err != nil {
		fmt.Fprintln(stderr, "bench: write report:", err)
		return exitError
	}
	if len(rep.Faults) > 0 {
		fmt.Fprintln(stderr, "bench: FAILED: the gateway did not deliver what it was sent; the figures do not count")
		for _, f := range rep.Faults {
			fmt.Fprintln(stderr, "  "+f)
		}
		return exitError
	}
	return exitOK
}

// measure does all runs of all modes, one after the other. The runs of a mode
// are spread over the whole time, so that a neighbour who is busy for a minute
// spoils one of each rather than all of one.
func measure(ctx context.Context, opts *options, progress io.Writer) (*report, error) {
	rep := newReport(opts)
	if opts.external() {
		return rep, measureAll(ctx, opts, rep, "", progress)
	}
	binary := opts.binary
	if binary == "" {
		dir, err := os.MkdirTemp("", "sluice-bench-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for the gateway: %w", err)
		}
		defer os.RemoveAll(dir)
		// As it is released.
		if binary, err = buildGateway(ctx, dir, []string{"-trimpath"}, "CGO_ENABLED=0"); err != nil {
			return nil, err
		}
	}
	return rep, measureAll(ctx, opts, rep, binary, progress)
}

func measureAll(ctx context.Context, opts *options, rep *report, binary string, progress io.Writer) error {
	for i := range opts.runs {
		for _, m := range opts.modes {
			fmt.Fprintf(progress, "run %d of %d: %s\n", i+1, opts.runs, m.name)
			if err := runMode(ctx, opts, rep, binary, m, progress); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return nil
}
