package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/internal/leftover"
)

// TestMain lets the test binary be started as what the program starts, itself
// as a process of clients and a gateway.
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
	os.Exit(leftover.Run(m))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
