// Tidegate holds Server-Sent Events streams for web backends, and shows the
// progress of background tasks in browsers.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tidegate/internal/cli"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2) // the second may come before the first is received
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go stop(signals, cancel)
	os.Exit(cli.Main(ctx, cli.System{
		Args: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}

// stop stops the program in order at the first signal, and ends it at the second as
// if it had not been waited for.
func stop(signals <-chan os.Signal, cancel context.CancelCauseFunc) {
	cancel(fmt.Errorf("%s signal received", <-signals))
	second := <-signals
	signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(second)
		time.Sleep(time.Second) // it takes a moment; where it cannot be done, this is the end
	}
	os.Exit(1)
}
