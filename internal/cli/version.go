package cli

import (
	"context"
	"fmt"
	"runtime"

	build "tidegate/internal/version"
)

// version prints the version, the commit it was built from, and the Go version.
func version(_ context.Context, sys System) error {
	if len(sys.Args) > 0 && (sys.Args[0] == "--help" || sys.Args[0] == "-h") {
		_, err := fmt.Fprintln(sys.Stdout, "Usage: tidegate version\n\nPrints the version, the commit it was built from, and the Go version.")
		return err
	}
	if len(sys.Args) > 0 {
		return usagef("version: unexpected argument %q", sys.Args[0])
	}
	_, err := fmt.Fprintf(sys.Stdout, "tidegate %s\ncommit %s\n%s %s/%s\n", build.Release(), build.Commit(), build.Go(), runtime.GOOS, runtime.GOARCH)
	return err
}
