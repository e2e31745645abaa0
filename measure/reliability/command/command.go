// Package command is what the reliability programs share as commands: flags, help,
// signals and exit codes.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

// Exit codes of all programs.
const (
	ExitOK    = 0
	ExitFault = 1 // a promise was broken, or the program failed
	ExitUsage = 2 // the command line is wrong
)

// ErrFault is returned by Run of a program that has already printed the faults it
// found. Main prints nothing more and exits with 1.
var ErrFault = errors.New("a promise was broken")

// Program describes a command.
type Program struct {
	Name    string
	Summary string                    // the text of --help before the flags
	Flags   func(fs *pflag.FlagSet)   // adds the flags
	Check   func(args []string) error // returns all that is wrong with flags and arguments
	Run     func(ctx context.Context, stdout, stderr io.Writer) error
}

// Main runs p and exits the process. The first SIGINT or SIGTERM ends the context of
// Run; a second one ends the process at once.
func Main(p Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := p.run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func (p Program) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard) // run prints the errors
	fs.SortFlags = false
	fs.Usage = func() {
		fmt.Fprintf(stdout, "%s\n\nFlags:\n%s\nExit codes: 0 all promises held, 1 a promise was broken or the program failed, 2 wrong command line.\n", p.Summary, fs.FlagUsagesWrapped(100))
	}
	p.Flags(fs)
	err := fs.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return ExitOK
	}
	if err == nil {
		err = p.Check(fs.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\nSee %s --help.\n", p.Name, err, p.Name)
		return ExitUsage
	}
	switch err := p.Run(ctx, stdout, stderr); {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrFault):
		return ExitFault
	default:
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return ExitFault
	}
}

// NoArgs is the check of programs that take flags only.
func NoArgs(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q; use flags", args[0])
	}
	return nil
}

// InRange returns an error if the value of a flag is out of range.
func InRange[T int | int64](flag string, v, least, most T) error {
	if v < least || v > most {
		return fmt.Errorf("--%s %d: must be from %d to %d", flag, v, least, most)
	}
	return nil
}
