package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tidegate/internal/leftover"
)

// binary is the program under test, built once by TestMain.
var binary string

// TestMain builds the program.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tidegate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "tidegate")
	args := slices.Concat([]string{"build"}, raceFlags, []string{"-o", binary, "tidegate/cmd/tidegate"})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		os.Exit(1)
	}
	code := leftover.Run(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// patience is how long a test waits for what should come at once.
const patience = time.Minute

// eventually asks until it is told yes. It is for what only another process
// knows, and can be asked for but not waited for.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !yes(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not so after %s: %s", patience, what)
		}
	}
}
