package version_test

import (
	"runtime"
	"testing"

	"tidegate/internal/version"
)

func TestABuildThatIsNoReleaseSaysSo(t *testing.T) {
	t.Parallel()
	if got := version.Release(); got != "development" {
		t.Errorf("Release() = %q, want development", got)
	}
	if got := version.Commit(); got == "" {
		t.Error("Commit() is empty")
	}
	if got := version.Go(); got != runtime.Version() {
		t.Errorf("Go() = %q, want %q", got, runtime.Version())
	}
}
