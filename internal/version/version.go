// Package version says what the running program was built from.
package version

import (
	"runtime"
	"runtime/debug"
)

// release is the version of a release, without a leading v. The linker sets it:
// -ldflags "-X tidegate/internal/version.release=1.2.3".
var release = "development"

// Release returns the version, such as "1.2.3", or "development" for a build that is no release.
func Release() string { return release }

// Commit returns the commit that the program was built from, followed by " (modified)" if the
// working tree had changes, or "unknown" if the build did not record it.
func Commit() string {
	commit, modified := "unknown", ""
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return commit
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " (modified)"
		}
	}
	return commit + modified
}

// Go returns the version of Go that built the program, such as "go1.26.0".
func Go() string { return runtime.Version() }
