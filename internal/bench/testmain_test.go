package bench

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"tidegate/internal/leftover"
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
		case "-c": // as the program of --nats-server
			exit(fakeServer())
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

// fakeServer is the process of a NATS server, as far as bench looks at it.
func fakeServer() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Fprintln(os.Stderr, "[1] [INF] Listening for client connections on 127.0.0.1:4222")
	<-ctx.Done()
	return nil
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
