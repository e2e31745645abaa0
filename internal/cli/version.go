package cli

import (
	"context"
	"fmt"
	"runtime"

	"tidegate/internal/version"
)

const versionHelp = `Usage: tidegate version

Prints the version, the commit it was built from, and the Go version.
`

// printVersion prints what was built, from what, with what.
func printVersion(_ context.Context, sys System) error {
	if len(sys.Args) > 0 && (sys.Args[0] == "--help" || sys.Args[0] == "-h") {
		_, err := fmt.Fprint(sys.Stdout, versionHelp)
		return err
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
