package express

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain fails if a goroutine or a descriptor is left when all tests passed.
func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if left := leftovers(before); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "left by the tests:\n\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leftovers tells what is left, or "" as soon as nothing is. What is about to
// end gets five seconds for it.
func leftovers(before int) string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var left []string
	for range 500 {
		buf := make([]byte, 1<<20)
		left = strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:]
		// Fuzzing listens for signals, which leaves a goroutine of the runtime's.
		left = slices.DeleteFunc(left, func(s string) bool { return strings.Contains(s, "os/signal.loop") })
		// The runtime's poller keeps three.
		if n := descriptors(); n > before+3 {
			left = append(left, fmt.Sprintf("%d descriptors, %d before", n, before))
		}
		if len(left) == 0 {
			return ""
		}
		<-tick.C
	}
	return strings.Join(left, "\n\n")
}

// descriptors counts what the process has open, where that can be seen.
func descriptors() int {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(open)
}
