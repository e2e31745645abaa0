package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	var n int
	program := func(result error) Program {
		return Program{
			Name: "try", Summary: "try does nothing.",
			Flags: func(fs *pflag.FlagSet) { fs.IntVar(&n, "n", 1, "a `number`") },
			Check: func(args []string) error { return errors.Join(NoArgs(args), InRange("n", n, 1, 3)) },
			Run:   func(context.Context, io.Writer, io.Writer) error { return result },
		}
	}
	for _, test := range []struct {
		name           string
		args           []string
		result         error
		code           int
		stdout, stderr string // parts of what is printed
	}{
		{"all promises held", nil, nil, 0, "", ""},
		{"help", []string{"--help"}, nil, 0, "--n number", ""},
		{"faults were printed before", nil, ErrFault, 1, "", ""},
		{"the program failed", nil, errors.New("no port"), 1, "", "try: no port"},
		{"unknown flag", []string{"--x"}, nil, 2, "", "--x"},
		{"argument", []string{"x"}, nil, 2, "", `"x"`},
		{"out of range", []string{"--n", "4"}, nil, 2, "", "from 1 to 3"},
	} {
		var stdout, stderr strings.Builder
		code := program(test.result).run(t.Context(), test.args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s: code %d, want %d; printed %q and %q", test.name, code, test.code, stdout.String(), stderr.String())
		}
		if test.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%s: printed %q, want nothing on standard error", test.name, stderr.String())
		}
	}
}
