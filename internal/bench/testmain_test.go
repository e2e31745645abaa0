package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be started as what the program starts, itself
// as a process of clients and a gateway, and fails if a goroutine is left when
// all tests have passed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case benchCommand:
			if IsClient(os.Args[2:], os.Environ()) {
				exit(RunClient(os.Args[2:], os.Stdin, os.Stdout))
			}
		case "gateway":
			exit(fakeMain(os.Args[2:]))
		case "--public": // as the program of --limit
			exit(fakeMain(os.Args[1:]))
		}
	}
	// Programs with the race detector wait for a second before they end.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	code := m.Run()
	if left := leftovers(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines left by the tests:\n\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
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
