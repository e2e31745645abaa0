package pipenet_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain fails if a goroutine is left when all tests have passed.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftovers(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines left by the tests:\n\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leftovers returns the stacks of all goroutines but this one, or "" as soon as
// there is none. Those that are about to end get five seconds for it.
func leftovers() string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var left []string
	for range 500 {
		buf := make([]byte, 1<<20)
		left = strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:]
		// Fuzzing listens for signals, which leaves a goroutine of the runtime's.
		left = slices.DeleteFunc(left, func(s string) bool { return strings.Contains(s, "os/signal.loop") })
		if len(left) == 0 {
			return ""
		}
		<-tick.C
	}
	return strings.Join(left, "\n\n")
}
