package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"tidegate/internal/checkout"
	"tidegate/internal/leftover"
)

// binary is the program under test. TestMain sets it.
var binary string

// scratch is a directory for binaries, deleted after the tests.
var scratch string

// TestMain builds the program, or takes the binary that ./test has built.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tidegate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	if binary, err = checkout.TestBinary(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = os.Setenv("GORACE", gorace) // for programs that inherit the environment
	code := leftover.Run(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// patience is how long a test waits for what should come at once.
const patience = time.Minute

// eventually asks until the answer is yes. It is for what only another process
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
