package cli

import (
	"bufio"
	"context"

	"tidegate/internal/licenses"
)

func licensesManual() manual {
	return manual{
		usage: []string{"tidegate licenses [--list]"},
		about: `Prints the whole licence of every module that this program links. With --list it
prints a table of modules, versions and kinds of licences instead.
`,
	}
}

// printLicenses prints what the authors of the linked modules ask to be passed on.
func printLicenses(_ context.Context, sys System) error {
	out := bufio.NewWriter(sys.Stdout)
	var err error
	switch {
	case len(sys.Args) == 0:
		err = licenses.Print(out)
	case len(sys.Args) == 1 && sys.Args[0] == "--list":
		err = licenses.List(out)
	case isHelp(sys.Args):
		return licensesManual().help(sys.Stdout)
	default:
		return usagef("licenses: unexpected argument %q", sys.Args[0])
	}
	if err != nil {
		return err
	}
	return out.Flush()
}
