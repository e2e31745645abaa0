// Tidegate holds Server-Sent Events streams for web backends, and shows the
// progress of background tasks in browsers.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tidegate/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After the first signal the default is back: a second one ends the
	// program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, cli.System{
		Args: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
