package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker in releases: -ldflags "-X tidegate/internal/cli.release=1.2.3".
var release = "development"

// version prints what was built, from what, with what.
func version(_ context.Context, sys System) error {
	if len(sys.Args) > 0 && (sys.Args[0] == "--help" || sys.Args[0] == "-h") {
		_, err := fmt.Fprintln(sys.Stdout, "Usage: tidegate version\n\nPrints the version, the commit it was built from, and the Go version.")
		return err
	}
	if len(sys.Args) > 0 {
		return usagef("version: unexpected argument %q", sys.Args[0])
	}
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		modified := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = " (modified)"
			}
		}
		commit += modified
	}
	_, err := fmt.Fprintf(sys.Stdout, "tidegate %s\ncommit %s\n%s %s/%s\n", release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
