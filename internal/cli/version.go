package cli

import (
	"context"
	"fmt"
	"runtime"

	"tidegate/internal/version"
)

func versionManual() manual {
	return manual{
		usage: []string{"tidegate version"},
		about: "Prints the version, the commit it was built from, and the Go version.\n",
	}
}

// printVersion prints what was built, from what, with what.
func printVersion(_ context.Context, sys System) error {
	if isHelp(sys.Args) {
		return versionManual().help(sys.Stdout)
	}
	if len(sys.Args) > 0 {
		return usagef("version: unexpected argument %q", sys.Args[0])
	}
	info, modified := version.Get(), ""
	if info.Modified {
		modified = " (modified)"
	}
	_, err := fmt.Fprintf(sys.Stdout, "tidegate %s\ncommit %s%s\n%s %s/%s\n",
		info.Version, info.Revision, modified, info.Go, runtime.GOOS, runtime.GOARCH)
	return err
}
